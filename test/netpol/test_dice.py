"""The random clusters are worth their while, and a difference in the ruleset would be found."""

from __future__ import annotations

import collections
import itertools
import random

from rig.netpol.compare import Parties
from rig.netpol.dice import NODES, Dice, shrunk
from rig.netpol.evaluator import Evaluator
from rig.netpol.world import World, is_finished, is_host_network, pod_addresses

SEEDS = range(200)


def test_same_seed_same_cluster() -> None:
    one, two = (vars(Dice(7).world()) for _ in range(2))
    assert one == two


def test_everything_comes_up() -> None:
    seen: collections.Counter[str] = collections.Counter()
    for seed in SEEDS:
        world = Dice(seed).world()
        for pod in world.pods.values():
            seen["finished pod"] += is_finished(pod)
            seen["host network"] += is_host_network(pod)
            seen["no address"] += not pod_addresses(pod)
            seen["one family"] += len(pod_addresses(pod)) == 1
            seen["sidecar"] += "initContainers" in pod["spec"]
        claims = itertools.chain(*map(pod_addresses, world.live_pods().values()))
        seen["shared address"] += max(collections.Counter(claims).values(), default=0) > 1
        for policy in world.policies.values():
            _count(policy, seen)
    wanted = "finished pod, host network, no address, one family, sidecar, shared address"
    words = "ipBlock except podSelector namespaceSelector matchLabels matchExpressions endPort port"
    words += " protocol policyTypes ingress egress from to In NotIn Exists DoesNotExist named empty"
    for what in (*wanted.split(", "), *words.split()):
        assert seen[what] >= 10, what


def _count(made: object, seen: collections.Counter[str]) -> None:
    """Count every key of a policy, operators, named ports and empty lists."""
    if isinstance(made, dict):
        for key, value in made.items():
            seen[key] += 1
            seen["empty"] += value in ([], {})
            seen["named"] += key == "port" and isinstance(value, str)
            if key == "operator":
                seen[value] += 1
            _count(value, seen)
    elif isinstance(made, list):
        for entry in made:
            _count(entry, seen)


def test_both_verdicts_come_up() -> None:
    verdicts: collections.Counter[bool] = collections.Counter()
    for seed in SEEDS:
        parties = Parties(Dice(seed).world(), random.Random(seed).choice(list(NODES)))
        for connection in parties.connections(random.Random(seed), 50):
            verdicts[parties.allows(*connection)] += 1
    assert min(verdicts.values()) > 0.2 * verdicts.total()


def test_shrinking_keeps_what_matters() -> None:
    def differs(world: World) -> bool:
        return any("ipBlock" in str(policy) for policy in world.policies.values())

    world = next(w for w in (Dice(seed).world() for seed in SEEDS) if differs(w))
    small = shrunk(world, differs)
    assert differs(small) and len(small.policies) == 1 and not small.pods
    assert Evaluator(small).owners == {}
