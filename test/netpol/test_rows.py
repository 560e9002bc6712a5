"""Objects at their worst: rows O5 to O10 of the fault table."""

from __future__ import annotations

import contextlib
import ipaddress
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.netns import Namespace, unique_prefix
from rig.netpol.compare import Parties, Renderer, differences
from rig.netpol.guards import PORT, ingress, policy
from rig.netpol.stage import NAMESPACE_Y, OWN_NAMESPACE, POD_A, Stage, guarded_world
from rig.netpol.world import World, fixture
from rig.objects import Object

NOBODY: Object = {"matchLabels": {"pod": "none-such"}}
NAMESPACE_MAX = 63
NAME_MAX = 253
# Into x/a and out of y/a, on one node and across.
INTO_A = [("x/c", "x/a", 4), ("x/b", "x/a", 6), ("y/a", "x/a", 6)]
OUT_OF_A = [("y/a", "y/b", 4), ("y/a", "y/c", 6)]
ELSEWHERE = [("x/c", "y/b", 4), ("z/c", "y/c", 6)]


@pytest.fixture(scope="module")
def running() -> Iterator[Stage]:
    with contextlib.ExitStack() as cleanup:
        yield Stage(cleanup, guarded_world())


@pytest.fixture
def stage(running: Stage) -> Iterator[Stage]:
    """One without policies, and so it is left."""
    running.world.policies.clear()
    running.tell()
    yield running
    running.world.policies.clear()
    running.world.namespaces.update(fixture().namespaces)
    running.tell()


def served(stage: Stage, pairs: list[tuple[str, str, int]]) -> list[bool]:
    return [stage.served(*pair) for pair in pairs]


@pytest.mark.parametrize(
    "peer",
    [
        {"podSelector": NOBODY},
        {"namespaceSelector": {"matchLabels": {"ns": "none-such"}}},
        {"namespaceSelector": {}, "podSelector": NOBODY},
    ],
    ids=["pod", "namespace", "both"],
)
def test_O5_peers_that_are_nobody_let_nobody_in(stage: Stage, peer: Object) -> None:
    rule = {"ports": [{"port": PORT}]}
    stage.world.apply(policy("x/in", POD_A, ingress=[{"from": [peer], **rule}]))
    stage.world.apply(
        policy("y/out", POD_A, policyTypes=["Egress"], egress=[{"to": [peer], **rule}])
    )
    stage.tell()
    assert not any(served(stage, INTO_A + OUT_OF_A))
    assert all(served(stage, ELSEWHERE))
    # One more peer, and that one gets in.
    rules = [{"from": [peer, OWN_NAMESPACE], **rule}]
    stage.world.apply(policy("x/in", POD_A, ingress=rules))
    stage.tell()
    assert served(stage, INTO_A) == [True, True, False]


def test_O5_a_policy_for_nobody_closes_nobody(stage: Stage) -> None:
    stage.world.apply(policy("x/none", NOBODY, policyTypes=["Ingress", "Egress"]))
    stage.tell()
    assert all(served(stage, INTO_A + OUT_OF_A + ELSEWHERE))


BAD_PORTS: list[Object] = [
    {"port": PORT, "endPort": PORT - 1},
    {"port": 0},
    {"port": 65536},
    {"port": "web", "endPort": PORT},
    {"endPort": PORT},
    {"protocol": "NONE", "port": PORT},
]


@pytest.mark.parametrize("port", BAD_PORTS, ids=str)
def test_O6_a_port_that_is_none_closes_its_policy_alone(stage: Stage, port: Object) -> None:
    rule = {"from": [OWN_NAMESPACE], "ports": [{"port": PORT}, port]}
    stage.world.apply(policy("x/bad", POD_A, ingress=[rule]))
    stage.world.apply(ingress("y/good", {}, NAMESPACE_Y))
    stage.tell()
    assert not any(served(stage, INTO_A))
    assert served(stage, OUT_OF_A + ELSEWHERE) == [True, True, False, False]


def network(rng: random.Random, family: int, shortest: int) -> str:
    """One around the pods' addresses, written with bits of a host."""
    base = {4: "10.91.0.0", 6: "fd00:91::"}[family]
    bits = {4: 32, 6: 128}[family]
    host = ipaddress.ip_address(base) + rng.getrandbits(bits - {4: 22, 6: 44}[family])
    lengths = [n for n in (0, 8, 16, 22, 24, 30, 47, 64, bits - 1, bits) if shortest <= n <= bits]
    return f"{host}/{rng.choice(lengths)}"


def block(rng: random.Random) -> Object:
    """A network, with exceptions of all sizes, which overlap."""
    family = rng.choice((4, 6))
    cidr = network(rng, family, 0)
    whole = ipaddress.ip_network(cidr, strict=False)
    inside = range(rng.randrange(6)) if whole.prefixlen < whole.max_prefixlen else ()
    holes = [network(rng, family, whole.prefixlen + 1) for _ in inside]
    holes = [h for h in holes if ipaddress.ip_interface(h).ip in whole]
    return {"ipBlock": {"cidr": cidr, **({"except": holes} if holes else {})}}


