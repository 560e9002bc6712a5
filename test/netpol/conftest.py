"""The cases to run: those of CASES, or our own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rig.netpol.cases import OWN_CASES, load_cases
from rig.netpol.world import World, fixture

CASES = Path(os.environ.get("CASES") or OWN_CASES)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = load_cases(CASES, fixture())
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
