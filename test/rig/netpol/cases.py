"""Case files: policies, steps, and after each step a table of who reaches whom.

docs/conformance.md describes the format. Everything that is not in it is an error.
"""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..objects import Object
from .world import FIXTURE, Endpoint, FormatError, World, expect_keys, load_yaml

OWN_CASES = [FIXTURE.with_name(name) for name in ("netpol-cases.yaml", "further-cases.yaml")]
PORTS = ["TCP/80", "TCP/81"]
FAMILIES = [4, 6]
PROTOCOLS = ("TCP", "UDP", "SCTP")
VERDICTS = ("allow", "deny")


@dataclass(frozen=True, order=True)
class Cell:
    """One connection: the names of its ends, or "svc:namespace/name" to go through a Service."""

    source: str
    target: str
    proto: str
    port: int
    family: int


# The expected verdict of each connection: True is allow.
Table = dict[Cell, bool]


@dataclass(frozen=True)
class Row:
    """A row of a table, which covers the connections that fit all it names."""

    sources: frozenset[str]
    targets: frozenset[str]
    proto: str | None
    port: int | None
    family: int | None
    allow: bool

    def covers(self, cell: Cell) -> bool:
        return (
            cell.source in self.sources
            and cell.target in self.targets
            and self.proto in (None, cell.proto)
            and self.port in (None, cell.port)
            and self.family in (None, cell.family)
        )


@dataclass
class Stage:
    """A moment of a case: what happens, in this order, and what holds then."""

    actions: list[Object]
    expect: Object
    checks: list[Object]


@contextlib.contextmanager
def _about(name: str) -> Iterator[None]:
    """Errors are about @name, those of values that are of another kind than they must be, too."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{name}: not in the format: {error!r}") from error


@dataclass
class Case:
    """One case; the first of its @stages applies the policies that it begins with. One with a
    @mistake can't be played."""

    id: str
    title: str = ""
    ports: list[tuple[str, int]] = field(default_factory=list)
    families: list[int] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    mistake: str = ""

    def play(self, world: World) -> Iterator[tuple[str, Stage, Table]]:
        """Change @world stage by stage; each with its name and what holds now."""
        if self.mistake:
            raise FormatError(self.mistake)
        for number, stage in enumerate(self.stages):
            name = f"{self.id} step {number}" if number else self.id
            with _about(name):
                for action in stage.actions:
                    world.act(action)
                table = self.table(stage, world)
            yield name, stage, table

    def table(self, stage: Stage, world: World) -> Table:
        """Every connection that is to be tried in the state of @world, with what is expected."""
        endpoints = world.endpoints()
        expect_keys("expect", stage.expect, ("default",), ("except",))
        default = _verdict("default", stage.expect["default"])
        table = dict.fromkeys(self._universe(endpoints.values()), default)
        for number, entry in enumerate(stage.expect.get("except") or [], 1):
            row = _row(f"row {number}", entry, endpoints)
            covered = [cell for cell in table if row.covers(cell)]
            if not covered:
                raise FormatError(f"row {number} covers no connection: {entry}")
            table.update(dict.fromkeys(covered, row.allow))
        for cell in table:
            source, target = endpoints[cell.source], endpoints[cell.target]
            if target.kind == "pod" and source.kind != "pod" and source.node == target.node:
                table[cell] = True
        for number, entry in enumerate(stage.checks, 1):
            table.update(self._check(f"check {number}", entry, endpoints, world))
        return table

    def _universe(self, endpoints: Iterable[Endpoint]) -> Iterator[Cell]:
        for source, target in itertools.permutations(endpoints, 2):
            if "pod" not in (source.kind, target.kind):
                continue
            for (proto, port), family in itertools.product(self.ports, self.families):
                if family in source.ips and family in target.ips:
                    yield Cell(source.name, target.name, proto, port, family)

    def _check(
        self, what: str, entry: Object, endpoints: dict[str, Endpoint], world: World
    ) -> Table:
        expect_keys(what, entry, ("from", "to", "proto", "port", "expect"), ("family",))
        proto, port, family = _narrowing(what, entry)
        if not proto or not port:
            raise FormatError(f"{what}: no proto or no port")
        found: Table = {}
        targets = _target_families(what, entry["to"], endpoints, world)
        for source in sorted(_names(what, entry["from"], endpoints)):
            for (target, ips), each in itertools.product(targets.items(), self.families):
                if each in endpoints[source].ips and each in ips and family in (None, each):
                    verdict = _verdict(what, entry["expect"])
                    found[Cell(source, target, proto, port, each)] = verdict
        if not found:
            raise FormatError(f"{what} covers no connection: {entry}")
        return found


def _target_families(
    what: str, target: object, endpoints: dict[str, Endpoint], world: World
) -> dict[str, set[int]]:
    """The targets of a check and the families in which each has an address."""
    if not isinstance(target, str) or not target.startswith("svc:"):
        return {name: set(endpoints[name].ips) for name in _names(what, target, endpoints)}
    service = world.services.get(target.removeprefix("svc:"))
    if service is None:
        raise FormatError(f"{what}: no Service {target}")
    return {target: {6 if ":" in ip else 4 for ip in service["spec"]["clusterIPs"]}}


