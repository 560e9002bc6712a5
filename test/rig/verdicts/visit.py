"""All clients of a world at work, and what became of them."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rig.agent import wait_until
from rig.cluster import FLAGS

from . import cells
from .arrivals import Arrivals, Frontend
from .cells import Cell
from .conversations import SILENCE, Ask, Crowd
from .evaluator import Evaluator
from .lab import PROTOCOLS, Lab, in_words

# The conversations of a cell behind its first one, then in each round for those who have not met all
# they may. That one of three is never met in 150 happens once in 10^26 cells.
FIRST_ASKS, MORE_ASKS, ROUNDS = 5, 12, 12
FEW_ASKS = 2
# So many of those who should hear nothing are listened to at a time.
SILENT_CELLS = 150


@dataclass(frozen=True)
class Result:
    """What may be, and what was, in words."""

    expected: frozenset[str]
    seen: frozenset[str]


def _frontend(ask: Ask) -> Frontend:
    return ask.address, ask.port, ask.protocol


class Visit:
    """All clients of some cells of one world, at work."""

    def __init__(self, lab: Lab, judge: Evaluator, chosen: Sequence[Cell]) -> None:
        self.lab = lab
        self.crowd = Crowd(lab.pods, lab.cleanup)
        self.expected = {
            cell: lab.expected(
                judge.verdict(lab.client_of(cell), *lab.frontend(cell), cell.protocol.upper()),
                cell,
            )
            for cell in chosen
        }
        self.seen: dict[Cell, set[str]] = {cell: set() for cell in chosen}

    def results(self) -> dict[Cell, Result]:
        """Have all of them connect, until each has met all that it may."""
        silent = [c for c, expected in self.expected.items() if expected == {SILENCE}]
        arrivals = Arrivals(self.lab.node1, [_frontend(self._ask(cell)) for cell in silent])
        for first in range(0, len(silent), SILENT_CELLS):
            self._listen(silent[first : first + SILENT_CELLS], arrivals)
        others = [c for c, expected in self.expected.items() if expected != {SILENCE}]
        self._converse((c, 1) for c in others)
        # Who has met what may not be needs no more.
        right = [c for c in others if self.seen[c] <= self.expected[c]]
        self._converse((c, FIRST_ASKS if len(self.expected[c]) > 1 else FEW_ASKS) for c in right)
        for _ in range(ROUNDS):
            self._converse((c, MORE_ASKS) for c in right if self._wants_more(c))
        return {
            c: Result(expected, frozenset(self.seen[c])) for c, expected in self.expected.items()
        }

    def _wants_more(self, cell: Cell) -> bool:
        return not cell.variant.affinity and self.seen[cell] < self.expected[cell]

    def _ask(self, cell: Cell) -> Ask:
        return Ask(self.lab.space(cell), *self.lab.frontend(cell), cell.protocol.upper())

    def _converse(self, how_often: Iterable[tuple[Cell, int]]) -> None:
        who = [cell for cell, n in how_often for _ in range(n)]
        outcomes = self.crowd.converse(self._ask(cell) for cell in who)
        for cell, outcome in zip(who, outcomes, strict=True):
            self.seen[cell].add(in_words(outcome))

    def _listen(self, silent: Sequence[Cell], arrivals: Arrivals) -> None:
        who = [cell for cell in silent for _ in range(FEW_ASKS)]
        asks = [self._ask(cell) for cell in who]
        wanted = collections.Counter(map(_frontend, asks))
        before = arrivals.counts()

        def have_arrived() -> bool:
            now = arrivals.counts()
            return all(now[f] - before[f] >= n for f, n in wanted.items())

        def until() -> None:
            wait_until("all packets to arrive", have_arrived)
            self._fence()

        for cell, outcome in zip(who, self.crowd.listen(asks, until), strict=True):
            self.seen[cell].add(in_words(outcome))

    def _fence(self) -> None:
        """What is behind the packets that have arrived: each client talks to each pod. Where these
        answers came by, an earlier one would have come by before. Twice, since a server that has
        two to answer may begin with the later one."""
        lab = self.lab
        places = [lab.pods["shell"], lab.pods["shell-2"], lab.node1, lab.node3, lab.client]
        places += [lab.pods[name] for name in ("web-1", "web-3")]
        asks = [
            Ask(place, pod.ips[family], 8080, protocol)
            for place in places
            for pod in lab.pods.values()
            for family in cells.FAMILIES
            for protocol in PROTOCOLS
        ]
        for _ in range(2):
            self.crowd.converse(asks)


def run(chosen: Sequence[Cell]) -> Mapping[Cell, Result]:
    """Build the world of these cells, and see what becomes of each."""
    world = chosen[0].world
    with Lab(world) as lab:
        lab.add_servers()
        judge = lab.deploy_world()
        agent = lab.agent(flags=[*FLAGS, *world.flags])
        agent.start()
        lab.settle(agent)
        return Visit(lab, judge, chosen).results()
