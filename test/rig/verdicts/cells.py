"""The cases: which worlds there are, and in each the whole product of what can be combined.

A cell is one case: a client, a frontend, a protocol, a family. The cells that can't exist are told
with the reason, so that none is left out in silence.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rig.objects import Object

from .evaluator import CLUSTER_IP, KINDS, LOCAL, NODE_PORT, OWN_ADDRESSES, SKIP_LB_IPS

# Addresses at which a Service is not to be found, or only with --nodeport-bindon-all-ip.
GATEWAY_NODE_PORT = "gateway-node-port"
LOOPBACK_NODE_PORT = "loopback-node-port"
TRANSIT_NODE_PORT = "transit-node-port"
PROXY_MODE_IP = "proxy-mode-ip"
# An external IP that every Service of the world claims.
CONTESTED_IP = "contested-ip"
# Where a Service is, but not at that port; where none is.
OTHER_PORTS = {f"other-port-of-{kind}": kind for kind in OWN_ADDRESSES}
UNALLOCATED_IP = "unallocated-ip"

POD, OTHER_POD, NODE, OTHER_NODE, OUTSIDE, ITSELF = CLIENTS = (
    "pod",
    "other-pod",
    "node",
    "other-node",
    "outside",
    "itself",
)
OTHERS = CLIENTS[:-1]
PROTOCOLS = ("tcp", "udp", "sctp")
FAMILIES = (4, 6)
POLICIES = ("Cluster", "Local")
ENDPOINTS = {
    "none": (),
    "local": ("web-1", "web-2"),
    "remote": ("web-3",),
    "both": ("web-1", "web-2", "web-3"),
}
REMOTE_PODS = ("web-3", "web-4")
# Pods in the network of node1 and node2 themselves.
HOST_ENDPOINTS = {
    "host-local": ("host-1",),
    "host-remote": ("host-2",),
    "host-both": ("host-1", "host-2", "web-1", "web-3"),
}

CONDITIONS: Mapping[str, Mapping[str, bool]] = {
    "unset": {},
    "ready": {"ready": True, "serving": True, "terminating": False},
    "only-ready": {"ready": True},
    # The slice controller says so of every pod of a Service with publishNotReadyAddresses.
    "published": {"ready": True, "serving": False, "terminating": False},
    "published-terminating": {"ready": True, "serving": True, "terminating": True},
    "not-ready": {"ready": False, "serving": False, "terminating": False},
    "serving": {"ready": False, "serving": True, "terminating": False},
    "draining": {"ready": False, "serving": True, "terminating": True},
    "dead": {"ready": False, "serving": False, "terminating": True},
    "only-terminating": {"terminating": True},
    "dying-unset": {"ready": False, "terminating": True},
}
HINTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "no-hint": {},
    "here": {"forZones": ["east"]},
    "there": {"forZones": ["west"]},
    "both-zones": {"forZones": ["east", "west"]},
    "this-node": {"forZones": ["east"], "forNodes": ["node1"]},
    "other-node": {"forZones": ["east"], "forNodes": ["node2"]},
    "nodes-only": {"forNodes": ["node1", "node2"]},
}
ZONE_OF_NODE1 = "east"
# Who may connect to a load balancer's address.
SOURCE_RANGES: Mapping[str, tuple[str, ...]] = {
    "anybody": ("0.0.0.0/0", "::/0"),
    "nobody": ("192.0.2.0/24", "2001:db8:2::/64"),
    "outside": ("192.168.50.100/32", "fd50::100/128"),
    "nodes": ("192.168.50.8/29", "192.168.50.9/32", "fd50::10/124"),
    "pods": ("10.244.0.0/16", "10.244.1.0/24", "fd44::/16"),
    "ipv4-only": ("0.0.0.0/1", "128.0.0.0/1"),
}
# How a Service's endpoints are told: each in a slice of its own; all in several slices, only one of
# which knows where they are; with another number of the port in each slice; with more slices that
# do not count, because of a port of another name, of their label, of another Service's name.
ONE_SLICE = "one"
SLICINGS = (ONE_SLICE, "split", "copied", "renumbered", "with-others")


@dataclass(frozen=True)
class Member:
    """A pod as an endpoint of a Service."""

    pod: str
    conditions: str = "unset"
    hints: str = "no-hint"


@dataclass(frozen=True, eq=False)
class Variant:
    """A Service with every kind of frontend."""

    name: str
    members: tuple[Member, ...]
    internal: str = "Cluster"
    external: str = "Cluster"
    annotations: Mapping[str, str] = field(default_factory=dict)
    slicing: str = ONE_SLICE
    created: str = ""
    sources: str = ""
    affinity: bool = False


@dataclass(frozen=True)
class Product:
    """All combinations of these."""

    variants: tuple[Variant, ...]
    kinds: tuple[str, ...] = KINDS
    clients: tuple[str, ...] = CLIENTS
    protocols: tuple[str, ...] = ("tcp",)

    def __iter__(self) -> Iterator[tuple[Variant, str, str, str, int]]:
        return itertools.product(
            self.variants, self.kinds, self.clients, self.protocols, FAMILIES
        )

    def __len__(self) -> int:
        axes = (self.variants, self.kinds, self.clients, self.protocols, FAMILIES)
        n = 1
        for axis in axes:
            n *= len(axis)
        return n


@dataclass(frozen=True, eq=False)
class World:
    """A cluster with one agent, whose flags and Nodes differ from another world's."""

    name: str
    products: tuple[Product, ...]
    flags: tuple[str, ...] = ()
    zone: str = ZONE_OF_NODE1
    pod_networks: bool = True
    closed: bool = True  # but for ping and their ports, Services' addresses are
    bound: bool = False  # the node has the Services' external addresses itself

    @property
    def variants(self) -> list[Variant]:
        return list({v.name: v for p in self.products for v in p.variants}.values())


