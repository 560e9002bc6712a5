"""Print what session affinity costs: a connection, and ten thousand Services that have it.
Started by test/bench/run-affinity.

One Service has many endpoints, and many clients connect to it, each for the first time and then again, from
addresses of their own. The layout beside ours is that of kube-proxy's nftables mode: a chain and a set
of clients for each endpoint, which the Service's chain looks into one after the other:

    chain svc  { ip saddr @affinity-0 goto ep-0; ip saddr @affinity-1 goto ep-1; ...
                 numgen random mod 1000 vmap { 0 : goto ep-0, 1 : goto ep-1, ... } }
    chain ep-0 { update @affinity-0 { ip saddr }; meta l4proto tcp dnat to 10.128.0.2:8080 }
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rig.agent import Agent, from_manifests
from rig.netns import Namespace, sweep, unique_prefix

import layouts
import program
import report
from latency import Latency, Link
from layouts import SERVICE_PORT, TARGET_PORT, Size, service_ip

ENDPOINTS = 1000
CLIENTS = 10_000
CLIENT_RANGE = "172.16.0.0/16"
MANY_SERVICES = 10_000
REMEMBERED = 50_000
RUNS = 3
CHANGES = 9
# As src/ruleset/bindings.c has the target port in the keys of the map affinity.
TARGET_HASH = 1472883244


def say(what: str) -> None:
    """Tell who waits what is going on."""
    print(f"bench: session affinity: {what}", file=sys.stderr, flush=True)


def client_ip(number: int) -> str:
    """The address of the client with this number."""
    return f"172.16.{number // 256}.{number % 256}"


def _kube_proxy_layout(size: Size) -> Iterator[str]:
    endpoints = list(enumerate(size.endpoint_ips(0)))
    yield "table ip bench {\n"
    for slot, _ in endpoints:
        yield f"\tset affinity-{slot} {{\n\t\ttype ipv4_addr\n"
        yield "\t\tflags dynamic,timeout\n\t\ttimeout 3h\n\t}\n"
    for slot, ip in endpoints:
        yield f"\tchain ep-{slot} {{\n\t\tupdate @affinity-{slot} {{ ip saddr }}\n"
        yield f"\t\tmeta l4proto tcp dnat to {ip}:{TARGET_PORT}\n\t}}\n"
    yield "\tchain svc {\n"
    for slot, _ in endpoints:
        yield f"\t\tip saddr @affinity-{slot} goto ep-{slot}\n"
    slots = ", ".join(f"{slot} : goto ep-{slot}" for slot, _ in endpoints)
    yield f"\t\tnumgen random mod {len(endpoints)} vmap {{ {slots} }}\n\t}}\n"
    yield "\tmap services {\n\t\ttypeof ip daddr . meta l4proto . th dport : verdict\n"
    yield f"\t\telements = {{ {service_ip(0)} . tcp . {SERVICE_PORT} : goto svc }}\n\t}}\n"
    for hook, priority in (("prerouting", "dstnat"), ("output", "-100")):
        yield f"\tchain {hook} {{\n\t\ttype nat hook {hook} priority {priority};\n"
        yield "\t\tip daddr . meta l4proto . th dport vmap @services\n\t}\n"
    yield "}\n"


def _make_agent(size: Size, space: Namespace, directory: Path) -> Agent:
    """An agent in @space, not started, with manifests of that size in the new @directory."""
    directory.mkdir()
    manifests = directory / "manifests"
    layouts.write_manifests(size, manifests)
    flags = [f"--service-cluster-ip-range={layouts.SERVICE_RANGES[4]}"]
    return Agent(space, from_manifests(manifests), directory / "agent.log", flags)


@contextlib.contextmanager
def _running(size: Size, space: Namespace, directory: Path) -> Iterator[Agent]:
    agent = _make_agent(size, space, directory)
    try:
        program.start_agent(agent)
        yield agent
    finally:
        agent.kill()


# Connections ----------------------------------------------------------------------------------------


def _connect_all(
    links: Mapping[str, Link], met: dict[tuple[str, int], str], size: Size, rng: random.Random
) -> dict[str, Latency]:
    """Connect from each client by all links, in a random order. @met is whom they met the first time;
    with affinity they must meet the same."""
    samples: dict[str, list[float]] = {name: [] for name in links}
    for client in rng.sample(range(CLIENTS), CLIENTS):
        for name, link in rng.sample(list(links.items()), len(links)):
            if name == "direct":
                target = rng.choice(size.endpoint_ips(0)), TARGET_PORT
            else:
                target = service_ip(0), SERVICE_PORT
            took_us, pod = link.connect(*target, source=client_ip(client))
            samples[name].append(took_us)
            if met.setdefault((name, client), pod) != pod and name.endswith(", affinity"):
                raise RuntimeError(f"{name}: client {client} has met two endpoints")
    percentiles = {name: statistics.quantiles(s, n=100) for name, s in samples.items()}
    return {name: Latency(p[49], p[98]) for name, p in percentiles.items()}


def measure_connects(directory: Path) -> dict[str, dict[str, Latency]]:
    """The first connection of each client, and a later one, by layout."""
    plain, sticky = Size(1, ENDPOINTS), Size(1, ENDPOINTS, affinity=True)
    names = ("direct", "kube-nft", "kube-nft, affinity", "kube-proxy's layout, affinity")
    met: dict[tuple[str, int], str] = {}
    rng = random.Random(1)
    with contextlib.ExitStack() as cleanup:
        prefix = unique_prefix()
        links = {
            name: Link(f"{prefix}{number}", cleanup, clients=CLIENT_RANGE)
            for number, name in enumerate(names)
        }
        path = directory / "kube-proxy.nft"
        path.write_text("".join(_kube_proxy_layout(sticky)), encoding="ascii")
        links[names[3]].node.run("nft", "-f", str(path))
        cleanup.enter_context(_running(plain, links[names[1]].node, directory / "plain"))
        cleanup.enter_context(_running(sticky, links[names[2]].node, directory / "sticky"))
        return {
            which: _connect_all(links, met, plain, rng)
            for which in ("a client's first", "a client's second", "a client's third")
        }


# Many Services and clients --------------------------------------------------------------------------


def measure_agent(size: Size, directory: Path) -> report.AgentResult:
    """The parts of the agent's work, as bench.py measures them."""
    with contextlib.ExitStack() as cleanup:
        space = Namespace(f"{unique_prefix()}alone", cleanup)
        agent = _make_agent(size, space, directory)
        cleanup.callback(agent.kill)
        changes = directory / "changes.json"
        layouts.write_changes(size, changes)
        parts = program.measure_parts(agent, changes, RUNS)
        return parts, program.start_agent(agent)


