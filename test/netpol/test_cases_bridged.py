"""Every case once more where pods of a node share a bridge, for what two of them send each other.
The policies are as an API server stores them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.netpol.cases import Case
from rig.netpol.enforcer import Agents, defaulted
from rig.netpol.network import Network
from rig.netpol.trial import Trial, same_node, summary
from rig.netpol.world import fixture


@pytest.fixture(scope="module")
def trial(told: list[str]) -> Iterator[Trial]:
    with (
        Network(fixture(), bridged=True) as network,
        Agents(network, fixture(), as_stored=defaulted) as agents,
    ):
        agents.start()
        made = Trial(network, agents, fixture(), same_node)
        yield made
        told.append(summary(made.held))


def test_case(case: Case, trial: Trial) -> None:
    trial.run(case)
