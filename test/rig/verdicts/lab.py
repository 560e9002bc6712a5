"""A world as a cluster of namespaces, and what its clients met there."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from typing import Any

from rig import objects
from rig.client import Answer
from rig.cluster import (
    EXTERNAL_RANGES,
    LOAD_BALANCER_RANGES,
    SERVER_PORTS,
    SERVICE_RANGES,
    Cluster,
    Host,
    Node,
    cluster_ip,
    external_ip,
    load_balancer_ip,
    pod_network,
    start_server,
    wait_ready,
)
from rig.netns import Namespace
from rig.objects import Object

from . import cells, evaluator
from .cells import Cell, Member, Variant, World
from .conversations import SILENCE, Outcome
from .evaluator import Client, Evaluator, Served, Site

FIRST_NUMBER = 10
CONTESTED, UNALLOCATED = 250, 5000
PORT, OTHER_PORT = 80, 81
PROTOCOLS = tuple(p.upper() for p in cells.PROTOCOLS)


@dataclass(frozen=True)
class Server:
    """Who may be an endpoint: a pod, or a pod in the network of its node."""

    name: str
    node: Node
    ips: dict[int, str]


def in_words(outcome: Outcome) -> str:
    """As results have it: "web-1:8080 sees 10.244.1.1"."""
    if isinstance(outcome, Answer):
        return f"{outcome.pod}:{outcome.port} sees {outcome.client}"
    return outcome


class Lab(Cluster):
    """The cluster of a world: a client pod on either node, a third node without pods. All that pods
    of node2 send goes by node1, so that answers come back by the proxy whoever asked."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.numbers = {v.name: n for n, v in enumerate(world.variants, FIRST_NUMBER)}
        self.kinds = {kind for product in world.products for kind in product.kinds}
        self.bound: list[str] = []

    def _build(self) -> None:
        super()._build()
        self.node3 = Host("node3", {4: "192.168.50.13", 6: "fd50::13"}, self)
        frontends = (*SERVICE_RANGES, *EXTERNAL_RANGES, *LOAD_BALANCER_RANGES)
        gateways = self.node1.ips
        by_node1 = [f"route add {r} via {gateways[evaluator.family_of(r)]}" for r in frontends]
        pods_by_nodes = [
            f"route add {network} via {node.ips[family]}"
            for node in self.nodes
            for family, network in pod_network(node.number).items()
        ]
        self.node3.ip(*by_node1, *pods_by_nodes)
        self.node2.ip(*(f"route add default via {ip} table 100" for ip in gateways.values()))
        for family in ("-4", "-6"):
            self.node2.run("ip", family, "rule", "add", "dev", "kube-bridge", "lookup", "100")
        # Refusals are limited to so many a second; older kernels count all namespaces together.
        with contextlib.suppress(FileNotFoundError):
            unlimited = {"net.ipv4.icmp_msgs_per_sec": 10**6, "net.ipv4.icmp_msgs_burst": 10**6}
            self.node1.sysctl(unlimited)

    def add_servers(self) -> None:
        """Start all who may be asked."""
        self.add_pods(self.node1, "web-1", "web-2", "shell")
        self.add_pods(self.node2, "web-3", "web-4", "shell-2")
        self.servers = {
            name: Server(name, pod.node, pod.ips) for name, pod in self.pods.items()
        }
        for node in self.nodes:
            name = f"host-{node.number}"
            wait_ready(start_server(node, name, self.cleanup, *SERVER_PORTS, str(OTHER_PORT)))
            self.servers[name] = Server(name, node, node.ips)

    def deploy_world(self) -> Evaluator:
        """Put all objects of the world; what is to be expected of them."""
        nodes = cells.objects_of_nodes([node.object() for node in self.nodes], self.world)
        everything = list(nodes)
        for node in nodes:
            self.apply(node["metadata"]["name"], node)
        for variant in self.world.variants:
            if self.world.bound:
                self._bind(self.numbers[variant.name])
            made = self._service(variant)
            slices = [s for family in cells.FAMILIES for s in self._slices(made, variant, family)]
            self.apply(variant.name, made, *slices)
            everything += [made, *slices]
        return Evaluator(everything, self._site())

    def _bind(self, number: int) -> None:
        """Have the node be where a Service's external addresses are."""
        ips = [*external_ip(number).items(), *load_balancer_ip(number).items()]
        bits = {4: "32", 6: "128 nodad"}
        self.node1.ip(*(f"address add {ip}/{bits[family]} dev lo" for family, ip in ips))
        self.bound += [ip for _, ip in ips]

    def _site(self) -> Site:
        everywhere = "--nodeport-bindon-all-ip=true" in self.world.flags
        addresses = list(self.node1.ips.values())
        addresses += self.node1.gateways.values() if everywhere else ()
        return Site(
            node="node1",
            primary=tuple(self.node1.ips.values()),
            addresses=(*self.node1.ips.values(), *self.node1.gateways.values(), *self.bound),
            node_port_addresses=tuple(addresses),
            service_ranges=SERVICE_RANGES,
            external_ranges=EXTERNAL_RANGES,
            load_balancer_ranges=LOAD_BALANCER_RANGES,
            masquerade_all="--masquerade-all=true" in self.world.flags,
            closed=self.world.closed,
        )

    def _service(self, variant: Variant) -> Object:
        number = self.numbers[variant.name]
        ports = [
            objects.port(PORT, protocol=p, name=p.lower(), node_port=30000 + number)
            for p in PROTOCOLS
        ]
        spec: dict[str, Any] = {
            "internalTrafficPolicy": variant.internal,
            "externalTrafficPolicy": variant.external,
        }
        ingress: list[Object] = []
        if evaluator.EXTERNAL_IP in self.kinds:
            spec["externalIPs"] = list(external_ip(number).values())
            spec["type"] = "LoadBalancer"
            ingress += [{"ip": ip, "ipMode": "VIP"} for ip in load_balancer_ip(number).values()]
        if cells.CONTESTED_IP in self.kinds:
            spec["externalIPs"] += external_ip(CONTESTED).values()
        if cells.PROXY_MODE_IP in self.kinds:
            ingress += [{"ip": ip, "ipMode": "Proxy"} for ip in _proxy_mode_ip(number).values()]
        if variant.sources:
            spec["loadBalancerSourceRanges"] = list(cells.SOURCE_RANGES[variant.sources])
        if variant.affinity:
            spec["affinity_s"] = 600
        made = objects.service(variant.name, cluster_ip(number).values(), ports, **spec)
        made["metadata"]["annotations"] = dict(variant.annotations)
        if variant.created:
            made["metadata"]["creationTimestamp"] = variant.created
        made["status"] = {"loadBalancer": {"ingress": ingress}}
        return made

    def _slices(self, made: Object, variant: Variant, family: int) -> list[Object]:
        endpoints = [self._endpoint(member, family) for member in variant.members]

        def part(suffix: str, *some: Object) -> Object:
            return objects.slice_of(made, some, suffix=suffix, family=family)

        if variant.slicing == "split":
            return [part(str(n), one) for n, one in enumerate(endpoints)]
        if variant.slicing == "copied":
            nowhere = [{k: v for k, v in one.items() if k != "nodeName"} for one in endpoints]
            return [part("1", *endpoints), part("2", *nowhere), part("0", *nowhere)]
        if variant.slicing == "renumbered":
            first, second = part("1", *endpoints[:1]), part("2", *endpoints[1:])
            second["ports"] = [{**port, "port": 8081} for port in second["ports"]]
            return [first, second]
        if variant.slicing == "with-others":
            web_4 = self._endpoint(Member("web-4"), family)
            unnamed, labelled, strange = (part(name, web_4) for name in ("a", "b", "z"))
            unnamed["ports"] = [{**port, "name": "other"} for port in unnamed["ports"]]
            labelled["metadata"]["labels"][evaluator.HEADLESS] = ""
            strange["metadata"]["labels"][evaluator.SERVICE_NAME] = "nobody"
            return [part("1", *endpoints), unnamed, labelled, strange]
        return [part("1", *endpoints)]

    def _endpoint(self, member: Member, family: int) -> Object:
        server = self.servers[member.pod]
        one = objects.endpoint(
            server.ips[family], server.node.host_name, **cells.CONDITIONS[member.conditions]
        )
        if hints := cells.HINTS[member.hints]:
            one["hints"] = {k: [{"name": n} for n in names] for k, names in hints.items()}
        return one

    def frontend(self, cell: Cell) -> tuple[str, int]:
        """Where the client of a cell connects to."""
        number, family = self.numbers[cell.variant.name], cell.family
        node_ports = {
            evaluator.NODE_PORT: self.node1.ips,
            cells.GATEWAY_NODE_PORT: self.node1.gateways,
            cells.LOOPBACK_NODE_PORT: {4: "127.0.0.1", 6: "::1"},
            cells.TRANSIT_NODE_PORT: self.node2.ips,
        }
        if cell.kind in node_ports:
            return node_ports[cell.kind][family], 30000 + number
        if cell.kind in cells.OTHER_PORTS:
            own = dataclasses.replace(cell, kind=cells.OTHER_PORTS[cell.kind])
            return self.frontend(own)[0], OTHER_PORT
        addresses = {
            evaluator.CLUSTER_IP: cluster_ip,
            evaluator.EXTERNAL_IP: external_ip,
            evaluator.LOAD_BALANCER: load_balancer_ip,
            cells.PROXY_MODE_IP: _proxy_mode_ip,
            cells.CONTESTED_IP: lambda number: external_ip(CONTESTED),
            cells.UNALLOCATED_IP: lambda number: cluster_ip(UNALLOCATED),
        }
        return addresses[cell.kind](number)[family], PORT

    def space(self, cell: Cell) -> Namespace:
        """Where the client of a cell is."""
        return {
            cells.POD: self.pods["shell"],
            cells.OTHER_POD: self.pods["shell-2"],
            cells.NODE: self.node1,
            cells.OTHER_NODE: self.node3,
            cells.OUTSIDE: self.client,
            cells.ITSELF: self.pods.get(cell.itself, self.client),
        }[cell.client]

    def client_of(self, cell: Cell) -> Client:
        """The client as the node sees it."""
        if cell.client == cells.NODE:
            # To an address of its own a host comes from just that.
            address, _ = self.frontend(cell)
            own = address in (*self.node1.gateways.values(), "127.0.0.1", "::1")
            own |= address in self.bound
            return Client(address if own else self.node1.ips[cell.family], on_node=True)
        place = self.space(cell)
        return Client(place.ips[cell.family])  # type: ignore[attr-defined]

    def expected(self, verdict: evaluator.Verdict, cell: Cell) -> frozenset[str]:
        """What the client of a cell may meet, in words."""
        return frozenset(self._expected(one, cell) for one in verdict)

    def _expected(self, one: Served | str, cell: Cell) -> str:
        if isinstance(one, Served):
            server = next(s for s in self.servers.values() if s.ips[cell.family] == one.address)
            source = self.client_of(cell).address
            if one.masqueraded:
                # By the address that the node has on the way to that pod.
                ips = self.node1.gateways if server.node is self.node1 else self.node1.ips
                source = ips[cell.family]
            return in_words(Answer(server.name, source, one.port))
        if one == evaluator.UNTOUCHED:
            # At its own address the host answers; it refuses where nobody listens. Outside there is
            # nobody at all.
            address, port = self.frontend(cell)
            if address in self.bound:
                return in_words(Answer("host-1", self.client_of(cell).address, port))
            return "refused" if cell.kind.endswith("node-port") else SILENCE
        return SILENCE if one == evaluator.DROPPED else one


def _proxy_mode_ip(number: int) -> dict[int, str]:
    """Addresses in the load balancer's range that another one has."""
    return {4: f"198.51.100.{100 + number}", 6: f"2001:db8:100::{100 + number:x}"}