@dataclass(frozen=True)
class Many:
    """Beside many clients that are remembered."""

    change_us: float
    restart_us: float
    replace_us: float


def _remember(agent: Agent, size: Size) -> None:
    """As if some clients had connected to each Service."""
    port = SERVICE_PORT << 16 | 6 << 8
    for first in range(0, size.services, 1000):
        elements = []
        for service in range(first, first + 1000):
            octets = bytes(map(int, service_ip(service).split(".")))
            words = f"{int.from_bytes(octets, sys.byteorder)} . {port} . {TARGET_HASH}"
            bound = size.endpoint_ips(service)[: REMEMBERED // size.services]
            elements += [f"{client_ip(n)} . {words} timeout 3h : {ip}" for n, ip in enumerate(bound)]
        command = f"add element ip kube-nft affinity {{ {', '.join(elements)} }}"
        agent.space.run("nft", "-f", "-", stdin=command)


def _remembered(agent: Agent) -> int:
    listing = agent.space.run("nft", "list", "map", "ip", "kube-nft", "affinity")
    return listing.count(" expires ")


def _last_us(agent: Agent, message: str) -> float:
    """What the last log line with @message says that it took."""
    found = re.search(r" us=(\d+)", agent.logged(message)[-1])
    assert found
    return float(found[1])


def _change_endpoints(agent: Agent, manifests: Path) -> float:
    """The median of some changes of one endpoint each, which somebody is bound to."""
    took = []
    for number in range(CHANGES):
        path = manifests / f"services-{100 * number:05}.json"
        documents = [json.loads(line) for line in path.read_text("ascii").splitlines()]
        documents[1]["endpoints"][0]["addresses"] = [f"10.250.0.{number + 1}"]
        before = len(agent.logged("msg=.?synced"))
        hidden = path.with_suffix(".new")
        hidden.write_text("".join(json.dumps(d) + "\n" for d in documents), "ascii")
        hidden.replace(path)
        agent.wait_logged("msg=.?synced", before + 1)
        took.append(_last_us(agent, "msg=.?synced"))
    return statistics.median(took)


def measure_many(directory: Path) -> Many:
    """What the agent does beside many bindings."""
    size = Size(MANY_SERVICES, affinity=True)
    with contextlib.ExitStack() as cleanup:
        space = Namespace(f"{unique_prefix()}many", cleanup)
        agent = cleanup.enter_context(_running(size, space, directory / "many"))
        agent.stop()  # else it looks at what a stranger writes
        _remember(agent, size)
        agent.start()
        agent.wait_logged("msg=.?following", 2, hang_s=program.HANG_S)
        restart_us = _last_us(agent, "tables are as wanted|tables adopted|tables replaced")
        change_us = _change_endpoints(agent, directory / "many" / "manifests")
        if _remembered(agent) != REMEMBERED - CHANGES:
            raise RuntimeError(f"{REMEMBERED} clients became {_remembered(agent)}")
        # They are too many to be kept over that: see TABLES_MAX_CARRIED.
        space.run("nft", "add", "chain", "ip", "kube-nft", "stranger")
        agent.wait_logged("foreign change repaired", hang_s=program.HANG_S)
        replace_us = _last_us(agent, "foreign change repaired")
    return Many(change_us, restart_us, replace_us)


def main() -> None:
    print(report.machine())
    sweep()
    sizes = (Size(MANY_SERVICES), Size(MANY_SERVICES, affinity=True))
    with tempfile.TemporaryDirectory(prefix="kube-nft-") as name:
        directory = Path(name)
        say("connects")
        connects = measure_connects(directory)
        head = f"1 x {ENDPOINTS:,}, {CLIENTS:,} clients: connections"
        print(f"\n{report.latency_table(head, connects)}", flush=True)
        agents = {}
        for size in sizes:
            say(str(size))
            agents[size] = measure_agent(size, directory / f"alone-{size.affinity}")
        print(f"\n{report.agent_table(agents)}", flush=True)
        say(f"{REMEMBERED:,} clients are remembered")
        many = measure_many(directory)
    rows = (
        ("agent: start, comparing the tables, ms", f"{many.restart_us / 1000:,.0f}"),
        ("agent: one endpoint changes, ms", f"{many.change_us / 1000:,.1f}"),
        ("agent: replacing the tables, ms", f"{many.replace_us / 1000:,.0f}"),
    )
    head = f"{sizes[1]}; {REMEMBERED:,} clients remembered"
    print(f"\n{report.table((head, ''), rows)}", flush=True)


if __name__ == "__main__":
    main()
