"""Clusters for the tests. Whatever ends the run, nothing is left of them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from rig.agent import PROGRAM, REPOSITORY, Agent
from rig.client import PROTOCOLS
from rig.cluster import Cluster
from rig.netns import sweep


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def pytest_configure() -> None:
    signal.signal(signal.SIGTERM, _end)
    sweep()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if "SCTP" not in PROTOCOLS:
        terminalreporter.write_line(
            "note: no SCTP sockets in this kernel; test_sctp.py and test_verdicts.py do without"
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])
    if "protocol" in metafunc.fixturenames:
        metafunc.parametrize("protocol", PROTOCOLS, ids=str.lower)
    if "client" in metafunc.fixturenames:
        metafunc.parametrize("client", ["pod", "node", "outside"])


def _with_pods(cluster: Cluster) -> Cluster:
    cluster.add_pods(cluster.node1, "web-1", "web-2", "shell")
    cluster.add_pods(cluster.node2, "web-3", "web-4")
    return cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """web-1, web-2 and the client pod shell on node1, where the agent is; web-3, web-4 on node2.
    For tests that only add manifests of their own; one cluster serves a whole file."""
    with Cluster() as made:
        yield _with_pods(made)


@pytest.fixture(scope="module")
def agent(cluster: Cluster) -> Agent:
    """The agent that runs in `cluster`."""
    made = cluster.agent()
    made.start()
    cluster.settle(made)
    return made


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """The same as `cluster`, for one test alone."""
    with Cluster() as made:
        yield _with_pods(made)


@pytest.fixture
def own_agent(own_cluster: Cluster) -> Agent:
    """The agent that runs in `own_cluster`."""
    made = own_cluster.agent()
    made.start()
    own_cluster.settle(made)
    return made


@pytest.fixture(scope="session")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An agent of the next version, so to speak: the program with a template that is not the same."""
    template = (REPOSITORY / "nft-templates" / "table.nft").read_bytes()
    chain, rule = b"\tchain refuse {\n", b"\t\tcounter\n"
    comment = b"%# "
    assert template.startswith(comment) and template.count(chain) == 1
    # The comment that it begins with is shorter by as much.
    changed = comment + template[len(comment) + len(rule) :].replace(chain, chain + rule)
    text = Path(PROGRAM).read_bytes()
    assert text.count(template) == 1
    program = tmp_path_factory.mktemp("upgraded") / "kube-nft"
    program.write_bytes(text.replace(template, changed))
    program.chmod(0o755)
    return str(program)
