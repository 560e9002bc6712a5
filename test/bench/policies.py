"""Print what NetworkPolicies cost kube-nft and kube-router, with a real API server. Started by
test/bench/run-policies.

kube-router is measured when KUBE_ROUTER names its program. No figure makes it fail; something that
does not work does.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rig.api import kubeconfig
from rig.cluster import SERVICE_RANGES
from rig.live.cluster import LiveCluster
from rig.netns import sweep
from rig.state import generation, nftables_socket, read_generation

import filling
import population
import report
from figures import say
from layouts import Size
from population import Population
from program import run_measured
from proxies import PeakMemory, Proxy

HANG_S = 1800.0
ASK_S = 0.001
# So much of what an agent has received at last is there when its lists are in; the rest comes later.
LISTED = 0.99
LISTINGS = 3
START_REST_S = 10.0
# kube-nft deletes what nobody uses any more a second after a commit.
REST_S = 1.5
IPV4_ONLY = ("--enable-ipv6=false", f"--service-cluster-ip-range={SERVICE_RANGES[0]}")


@dataclass(frozen=True)
class Plan:
    """A size, and who is measured in it."""

    name: str
    size: Population
    services: Size
    subjects: Sequence[str]


@dataclass(frozen=True)
class Subject:
    """Who is measured: which node it is on, how many labels of local and of remote pods change, and when
    all is done that follows from one: after so long without a commit, or when it has logged the end
    of what it began to write behind the change."""

    node: int
    make: Callable[[LiveCluster], Proxy]
    local: int = 25
    remote: int = 25
    quiet_s: float = 0.5
    begins: str = ""
    ends: str = ""

    def times_begun(self, agent: Proxy) -> int:
        return logged(agent, self.begins)

    def has_ended(self, agent: Proxy, begun: int) -> bool:
        """Whether it has ended more than it had begun."""
        return not self.ends or logged(agent, self.ends) > begun


@dataclass(frozen=True)
class Burst:
    """What came until nothing more came, in seconds from the beginning: when nearly all was received,
    and how many commits there were behind that, and when the first and the last."""

    listed_s: float
    commits: int
    first_s: float
    last_s: float


@dataclass(frozen=True)
class Change:
    """A label was changed: until the API server answered, and until the last commit."""

    acknowledged_s: float
    burst: Burst


@dataclass(frozen=True)
class Figures:
    """All of one subject."""

    start: Burst
    start_cpu_s: float
    peak_kb: int
    changes: Mapping[str, list[Change]]
    listing_s: float
    listing_lines: int


def logged(agent: Proxy, what: str) -> int:
    """How often an agent has logged this; nothing: never."""
    return agent.log.read_text("utf-8").count(what) if what else 0


def received(pid: int) -> int:
    """How many bytes have come over the network of a process."""
    text = Path(f"/proc/{pid}/net/dev").read_text("ascii")
    return int(re.search(r"^ *eth0: *(\d+)", text, re.MULTILINE)[1])  # type: ignore[index]


def watch(
    agent: Proxy,
    subject: Subject,
    since: int,
    begin: float,
    begun: int,
    *,
    quiet_s: float,
    lists: bool,
) -> Burst:
    """Follow the generation's number until it rests, and more has ended than had @begun. With @lists,
    what is received must rest as well, and commits count only behind those."""
    samples = [(begin, since, 0)]
    deadline = time.monotonic() + HANG_S
    rested = begin
    with nftables_socket(agent.space) as sock:
        while (
            samples[-1][1] == since
            or time.monotonic() < rested + quiet_s
            or not subject.has_ended(agent, begun)
        ):
            now, number, size = time.monotonic(), read_generation(sock), received(agent.pid)
            if number != samples[-1][1] or (lists and size != samples[-1][2]):
                rested = now
            elif now > deadline:
                raise TimeoutError("waited for a commit")
            samples.append((now, number, size))
            time.sleep(ASK_S)
    whole = samples[-1][2] if lists else 0
    listed, known = next((t, n) for t, n, size in samples if size >= LISTED * whole)
    pairs = itertools.pairwise(s for s in samples if s[0] >= listed)
    times = [now for (_, before, _), (now, number, _) in pairs if number != before]
    return Burst(listed - begin, samples[-1][1] - known, times[0] - begin, times[-1] - begin)


def measure_start(agent: Proxy, subject: Subject) -> tuple[Burst, float, int]:
    """Start it on a node without tables."""
    with contextlib.ExitStack() as cleanup:
        since, begin = generation(agent.space), time.monotonic()
        agent.start()
        peak = PeakMemory(agent, cleanup)
        quiet_s = 0.0 if subject.ends else START_REST_S
        burst = watch(agent, subject, since, begin, 0, quiet_s=quiet_s, lists=True)
        agent.check()
        return burst, agent.cpu_s(), peak.kb


def measure_change(
    cluster: LiveCluster, agent: Proxy, subject: Subject, namespace: int, pod: int, app: int
) -> Change:
    """Give a pod another label, when all is done that followed from the one before."""
    time.sleep(REST_S)
    begun = subject.times_begun(agent)
    since, begin = generation(agent.space), time.monotonic()
    population.relabel(cluster.admin, namespace, pod, app)
    acknowledged = time.monotonic() - begin
    quiet_s = subject.quiet_s
    burst = watch(agent, subject, since, begin, begun, quiet_s=quiet_s, lists=False)
    return Change(acknowledged, burst)


# How often the label of a pod, by its namespace and number, was changed: it gets a new one each time.
Relabelled = Counter[tuple[int, int]]


def measure_changes(
    cluster: LiveCluster, agent: Proxy, plan: Plan, subject: Subject, relabelled: Relabelled
) -> dict[str, list[Change]]:
    """Labels of pods of this node, one in each namespace, and of pods of other nodes."""
    near = plan.size.near
    pods = {
        "a local pod's label": (subject.node * plan.size.local, subject.local),
        "a remote pod's label": (plan.size.pods - 1, subject.remote),
    }

    def change(namespace: int, pod: int) -> Change:
        relabelled[namespace, pod] += 1
        app = pod + 4 + relabelled[namespace, pod]
        return measure_change(cluster, agent, subject, namespace, pod, app)

    return {
        name: [change(n % near, pod) for n in range(changes)]
        for name, (pod, changes) in pods.items()
    }


def measure(cluster: LiveCluster, name: str, plan: Plan, relabelled: Relabelled) -> Figures:
    """Everything, from a node without tables to an agent that has ended."""
    subject = SUBJECTS[name]
    agent = subject.make(cluster)
    say(f"{name}: start")
    agent.space.run("nft", "flush", "ruleset")
    start, cpu_s, peak_kb = measure_start(agent, subject)
    say(f"{name}: changes of labels")
    changes = measure_changes(cluster, agent, plan, subject, relabelled)
    path = cluster.directory / f"{agent.name}.nft"
    listings = [
        run_measured(agent.space, "nft", "list", "ruleset", output=path) for _ in range(LISTINGS)
    ]
    agent.stop()
    return Figures(
        start,
        cpu_s,
        peak_kb,
        changes,
        statistics.median(usage.wall_s for usage in listings),
        path.read_text("utf-8").count("\n"),
    )


def kube_nft(cluster: LiveCluster, *flags: str) -> Proxy:
    """The agent on node1, with the rights that it is shipped with."""
    agent = cluster.agent(flags=(*flags, *IPV4_ONLY))
    return Proxy("kube-nft", cluster.node1, agent.argv, "kube-nft", "", agent.log_path)


def kube_router(cluster: LiveCluster) -> Proxy:
    """kube-router on node2, for policies alone."""
    user = kubeconfig.with_token(cluster.api.admin_token)
    argv = [
        os.environ["KUBE_ROUTER"],
        *cluster.kubeconfig(user, name="kube-router"),
        "--hostname-override=node2",
        "--run-router=false",
        "--run-service-proxy=false",
        "--use-nftables-for-netpol",
        "--v=2",
        *IPV4_ONLY,
    ]
    log = cluster.directory / "kube-router.log"
    return Proxy("kube-router", cluster.node2, argv, "kube-router-filter-ipv4", "", log)


POLICIES, SERVICES = "--run-firewall=true", "--run-service-proxy"
SUBJECTS = {
    "kube-nft": Subject(0, lambda c: kube_nft(c, POLICIES, f"{SERVICES}=false")),
    "kube-nft, Services too": Subject(0, lambda c: kube_nft(c, POLICIES, f"{SERVICES}=true")),
    "kube-nft, only Services": Subject(0, lambda c: kube_nft(c, f"{SERVICES}=true"), local=0, remote=0),
    # It writes all policies anew for each change, one time after the other without a rest.
    "kube-router": Subject(
        1,
        kube_router,
        local=1,
        remote=0,
        quiet_s=0.0,
        begins="Starting sync of nftables",
        ends="sync nftables took",
    ),
}
PLANS = (
    Plan("small", Population(), Size(10_000, 1), tuple(SUBJECTS)),
    Plan("large", Population(500, 100, 20, near=55), Size(1, 1), ("kube-nft",)),
)
QUICK = (Plan("quick", Population(5, 20, 10, near=5), Size(100, 1), tuple(SUBJECTS)),)


def percentiles(seconds: Sequence[float]) -> str:
    """p50 and p90 in milliseconds; of one figure, that."""
    if len(seconds) == 1:
        return f"{seconds[0] * 1000:,.1f}"
    deciles = statistics.quantiles(seconds, n=10)
    return f"{deciles[4] * 1000:,.1f} / {deciles[8] * 1000:,.1f}"


def change_rows(name: str, changes: Sequence[Change]) -> dict[str, str]:
    """The rows of one kind of change."""
    made = {
        "until acknowledged, ms p50 / p90": [c.acknowledged_s for c in changes],
        "until committed, ms p50 / p90": [c.burst.last_s for c in changes],
        "commit behind answer, ms p50 / p90": [c.burst.last_s - c.acknowledged_s for c in changes],
    }
    rows = {f"{name}: {what}": percentiles(s) if s else "-" for what, s in made.items()}
    return rows | {
        f"{name}: commits, most": f"{max(c.burst.commits for c in changes):,}" if changes else "-"
    }


def columns(figures: Figures) -> dict[str, str]:
    """One subject's column of the report."""
    start, rows = figures.start, {}
    for name, changes in figures.changes.items():
        rows |= change_rows(name, changes)
    return {
        "start: until the lists are in, s": f"{start.listed_s:,.2f}",
        "start: lists until first commit, s": f"{start.first_s - start.listed_s:,.2f}",
        "start: lists until last commit, s": f"{start.last_s - start.listed_s:,.2f}",
        "start: commits behind the lists": f"{start.commits:,}",
        "start: CPU s": f"{figures.start_cpu_s:,.2f}",
        "start: peak memory, MB": f"{figures.peak_kb / 1024:,.0f}",
        **rows,
        "nft list ruleset, wall s": f"{figures.listing_s:,.2f}",
        "nft list ruleset, lines": f"{figures.listing_lines:,}",
    }