@dataclass(frozen=True)
class Cell:
    """One case."""

    world: World
    variant: Variant
    kind: str
    client: str
    protocol: str
    family: int

    def __str__(self) -> str:
        parts = (self.world.name, self.variant.name, self.kind, f"from-{self.client}")
        return "/".join((*parts, self.protocol, f"ipv{self.family}"))

    @property
    def itself(self) -> str:
        """The pod that is its own endpoint."""
        pods = [m.pod for m in self.variant.members]
        return pods[0] if pods else ""

    @property
    def policy(self) -> str:
        return self.variant.internal if self.kind == CLUSTER_IP else self.variant.external


def why_not(cell: Cell) -> str:
    """Why there can be no such case; empty if there can."""
    if cell.client == ITSELF and not cell.itself:
        return "without endpoints nobody can be chosen, hence not the client itself"
    if cell.client == ITSELF and cell.itself in REMOTE_PODS:
        if cell.kind == CLUSTER_IP or cell.policy == "Local":
            return "a pod of another node meets the proxy of that node, not the one of this node"
    if cell.client == OTHER_POD and "host-2" in [m.pod for m in cell.variant.members]:
        if cell.policy == ("Cluster" if cell.kind == CLUSTER_IP else "Local"):
            return "a node answers its own pods directly, not by way of this node's translation"
    if cell.kind == LOOPBACK_NODE_PORT and cell.client != NODE:
        return "a loopback address means the client's own host"
    if cell.kind == TRANSIT_NODE_PORT and cell.client not in (POD, NODE):
        return "what others send to another node does not come by this one"
    return ""


def _with_policies(name: str, members: tuple[Member, ...], *both: str) -> list[Variant]:
    """A Service for each combination of policies; those in @both, the same inside and outside."""
    chosen = [(p, p) for p in both] or itertools.product(POLICIES, POLICIES)
    return [
        Variant(f"{name}-i{i[0].lower()}-e{e[0].lower()}", members, i, e) for i, e in chosen
    ]


