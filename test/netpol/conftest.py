"""The cases to run, those of CASES or our own; the fixture's cluster with agents."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.netpol.cases import OWN_CASES, load_cases
from rig.netpol.cluster import Cluster
from rig.netpol.enforcer import Agents
from rig.netpol.network import Network
from rig.netpol.world import World, fixture

FILES = [Path(os.environ["CASES"])] if os.environ.get("CASES") else OWN_CASES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = [case for path in FILES for case in load_cases(path, fixture())]
        metafunc.parametrize("case", cases, ids=lambda case: case.id)


TOLD: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in TOLD:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def told() -> list[str]:
    """Lines about what was measured, for the end of the run."""
    return TOLD


@pytest.fixture
def world() -> World:
    """The fixture's cluster, without policies."""
    return fixture()


@pytest.fixture(scope="module")
def bridged() -> bool:
    """How the pods of a node are connected."""
    return False


@pytest.fixture(scope="module")
def running(bridged: bool) -> Iterator[Cluster]:
    world = fixture()
    with Network(world, bridged=bridged) as network, Agents(network, world) as agents:
        agents.start()
        yield Cluster(network, agents, world)


@pytest.fixture
def cluster(running: Cluster) -> Iterator[Cluster]:
    yield running
    running.world = fixture()
    running.follow()
