"""Print what kube-nft costs, beside the layouts that others use. Started by test/bench/run.

No figure makes it fail; something that does not work does.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from rig.agent import Agent, from_manifests
from rig.netns import Namespace, sweep, unique_prefix

import latency
import layouts
import program
import report
from layouts import Size

# Each is loaded in all layouts, and connects are measured beside one another.
COMPARED = (Size(10), Size(1000), Size(10000))
LARGE = Size(50000, 5, (4, 6))
# How often the parts of the agent are run, each time from nothing.
RUNS = 5
LARGEST_OF_QUICK = 1000


def say(size: Size, what: str) -> None:
    """Tell who waits what is going on."""
    print(f"bench: {size}: {what}", file=sys.stderr, flush=True)


def make_agent(
    size: Size, directory: Path, space: Namespace, cleanup: contextlib.ExitStack
) -> Agent:
    """An agent in @space, not started, with manifests of that size."""
    manifests = directory / "manifests"
    layouts.write_manifests(size, manifests)
    flags = [f"--service-cluster-ip-range={layouts.SERVICE_RANGES[f]}" for f in size.families]
    flags += ["--enable-ipv6"] if 6 in size.families else []
    agent = Agent(space, from_manifests(manifests), directory / "agent.log", flags)
    cleanup.callback(lambda: agent.process and agent.stop())
    return agent


def measure_parts(size: Size, agent: Agent, directory: Path) -> dict[str, program.Part]:
    """Measure the parts of the agent's work."""
    say(size, "kube-nft")
    changes = directory / "changes.json"
    layouts.write_changes(size, changes)
    return program.measure_parts(agent, changes, RUNS)


def load(space: Namespace, path: Path) -> report.Load:
    """Load the ruleset @path by nft."""
    with open(path, encoding="ascii") as file:
        lines = sum(1 for _ in file)
    return lines, program.run_measured(space, "nft", "-f", str(path))


def load_rendered(agent: Agent, directory: Path) -> report.Load:
    """Load the agent's ruleset in its text form, elsewhere."""
    text = directory / "rendered.nft"
    with contextlib.ExitStack() as cleanup:
        space = Namespace(f"{unique_prefix()}text", cleanup)
        program.run_measured(space, agent.program, "render", *agent.flags, output=text)
        return load(space, text)


def load_foreign(size: Size, layout: str, space: Namespace, directory: Path) -> report.Load:
    """Load one of the layouts of others."""
    say(size, f"layout {layout}" + (", which takes minutes" if size.services > 1000 else ""))
    path = directory / f"{layout}.nft"
    layouts.write_ruleset(layout, size, path)
    return load(space, path)


def compare(size: Size, foreign: list[str], results: report.Results) -> None:
    """Measure the agent, then all layouts beside one another."""
    with contextlib.ExitStack() as cleanup:
        directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="kube-nft-")))
        prefix = unique_prefix()
        names = ("direct", "kube-nft", *foreign)
        links = {name: latency.Link(prefix + name, cleanup) for name in names}
        agent = make_agent(size, directory, links["kube-nft"].node, cleanup)
        parts = measure_parts(size, agent, directory)
        loads = {"C: kube-nft as text": load_rendered(agent, directory)}
        for layout in foreign:
            loads[layout] = load_foreign(size, layout, links[layout].node, directory)
        # Not earlier: while it listens, the kernel writes notifications of everybody's commits.
        started = program.start_agent(agent)
        results.agents[size] = parts, started
        results.loads[size] = {"kube-nft": report.kube_nft_load(parts, started), **loads}
        say(size, "connects")
        results.latencies[size] = latency.measure(size, links)


def run_alone(size: Size, results: report.Results) -> None:
    """Measure the agent only."""
    with contextlib.ExitStack() as cleanup:
        directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="kube-nft-")))
        space = Namespace(f"{unique_prefix()}alone", cleanup)
        agent = make_agent(size, directory, space, cleanup)
        parts = measure_parts(size, agent, directory)
        results.agents[size] = parts, program.start_agent(agent)


def main() -> None:
    quick = os.environ.get("BENCH_QUICK", "") not in ("", "0")
    machine = report.machine()
    results = report.Results()
    sweep()
    # First: the kernel is busy for a while with removing what layout A has left.
    run_alone(LARGE, results)
    for size in COMPARED:
        spared = quick and size.services > LARGEST_OF_QUICK
        compare(size, [] if spared else list(layouts.CHAINS), results)
    print(report.text(machine, results))


if __name__ == "__main__":
    main()
