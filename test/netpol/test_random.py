"""Random clusters: the ruleset that is rendered for a node says of every packet what the API means.

CLUSTERS says how many (300), SEED where to begin. A difference is shrunk before it is told.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rig.netns import Namespace, unique_prefix
from rig.netpol.compare import Parties, Renderer, differences
from rig.netpol.dice import NODES, Dice, shrunk
from rig.netpol.world import World

CLUSTERS = int(os.environ.get("CLUSTERS") or 300)
PACKETS = 150
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renderer]:
    with contextlib.ExitStack() as cleanup:
        space = Namespace(unique_prefix() + "random", cleanup)
        yield Renderer(Path(tmp_path_factory.mktemp("manifests")), space)


def judged(renderer: Renderer, world: World, seed: int) -> tuple[int, list[str]]:
    """How many packets of a cluster were tried, and what is wrong with them."""
    rng = random.Random(seed)
    node = rng.choice(list(NODES))
    ruleset = renderer.ruleset(world, node)
    tried, found = differences(ruleset, Parties(world, node), rng, PACKETS)
    return tried, list(map(str, found))


def story(renderer: Renderer, world: World, seed: int) -> str:
    """A difference with the smallest cluster that has one."""
    small = shrunk(world, lambda less: bool(judged(renderer, less, seed)[1]))
    objects = [*small.namespaces.values(), *small.pods.values(), *small.policies.values()]
    node = random.Random(seed).choice(list(NODES))
    wrong = "\n".join(judged(renderer, small, seed)[1][:5])
    return f"SEED={seed} CLUSTERS=1, on {node}:\n{wrong}\n{yaml.safe_dump_all(objects)}"


@pytest.mark.parametrize("first", [SEED], ids=lambda seed: f"SEED={seed}")
def test_random_clusters(renderer: Renderer, first: int) -> None:
    total = 0
    for seed in range(first, first + CLUSTERS):
        world = Dice(seed).world()
        tried, wrong = judged(renderer, world, seed)
        total += tried
        if wrong:
            pytest.fail(story(renderer, world, seed), pytrace=False)
    assert total > 50 * CLUSTERS
