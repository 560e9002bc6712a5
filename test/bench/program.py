"""Programs under measurement: nft, the agent, and its parts one by one."""

from __future__ import annotations

import contextlib
import os
import re
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from rig.agent import Agent, wait_until
from rig.netns import Namespace, unique_prefix

BUILD_PROGRAM = Path(os.environ.get("BUILD", "build"), "test/bench/build")
# Larger rulesets take longer than the rig's tests wait.
HANG_S = 600.0


@dataclass(frozen=True)
class Usage:
    """What one run of a program took."""

    wall_s: float
    user_s: float
    system_s: float
    peak_kb: int


def run_measured(space: Namespace, *argv: str, output: Path | None = None) -> Usage:
    """Run a program in @space to its end, its standard output into a file."""
    begin = time.monotonic()
    with open(output or os.devnull, "w", encoding="utf-8") as file:
        process = space.spawn(argv, stdout=file)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit {process.returncode}")
    return Usage(time.monotonic() - begin, used.ru_utime, used.ru_stime, used.ru_maxrss)


# The agent's parts --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Medians of a part of the agent's work; bytes are those of netlink."""

    wall_us: float
    cpu_us: float
    system_us: float
    bytes: float


def measure_parts(agent: Agent, changes: Path, runs: int) -> dict[str, Part]:
    """Run build.c with the flags of @agent, each time in a fresh namespace."""
    samples = defaultdict(list)
    for _ in range(runs):
        with contextlib.ExitStack() as cleanup:
            space = Namespace(f"{unique_prefix()}parts", cleanup)
            text = space.run(str(BUILD_PROGRAM), str(changes), *agent.flags)
        for line in text.splitlines():
            name, *numbers = line.split()
            samples[name].append([int(number) for number in numbers])
    return {
        name: Part(*(statistics.median(column) for column in zip(*rows)))
        for name, rows in samples.items()
    }


# The agent ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Started:
    """An agent that has committed its first ruleset and follows its manifests."""

    start_s: float
    elements: int
    resident_kb: int
    peak_kb: int


def start_agent(agent: Agent) -> Started:
    """Start @agent, and look at it as soon as it follows."""
    begin = time.monotonic()
    agent.start()
    following = r'msg="?following'
    wait_until(
        "the agent's first commit",
        lambda: bool(agent.logged(following)) or not agent.running,
        hang_s=HANG_S,
    )
    took = time.monotonic() - begin
    if not agent.running:
        raise RuntimeError(f"the agent has ended:\n{agent.log()}")
    elements = re.search(r"msg=\"tables replaced\".* elements=(\d+)", agent.log())
    if not elements:
        raise RuntimeError(f"the agent has committed nothing:\n{agent.log()}")
    status = Path(f"/proc/{agent.process.pid}/status").read_text(encoding="ascii")
    memory = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", status, re.MULTILINE))
    return Started(took, int(elements[1]), int(memory["VmRSS"]), int(memory["VmHWM"]))

