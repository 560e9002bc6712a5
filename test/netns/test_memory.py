"""Memory runs out: the tables stay whole, and the agent comes back or is started again."""

from __future__ import annotations

import random
import re
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import objects, state
from rig.agent import wait_until
from rig.faults import Fault
from rig.lone import LoneNode, lone_node
from rig.web import Changes, populate, web

NEVER = 2**31


@pytest.fixture
def node() -> Iterator[LoneNode]:
    """A node whose agent runs and obeys `node.faults`."""
    with lone_node(faulty=True) as made:
        populate(made)
        made.start()
        yield made


class Cycle:
    """Three contents that follow one another, and what the tables hold for each."""

    def __init__(self, node: LoneNode) -> None:
        self.node = node
        self.changes = Changes(node)
        self.wanted: list[state.State] = []
        self.allocations: list[int] = []
        self._step()
        for _ in range(3):
            self.node.faults.arm(Fault.MEMORY, skip=NEVER)
            self._step()
            self.allocations.append(node.faults.seen)
        self.wanted = self.wanted[1:]
        assert len({str(w) for w in self.wanted}) == 3
        self.n = 0

    def _step(self) -> None:
        self.changes.one()
        self.wanted.append(state.lasting(self.node.whole()))
        wait_until("a change", lambda: self.found() == self.wanted[-1])

    def found(self) -> state.State:
        return state.lasting(state.read(self.node.space))

    def next_allocations(self) -> int:
        """How many the next change makes."""
        return self.allocations[self.n % 3]

    def next(self) -> None:
        """Change the content, and wait until the tables follow. Each holds the old one or the new:
        where the memory for an object is short, those that were read before it go ahead."""
        old, new = self.wanted[self.n % 3 - 1], self.wanted[self.n % 3]
        self.n += 1
        self.changes.one()

        def followed() -> bool:
            found = self.found()
            for family in ("ip", "ip6"):
                part = state.of_family(found, family)
                both = [state.of_family(s, family) for s in (old, new)]
                assert part in both, state.differences(part, both[1])
            if not self.node.agent.running:
                # It may give up, but not crash.
                assert self.node.agent.process and self.node.agent.process.returncode == 1
                self.node.start()
            return found == new

        wait_until("the tables to follow", followed)


def test_H1_allocation_fails_during_a_sync(node: LoneNode) -> None:
    cycle = Cycle(node)
    hits = 0
    # The sync comes last; what comes before, reading, waits for a second when it fails.
    for before_end in [*range(1, 30), *random.sample(range(30, 600), 5)]:
        node.faults.arm(Fault.MEMORY, skip=max(0, cycle.next_allocations() - before_end))
        cycle.next()
        hits += node.faults.hits
    assert hits > 20
    node.faults.disarm()
    node.check()


def test_H1_memory_stays_short_during_a_sync(node: LoneNode) -> None:
    cycle = Cycle(node)
    for before_end in range(2, 30, 4):
        node.faults.arm(Fault.MEMORY, skip=cycle.next_allocations() - before_end, count=3)
        cycle.next()
    node.faults.disarm()
    node.check()


@pytest.mark.parametrize(
    "meddling",
    [
        ("delete", "table", "ip", "kube-nft"),
        ("add", "chain", "ip6", "kube-nft", "visitor"),
        ("flush", "map", "ip", "kube-nft", "endpoints"),
    ],
    ids=lambda words: words[0],
)
def test_H1_allocation_fails_during_a_repair(node: LoneNode, meddling: tuple[str, ...]) -> None:
    wanted = state.read(node.space)

    def repaired() -> bool:
        assert node.agent.running, node.agent.log()
        return state.read(node.space) == wanted

    def meddle() -> None:
        node.space.run("nft", *meddling)
        wait_until("the repair", repaired)

    node.faults.arm(Fault.MEMORY, skip=NEVER)
    meddle()
    total = node.faults.seen
    hits = 0
    for skip in range(total):
        node.faults.arm(Fault.MEMORY, skip=skip)
        meddle()
        hits += node.faults.hits
    assert hits > 20
    node.faults.disarm()
    node.check()


def kept(found: state.State) -> state.State:
    """What must be there behind a start. When memory ends while libnftables reads the template, it
    may leave out the comment of a set, and says nothing."""
    of_sets = re.compile(r'comment "[^"]*"')
    return {
        name: tuple(line for line in lines if not of_sets.fullmatch(line))
        for name, lines in state.lasting(found).items()
    }


def test_H1_allocation_fails_during_the_start(node: LoneNode) -> None:
    old = kept(state.read(node.space))
    node.agent.stop(signal.SIGKILL)
    node.apply("web-1", *web(1, 7))
    new = kept(node.whole())
    node.faults.arm(Fault.MEMORY, skip=NEVER)
    node.start()
    total = node.faults.seen
    failed = 0
    for skip in (*range(10), *random.sample(range(total), 20), *range(total - 200, total, 20)):
        old, new = new, old
        node.agent.stop(signal.SIGKILL)
        node.apply("web-1", *web(1, 7 if "10.244.1.8" in str(new) else 1))
        node.faults.arm(Fault.MEMORY, skip=skip)
        failed += not started(node)
        assert kept(state.read(node.space)) in (old, new)
        if not node.agent.running:
            node.faults.disarm()
            node.start()
        wait_until("the new", lambda: kept(state.read(node.space)) == new)
    assert failed > 5
    node.check()


def started(node: LoneNode) -> bool:
    """Start the agent and wait until it either runs or has ended by itself."""
    begun = len(node.agent.log())
    node.agent.start()
    agent = node.agent

    def decided() -> bool:
        return not agent.running or 'msg="following"' in agent.log()[begun:]

    wait_until("the start to come to its end", decided)
    assert agent.running or (agent.process and agent.process.returncode > 0), agent.log()
    return agent.running


def many(number: int) -> list[objects.Object]:
    """Enough Services to take some memory."""
    return [
        o
        for n in range(number)
        for o in web(0, 3, ips=[f"10.96.{8 + n // 256}.{n % 256}", f"fd96::2:{n:x}"], name=f"m-{n}")
    ]


def test_H1_address_space_is_used_up(node: LoneNode) -> None:
    old = state.read(node.space)
    assert node.agent.process
    pid = node.agent.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_AS)
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[0])
    resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**20, limits[1]))
    node.apply("many", *many(1500))
    wait_until("a complaint", lambda: not node.agent.running or node.agent.logged("[mM]emory"))
    assert state.read(node.space) == old
    if node.agent.running:
        resource.prlimit(pid, resource.RLIMIT_AS, limits)
    else:
        node.start()
    node.check()


def test_H1_killed_for_its_memory_the_next_adopts(node: LoneNode) -> None:
    old = state.read(node.space)
    assert node.agent.stop(signal.SIGKILL) == -signal.SIGKILL
    assert state.read(node.space) == old
    node.start()
    assert state.read(node.space) == old
    assert node.agent.log().count("tables are as wanted") == 1
