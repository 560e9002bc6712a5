"""Thousands of random changes, applied as differences, end where one commit of the whole ends."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from rig import objects, state
from rig.agent import Agent
from rig.netns import Namespace, unique_prefix
from rig.stranger import Stranger
from rig.universe import RANGES, Universe

# A failed run is repeated with SEED set to what its name ends with.
SEEDS = [20240501, int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))]
LOCAL_ADDRESSES = ("192.168.50.11/24", "fd50::11/64", "192.168.60.1/24", "fd60::1/64")
# What no difference may come to.
TROUBLE = (
    "commit failed|sync failed|can't be compared|foreign change|set aside|chains are left"
    "|manifest refused|not rendered"
)


class World:
    """One agent that follows a universe, and fresh ones to compare it with."""

    def __init__(self, seed: int) -> None:
        self.cleanup = contextlib.ExitStack()
        self.directory = Path(tempfile.mkdtemp(prefix="kube-nft-"))
        self.cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.manifests = self.directory / "manifests"
        self.manifests.mkdir()
        self.universe = Universe(seed, self.manifests)
        self.rng = random.Random(seed + 1)
        some = ("--masquerade-all=true", "--nodeport-bindon-all-ip=true")
        self.flags = ["--enable-ipv6=true", *RANGES, *(f for f in some if self.rng.random() < 0.4)]
        self.marks = 0
        self.space = self._namespace(self.cleanup)
        self.agent = self._agent("followed", self.space, self.cleanup)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup.close()

    def _namespace(self, cleanup: contextlib.ExitStack) -> Namespace:
        space = Namespace(unique_prefix() + "world", cleanup)
        space.ip(*(f"address add {a} dev lo" for a in LOCAL_ADDRESSES))
        return space

    def _agent(self, name: str, space: Namespace, cleanup: contextlib.ExitStack) -> Agent:
        made = Agent(space, self.manifests, self.directory / name, self.flags)
        made.start()
        cleanup.callback(lambda: made.process and made.stop(signal.SIGKILL))
        return made

    def kill(self) -> None:
        """End the agent wherever it is, and start the next."""
        time.sleep(self.rng.random() * 0.05)
        assert self.agent.stop(signal.SIGKILL) == -signal.SIGKILL
        self.agent.start()

    def whole(self) -> state.State:
        """What a new agent commits at once."""
        self.marks += 1
        with contextlib.ExitStack() as cleanup:
            space = self._namespace(cleanup)
            agent = self._agent(f"fresh-{self.marks}", space, cleanup)
            agent.wait_logged('msg="following"')
            return state.read(space)

    def check(self) -> None:
        """The agent that followed the changes comes to the same as one that sees the end only."""
        self.marks += 1
        marker = objects.service("marker", ["10.96.255.254", "fd96::fffe"], [objects.port(self.marks)])
        objects.write_manifest(self.manifests, "marker", marker)
        state.wait_equal(self.space, self.whole(), context=f"flags: {self.flags}")
        assert self.agent.running

    def check_rendered(self) -> None:
        """And to the same as `kube-nft render` piped into nft; nft 1.0.6 can't read our IPv6."""
        with contextlib.ExitStack() as cleanup:
            space = self._namespace(cleanup)
            text = self.agent.render()
            space.run("nft", "-f", "-", stdin=text[: text.index("table ip6 ")])
            rendered = state.read(space)
        wanted = {k: v for k, v in state.read(self.space).items() if k.split()[0] == "ip"}
        assert rendered == wanted, state.differences(rendered, wanted)


@pytest.fixture(params=SEEDS, ids=lambda seed: f"seed-{seed}")
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    print(f"SEED={request.param}")
    with World(request.param) as made:
        yield made


def test_differences_come_to_the_whole(world: World) -> None:
    for n in range(1, 1001):
        world.universe.batch()
        if n % 100 == 0:
            world.check()
    world.check_rendered()
    assert world.universe.changes > 2000
    assert not world.agent.logged(TROUBLE), world.agent.log()
    # They were many transactions, not a few large ones.
    assert len(world.agent.logged('msg="synced"')) > 200


def test_killed_agents_come_to_the_whole(world: World) -> None:
    kills = 0
    for n in range(1, 301):
        world.universe.batch()
        if world.rng.random() < 0.15:
            world.kill()
            kills += 1
        if n % 75 == 0:
            world.check()
    assert kills > 20
    assert world.space.run("nft", "list", "tables").split("\n") == [
        "table ip kube-nft",
        "table ip6 kube-nft",
        "",
    ]


def test_N2_beside_a_stranger_it_comes_to_the_whole(world: World) -> None:
    stranger = Stranger(world.rng, world.space)
    for n in range(1, 301):
        world.universe.batch()
        if world.rng.random() < 0.5:
            stranger.meddle()
        if n % 75 == 0:
            world.check()
    assert stranger.done > 50
    assert world.agent.logged("foreign change repaired")


def test_killed_agents_beside_a_stranger_come_to_the_whole(world: World) -> None:
    stranger = Stranger(world.rng, world.space)
    for n in range(1, 201):
        world.universe.batch()
        if world.rng.random() < 0.5:
            stranger.meddle()
        if world.rng.random() < 0.15:
            world.kill()
        if n % 50 == 0:
            world.check()