def test_O7_overlapping_blocks_commit(tmp_path: Path) -> None:
    """Many policies with many blocks each, in one transaction; each means what it says."""
    rng = random.Random(7)
    for _ in range(3):
        world = fixture()
        for n, namespace in enumerate(("x", "y", "z", "w") * 5):
            rules = [{"from": [block(rng) for _ in range(rng.randrange(1, 8))]} for _ in range(2)]
            selector = {"matchLabels": {"pod": rng.choice("abc")}}
            world.apply(policy(f"{namespace}/blocks-{n}", selector, ingress=rules))
        judge(world, tmp_path, rng)


def test_O7_an_exception_outside_closes_its_policy_alone(stage: Stage) -> None:
    outside = {"ipBlock": {"cidr": "10.91.0.0/16", "except": ["192.0.2.0/24"]}}
    stage.world.apply(ingress("x/bad", POD_A, outside))
    stage.world.apply(ingress("y/good", {}, NAMESPACE_Y))
    stage.tell()
    assert not any(served(stage, INTO_A))
    assert served(stage, OUT_OF_A + ELSEWHERE) == [True, True, False, False]


def judge(world: World, directory: Path, rng: random.Random) -> None:
    with contextlib.ExitStack() as cleanup:
        renderer = Renderer(directory, Namespace(unique_prefix() + "rows", cleanup))
        for node in world.nodes:
            ruleset = renderer.ruleset(world, node)
            tried, wrong = differences(ruleset, Parties(world, node), rng, 500)
            assert not wrong
            assert tried > 100


def test_O8_one_of_a_thousand_policies(stage: Stage) -> None:
    """It closes what it selects; the others are as they would be without it."""
    world = stage.world
    for n in range(999):
        rule = {"from": [NAMESPACE_Y], "ports": [{"port": PORT}, {"port": 1 + n}]}
        world.apply(policy(f"{'yzw'[n % 3]}/good-{n}", {}, ingress=[rule]))
    world.apply(policy("x/bad", POD_A, ingress=[{"ports": [{"port": 9, "endPort": 8}]}]))
    stage.tell()
    assert not any(served(stage, INTO_A))
    assert served(stage, OUT_OF_A + ELSEWHERE) == [True, True, False, False]
    agent = stage.agents.agents["node-a"]
    assert agent.logged('msg="policy closed" object="NetworkPolicy x/bad"')
    assert not agent.logged('msg="policy closed".*/good-')
    # It is mended, and another one breaks that was good.
    world.apply(ingress("x/bad", POD_A, OWN_NAMESPACE))
    world.apply(policy("y/good-0", {}, ingress=[{"ports": [{"port": 9, "endPort": 8}]}]))
    stage.tell()
    assert served(stage, INTO_A) == [True, True, False]
    assert served(stage, ELSEWHERE) == [False, False]
    assert agent.logged('msg="policy closed" object="NetworkPolicy y/good-0"')


def test_O9_longest_names_stay_apart(stage: Stage) -> None:
    """Policies whose names are as long as can be, and alike to the last letter."""
    world = stage.world
    longest = "n" * NAMESPACE_MAX
    namespace = {**world.namespaces["x"], "metadata": {"name": longest, "labels": {"ns": "x"}}}
    world.namespaces[longest] = namespace
    for last, port in (("a", PORT), ("b", 1), ("c", 2)):
        name = "x/" + "p" * (NAME_MAX - 1) + last
        label = {"matchLabels": {"pod": last}}
        rule = {"from": [OWN_NAMESPACE], "ports": [{"port": port}]}
        world.apply(policy(name, label, ingress=[rule]))
        world.apply(policy(f"{longest}/{'p' * (NAME_MAX - 1)}{last}", {}, ingress=[rule]))
    stage.tell()
    assert served(stage, INTO_A) == [True, True, False]
    stage.scene.serve("x/b")
    assert not stage.served("x/c", "x/b", 4)
    for node in stage.network.nodes.values():
        listing = node.run("nft", "list", "ruleset")
        with contextlib.ExitStack() as cleanup:
            space = Namespace(unique_prefix() + "rows", cleanup)
            space.run("nft", "-f", "-", stdin=listing)
    del world.namespaces[longest]


def test_O10_policies_of_an_ending_namespace_hold_for_its_pods(stage: Stage) -> None:
    """They are deleted first, while the pods still run."""
    world = stage.world
    world.apply(ingress("x/in", POD_A, OWN_NAMESPACE))
    world.apply(ingress("y/in", {}, OWN_NAMESPACE))
    stage.tell()
    expected = [True, True, False]
    with stage.scene.guarded([INTO_A[0]], [INTO_A[2], ("ext1", "x/a", 4)]) as guards:
        world.namespaces["x"] = {
            **world.namespaces["x"],
            "status": {"phase": "Terminating"},
        }
        stage.tell()
        for name in ("x/in", "y/in"):
            world.policies.pop(name)
        stage.tell()
        guards.wait_connections(5)
    assert served(stage, INTO_A) == expected
    # What is deleted elsewhere is gone.
    assert all(served(stage, ELSEWHERE))