def _basic(*both: str) -> tuple[Variant, ...]:
    return tuple(
        variant
        for name, pods in ENDPOINTS.items()
        for variant in _with_policies(name, tuple(Member(p) for p in pods), *both)
    )


def _annotated() -> tuple[Variant, ...]:
    """kube-router's annotations."""
    members = tuple(Member(p) for p in ENDPOINTS["both"])
    remote = (Member("web-3"),)
    return (
        Variant("annotated-local", members, "Local", "Cluster", {LOCAL: "true"}),
        Variant("annotated-local-remote", remote, "Local", "Cluster", {LOCAL: "true"}),
        Variant("annotated-not-local", members, "Cluster", "Local", {LOCAL: "false"}),
        Variant("annotated-skiplbips", members, "Cluster", "Cluster", {SKIP_LB_IPS: ""}),
    )


def _conditions() -> tuple[Variant, ...]:
    """Every condition of an endpoint here, with every condition of one elsewhere, or none."""
    variants: list[Variant] = []
    for here, there in itertools.product((*CONDITIONS, ""), repeat=2):
        members = [Member("web-1", here)] if here else []
        members += [Member("web-3", there)] if there else []
        name = f"{here or 'none'}-{there or 'none'}"
        variants += _with_policies(name, tuple(members), "Cluster", "Local")
    return tuple(variants)


def _hints() -> tuple[Variant, ...]:
    """Every hint of an endpoint here, with every hint of one elsewhere; then those that only ready
    endpoints can count for."""
    variants: list[Variant] = []
    for here, there in itertools.product(HINTS, repeat=2):
        members = (Member("web-1", hints=here), Member("web-3", hints=there))
        variants += _with_policies(f"{here}-{there}", members, *POLICIES)
    for conditions in ("not-ready", "draining"):
        unhinted = Member("web-2", conditions)
        members = (unhinted, Member("web-1", hints="there"), Member("web-3", hints="here"))
        variants += _with_policies(f"unhinted-{conditions}", members, *POLICIES)
        alone = (Member("web-1", conditions, "there"), Member("web-3", conditions, "here"))
        variants += _with_policies(f"hinted-{conditions}", alone, *POLICIES)
    return tuple(variants)


def _sliced() -> tuple[Variant, ...]:
    members = tuple(Member(p) for p in ENDPOINTS["both"])
    return tuple(
        Variant(f"{slicing}-i{policy[0].lower()}", members, policy, policy, slicing=slicing)
        for slicing in SLICINGS
        for policy in POLICIES
    )


def _contesting() -> tuple[Variant, ...]:
    """The oldest has it; it is neither the first by name nor the first to be read."""
    return tuple(
        Variant(name, (Member(pod),), created=created)
        for name, pod, created in (
            ("a-younger", "web-1", "2024-05-02T00:00:00Z"),
            ("b-oldest", "web-2", "2024-05-01T00:00:00Z"),
            ("c-oldest-too", "web-3", "2024-05-01T00:00:00Z"),
        )
    )


def _on_hosts() -> tuple[Variant, ...]:
    return tuple(
        variant
        for name, pods in HOST_ENDPOINTS.items()
        for variant in _with_policies(name, tuple(Member(p) for p in pods), *POLICIES)
    )


def _guarded() -> tuple[Variant, ...]:
    served, unserved = (tuple(Member(p) for p in ENDPOINTS[name]) for name in ("both", "none"))
    guarded = [
        Variant(f"{sources}-e{policy[0].lower()}", served, policy, policy, sources=sources)
        for sources in SOURCE_RANGES
        for policy in POLICIES
    ]
    return (*guarded, Variant("unserved", unserved, sources="pods"))


