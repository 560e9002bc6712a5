"""What is measured of a service proxy in a cluster with a real API server."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from dataclasses import dataclass

from rig.live.cluster import LiveCluster
from rig.state import generation

import filling
from generations import Listener, wait_generation
from layouts import SERVICE_PORT, Size
from program import run_measured
from proxies import PeakMemory, Proxy

# A proxy is left alone for so long before each update.
REST_S = (1.0, 2.0)
QUIET_S = 5.0
CHURN_RATE = 50
# The number of the Service that comes while a proxy does not run.
LATE = 20_000


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    size: Size = Size(10_000)
    updates: int = 100
    churn_s: float = 600
    # Of whom we compare ourselves with: whether his memory grows is not in question.
    other_churn_s: float = 60
    idle_s: float = 60


QUICK = Plan(Size(500), updates=20, churn_s=20, other_churn_s=20, idle_s=10)


def say(what: str) -> None:
    """Tell who waits what is going on."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Start:
    """From the start of the process until the kernel has the Service asked for. The memory is the
    peak of the process and its children together."""

    wall_s: float
    cpu_s: float
    peak_kb: int


@dataclass(frozen=True)
class Change:
    """One update in seconds: from request to answer, and to commit."""

    acknowledged_s: float
    committed_s: float


@dataclass(frozen=True)
class Unchanged:
    """A restart that has nothing to do: until the proxy says so, and the messages with elements that
    it has sent all the same."""

    wall_s: float
    messages: int


@dataclass(frozen=True)
class Figures:
    """All of one proxy."""

    start: Start
    restart: Start
    unchanged: Unchanged | None
    changes: list[Change]
    listing_s: float
    listing_bytes: int
    churn_s: float
    churn_rate: float
    memory_kb: list[int]  # before the churn, after a tenth of it, at its end
    idle_ms: float


def measure_start(proxy: Proxy, service: int) -> Start:
    """Start the proxy, and wait until this Service is committed."""
    with contextlib.ExitStack() as cleanup:
        since = generation(proxy.space)
        begin = time.monotonic()
        proxy.start()
        peak = PeakMemory(proxy, cleanup)
        address = filling.address_of(service)
        at = wait_generation(proxy.space, since, lambda: proxy.serves(address, SERVICE_PORT))
        proxy.wait_childless()
        return Start(at - begin, proxy.cpu_s(), peak.kb)


def measure_restart(cluster: LiveCluster, proxy: Proxy, plan: Plan) -> Start:
    """Restart it with its table in place. A Service that came meanwhile shows when it is done."""
    proxy.stop()
    late = filling.service_of(LATE), filling.slice_of(plan.size, LATE)
    for made in late:
        cluster.admin.create(made)
    started = measure_start(proxy, LATE)
    for made in late:
        cluster.admin.delete(made)
    return started


def measure_unchanged(proxy: Proxy) -> Unchanged | None:
    """Restart it when nothing has changed. Not for a proxy that writes its table anew, since the
    notifications of that would take longer than all else."""
    if not proxy.settled:
        return None
    count = proxy.times_settled()
    proxy.stop()
    with contextlib.ExitStack() as cleanup:
        listener = Listener(proxy.space, cleanup)
        begin = time.monotonic()
        proxy.start()
        while proxy.times_settled() == count:
            time.sleep(0.01)
        took = time.monotonic() - begin
        return Unchanged(took, listener.elements["kube-nft"])


def measure_changes(
    cluster: LiveCluster, proxy: Proxy, plan: Plan, spares: range
) -> list[Change]:
    """Update EndpointSlices all over the cluster, one at a time, with a pause before each."""
    dice, changes = random.Random(1), []
    with contextlib.ExitStack() as cleanup:
        listener = Listener(proxy.space, cleanup)
        for number, spare in enumerate(spares):
            time.sleep(dice.uniform(*REST_S))
            service = number * plan.size.services // plan.updates
            made = filling.update(cluster.admin, plan.size, service, spare)
            commit = listener.wait_commit(made.sent)
            changes.append(Change(made.acknowledged - made.sent, commit.at - made.sent))
    return changes


def measure_listing(cluster: LiveCluster, proxy: Proxy, latest_ip: str) -> tuple[float, int]:
    """List the ruleset, which must hold the address that came last: seconds and bytes."""
    path = cluster.directory / f"{proxy.name}.nft"
    usage = run_measured(proxy.space, "nft", "list", "ruleset", output=path)
    if latest_ip not in path.read_text("utf-8"):
        raise RuntimeError(f"{proxy.name} has lost an update")
    return usage.wall_s, path.stat().st_size


def wait_quiet(proxy: Proxy) -> None:
    """Wait until it has committed nothing for a while."""
    known, since = generation(proxy.space), time.monotonic()
    while time.monotonic() < since + QUIET_S:
        time.sleep(0.1)
        number = generation(proxy.space)
        if number != known:
            known, since = number, time.monotonic()


def measure_churn(
    cluster: LiveCluster, proxy: Proxy, plan: Plan, churn_s: float
) -> tuple[float, list[int]]:
    """Change EndpointSlices all the time: the rate that was reached, and the memory."""
    memory, shares = [proxy.memory_kb()], (0.1, 0.9)
    rates = []
    for share in shares:
        rates.append(filling.churn(cluster.api, plan.size, CHURN_RATE, share * churn_s))
        wait_quiet(proxy)
        memory.append(proxy.memory_kb())
    return sum(r * s for r, s in zip(rates, shares)), memory


def measure_idle(proxy: Proxy, plan: Plan) -> float:
    """The milliseconds of processor time that it takes in a minute without changes."""
    before = proxy.cpu_ns()
    time.sleep(plan.idle_s)
    return (proxy.cpu_ns() - before) / 1e6 * 60 / plan.idle_s


def measure(cluster: LiveCluster, proxy: Proxy, plan: Plan, turn: int) -> Figures:
    """Everything, from a node without tables to a proxy that has ended. @turn: how many proxies were
    measured before, so that each update of all brings another pod."""
    first = filling.CHURNED + turn * plan.updates
    spares = range(first, first + plan.updates)
    say(f"{proxy.name}: start")
    start = measure_start(proxy, plan.size.services - 1)
    say(f"{proxy.name}: restart")
    restart = measure_restart(cluster, proxy, plan)
    wait_quiet(proxy)
    unchanged = measure_unchanged(proxy)
    say(f"{proxy.name}: {plan.updates} single updates")
    changes = measure_changes(cluster, proxy, plan, spares)
    latest_ip = filling.spare_ip(plan.size, spares[-1])
    listing_s, listing_bytes = measure_listing(cluster, proxy, latest_ip)
    churn_s = plan.churn_s if proxy.settled else plan.other_churn_s
    say(f"{proxy.name}: churn for {churn_s:.0f} s")
    rate, memory = measure_churn(cluster, proxy, plan, churn_s)
    say(f"{proxy.name}: nothing for {plan.idle_s:.0f} s")
    idle_ms = measure_idle(proxy, plan)
    proxy.stop()
    return Figures(
        start, restart, unchanged, changes, listing_s, listing_bytes, churn_s, rate, memory, idle_ms
    )
