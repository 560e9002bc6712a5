"""How long a TCP connection to a Service takes to be there.

    client 10.128.0.1 ---- veth ---- node, whose own every pod address is (one local route)

The node's table meets the packets of each layout in a pair of namespaces of its own. The measuring
thread itself accepts each connection before it makes the next, so that no other process takes part.
"""

from __future__ import annotations

import contextlib
import random
import socket
import statistics
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass

from rig.client import NO_LINGER
from rig.netns import Namespace

from layouts import CLIENT_IP, POD_RANGE, SERVICE_PORT, TARGET_PORT, Size, service_ip

GATEWAY = "169.254.1.1"
CONNECTS = 3000
WARM_UP = 300
HANG_S = 10
SEND_TIMEOUT = struct.pack("ll", HANG_S, 0)


class Link:
    """A client and a node whose table is still to be loaded. All addresses of network @clients are the
    client's too."""

    def __init__(self, name: str, cleanup: contextlib.ExitStack, *, clients: str = "") -> None:
        self.node = Namespace(f"{name}-node", cleanup)
        self.client = Namespace(f"{name}-client", cleanup)
        self.node.ip(
            f"link add pod type veth peer eth0 netns {self.client.name}",
            "link set pod up",
            f"address add {GATEWAY}/32 dev pod",
            f"route add {CLIENT_IP}/32 dev pod",
            # In the main table, where the longer prefix of the client wins.
            f"route add local {POD_RANGE} dev lo table main",
        )
        self.client.ip(
            "link set eth0 up",
            f"address add {CLIENT_IP}/32 dev eth0",
            f"route add default via {GATEWAY} dev eth0 onlink",
        )
        if clients:
            self.node.ip(f"route add {clients} via {CLIENT_IP} dev pod onlink")
            self.client.ip(f"route add local {clients} dev lo")
        self.listener = self.node.socket(socket.AF_INET, socket.SOCK_STREAM)
        cleanup.callback(self.listener.close)
        self.listener.bind(("", TARGET_PORT))
        self.listener.listen()
        self.listener.settimeout(HANG_S)

    def connect(self, address: str, port: int, *, source: str = "") -> tuple[float, str]:
        """Connect once: microseconds, and the address that was met."""
        with self.client.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            # settimeout() would make connect() two system calls.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_TIMEOUT)
            if source:
                sock.bind((source, 0))
            begin = time.perf_counter_ns()
            sock.connect((address, port))
            took_us = (time.perf_counter_ns() - begin) / 1000
            connection, _ = self.listener.accept()
            with connection:
                return took_us, connection.getsockname()[0]


@dataclass(frozen=True)
class Latency:
    """Of many connects, in microseconds."""

    p50: float
    p99: float


def _check(size: Size, service: int, met: str) -> None:
    if met not in size.endpoint_ips(service):
        raise RuntimeError(f"a connection to {service_ip(service)} has met {met}")


def measure(size: Size, links: Mapping[str, Link]) -> dict[str, Latency]:
    """Connect by all links in turn, to the same Service in each round; by the one called "direct" to
    one of its endpoints. The order of the links is another one in each round."""
    rng = random.Random(1)
    samples: dict[str, list[float]] = {name: [] for name in links}
    for number in range(WARM_UP + CONNECTS):
        service = rng.randrange(size.services)
        for name, link in rng.sample(list(links.items()), len(links)):
            if name == "direct":
                target = rng.choice(size.endpoint_ips(service)), TARGET_PORT
            else:
                target = service_ip(service), SERVICE_PORT
            took_us, met = link.connect(*target)
            _check(size, service, met)
            if number >= WARM_UP:
                samples[name].append(took_us)
    percentiles = {name: statistics.quantiles(s, n=100) for name, s in samples.items()}
    return {name: Latency(p[49], p[98]) for name, p in percentiles.items()}
