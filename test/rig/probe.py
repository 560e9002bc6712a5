"""Probers that run beside a test: new connections and established ones, while things change."""

from __future__ import annotations

import collections
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .agent import wait_until
from .netns import Namespace

PROGRAM = Path(__file__).with_name("prober.py")


@dataclass(frozen=True)
class Report:
    """What a prober, or several together, have seen since they began."""

    connections: int
    exchanges: int
    failures: tuple[str, ...]
    pods: collections.Counter[str]
    slowest_s: float

    @classmethod
    def parse(cls, line: str, place: str) -> Self:
        told = json.loads(line)
        failures = tuple(f"{place}: {failure}" for failure in told.pop("failures"))
        return cls(failures=failures, pods=collections.Counter(told.pop("pods")), **told)

    @classmethod
    def total(cls, reports: Iterable[Report]) -> Self:
        parts = list(reports)
        return cls(
            sum(r.connections for r in parts),
            sum(r.exchanges for r in parts),
            tuple(failure for r in parts for failure in r.failures),
            sum((r.pods for r in parts), collections.Counter()),
            max((r.slowest_s for r in parts), default=0.0),
        )


class Probe:
    """One prober process."""

    def __init__(
        self, space: Namespace, address: str, port: int, *, rate: int = 200, established: int = 4
    ) -> None:
        self.place = f"{space.name.split('-', 3)[-1]} to {address}:{port}"
        argv = [
            sys.executable,
            "-IS",
            str(PROGRAM),
            address,
            str(port),
            str(rate),
            str(established),
        ]
        self.process = space.spawn(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.started = False

    def _read(self) -> Report:
        assert self.process.stdout is not None and self.process.stderr is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.place}: the prober died: {self.process.stderr.read()}")
        return Report.parse(line, self.place)

    def report(self) -> Report:
        """The counts up to now. The first time, waits until the prober has begun."""
        assert self.process.stdin is not None
        if not self.started:
            self.started = True
            return self._read()
        print(file=self.process.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Probes:
    """Several probers at work."""

    def __init__(self, probes: list[Probe]) -> None:
        self.probes = probes

    def report(self) -> Report:
        return Report.total(probe.report() for probe in self.probes)

    def wait_connections(self, n: int) -> Report:
        """Return when each prober has made @n more connections."""
        goals = [(probe, probe.report().connections + n) for probe in self.probes]
        for probe, goal in goals:
            wait_until(f"{n} connections", lambda p=probe, g=goal: p.report().connections >= g)
        return self.report()


@contextlib.contextmanager
def probing(*probes: Probe) -> Iterator[Probes]:
    """Have the probers run, each with its connections established, while the block does."""
    with contextlib.ExitStack() as cleanup:
        for probe in probes:
            cleanup.callback(probe.close)
        for probe in probes:
            probe.report()
        yield Probes(list(probes))
