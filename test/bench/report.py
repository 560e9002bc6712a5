"""The results as Markdown."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from figures import Change, Figures, Plan, Unchanged
from latency import Latency
from layouts import Size
from program import Part, Started, Usage

NO_FIGURE = "-"

AgentResult = tuple[dict[str, Part], Started]
# Lines of text, None when there is no text.
Load = tuple[int | None, Usage]


@dataclass
class Results:
    """All figures, by size and layout."""

    agents: dict[Size, AgentResult] = field(default_factory=dict)
    loads: dict[Size, dict[str, Load]] = field(default_factory=dict)
    latencies: dict[Size, dict[str, Latency]] = field(default_factory=dict)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with aligned columns, the first one to the left."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    rule = ["-" * width if n == 0 else "-" * (width - 1) + ":" for n, width in enumerate(widths)]
    lines.insert(1, rule)

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    return "\n".join(map(line, lines))


def _megabytes(kb: float) -> str:
    return f"{kb / 1024:,.0f}"


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> str:
    """What all figures depend on."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    one, five, fifteen = os.getloadavg()
    return "\n".join(
        (
            f"* kube-nft {_output('git', 'rev-parse', '--short', 'HEAD') or 'of no known commit'}",
            f"* Linux {platform.release()}, {_output('nft', '--version')}",
            f"* {os.cpu_count()} processors: {cpu[1] if cpu else platform.machine()}",
            f"* load average before the run: {one:.1f}, {five:.1f}, {fifteen:.1f}",
        )
    )


def _agent_figures(parts: dict[str, Part], started: Started) -> dict[str, str]:
    read, build, commit, change = (parts[n] for n in ("read", "build", "commit", "change"))
    return {
        "elements": f"{started.elements:,}",
        "read the manifests, CPU ms": f"{read.cpu_us / 1000:,.1f}",
        "build the ruleset, CPU ms": f"{build.cpu_us / 1000:,.1f}",
        "commit the whole, CPU ms": f"{commit.cpu_us / 1000:,.1f}",
        "commit the whole, wall ms": f"{commit.wall_us / 1000:,.1f}",
        "commit the whole, MB of netlink": f"{commit.bytes / 1e6:,.2f}",
        "change one endpoint, CPU us": f"{change.cpu_us:,.0f}",
        "change one endpoint, wall us": f"{change.wall_us:,.0f}",
        "change one endpoint, bytes of netlink": f"{change.bytes:,.0f}",
        "agent: start until it follows, wall s": f"{started.start_s:.2f}",
        "agent: resident memory, MB": _megabytes(started.resident_kb),
        "agent: peak of it, MB": _megabytes(started.peak_kb),
    }


def agent_table(results: Mapping[Size, AgentResult]) -> str:
    """The agent by itself, a column a size."""
    sizes = sorted(results)
    header = [f"{s}, {' and '.join(f'IPv{family}' for family in s.families)}" for s in sizes]
    columns = [_agent_figures(*results[size]) for size in sizes]
    rows = ([name, *(column[name] for column in columns)] for name in columns[0])
    return table(("Services x endpoints", *header), rows)


def kube_nft_load(parts: dict[str, Part], started: Started) -> Load:
    """Build and commit as if they were a program that is given the decoded objects."""
    both = parts["build"], parts["commit"]
    system_us = sum(part.system_us for part in both)
    user_us = sum(part.cpu_us for part in both) - system_us
    wall_us = sum(part.wall_us for part in both)
    return None, Usage(wall_us / 1e6, user_us / 1e6, system_us / 1e6, started.peak_kb)


def load_table(results: Mapping[Size, Mapping[str, Load]]) -> str:
    """Loading of the same Services in different layouts."""

    def row(size: Size, layout: str, lines: int | None, usage: Usage) -> list[str]:
        return [
            f"{size}, {layout}",
            NO_FIGURE if lines is None else f"{lines:,}",
            *(f"{figure:,.2f}" for figure in (usage.wall_s, usage.user_s, usage.system_s)),
            _megabytes(usage.peak_kb),
        ]

    return table(
        ("Services x endpoints, layout", "lines", "wall, s", "user, s", "system, s", "peak, MB"),
        (row(size, name, *r) for size, layouts in results.items() for name, r in layouts.items()),
    )


