"""Cases tried with packets: every table must come true, and then be true once more."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .cases import Case, Cell, Table
from .enforcer import Enforcer
from .network import Connection, Network, Place
from .world import Endpoint, World, family_of, name_of

# A change takes effect when it does; what has not after so long, and so many rounds, never will.
HANG_S = 20.0
HANG_ROUNDS = 10
# How long a round waits for connections that are expected and get no answer: the longer, the more
# rounds there were. Then a slow machine has had its time.
PATIENCE_S = (0.5, 1.0, 2.0, 5.0)
CONFIRMATION_S = 10.0
# How long what must not be served is given, when all that must be has been.
GRACE_S = 0.25
ROWS_SHOWN = 40


class TrialError(AssertionError):
    """A table that did not come true, or not twice. @wrong has what was seen instead."""

    def __init__(self, what: str, table: Table, wrong: dict[Cell, str]) -> None:
        super().__init__(_story(what, table, wrong))
        self.wrong = wrong


@dataclass
class Held:
    """How long a table took to come true."""

    name: str
    seconds: float
    rounds: int
    connections: int


@dataclass(frozen=True)
class Aim:
    """Where a connection goes: from @place to the address, and the names of those who may answer.
    A pod that comes to itself through a Service is seen as @node: it has no use for an answer that
    its own address gets."""

    place: Place
    node: Place | None
    address: str
    servers: frozenset[str] = field(compare=False)

    def seen_as(self, server: str) -> Place:
        """As whom @server is to see the client."""
        return self.node if self.node and server == self.place.place_name else self.place


class Trial:
    """A network and somebody who enforces, and cases from one state. Of the tables only the
    connections that @covered takes are tried. @held are the tables that came true."""

    def __init__(
        self,
        network: Network,
        enforcer: Enforcer,
        world: World,
        covered: Callable[[Cell, dict[str, Endpoint]], bool] = lambda cell, endpoints: True,
        *,
        hang_s: float = HANG_S,
        hang_rounds: int = HANG_ROUNDS,
        patience_s: Sequence[float] = PATIENCE_S,
    ) -> None:
        self.network = network
        self.enforcer = enforcer
        self.fixture = world
        self.covered = covered
        self.hang_s = hang_s
        self.hang_rounds = hang_rounds
        self.patience_s = patience_s
        self.held: list[Held] = []

    def run(self, case: Case) -> None:
        """Try a case from the state that all begin with. TrialError when it fails."""
        world = self.fixture.copy()
        for name, stage, table in case.play(world.copy()):
            for action in stage.actions:
                world.act(action)
                if action is not stage.actions[-1]:
                    self._tell(world)
            self._tell(world)
            self.hold(name, table, world)

    def _tell(self, world: World) -> None:
        self.network.follow(world)
        self.enforcer.follow(world)

    def hold(self, name: str, table: Table, world: World) -> None:
        """Wait for @table to come true, and see that it is so once more."""
        endpoints = world.endpoints()
        table = {cell: v for cell, v in table.items() if self.covered(cell, endpoints)}
        aims = {cell: self._aim(cell, world, endpoints) for cell in table}
        begin = time.monotonic()
        for number in itertools.count():
            patience = self.patience_s[min(number, len(self.patience_s) - 1)]
            wrong = self._round(table, aims, patience)
            took = time.monotonic() - begin
            if not wrong:
                break
            if took > self.hang_s and number + 1 >= self.hang_rounds:
                raise TrialError(f"{name}: after {took:.0f} s", table, wrong)
        if wrong := self._round(table, aims, CONFIRMATION_S):
            raise TrialError(f"{name}: was true for a moment, then", table, wrong)
        self.held.append(Held(name, took, number + 1, len(table)))

    def _aim(self, cell: Cell, world: World, endpoints: dict[str, Endpoint]) -> Aim:
        source = endpoints[cell.source]
        place = self.network.place(source)
        if not cell.target.startswith("svc:"):
            target = endpoints[cell.target]
            servers = {self.network.place(target).place_name}
            return Aim(place, None, target.ips[cell.family], frozenset(servers))
        service = world.services[cell.target.removeprefix("svc:")]
        addresses = service["spec"]["clusterIPs"]
        [address] = [ip for ip in addresses if family_of(ip) == cell.family]
        ports = [p for p in service["spec"]["ports"] if p["port"] == cell.port]
        pods = itertools.chain(*(world.backends(service, port) for port in ports))
        behind = endpoints.keys() & {name_of(pod) for pod, _ in pods}
        servers = {self.network.place(endpoints[name]).place_name for name in behind}
        return Aim(place, self.network.nodes.get(source.node), address, frozenset(servers))

    def _round(self, table: Table, aims: dict[Cell, Aim], patience_s: float) -> dict[Cell, str]:
        """Make every connection once, all at the same time; the wrong ones and what was seen."""
        batches: dict[Place, list[Connection]] = {}
        for number, (cell, allow) in enumerate(table.items()):
            aim = aims[cell]
            connection = (number, cell.proto, aim.address, cell.port, allow)
            batches.setdefault(aim.place, []).append(connection)
        outcomes = self.network.connect(batches, patience_s, GRACE_S)
        seen = {
            cell: _judged(outcomes[number], cell, aims[cell]) for number, cell in enumerate(table)
        }
        return {cell: text for cell, text in seen.items() if _verdict(text) != table[cell]}


def _verdict(seen: str) -> bool | None:
    """What an outcome amounts to; None for what is wrong whatever was expected."""
    if seen.startswith("allow"):
        return True
    return False if seen.startswith("deny") else None


def _judged(outcome: str, cell: Cell, aim: Aim) -> str:
    """An outcome in words for the reader: allow, deny, or something else that must not be."""
    kind, *words = outcome.split(" ")
    if kind in ("silent", "refused"):
        return f"deny ({outcome})"
    if kind != "served":
        return outcome
    server, client = words
    if server not in aim.servers:
        return f"served by {server}"
    if client not in aim.seen_as(server).addresses[cell.family]:
        return f"served, seen as {client}"
    return "allow"


def _story(what: str, table: Table, wrong: dict[Cell, str]) -> str:
    """All wrong connections, as a table."""
    lines = [("from", "to", "port", "family", "expected", "seen")]
    for cell, seen in sorted(wrong.items()):
        expected = "allow" if table[cell] else "deny"
        port = f"{cell.proto}/{cell.port}"
        lines.append((cell.source, cell.target, port, f"IPv{cell.family}", expected, seen))
    shown = [f"  {a:<10} {b:<12} {c:<9} {d:<7} {e:<9} {f}" for a, b, c, d, e, f in lines]
    if len(shown) > ROWS_SHOWN + 1:
        shown[ROWS_SHOWN + 1 :] = [f"  and {len(lines) - 1 - ROWS_SHOWN} more"]
    return "\n".join([f"{what} {len(wrong)} of {len(table)} connections are wrong", *shown])


def same_node(cell: Cell, endpoints: dict[str, Endpoint]) -> bool:
    """Whether a connection is one of two pods of a node, and goes through no Service."""
    source, target = endpoints[cell.source], endpoints.get(cell.target)
    return target is not None and source.kind == target.kind == "pod" and source.node == target.node


def summary(held: Iterable[Held]) -> str:
    """One line about tables that came true."""
    held = list(held)
    if not held:
        return "no table came true"
    slowest = max(held, key=lambda h: h.seconds)
    connections = sum(h.connections for h in held)
    return (
        f"{len(held)} tables, {connections} connections, each seen twice; "
        f"the slowest was true after {slowest.seconds:.2f} s: {slowest.name}"
    )
