"""Random changes, told in odd ways, come to what a fresh reader sees: row A16."""

from __future__ import annotations

import copy
import os
import random

import pytest

from rig import state
from rig.agent import Agent
from rig.api.cluster import ApiCluster
from rig.objects import Object
from rig.universe import Key, Universe

SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else random.sample(range(10**6), 2)


OWN: Key = ("Node", "", "node1")


class ToldUniverse(Universe):
    """A universe that is not written into files but told by a server, which repeats itself, folds
    events and tells of objects that never were."""

    def __init__(self, seed: int, cluster: ApiCluster) -> None:
        super().__init__(seed, cluster.directory)
        self.api = cluster.api
        self.told: dict[Key, Object] = {}

    def batch(self) -> None:
        for _ in range(self.rng.choice((1, 1, 2, 3, 8))):
            self._change()
            self.changes += 1
        # What its own Node said outlives it, which a fresh reader cannot know.
        if OWN in self.told:
            self.objects.setdefault(OWN, self.told[OWN])
            self.files.setdefault(OWN, 0)
        changed = [
            k for k in {**self.told, **self.objects} if self.told.get(k) != self.objects.get(k)
        ]
        self.rng.shuffle(changed)
        self.api.do(lambda: self._tell_all(changed))
        self.told = copy.deepcopy(self.objects)

    def _tell_all(self, changed: list[Key]) -> None:
        for key in changed:
            self._tell(key)

    def _tell(self, key: Key) -> None:
        store, now = self.api.store, self.objects.get(key)
        if now is None:
            store.delete(key[0], key[1:])
        elif key in self.told and self.rng.random() < 0.3:
            # Deleted and created again between two looks.
            store.replace(now)
        else:
            store.put(now)
        self._tell_odd(key)

    def _tell_odd(self, key: Key) -> None:
        store, now = self.api.store, self.objects.get(key)
        what = self.rng.random()
        if what < 0.1 and now:
            store.tell("ADDED", now)
        elif what < 0.15 and now:
            store.tell("MODIFIED", now)
        elif what < 0.25 and not now:
            store.tell("DELETED", self.told[key])
        elif what < 0.3:
            self.api.kubernetes.bookmark()

    def trouble(self) -> None:
        """What servers and networks do from time to time."""
        self.rng.choice(
            (
                self.api.close_watches,
                self.api.reset_connections,
                self.api.relist,
                self.api.compact,
                self.api.bookmark,
            )
        )()


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}")
def test_A16_odd_events_come_to_the_whole(cluster: ApiCluster, agent: Agent, seed: int) -> None:
    print(f"SEED={seed}")
    universe = ToldUniverse(seed, cluster)
    for n in range(1, 401):
        universe.batch()
        if n % 40 == 0:
            universe.trouble()
        if n % 80 == 0:
            cluster.settle(agent)
            state.wait_equal(agent, cluster.whole())
    assert universe.changes > 800
    assert len(agent.logged('msg="synced"')) > 50
