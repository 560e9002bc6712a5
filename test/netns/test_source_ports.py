"""Row N18: the node's ports that hidden clients come from."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from rig import objects
from rig.agent import Agent
from rig.client import DROP_S, HANG_S, ask, family_of
from rig.cluster import Cluster, cluster_ip
from rig.netns import Namespace
from rig.tracked import track

TARGET = 9090
# Not one of the kernel's own for programs, nor of Services, nor privileged.
LOWEST, HIGHEST = 32768, 65535


@dataclass
class Server:
    """A server in web-1 that tells where its clients come from, behind a NodePort."""

    cluster: Cluster
    at: tuple[str, int]
    listener: socket.socket
    cleanup: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def open(
        self, client: Namespace, source: int = 0, *, timeout_s: float = HANG_S
    ) -> tuple[socket.socket, socket.socket, int]:
        """Both ends of a connection from port @source, and the port that the server sees."""
        sock = client.socket(family_of(self.at[0]), socket.SOCK_STREAM)
        self.cleanup.enter_context(sock)
        sock.settimeout(timeout_s)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", source))
        sock.connect(self.at)
        accepted, peer = self.listener.accept()
        self.cleanup.enter_context(accepted)
        accepted.settimeout(HANG_S)
        return sock, accepted, peer[1]


@pytest.fixture
def server(cluster: Cluster, agent: Agent, family: int) -> Iterator[Server]:
    number = cluster.new_number()
    ports = [objects.port(80, target=TARGET, node_port=30000 + number)]
    cluster.deploy(objects.service("hiding", cluster_ip(number).values(), ports), "web-1")
    cluster.settle(agent)
    version = socket.AF_INET6 if family == 6 else socket.AF_INET
    with cluster.pods["web-1"].socket(version, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", TARGET))
        listener.listen(512)
        listener.settimeout(HANG_S)
        at = (cluster.node1.ips[family], 30000 + number)
        made = Server(cluster, at, listener)
        with made.cleanup:
            yield made


def test_N18_ports_are_neither_the_clients_nor_the_nodes(server: Server) -> None:
    client = server.cluster.client
    sources = [*range(600, 700), *range(30000, 30100), *range(50000, 50100)]
    seen = [server.open(client, source)[2] for source in sources]
    assert all(LOWEST <= port <= HIGHEST for port in seen)
    # At random: neither what the client has nor the next one. One pair may be by chance.
    assert sum(port == source for port, source in zip(seen, sources, strict=True)) <= 1
    steps = [b - a for a, b in zip(seen, seen[1:], strict=False)]
    assert sum(-2 <= step <= 2 for step in steps) <= 3


def test_N18_equal_ports_do_not_clash(server: Server) -> None:
    """Three clients from one port: the node gives each another one."""
    cluster = server.cluster
    places = [cluster.client, cluster.pods["shell"], cluster.node2]
    lines = [server.open(place, 23456) for place in places]
    assert len({port for _, _, port in lines}) == len(lines)
    for n, (sock, accepted, _) in enumerate(lines):
        sock.sendall(b"from client %d" % n)
        assert accepted.recv(100) == b"from client %d" % n
        accepted.sendall(b"to client %d" % n)
        assert sock.recv(100) == b"to client %d" % n


def occupy(server: Server, family: int, taken: int) -> None:
    """Have all other ports taken by which the node could hide a client from web-1's server."""
    cluster = server.cluster
    pod, gateway = cluster.pods["web-1"].ips[family], cluster.node1.gateways[family]
    somebody = {4: "192.0.2.1", 6: "2001:db8::1"}[family]
    fixed = f"-s {somebody} -d {server.at[0]} --dport {server.at[1]} "
    fixed += f"-r {pod} -q {gateway} --reply-port-src {TARGET}"
    ports = (port for port in range(LOWEST, HIGHEST + 1) if port != taken)
    others = (f"{fixed} --sport {p} --reply-port-dst {p}" for p in ports)
    track(cluster.node1, cluster.directory, others)


def test_N18_ports_that_are_used_up_cost_nobody_else(server: Server, family: int) -> None:
    cluster = server.cluster
    # The kernel gives away the ports of connections that have ended.
    cluster.node1.run("conntrack", "-F")
    sock, accepted, taken = server.open(cluster.client)
    occupy(server, family, taken)
    with pytest.raises(TimeoutError):
        server.open(cluster.client, timeout_s=DROP_S)
    sock.sendall(b"still here")
    assert accepted.recv(100) == b"still here"
    # Clients that are not hidden need no port, and other endpoints have ports of their own.
    direct = cluster.pods["web-1"].ips[family]
    assert ask(cluster.client, direct, 8080).pod == "web-1"
    assert ask(cluster.pods["shell"], direct, 8080).pod == "web-1"
    cluster.node1.run("conntrack", "-F")
    assert LOWEST <= server.open(cluster.client)[2] <= HIGHEST
