"""A cluster that changes at random: after every change the agent's tables say what the API means.

In the end they are what a new agent commits at once.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import state
from rig.agent import Agent, from_manifests
from rig.netns import Namespace, unique_prefix
from rig.netpol.compare import Difference, Parties, differences
from rig.netpol.dice import NODES, Dice
from rig.netpol.enforcer import Manifests
from rig.netpol.nft import Ruleset
from rig.netpol.world import World

# A failed run is repeated with SEED set to what its name ends with.
SEEDS = [20240501, int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))]
BATCHES = int(os.environ.get("BATCHES") or 60)
PACKETS = 100
NODE = "node-a"


class Home:
    """A node without pods' networks: its agent sees all objects of a cluster, and no packets."""

    def __init__(self, cleanup: contextlib.ExitStack) -> None:
        self.cleanup = cleanup
        self.logs = Path(tempfile.mkdtemp(prefix="kube-nft-"))
        cleanup.callback(shutil.rmtree, self.logs, ignore_errors=True)
        self.manifests = Manifests(cleanup, "kube-nft-", lambda policy: policy)

    def agent(self) -> Agent:
        """An agent in a namespace with the addresses of the node, not started yet."""
        space = Namespace(unique_prefix() + "home", self.cleanup)
        space.ip(*(f"address add {ip} dev lo" for ip in NODES[NODE][0]))
        flags = (f"--hostname-override={NODE}", "--enable-ipv6=true", "--run-firewall=true")
        flags += ("--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",)
        log = self.logs / f"{space.name}.log"
        made = Agent(space, from_manifests(self.manifests.directory), log, flags)
        self.cleanup.callback(made.kill)
        return made


def start(agent: Agent) -> None:
    """Start an agent and wait for its first commit."""
    begun = len(agent.logged('msg="following"')) if agent.log_path.exists() else 0
    agent.start()
    agent.wait_logged('msg="following"', begun + 1)


@pytest.fixture
def home() -> Iterator[Home]:
    with contextlib.ExitStack() as cleanup:
        yield Home(cleanup)


def wait_right(agent: Agent, world: World, rng: random.Random) -> None:
    """Wait until all packets are judged as they should be."""
    parties = Parties(world, NODE)
    seed = rng.random()
    wrong: list[Difference] = []

    def right() -> bool:
        ruleset = Ruleset(agent.space.run("nft", "-j", "list", "ruleset"))
        _, wrong[:] = differences(ruleset, parties, random.Random(seed), PACKETS)
        return not wrong

    try:
        agent.wait_until("the right verdicts", right, hang_s=20.0)
    except TimeoutError as error:
        pytest.fail("\n".join([str(error), *map(str, wrong[:5])]), pytrace=False)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"SEED={seed}")
def test_changes_one_by_one(home: Home, seed: int) -> None:
    dice, rng = Dice(seed), random.Random(seed)
    world = dice.world()
    home.manifests.follow(world)
    agent = home.agent()
    start(agent)
    for number in range(BATCHES):
        for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
            dice.change(world)
        if number % 20 == 7:
            agent.stop(signal.SIGKILL)
        home.manifests.follow(world)
        if not agent.running:
            start(agent)
        wait_right(agent, world, rng)
    whole = home.agent()
    start(whole)
    state.wait_equal(agent, state.read(whole.space))
    assert not agent.logged("commit failed|sync failed|set aside|manifest refused|foreign change")
