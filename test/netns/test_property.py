"""Thousands of random changes, applied as differences, end where one commit of the whole ends."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence

import pytest

from rig import state
from rig.agent import wait_until
from rig.lone import ADDRESSES, LoneNode, lone_node
from rig.stranger import Stranger
from rig.universe import Universe

# A failed run is repeated with SEED set to what its name ends with.
SEEDS = [20240501, int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))]
# What no difference may come to. That two files define an object is so while it moves.
TROUBLE = (
    "commit failed|sync failed|can't be compared|foreign change|set aside|chains are left"
    r"|manifest refused(?!.* is defined by )|not rendered"
)
EXIT_FAILED = 1


class World:
    """A node, the universe that its agent follows, and dice."""

    def __init__(self, node: LoneNode, seed: int) -> None:
        self.node = node
        self.agent = node.agent
        self.rng = random.Random(seed + 1)
        self.universe = Universe(seed, node.manifests)
        self.kills = 0
        self.begin()

    def begin(self) -> None:
        """Start the agent; don't wait."""
        self.agent.start()
        self.begun_at = len(self.agent.log())

    def maybe_kill(self, statuses: Sequence[int] = (-signal.SIGKILL,)) -> None:
        """Now and then, end the agent wherever it is, and start the next."""
        if self.rng.random() < 0.2:
            time.sleep(self.rng.random() * 0.05)
            assert self.agent.stop(signal.SIGKILL) in statuses, self.agent.log()
            self.begin()
            self.kills += 1

    def supervise(self) -> None:
        """Have the agent run, though a start that somebody disturbed may have failed."""

        def started() -> bool:
            return not self.agent.running or 'msg="following"' in self.agent.log()[self.begun_at :]

        wait_until("a start to come to its end", started)
        while not self.agent.running:
            assert self.agent.process and self.agent.process.returncode == EXIT_FAILED
            self.begin()
            wait_until("a start to come to its end", started)

    def check_no_trouble(self) -> None:
        """All went by differences alone."""
        assert not self.agent.logged(TROUBLE), self.agent.log()


@contextlib.contextmanager
def make_world(seed: int, *flags: str) -> Iterator[World]:
    with lone_node(("--run-firewall=true", *flags)) as node:
        yield World(node, seed)


@pytest.fixture(params=SEEDS, ids=lambda seed: f"seed-{seed}")
def seed(request: pytest.FixtureRequest) -> int:
    print(f"SEED={request.param}")
    return request.param


@pytest.fixture
def world(seed: int) -> Iterator[World]:
    with make_world(seed, "--nodeport-bindon-all-ip=true") as made:
        yield made


def check_rendered(node: LoneNode) -> None:
    """`kube-nft render` piped into nft is the same, too."""
    with contextlib.ExitStack() as cleanup:
        space = node.namespace(cleanup)
        space.run("nft", "-f", "-", stdin=node.agent.render())
        rendered = state.read(space)
    wanted = state.read(node.space)
    assert rendered == wanted, state.differences(rendered, wanted)


def test_differences_come_to_the_whole(seed: int) -> None:
    with make_world(seed) as world:
        for n in range(1, 801):
            world.universe.batch()
            if n % 100 == 0:
                world.node.check()
        check_rendered(world.node)
        world.check_no_trouble()
        assert world.universe.changes > 2000
        # They were many transactions, not a few large ones.
        assert len(world.agent.logged('msg="synced"')) > 50


def test_addresses_that_come_and_go_come_to_the_whole(world: World) -> None:
    for n in range(1, 101):
        world.universe.batch()
        world.node.toggle_address(world.rng.choice(ADDRESSES))
        if n % 50 == 0:
            world.node.check()
    world.check_no_trouble()


def test_killed_agents_come_to_the_whole(world: World) -> None:
    for n in range(1, 201):
        world.universe.batch()
        world.maybe_kill()
        if n % 100 == 0:
            world.node.check()
    assert world.kills > 20
    world.check_no_trouble()
    tables = world.node.space.run("nft", "list", "tables").splitlines()
    assert tables == ["table ip kube-nft", "table ip6 kube-nft"]


def test_N2_beside_a_stranger_it_comes_to_the_whole(world: World) -> None:
    stranger = Stranger(world.rng, world.node.space)
    for n in range(1, 241):
        world.universe.batch()
        if world.rng.random() < 0.4:
            stranger.meddle()
        if n % 60 == 0:
            world.node.check()
    assert stranger.done > 40
    assert world.agent.logged("foreign change repaired")


def test_killed_agents_beside_a_stranger_come_to_the_whole(world: World) -> None:
    stranger = Stranger(world.rng, world.node.space)
    for n in range(1, 121):
        world.universe.batch()
        if world.rng.random() < 0.5:
            stranger.meddle()
        world.maybe_kill((-signal.SIGKILL, EXIT_FAILED))
        if n % 60 == 0:
            world.supervise()
            world.node.check()
    assert world.kills > 10
    assert stranger.done > 25