def _sticky() -> tuple[Variant, ...]:
    members = tuple(Member(p) for p in ENDPOINTS["both"])
    return tuple(
        Variant(f"i{i[0].lower()}-e{e[0].lower()}", members, i, e, affinity=True)
        for i, e in itertools.product(POLICIES, POLICIES)
    )


FEW = {"kinds": (CLUSTER_IP, NODE_PORT), "clients": (POD, OUTSIDE)}
# What is no Service's business; a host without SCTP of its own can't refuse it.
ELSEWHERE = (*OTHER_PORTS, UNALLOCATED_IP)
UNSERVED = (GATEWAY_NODE_PORT, LOOPBACK_NODE_PORT, TRANSIT_NODE_PORT)
STREAM_AND_DATAGRAM = ("tcp", "udp")

WORLDS = (
    World(
        "plain",
        (
            Product(_basic(), protocols=PROTOCOLS),
            Product(_basic("Cluster"), (*UNSERVED, PROXY_MODE_IP), protocols=STREAM_AND_DATAGRAM),
            Product(_basic(*POLICIES), ELSEWHERE, OTHERS, PROTOCOLS),
            Product(_annotated(), clients=(POD, NODE, OUTSIDE)),
            Product(_sliced(), clients=(POD, NODE, OUTSIDE)),
        ),
    ),
    World(
        "contested",
        (Product(_contesting(), (*KINDS, CONTESTED_IP), (POD, NODE, OUTSIDE), PROTOCOLS),),
    ),
    World("on-hosts", (Product(_on_hosts(), clients=OTHERS, protocols=STREAM_AND_DATAGRAM),)),
    World(
        "bound",
        (
            Product(_basic(), protocols=PROTOCOLS),
            Product(_basic("Cluster"), ELSEWHERE, OTHERS, STREAM_AND_DATAGRAM),
        ),
        bound=True,
    ),
    World("guarded", (Product(_guarded(), protocols=PROTOCOLS),)),
    World("guarded-and-bound", (Product(_guarded()),), bound=True),
    World("sticky", (Product(_sticky(), protocols=PROTOCOLS),)),
    World(
        "open",
        (
            Product(_basic("Cluster")),
            Product(_basic("Cluster"), ELSEWHERE, OTHERS, STREAM_AND_DATAGRAM),
        ),
        flags=("--ipvs-permit-all=false",),
        closed=False,
    ),
    World("conditions", (Product(_conditions(), **FEW),)),
    World("hints", (Product(_hints(), **FEW),)),
    World("no-zone", (Product(_hints(), **FEW),), zone=""),
    World(
        "masquerade-all",
        (Product(_basic(), protocols=PROTOCOLS),),
        flags=("--masquerade-all=true",),
    ),
    World(
        "all-addresses",
        (
            Product(_basic(), (*KINDS, GATEWAY_NODE_PORT), protocols=PROTOCOLS),
            Product(_basic("Cluster"), UNSERVED[1:], protocols=STREAM_AND_DATAGRAM),
        ),
        flags=("--nodeport-bindon-all-ip=true",),
    ),
    World("no-pod-networks", (Product(_basic(), protocols=PROTOCOLS),), pod_networks=False),
)


def cells() -> tuple[list[Cell], dict[str, list[Cell]]]:
    """All cases; and by reason those of the products that can't be."""
    possible: list[Cell] = []
    impossible: dict[str, list[Cell]] = {}
    for world in WORLDS:
        for product in world.products:
            for combination in product:
                cell = Cell(world, *combination)
                reason = why_not(cell)
                (impossible.setdefault(reason, []) if reason else possible).append(cell)
    return possible, impossible


def objects_of_nodes(nodes: Sequence[Object], world: World) -> list[Object]:
    """The Nodes as this world has them."""
    for one in nodes:
        if one["metadata"]["name"] == "node1" and world.zone:
            one["metadata"]["labels"] = {"topology.kubernetes.io/zone": world.zone}
        if not world.pod_networks:
            one["spec"] = {}
    return list(nodes)
