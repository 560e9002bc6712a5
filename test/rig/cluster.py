"""Two nodes, their pods, and a client outside, each a network namespace.

    client 192.168.50.100 --+-- node1 192.168.50.11 -- kube-bridge 10.244.1.1 -- pods 10.244.1.2 ...
           (routes to the   |
            Services' nets) +-- node2 192.168.50.12 -- kube-bridge 10.244.2.1 -- pods 10.244.2.2 ...

IPv6 is the same with fd50::/64 and fd44:0:0:N::/64. The agent runs on node1. A pod has a /32 (/128)
address, so that its node routes everything it sends, and br_netfilter is not needed.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from . import objects
from .agent import PROGRAM, Agent, from_manifests
from .netns import Namespace, unique_prefix
from .objects import Object

SERVER = Path(__file__).with_name("server.py")
SERVER_PORTS = ("8080", "8081")

CLIENT_IPS = {4: "192.168.50.100", 6: "fd50::100"}
POD_RANGES = {4: "10.244.0.0/16", 6: "fd44::/16"}
SERVICE_RANGES = ("10.96.0.0/16", "fd96::/112")
EXTERNAL_RANGES = ("203.0.113.0/24", "2001:db8:113::/64")
LOAD_BALANCER_RANGES = ("198.51.100.0/24", "2001:db8:100::/64")
FLAGS = (
    "--enable-ipv6=true",
    *(f"--service-cluster-ip-range={r}" for r in SERVICE_RANGES),
    *(f"--service-external-ip-range={r}" for r in EXTERNAL_RANGES),
    *(f"--loadbalancer-ip-range={r}" for r in LOAD_BALANCER_RANGES),
)
# The frontend by which settle() sees that the agent has come so far, and its endpoint if need be.
MARKER_IPS = {4: "10.96.255.254", 6: "fd96::fffe"}
MARKER_ENDPOINTS = {4: "10.244.2.250", 6: "fd44:0:0:2::fa"}


def cluster_ip(number: int) -> dict[int, str]:
    """The ClusterIPs, by family, of a Service with this number."""
    return {4: f"10.96.{number // 256}.{number % 256}", 6: f"fd96::{number:x}"}


def external_ip(number: int) -> dict[int, str]:
    """Addresses of the external range."""
    return {4: f"203.0.113.{number}", 6: f"2001:db8:113::{number:x}"}


def load_balancer_ip(number: int) -> dict[int, str]:
    """Addresses of the load balancer's range."""
    return {4: f"198.51.100.{number}", 6: f"2001:db8:100::{number:x}"}


def pod_network(node_number: int) -> dict[int, str]:
    """The pod networks, by family, of a node."""
    return {4: f"10.244.{node_number}.0/24", 6: f"fd44:0:0:{node_number}::/64"}


