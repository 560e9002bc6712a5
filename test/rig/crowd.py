"""Many clients of one node whose own all endpoints are: connections by the thousand, cheaply.

    client, with every address of its networks ---- veth ---- node, whose own every pod address is

The agent runs on the node. The calling thread connects, and accepts at the other end, before it connects
again; whom a client has met is the address that its connection was accepted at.
"""

from __future__ import annotations

import collections
import contextlib
import ipaddress
import itertools
import shutil
import socket
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import objects
from .agent import Agent, from_manifests
from .client import NO_LINGER
from .netns import Namespace, unique_prefix

CLIENTS = {4: "172.16.0.0/16", 6: "fd77::/64"}
PODS = {4: "10.244.0.0/16", 6: "fd44::/64"}
LINK = {4: ("192.168.70.1", "192.168.70.2"), 6: ("fd70::1", "fd70::2")}
EXTERNAL = {4: "198.18.0.0/16", 6: "2001:db8:113::/64"}
ENDPOINTS_PER_SLICE = 1000
SERVICE_RANGES = {4: "10.96.0.0/16", 6: "fd96::/112"}
TARGET_PORTS = (8080, 8081)
HANG_S = 10
SEND_TIMEOUT = struct.pack("ll", HANG_S, 0)
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def nth(network: str, number: int) -> str:
    """The address with this number in a network."""
    return str(ipaddress.ip_network(network)[number])


def client_ip(number: int, family: int) -> str:
    """The address of the client with this number, from 1 on."""
    return nth(CLIENTS[family], number)


def pod_ip(number: int, family: int) -> str:
    """The address of the endpoint with this number, from 0 on."""
    return nth(PODS[family], number + 1)


def _batches(numbers: Iterable[int], family: int) -> Iterator[list[objects.Object]]:
    """The endpoints of these numbers, for one slice after the other."""
    rest = iter(numbers)
    while some := list(itertools.islice(rest, ENDPOINTS_PER_SLICE)):
        yield [
            objects.endpoint(pod_ip(abs(n), family), "node1" if n >= 0 else "node2") for n in some
        ]


class Crowd:
    """Node, client and agent, not started yet. Everything goes with @cleanup."""

    def __init__(self, cleanup: contextlib.ExitStack) -> None:
        prefix = unique_prefix()
        self.directory = Path(tempfile.mkdtemp(prefix=prefix))
        cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.manifests = self.directory / "manifests"
        self.manifests.mkdir()
        self.node = Namespace(f"{prefix}node", cleanup)
        self.client = Namespace(f"{prefix}client", cleanup)
        self._link()
        self.listeners = {
            (family, port): self._listen(family, port, cleanup)
            for family in (4, 6)
            for port in TARGET_PORTS
        }
        flags = [
            "--enable-ipv6",
            *(f"--service-cluster-ip-range={r}" for r in SERVICE_RANGES.values()),
            *(f"--service-external-ip-range={r}" for r in EXTERNAL.values()),
        ]
        log = self.directory / "agent.log"
        self.agent = Agent(self.node, from_manifests(self.manifests), log, flags)
        cleanup.callback(self.agent.kill)
        self.marks = 0

    def _link(self) -> None:
        self.node.ip(
            f"link add client type veth peer eth0 netns {self.client.name}", "link set client up"
        )
        self.client.ip("link set eth0 up")
        self.client.sysctl({"net.ipv6.ip_nonlocal_bind": 1})
        for family, (node, client) in LINK.items():
            bits = "24" if family == 4 else "64 nodad"
            self.node.ip(
                f"address add {node}/{bits} dev client",
                f"route add {CLIENTS[family]} via {client}",
                f"route add local {PODS[family]} dev lo",
                # A node needs a route to a Service's address before it can translate it.
                f"route add default via {client}",
            )
            self.client.ip(
                f"address add {client}/{bits} dev eth0",
                f"route add local {CLIENTS[family]} dev lo",
                f"route add default via {node}",
            )

    def _listen(self, family: int, port: int, cleanup: contextlib.ExitStack) -> socket.socket:
        listener = self.node.socket(FAMILIES[family], socket.SOCK_STREAM)
        cleanup.callback(listener.close)
        if family == 6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(("", port))
        listener.listen(1024)
        listener.settimeout(HANG_S)
        return listener

    def apply(
        self,
        name: str,
        number: int,
        endpoints: Iterable[int],
        *,
        scheduler: str = "",
        flags: str = "",
        external: int = 0,
        **service: object,
    ) -> dict[int, list[str]]:
        """Apply a Service with this number and these endpoints; the addresses of its frontends, port
        80, by family: the ClusterIP, and @external others. Endpoints with a negative number are on
        another node."""
        ips = {family: nth(SERVICE_RANGES[family], number) for family in (4, 6)}
        more = {
            family: [nth(EXTERNAL[family], 10 * number + n) for n in range(external)]
            for family in (4, 6)
        }
        made = objects.service(
            name, ips.values(), externalIPs=[ip for some in more.values() for ip in some], **service
        )
        annotations = {"scheduler": scheduler, "schedflags": flags}
        made["metadata"]["annotations"] = {
            f"kube-router.io/service.{key}": value for key, value in annotations.items() if value
        }
        slices = [
            objects.slice_of(made, some, suffix=str(n), family=family)
            for family in (4, 6)
            for n, some in enumerate(_batches(endpoints, family))
        ]
        objects.write_manifest(self.manifests, name, made, *slices)
        return {family: [ips[family], *more[family]] for family in (4, 6)}

    def start(self) -> None:
        """Start the agent, and wait until it has done what was applied."""
        self.agent.start()
        self.settle()

    def settle(self) -> None:
        """Wait until what was applied is committed."""
        self.marks += 1
        marker = objects.service("marker", [nth(SERVICE_RANGES[4], 65000)], [objects.port(self.marks)])
        objects.write_manifest(self.manifests, "zz-marker", marker)
        wanted = f"{nth(SERVICE_RANGES[4], 65000)} . tcp . {self.marks} "
        self.agent.wait_until(
            "the last change to be committed",
            lambda: wanted
            in self.node.run("nft", "list", "map", "ip", "kube-nft", "no-endpoints", check=False),
        )

    def met(
        self, connections: Iterable[tuple[str, str]], *, source_port: int = 0, target: int = 8080
    ) -> Iterator[str]:
        """Connect from each client to each address, port 80: the addresses that were met."""
        with self.client.entered():
            for source, address in connections:
                yield self._connect(source, address, source_port, target)

    def _connect(self, source: str, address: str, source_port: int, target: int) -> str:
        family = 6 if ":" in address else 4
        with socket.socket(FAMILIES[family], socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_TIMEOUT)
            sock.bind((source, source_port))
            sock.connect((address, 80))
            connection, _ = self.listeners[family, target].accept()
            with connection:
                return str(connection.getsockname()[0])

    def spread(self, connections: Iterable[tuple[str, str]]) -> collections.Counter[str]:
        """How often each endpoint was met."""
        return collections.Counter(self.met(connections))


@contextlib.contextmanager
def crowd() -> Iterator[Crowd]:
    """A crowd for a while."""
    with contextlib.ExitStack() as cleanup:
        yield Crowd(cleanup)
