"""The Services of a benchmark: as manifests for the agent, and as rulesets of other shapes.

Both shapes begin with one map from frontend to the chain of its Service, and leave out everything but
the choice of an endpoint: what a real proxy adds (masquerade, policies) would only make them larger.

Layout A has a chain for each Service and for each endpoint:

    chain svc-7  { numgen random mod 2 vmap { 0 : goto ep-7-0, 1 : goto ep-7-1 } }
    chain ep-7-0 { meta l4proto tcp dnat to 10.128.0.2:8080 }

Layout B has a chain for each Service:

    chain svc-7  { meta l4proto tcp dnat to numgen random mod 2 map { 0 : 10.128.0.2 . 8080, ... } }
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rig import objects
from rig.objects import Object

SERVICE_PORT = 80
TARGET_PORT = 8080
SERVICE_RANGES = {4: "10.96.0.0/16", 6: "fd96::/112"}
POD_RANGE = "10.128.0.0/9"
# A pod of the first node that is no endpoint.
CLIENT_IP = "10.128.0.1"
# The pods are dealt out to the nodes in turn.
NODES = 1000
SERVICES_PER_FILE = 100
CHANGES = 100


@dataclass(frozen=True, order=True)
class Size:
    """How many Services, and how many endpoints each of them has in each family."""

    services: int
    endpoints: int = 10
    families: tuple[int, ...] = (4,)
    affinity: bool = False

    def __str__(self) -> str:
        return f"{self.services:,} x {self.endpoints}" + (", affinity" if self.affinity else "")

    def endpoint_ips(self, service: int, family: int = 4) -> list[str]:
        """The endpoints of the Service with this number; no two Services share one."""
        first = service * self.endpoints
        return [pod_ip(first + slot, family) for slot in range(self.endpoints)]


def service_ip(service: int, family: int = 4) -> str:
    """The ClusterIP of the Service with this number."""
    high, low = divmod(service + 1, 256)
    return f"10.96.{high}.{low}" if family == 4 else f"fd96::{service + 1:x}"


def pod_ip(pod: int, family: int) -> str:
    """The address of the pod with this number, up to 252 pods a node."""
    host, node = divmod(pod, NODES)
    if family == 4:
        return f"10.{128 + node // 256}.{node % 256}.{2 + host}"
    return f"fd44:0:0:{node:x}::{2 + host:x}"


# Manifests ----------------------------------------------------------------------------------------


def _node(number: int) -> Object:
    high, low = divmod(number, 256)
    return objects.node(
        f"node{number + 1}",
        [f"192.168.{high}.{low}", f"fd50::{number + 1:x}"],
        [f"10.{128 + high}.{low}.0/24", f"fd44:0:0:{number:x}::/64"],
    )


def _service(size: Size, service: int) -> Object:
    ips = [service_ip(service, family) for family in size.families]
    ports = [objects.port(SERVICE_PORT, target=TARGET_PORT, name="http")]
    affinity_s = 10800 if size.affinity else 0
    return objects.service(f"service-{service}", ips, ports, affinity_s=affinity_s)


def _slice(size: Size, service: int, family: int, ips: Iterable[str]) -> Object:
    first = service * size.endpoints
    endpoints = [
        objects.endpoint(ip, f"node{(first + slot) % NODES + 1}", ready=True)
        for slot, ip in enumerate(ips)
    ]
    return objects.slice_of(_service(size, service), endpoints, family=family)


def _documents(size: Size, services: Iterable[int]) -> Iterator[Object]:
    for service in services:
        yield _service(size, service)
        for family in size.families:
            yield _slice(size, service, family, size.endpoint_ips(service, family))


def _write(path: Path, made: Iterable[Object]) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.writelines(json.dumps(document) + "\n" for document in made)


def write_manifests(size: Size, directory: Path) -> None:
    """Write all objects into the new @directory."""
    directory.mkdir()
    _write(directory / "nodes.json", map(_node, range(NODES)))
    for first in range(0, size.services, SERVICES_PER_FILE):
        services = range(first, min(first + SERVICES_PER_FILE, size.services))
        _write(directory / f"services-{first:05}.json", _documents(size, services))


def write_changes(size: Size, path: Path) -> None:
    """Write slices, spread over the Services, in each of which one endpoint is another one now."""
    fresh = size.services * size.endpoints
    changes = []
    for number in range(CHANGES):
        service = number * size.services // CHANGES
        ips = size.endpoint_ips(service)
        ips[number % size.endpoints] = pod_ip(fresh + number, 4)
        changes.append(_slice(size, service, 4, ips))
    path.write_text(json.dumps(changes), encoding="ascii")


# Rulesets of other shapes -------------------------------------------------------------------------


def _chain(name: str, *rules: str) -> str:
    return f"\tchain {name} {{\n" + "".join(f"\t\t{rule}\n" for rule in rules) + "\t}\n"


def _table(size: Size, chains: Iterable[str]) -> Iterator[str]:
    yield "table ip bench {\n"
    yield "\tmap services {\n"
    yield "\t\ttypeof ip daddr . meta l4proto . th dport : verdict\n"
    yield "\t\telements = {\n"
    for service in range(size.services):
        yield f"\t\t\t{service_ip(service)} . tcp . {SERVICE_PORT} : goto svc-{service},\n"
    yield "\t\t}\n"
    yield "\t}\n"
    for hook, priority in (("prerouting", "dstnat"), ("output", "-100")):
        yield _chain(
            hook,
            f"type nat hook {hook} priority {priority}; policy accept;",
            "ip daddr . meta l4proto . th dport vmap @services",
        )
    yield from chains
    yield "}\n"


def _chains_a(size: Size) -> Iterator[str]:
    for service in range(size.services):
        slots = ", ".join(f"{slot} : goto ep-{service}-{slot}" for slot in range(size.endpoints))
        yield _chain(f"svc-{service}", f"numgen random mod {size.endpoints} vmap {{ {slots} }}")
        for slot, ip in enumerate(size.endpoint_ips(service)):
            yield _chain(f"ep-{service}-{slot}", f"meta l4proto tcp dnat to {ip}:{TARGET_PORT}")


def _chains_b(size: Size) -> Iterator[str]:
    for service in range(size.services):
        ips = enumerate(size.endpoint_ips(service))
        slots = ", ".join(f"{slot} : {ip} . {TARGET_PORT}" for slot, ip in ips)
        choice = f"numgen random mod {size.endpoints} map {{ {slots} }}"
        yield _chain(f"svc-{service}", f"meta l4proto tcp dnat to {choice}")


CHAINS = {"A": _chains_a, "B": _chains_b}


def write_ruleset(layout: str, size: Size, path: Path) -> None:
    """Write layout @layout, "A" or "B", for nft -f."""
    with open(path, "w", encoding="ascii") as file:
        file.writelines(_table(size, CHAINS[layout](size)))