def start_server(
    space: Namespace, name: str, cleanup: contextlib.ExitStack, *ports: str, program: Path = SERVER
) -> subprocess.Popen[str]:
    """Start a server that says "ready" when it is; it ends with @cleanup."""
    argv = [sys.executable, "-IS", str(program), name, *(ports or SERVER_PORTS)]
    server = space.spawn(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    cleanup.callback(server.wait)
    cleanup.callback(server.kill)
    return server


def wait_ready(server: subprocess.Popen[str]) -> None:
    """Wait for a server to listen."""
    assert server.stdout is not None
    if server.stdout.readline() != "ready\n":
        raise RuntimeError(f"{server.args} did not start")


class Host(Namespace):
    """A namespace with eth0 on the nodes' network."""

    def __init__(self, name: str, ips: dict[int, str], cluster: Cluster) -> None:
        super().__init__(cluster.prefix + name, cluster.cleanup)
        self.host_name = name
        self.ips = ips
        cluster.lan.ip(
            f"link add {name} type veth peer eth0 netns {self.name}",
            f"link set {name} master lan up",
        )
        self.ip(
            "link set eth0 up",
            f"address add {ips[4]}/24 dev eth0",
            f"address add {ips[6]}/64 dev eth0 nodad",
        )


class Node(Host):
    """A host with a bridge for pods."""

    def __init__(self, number: int, cluster: Cluster) -> None:
        ips = {4: f"192.168.50.{10 + number}", 6: f"fd50::{10 + number}"}
        super().__init__(f"node{number}", ips, cluster)
        self.number = number
        self.pods = 0
        self.gateways = {4: f"10.244.{number}.1", 6: f"fd44:0:0:{number}::1"}
        self.sysctl({"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1})
        self.ip(
            "link add kube-bridge type bridge",
            "link set kube-bridge up",
            f"address add {self.gateways[4]}/24 dev kube-bridge",
            f"address add {self.gateways[6]}/64 dev kube-bridge nodad",
            # A node needs a route to a Service's address before it can translate it.
            f"route add default via {CLIENT_IPS[4]}",
            f"route add default via {CLIENT_IPS[6]}",
        )

    def seen_as(self, family: int) -> set[str]:
        """The addresses by which a pod may see this node."""
        return {self.ips[family], self.gateways[family]}

    def object(self) -> Object:
        """This node as Kubernetes has it."""
        cidrs = list(pod_network(self.number).values())
        return objects.node(self.host_name, list(self.ips.values()), cidrs)


class Pod(Namespace):
    """A pod with its server."""

    def __init__(self, name: str, node: Node, cluster: Cluster) -> None:
        super().__init__(cluster.prefix + name, cluster.cleanup)
        node.pods += 1
        self.pod_name = name
        self.node = node
        self.ips = {
            4: f"10.244.{node.number}.{1 + node.pods}",
            6: f"fd44:0:0:{node.number}::{1 + node.pods:x}",
        }
        node.ip(
            f"link add {name} type veth peer eth0 netns {self.name}",
            f"link set {name} master kube-bridge up",
        )
        # As CNI does it: with br_netfilter, what is sent to its own pod does not leave the bridge.
        node.run("bridge", "link", "set", "dev", name, "hairpin", "on")
        self.ip(
            "link set eth0 up",
            f"address add {self.ips[4]}/32 dev eth0",
            f"address add {self.ips[6]}/128 dev eth0 nodad",
            *(f"route add {gateway} dev eth0" for gateway in node.gateways.values()),
            *(f"route add default via {gateway}" for gateway in node.gateways.values()),
        )
        self.server = start_server(self, name, cluster.cleanup, program=cluster.server)

    def endpoint(self, family: int, **conditions: bool) -> Object:
        """The pod as an endpoint of a slice."""
        return objects.endpoint(self.ips[family], self.node.host_name, **conditions)


class Cluster:
    """The whole, as a context manager that leaves nothing behind. Manifests go into a directory of
    its own, with the two Nodes in it from the start. @server is the program that pods run."""

    def __init__(self, server: Path = SERVER) -> None:
        self.server = server
        self.cleanup = contextlib.ExitStack()
        self.prefix = unique_prefix()
        self.pods: dict[str, Pod] = {}
        self.agents: list[Agent] = []
        self._marks = 0
        self._numbers = 9

    def __enter__(self) -> Self:
        with self.cleanup:
            self.directory = Path(tempfile.mkdtemp(prefix=self.prefix))
            self.cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)
            # An agent without privileges reads it too.
            self.directory.chmod(0o755)
            self.manifests = self.directory / "manifests"
            self.manifests.mkdir()
            self._build()
            for node in self.nodes:
                self.apply(node.host_name, node.object())
            self.cleanup = self.cleanup.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cleanup.close()

    def _build(self) -> None:
        self.lan = Namespace(self.prefix + "lan", self.cleanup)
        self.lan.ip("link add lan type bridge", "link set lan up")
        self.client = Host("client", CLIENT_IPS, self)
        self.nodes = [Node(number, self) for number in (1, 2)]
        self.node1, self.node2 = self.nodes
        self._add_routes()

    def _add_routes(self) -> None:
        for node in self.nodes:
            networks = pod_network(node.number)
            routes = [f"route add {networks[family]} via {node.ips[family]}" for family in (4, 6)]
            for other in (*self.nodes, self.client):
                if other is not node:
                    other.ip(*routes)
        outside = zip(
            (*SERVICE_RANGES, *EXTERNAL_RANGES, *LOAD_BALANCER_RANGES), (4, 6) * 3, strict=True
        )
        self.client.ip(*(f"route add {r} via {self.node1.ips[family]}" for r, family in outside))

    @property
    def source(self) -> Sequence[str]:
        """The flags of an agent that sees what apply() puts."""
        return from_manifests(self.manifests)

    def add_pods(self, node: Node, *names: str) -> None:
        """Start pods on a node, all ready on return."""
        for name in names:
            self.pods[name] = Pod(name, node, self)
        for name in names:
            wait_ready(self.pods[name].server)

    def agent(
        self,
        *,
        source: Sequence[str] | None = None,
        flags: Sequence[str] = FLAGS,
        name: str = "agent",
        program: str = PROGRAM,
        wrapper: Sequence[str] = (),
    ) -> Agent:
        """An agent for node1, not started yet; it is ended with the cluster at the latest. Without
        @source its objects are those that apply() puts."""
        log = self.directory / f"{name}.log"
        source = self.source if source is None else source
        made = Agent(self.node1, source, log, flags, program=program, wrapper=wrapper)
        self.agents.append(made)
        self.cleanup.callback(made.kill)
        return made

    def apply(self, name: str, *made: Object) -> None:
        """Put objects into the manifest @name."""
        objects.write_manifest(self.manifests, name, *made)

    def place(self, client: str) -> Namespace:
        """Where a client is: in a "pod" that is no endpoint, on the "node", or "outside"."""
        if client == "pod":
            return self.pods["shell"]
        return self.node1 if client == "node" else self.client

    def new_number(self) -> int:
        """A number for a Service's addresses that no other Service of this cluster has."""
        self._numbers += 1
        return self._numbers

    def deploy(self, made: Object, *names: str) -> None:
        """Apply a Service with the named pods as its endpoints, in a manifest of its name."""
        self.apply(made["metadata"]["name"], made, *self.slices(made, *names))

    def slices(self, made: Object, *names: str, **conditions: bool) -> list[Object]:
        """A slice of each family that the Service has, with the named pods."""
        return [
            objects.slice_of(
                made, [self.pods[n].endpoint(family, **conditions) for n in names], family=family
            )
            for family in (4, 6)
        ]

    def remove(self, name: str) -> None:
        """Remove a manifest."""
        (self.manifests / f"{name}.yaml").unlink()

    def settle(self, agent: Agent) -> None:
        """Wait until what was applied so far is committed. The agent reads the changes of its
        directory in their order, so it is enough to see the effect of a last one."""
        self._marks += 1
        marker = objects.service("marker", MARKER_IPS.values(), [objects.port(self._marks)])
        self.apply("zz-marker", marker)
        self._wait_listed(
            agent, "no-endpoints", {f: (f"{MARKER_IPS[f]} . tcp . {self._marks} ",) for f in (4, 6)}
        )

    def _wait_listed(self, agent: Agent, name: str, wanted: Mapping[int, tuple[str, ...]]) -> None:
        """Wait until the maps @name of both families hold the texts @wanted."""

        def listed(family: int) -> bool:
            table = "ip" if family == 4 else "ip6"
            listing = self.node1.run("nft", "list", "map", table, "kube-nft", name, check=False)
            return all(text in listing for text in wanted[family])

        agent.wait_until("the last change to be committed", lambda: listed(4) and listed(6))
