"""The judge is judged: tables come true by what enforces them, and by nothing else."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import pytest

from rig.netpol.cases import OWN_CASES, Case, load_cases
from rig.netpol.enforcer import Agents, Reference, Together
from rig.netpol.guards import PORT, Scene, ingress
from rig.netpol.network import Network
from rig.netpol.trial import Trial, TrialError, same_node
from rig.netpol.world import fixture

FIXTURE = fixture()
EVERY_CASE = {case.id: case for path in OWN_CASES for case in load_cases(path, FIXTURE)}
# Protocols, families and a Service, a pod that moves, an address that is reused, two pods that
# change places.
SAMPLE = [EVERY_CASE[name] for name in ("D023", "D043", "D064", "D068", "D116")]
# The first round decides, but not because the machine is slow.
AT_ONCE: dict[str, Any] = {"hang_s": 0.0, "hang_rounds": 1, "patience_s": (10.0,)}
samples = pytest.mark.parametrize("sample", SAMPLE, ids=lambda case: case.id)


@pytest.fixture(scope="module", params=[False, True], ids=["routed", "bridged"])
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    """The fixture's cluster, in which agents see to Services and to nothing else."""
    with Network(FIXTURE, bridged=request.param) as made:
        yield made


@pytest.fixture(scope="module")
def services(network: Network) -> Iterator[Agents]:
    with Agents(network, FIXTURE, ["--run-firewall=false"]) as made:
        made.start()
        yield made


@pytest.fixture
def unguarded(network: Network, services: Agents) -> Trial:
    """Nobody enforces anything."""
    Reference(network).follow(FIXTURE)
    return Trial(network, services, FIXTURE, **AT_ONCE)


@samples
def test_what_nobody_enforces_is_missed(unguarded: Trial, sample: Case) -> None:
    table = next(t for _, _, t in sample.play(FIXTURE.copy()) if not all(t.values()))
    with pytest.raises(TrialError) as caught:
        unguarded.run(sample)
    assert caught.value.wrong.keys() == {cell for cell, allow in table.items() if not allow}
    assert set(caught.value.wrong.values()) == {"allow"}


def test_open_tables_need_nobody(unguarded: Trial) -> None:
    for name in ("D001", "D041"):
        unguarded.run(EVERY_CASE[name])


@samples
def test_what_is_enforced_holds(network: Network, services: Agents, sample: Case) -> None:
    # The bridged network also has to do with drops, of which no client is told.
    enforcer = Reference(network, "drop") if network.bridged else Reference(network)
    Trial(network, Together((services, enforcer)), FIXTURE).run(sample)


@samples
def test_one_wrong_verdict_is_found(network: Network, services: Agents, sample: Case) -> None:
    trial = Trial(network, Together((services, Reference(network))), FIXTURE, **AT_ONCE)
    trial.run(sample)
    *_, (name, _, table) = sample.play(world := FIXTURE.copy())
    for allow in (True, False):
        cell = random.choice([cell for cell in table if table[cell] == allow])
        with pytest.raises(TrialError, match=cell.source) as caught:
            trial.hold(name, {**table, cell: not allow}, world)
        assert list(caught.value.wrong) == [cell]


@pytest.mark.parametrize("moment", ["", "drop"], ids=["open", "closed"])
def test_guards_notice_a_moment(network: Network, moment: str) -> None:
    world = FIXTURE.copy()
    world.listeners.append(("TCP", PORT))
    world.apply(ingress("x/guard", {"matchLabels": {"pod": "a"}}, {"podSelector": {}}))
    network.follow(world)
    with contextlib.ExitStack() as cleanup:
        scene = Scene(network, world, cleanup)
        scene.serve("x/a")
        Reference(network).follow(world)
        pairs = [("x/c", "x/a", 4)], [("z/c", "x/a", 6)]
        with scene.guarded(*pairs) as guards:
            guards.wait_connections(3)
        chain = f"chain c {{ type filter hook forward priority 1; policy {moment}; }};"
        text = f"table inet moment {{ {chain} }}\n" if moment else ""
        with pytest.raises(AssertionError), scene.guarded(*pairs) as guards:
            network.nodes["node-a"].run("nft", "-f", "-", stdin=f"flush ruleset\n{text}")
            guards.wait_connections(3)
            network.nodes["node-a"].run("nft", "flush", "ruleset")
            Reference(network).follow(world)


def test_only_what_is_covered_is_tried(network: Network, services: Agents) -> None:
    case = EVERY_CASE["D002"]
    trial = Trial(network, Together((services, Reference(network))), FIXTURE, same_node)
    trial.run(case)
    # Five pods a node, which reach four others each; two ports, two families.
    assert [held.connections for held in trial.held] == [2 * 5 * 4 * 2 * 2]