def latency_table(head: str, results: Mapping[Any, Mapping[str, Latency]]) -> str:
    """Time to connect, p50 and p99 in one cell."""
    names = list(dict.fromkeys(name for layouts in results.values() for name in layouts))

    def cell(latency: Latency | None) -> str:
        return f"{latency.p50:,.1f} / {latency.p99:,.1f}" if latency else NO_FIGURE

    rows = ([f"{size}", *(cell(r.get(name)) for name in names)] for size, r in results.items())
    return table((head, *names), rows)


def text(machine_lines: str, results: Results) -> str:
    """The whole report."""
    parts = (
        machine_lines,
        "### The agent",
        agent_table(results.agents),
        "### Loading, beside other layouts",
        load_table(results.loads),
        "### Connecting, p50 / p99 in microseconds",
        latency_table("Services x endpoints", results.latencies),
    )
    return "\n\n".join(parts)


# The bench with a real API server -----------------------------------------------------------------


def _percentiles(seconds: Iterable[float]) -> str:
    deciles = statistics.quantiles(seconds, n=10)
    return f"{deciles[4] * 1000:,.1f} / {deciles[8] * 1000:,.1f}"


def _change_figures(changes: Sequence[Change]) -> dict[str, str]:
    return {
        "one update: until acknowledged, ms p50 / p90": _percentiles(
            c.acknowledged_s for c in changes
        ),
        "one update: until committed, ms p50 / p90": _percentiles(c.committed_s for c in changes),
        "one update: commit behind answer, ms p50 / p90": _percentiles(
            c.committed_s - c.acknowledged_s for c in changes
        ),
    }


def _unchanged_figures(u: Unchanged | None) -> dict[str, str]:
    return {
        "restart without changes: until settled, wall s": f"{u.wall_s:,.2f}" if u else NO_FIGURE,
        "restart without changes: messages with elements": f"{u.messages}" if u else NO_FIGURE,
    }


def _cluster_figures(f: Figures) -> dict[str, str]:
    before, early, late = map(_megabytes, f.memory_kb)
    return {
        "start: until committed, wall s": f"{f.start.wall_s:,.2f}",
        "start: CPU s": f"{f.start.cpu_s:,.2f}",
        "start: peak memory, MB": _megabytes(f.start.peak_kb),
        "restart: until committed, wall s": f"{f.restart.wall_s:,.2f}",
        "restart: CPU s": f"{f.restart.cpu_s:,.2f}",
        "restart: peak memory, MB": _megabytes(f.restart.peak_kb),
        **_unchanged_figures(f.unchanged),
        **_change_figures(f.changes),
        "nft list ruleset, wall s": f"{f.listing_s:,.2f}",
        "nft list ruleset, MB of text": f"{f.listing_bytes / 1e6:,.1f}",
        "churn: seconds": f"{f.churn_s:g}",
        "churn: changes a second": f"{f.churn_rate:,.1f}",
        "churn: memory before, MB": before,
        "churn: memory after a tenth, MB": early,
        "churn: memory at its end, MB": late,
        "idle: CPU ms a minute": f"{f.idle_ms:,.1f}",
    }


def cluster_text(
    machine_lines: str, plan: Plan, filled_s: float, results: Mapping[str, Figures]
) -> str:
    """The whole report of test/bench/cluster.py."""
    columns = [_cluster_figures(f) for f in results.values()]
    rows = ([name, *(column[name] for column in columns)] for name in columns[0])
    filled = f"* the API server was filled in {filled_s:.0f} s"
    return "\n\n".join(
        (f"{machine_lines}\n{filled}", table((f"Services x endpoints: {plan.size}", *results), rows))
    )
