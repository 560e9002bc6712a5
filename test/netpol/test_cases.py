"""Every case with packets, in a network where nodes route all that their pods send."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.netpol.cases import Case
from rig.netpol.enforcer import Agents
from rig.netpol.network import Network
from rig.netpol.trial import Trial, summary
from rig.netpol.world import fixture


@pytest.fixture(scope="module")
def trial(told: list[str]) -> Iterator[Trial]:
    with Network(fixture()) as network, Agents(network, fixture()) as agents:
        agents.start()
        made = Trial(network, agents, fixture())
        yield made
        told.append(summary(made.held))


def test_case(case: Case, trial: Trial) -> None:
    trial.run(case)
