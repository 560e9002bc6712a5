"""Service proxies as processes: what they use, and whether a Service is in their table."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rig.netns import Namespace

from generations import has_frontend

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_S = 0.02
HANG_S = 60.0


@dataclass
class Proxy:
    """A program that fills a table of its own in @space. @frontends is the map in @table that has an
    element for each Service's ClusterIP; @settled is what it logs when all is as wanted,
    if it says so."""

    name: str
    space: Namespace
    argv: Sequence[str]
    table: str
    frontends: str
    log: Path
    settled: str = ""
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it."""
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = self.space.spawn(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self) -> None:
        """End it as an upgrade would; its table stays. Fine when it does not run."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(HANG_S)
            finally:
                self.process.kill()
                self.process.wait()
                self.process = None

    def check(self) -> None:
        """RuntimeError when it has ended by itself."""
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended:\n{self.log.read_text('utf-8')[-4000:]}")

    def times_settled(self) -> int:
        """How often it has logged @settled."""
        self.check()
        return self.log.read_text("utf-8", errors="replace").count(self.settled)

    def serves(self, address: str, port: int) -> bool:
        """Whether the Service with this ClusterIP is committed."""
        self.check()
        return has_frontend(self.space, self.table, self.frontends, address, port)

    # What it uses ---------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        self.check()
        assert self.process is not None
        return self.process.pid

    def wait_childless(self) -> None:
        """Wait until it has no children any more: only then does cpu_s() have theirs."""
        while len(list(_family(self.pid))) > 1:
            time.sleep(SAMPLE_S)

    def cpu_s(self) -> float:
        """Processor time that it and its children that have ended took."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS

    def cpu_ns(self) -> int:
        """The same of its threads that run, to the nanosecond and without children."""
        threads = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((t / "schedstat").read_text("ascii").split()[0]) for t in threads)

    def memory_kb(self, what: str = "VmRSS") -> int:
        """Its memory and that of its children: VmRSS, or VmHWM for the peak of each."""
        self.check()
        return sum(_memory_kb(pid, what) for pid in _family(self.pid))


def _family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in path.read_text("ascii").split():
                yield from _family(int(child))


def _memory_kb(pid: int, what: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1])
    return 0


class PeakMemory:
    """Looks again and again at the memory of a proxy with its children, and keeps the largest sum."""

    def __init__(self, proxy: Proxy, cleanup: contextlib.ExitStack) -> None:
        self.kb = 0
        self._proxy = proxy
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        cleanup.callback(self._end)
        self._thread.start()

    def _end(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(SAMPLE_S):
            with contextlib.suppress(RuntimeError):
                self.kb = max(self.kb, self._proxy.memory_kb("VmHWM"))