def run(plan: Plan, names: Sequence[str]) -> Mapping[str, Figures]:
    """Measure one size."""
    with LiveCluster(lean=True) as cluster:
        say(f"filling the API server with {plan.size}, {plan.services.services:,} Services")
        filling.fill(cluster.api, plan.services)
        ips = {node.host_name: node.ips[4] for node in cluster.nodes}
        population.populate(cluster.api, plan.size, ips)
        relabelled: Relabelled = Counter()
        return {name: measure(cluster, name, plan, relabelled) for name in names}


def main() -> None:
    plans = QUICK if os.environ.get("BENCH_QUICK", "") not in ("", "0") else PLANS
    only = os.environ.get("BENCH_ONLY", "")
    absent = () if os.environ.get("KUBE_ROUTER") else ("kube-router",)
    sweep()
    print(report.machine())
    for plan in plans:
        wanted = [n for n in plan.subjects if n not in absent and only in f"{plan.name}: {n}"]
        if wanted:
            made = {name: columns(figures) for name, figures in run(plan, wanted).items()}
            names = next(iter(made.values()))
            rows = ([name, *(column[name] for column in made.values())] for name in names)
            print(f"\n{report.table((str(plan.size), *made), rows)}", flush=True)


if __name__ == "__main__":
    main()
