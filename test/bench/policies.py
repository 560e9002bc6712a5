"""Print what NetworkPolicies cost kube-nft and kube-router, with a real API server. Started by
test/bench/run-policies.

kube-router is measured when KUBE_ROUTER names its program. No figure makes it fail; something that
does not work does.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

from rig.api import kubeconfig
from rig.cluster import SERVICE_RANGES
from rig.live.cluster import LiveCluster
from rig.netns import sweep
from rig.state import generation

import filling
import population
import report
from figures import say
from generations import HANG_S
from layouts import Size
from population import Population
from program import run_measured
from proxies import PeakMemory, Proxy

ASK_S = 0.001
# Who has committed nothing for so long is done.
QUIET_S = 10.0
IPV4_ONLY = ("--enable-ipv6=false", f"--service-cluster-ip-range={SERVICE_RANGES[0]}")


@dataclass(frozen=True)
class Plan:
    """What is measured, beside how many Services, and whether of kube-router, too."""

    size: Population
    services: Size
    changes: int
    compared: bool


PLANS = (
    Plan(Population(), Size(10_000, 1), changes=20, compared=True),
    Plan(Population(500, 100, 20, near=55), Size(1, 1), changes=20, compared=False),
)
QUICK = (Plan(Population(5, 20, 4, near=5), Size(100, 1), changes=5, compared=True),)


@dataclass(frozen=True)
class Burst:
    """Commits until nothing more came: how many, and when the first and the last were seen."""

    commits: int
    first_s: float
    last_s: float


@dataclass(frozen=True)
class Figures:
    """All of one agent."""

    start: Burst
    start_cpu_s: float
    peak_kb: int
    changes: list[Burst]
    acknowledged_s: list[float]
    listing_s: float
    listing_lines: int


def watch(agent: Proxy, since: int, begin: float) -> Burst:
    """Follow the generation's number until it rests; the times are from @begin."""
    agent.check()
    known, times = since, []
    deadline = time.monotonic() + HANG_S
    while not times or time.monotonic() < times[-1][0] + QUIET_S:
        now, number = time.monotonic(), generation(agent.space)
        if number != known:
            times.append((now, number))
            known = number
        elif now > deadline:
            raise TimeoutError("waited for a commit")
        time.sleep(ASK_S)
    return Burst(known - since, times[0][0] - begin, times[-1][0] - begin)


def measure_start(agent: Proxy) -> tuple[Burst, float, int]:
    """Start it on a node without tables."""
    with contextlib.ExitStack() as cleanup:
        since, begin = generation(agent.space), time.monotonic()
        agent.start()
        peak = PeakMemory(agent, cleanup)
        burst = watch(agent, since, begin)
        agent.check()
        return burst, agent.cpu_s(), peak.kb


def measure_change(
    cluster: LiveCluster, agent: Proxy, plan: Plan, number: int
) -> tuple[Burst, float]:
    """Give the namespace's first pod of the agent's node another label; the second figure is how long
    the API server took."""
    pod = cluster.nodes.index(agent.space) * plan.size.local
    since, begin = generation(agent.space), time.monotonic()
    population.relabel(cluster.admin, number % plan.size.near, pod, number + 5)
    acknowledged = time.monotonic() - begin
    return watch(agent, since, begin), acknowledged


def measure(cluster: LiveCluster, agent: Proxy, plan: Plan, changes: int) -> Figures:
    """Everything, from a node without tables to an agent that has ended."""
    say(f"{agent.name}: start")
    start, cpu_s, peak_kb = measure_start(agent)
    say(f"{agent.name}: {changes} changes of a label")
    made = [measure_change(cluster, agent, plan, number) for number in range(changes)]
    path = cluster.directory / f"{agent.name}.nft"
    usage = run_measured(agent.space, "nft", "list", "ruleset", output=path)
    agent.stop()
    return Figures(
        start,
        cpu_s,
        peak_kb,
        [burst for burst, _ in made],
        [acknowledged for _, acknowledged in made],
        usage.wall_s,
        path.read_text("utf-8").count("\n"),
    )


def kube_nft(cluster: LiveCluster) -> Proxy:
    """The agent on node1, with the rights that it is shipped with, for policies alone."""
    flags = ("--run-firewall=true", "--run-service-proxy=false", *IPV4_ONLY)
    agent = cluster.agent(flags=flags)
    return Proxy("kube-nft", cluster.node1, agent.argv, "kube-nft", "", agent.log_path)


def kube_router(cluster: LiveCluster, program: str) -> Proxy:
    """kube-router on node2, likewise."""
    user = kubeconfig.with_token(cluster.api.admin_token)
    argv = [
        program,
        *cluster.kubeconfig(user, name="kube-router"),
        "--hostname-override=node2",
        "--run-router=false",
        "--run-service-proxy=false",
        "--use-nftables-for-netpol",
        *IPV4_ONLY,
    ]
    log = cluster.directory / "kube-router.log"
    return Proxy("kube-router", cluster.node2, argv, "kube-router-filter-ipv4", "", log)


def columns(figures: Figures) -> dict[str, str]:
    """One agent's column of the report."""

    def ms(seconds: list[float]) -> str:
        return f"{statistics.median(seconds) * 1000:,.1f}"

    late = [b.last_s - a for b, a in zip(figures.changes, figures.acknowledged_s, strict=True)]
    return {
        "start: first commit, s": f"{figures.start.first_s:,.2f}",
        "start: last commit, s": f"{figures.start.last_s:,.2f}",
        "start: commits": f"{figures.start.commits:,}",
        "start: CPU s": f"{figures.start_cpu_s:,.2f}",
        "start: peak memory, MB": f"{figures.peak_kb / 1024:,.0f}",
        "a pod's label: until acknowledged, ms p50": ms(figures.acknowledged_s),
        "a pod's label: last commit behind answer, ms p50": ms(late),
        "a pod's label: commits, most": f"{max(b.commits for b in figures.changes):,}",
        "nft list ruleset, wall s": f"{figures.listing_s:,.2f}",
        "nft list ruleset, lines": f"{figures.listing_lines:,}",
    }


def run(plan: Plan, program: str) -> Mapping[str, Figures]:
    """Measure one size."""
    with LiveCluster(lean=True) as cluster:
        say(f"filling the API server with {plan.size}, {plan.services.services:,} Services")
        filling.fill(cluster.api, plan.services)
        ips = {node.host_name: node.ips[4] for node in cluster.nodes}
        population.populate(cluster.api, plan.size, ips)
        results = {"kube-nft": measure(cluster, kube_nft(cluster), plan, plan.changes)}
        if program and plan.compared:
            other = kube_router(cluster, program)
            results[other.name] = measure(cluster, other, plan, 1)
        return results


def main() -> None:
    plans = QUICK if os.environ.get("BENCH_QUICK", "") not in ("", "0") else PLANS
    sweep()
    print(report.machine())
    for plan in plans:
        results = run(plan, os.environ.get("KUBE_ROUTER", ""))
        made = {name: columns(figures) for name, figures in results.items()}
        names = next(iter(made.values()))
        rows = ([name, *(column[name] for column in made.values())] for name in names)
        print(f"\n{report.table((str(plan.size), *made), rows)}", flush=True)


if __name__ == "__main__":
    main()