def _verdict(what: str, text: object) -> bool:
    if text not in VERDICTS:
        raise FormatError(f"{what}: neither allow nor deny: {text!r}")
    return text == "allow"


def _names(what: str, patterns: object, endpoints: dict[str, Endpoint]) -> frozenset[str]:
    """The names that a pattern stands for, or a list of them."""
    listed = patterns if isinstance(patterns, list) else [patterns]
    if not listed or not all(isinstance(pattern, str) for pattern in listed):
        raise FormatError(f"{what}: neither a name nor a list of names: {patterns!r}")
    return frozenset(itertools.chain(*(_matching(str(pattern), endpoints) for pattern in listed)))


def _matching(pattern: str, endpoints: dict[str, Endpoint]) -> Iterator[str]:
    kinds = {"pods": ("pod",), "nodes": ("node", "host-pod"), "externals": ("external",)}
    for name, endpoint in endpoints.items():
        if pattern in kinds:
            fits = endpoint.kind in kinds[pattern]
        elif "*" in pattern and pattern != "*":
            fits = endpoint.kind == "pod" and _glob(name, pattern)
        else:
            fits = pattern in ("*", name)
        if fits:
            yield name


def _glob(name: str, pattern: str) -> bool:
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _narrowing(what: str, entry: Object) -> tuple[str | None, int | None, int | None]:
    proto, port, family = (entry.get(key) for key in ("proto", "port", "family"))
    if proto not in (None, *PROTOCOLS):
        raise FormatError(f"{what}: no such protocol: {proto!r}")
    if port is not None and not _is_port(port):
        raise FormatError(f"{what}: no port: {port!r}")
    if family not in (None, *FAMILIES):
        raise FormatError(f"{what}: no family: {family!r}")
    return proto, port, family


def _is_port(port: object) -> bool:
    return type(port) is int and 0 < port < 65536


def _row(what: str, entry: Object, endpoints: dict[str, Endpoint]) -> Row:
    expect_keys(what, entry, ("from", "to", "expect"), ("proto", "port", "family"))
    sources, targets = (_names(what, entry[end], endpoints) for end in ("from", "to"))
    return Row(sources, targets, *_narrowing(what, entry), _verdict(what, entry["expect"]))


def _port(what: str, text: object) -> tuple[str, int]:
    proto, _, number = str(text).partition("/")
    if proto not in PROTOCOLS or not number.isdigit() or not _is_port(int(number)):
        raise FormatError(f"{what}: no port: {text!r}")
    return proto, int(number)


def _case(entry: Object) -> Case:
    more = "title proves tags ports families policies checks steps"
    expect_keys("the case", entry, ("id", "expect"), more.split())
    families = entry.get("families", FAMILIES)
    if not families or not set(families) <= set(FAMILIES):
        raise FormatError(f"families: {families!r}")
    applied = [{"do": "apply", "policy": policy} for policy in entry.get("policies") or []]
    stages = [Stage(applied, entry["expect"], entry.get("checks") or [])]
    for number, step in enumerate(entry.get("steps") or [], 1):
        expect_keys(f"step {number}", step, ("actions", "expect"), ("checks",))
        stages.append(Stage(step["actions"], step["expect"], step.get("checks") or []))
    ports = [_port("ports", text) for text in entry.get("ports", PORTS)]
    title, tags = entry.get("title", ""), entry.get("tags") or []
    return Case(str(entry["id"]), title, ports, families, stages, tags)


def _checked_case(name: str, entry: Object, world: World) -> Case:
    """A case that has been played through once without packets, or its mistake."""
    try:
        with _about(name):
            made = _case(entry)
        for _ in made.play(world.copy()):
            pass
    except FormatError as error:
        return Case(name, mistake=str(error))
    return made


def load_cases(path: Path, world: World) -> list[Case]:
    """The cases of a file. One with a mistake is no reason not to try the others: it is among them,
    and FormatError when it is played."""
    content = load_yaml(path)
    expect_keys(str(path), content, ("version", "fixture", "cases"))
    if content["version"] != 1 or content["fixture"] != world.version:
        raise FormatError(f"{path}: not version 1, or not for the fixture {world.version}")
    if not isinstance(content["cases"], list) or not content["cases"]:
        raise FormatError(f"{path}: no list of cases")
    cases: dict[str, Case] = {}
    for number, entry in enumerate(content["cases"], 1):
        named = isinstance(entry, dict) and entry.get("id")
        name = str(entry["id"]) if named else f"case {number}"
        made = _checked_case(name, entry, world)
        if name in cases:
            made = Case(f"case {number}", mistake=f"case {number}: another one is called {name}")
        cases[made.id] = made
    return list(cases.values())
