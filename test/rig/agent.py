"""The agent as a process on a node, and waiting for what it does."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .netns import Namespace

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("KUBE_NFT") or str(REPOSITORY / "build" / "kube-nft")
# Who waits this long for the agent waits for ever.
HANG_S = 240.0


def wait_until(what: str, condition: Callable[[], bool], *, hang_s: float = HANG_S) -> None:
    """Return as soon as @condition holds. TimeoutError, naming @what, when it never does.

    Who waits for long looks more seldom: looking takes time from those who are waited for."""
    begin = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - begin
        if waited_s > hang_s:
            raise TimeoutError(f"waited {hang_s:.0f} s for {what}")
        time.sleep(min(0.01 + waited_s / 20, 0.2))


def from_manifests(directory: Path) -> tuple[str, ...]:
    """The flags of an agent that follows a directory."""
    return (f"--manifests={directory}",)


class Agent:
    """One agent, to be started in @space as often as one likes. Its log is one file; @source are
    the flags that say where its objects come from."""

    def __init__(
        self,
        space: Namespace,
        source: Sequence[str],
        log_path: Path,
        flags: Sequence[str],
        *,
        program: str = PROGRAM,
        wrapper: Sequence[str] = (),
    ) -> None:
        self.space = space
        self.flags = (
            *source,
            "--hostname-override=node1",
            "--run-router=false",
            *(() if "--run-firewall=true" in flags else ("--run-firewall=false",)),
            "--health-port=0",
            *flags,
        )
        self.program = program
        self.wrapper = tuple(wrapper)
        self.log_path = log_path
        self.process: subprocess.Popen[str] | None = None

    @property
    def argv(self) -> list[str]:
        return [*self.wrapper, self.program, *self.flags]

    @property
    def command(self) -> str:
        """The command line as one would type it."""
        return shlex.join(self.argv)

    def start(self) -> None:
        """Start the process; Cluster.settle() waits for its commit."""
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = self.space.spawn(self.argv, stderr=log, stdin=subprocess.DEVNULL)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End the process by a signal; its exit status. What it committed stays."""
        assert self.process is not None
        self.process.send_signal(how)
        try:
            return self.process.wait(HANG_S)
        finally:
            self.process.kill()
            self.process = None

    def kill(self) -> None:
        """See that it does not run any more."""
        if self.process:
            self.stop(signal.SIGKILL)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        """All it has logged since the cluster was made."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def logged(self, pattern: str) -> list[str]:
        """The lines of the log in which @pattern is found."""
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def wait_logged(self, pattern: str, count: int = 1, *, hang_s: float = HANG_S) -> None:
        """Wait for @count lines with @pattern."""
        self.wait_until(
            f"{pattern!r} in the log", lambda: len(self.logged(pattern)) >= count, hang_s=hang_s
        )

    def wait_until(
        self, what: str, condition: Callable[[], bool], *, hang_s: float = HANG_S
    ) -> None:
        """As wait_until(), and give up when the agent has died. The log is in the message."""

        def holds() -> bool:
            done = condition()
            if not done and not self.running:
                raise RuntimeError(f"the agent has ended before {what}:\n{self.log()[-4000:]}")
            return done

        try:
            wait_until(what, holds, hang_s=hang_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; the log ends:\n{self.log()[-4000:]}") from None

    def render(self) -> str:
        """What `kube-nft render` prints for the same flags."""
        return self.space.run(self.program, "render", *self.flags)
