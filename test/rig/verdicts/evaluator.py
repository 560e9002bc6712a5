"""What Kubernetes promises a client of a Service: who may answer, and as whom they see the client.

Written from the documented behaviour of Services and kube-router's options. It reads the objects as
the API server has them, and knows nothing of the agent, its elements or its rules.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rig.objects import Object

SERVICE_NAME = "kubernetes.io/service-name"
HEADLESS = "service.kubernetes.io/headless"
PROXY_NAME = "service.kubernetes.io/service-proxy-name"
ZONE = "topology.kubernetes.io/zone"
LOCAL = "kube-router.io/service.local"
SKIP_LB_IPS = "kube-router.io/service.skiplbips"

CLUSTER_IP, NODE_PORT, EXTERNAL_IP, LOAD_BALANCER = KINDS = (
    "cluster-ip",
    "node-port",
    "external-ip",
    "load-balancer-ip",
)

OWN_ADDRESSES = (CLUSTER_IP, EXTERNAL_IP, LOAD_BALANCER)


@dataclass(frozen=True)
class Served:
    """An endpoint that may answer, and whether it sees the node in place of the client."""

    address: str
    port: int
    masqueraded: bool


# REFUSED: at once. DROPPED: nothing comes back. UNTOUCHED: no Service is meant, the packet goes on.
REFUSED, DROPPED, UNTOUCHED = "refused", "dropped", "untouched"
Verdict = frozenset[Served | str]
# A Service, one of its ports, and the kind of address.
Frontend = tuple[Object, Object, str]


@dataclass(frozen=True)
class Client:
    """Where a connection comes from: its source address, and whether that is one of the node."""

    address: str
    on_node: bool = False


@dataclass(frozen=True)
class Site:
    """The node whose proxy is meant, and how that is configured."""

    node: str
    primary: tuple[str, ...]  # the address of each family by which the node is known
    addresses: tuple[str, ...]  # all that it has
    node_port_addresses: tuple[str, ...]
    service_ranges: tuple[str, ...]
    external_ranges: tuple[str, ...]
    load_balancer_ranges: tuple[str, ...]
    masquerade_all: bool = False
    closed: bool = True


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of one service port, its conditions as they are meant."""

    address: str
    port: int
    ready: bool
    draining: bool
    local: bool
    zones: tuple[str, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Lists:
    """The endpoints that clients are sent to, by policy; and whether there is any at all."""

    cluster: Sequence[Endpoint]
    local: Sequence[Endpoint]
    any: bool


def family_of(address: str) -> int:
    """4 or 6; of a network too."""
    return 6 if ":" in address else 4


def within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address is in one of the networks."""
    number = ipaddress.ip_address(address)
    return any(number in ipaddress.ip_network(n) for n in networks)


def _labels(o: Object) -> dict[str, str]:
    return o["metadata"].get("labels") or {}


def _annotations(o: Object) -> dict[str, str]:
    return o["metadata"].get("annotations") or {}


def _key(o: Object) -> tuple[str, str]:
    return o["metadata"].get("namespace", ""), o["metadata"]["name"]


def _age(service: Object) -> tuple[str, tuple[str, str]]:
    """By this the owner of a contested address is chosen: the oldest, then the first by name."""
    return service["metadata"].get("creationTimestamp", ""), _key(service)


def in_scope(service: Object) -> bool:
    """Whether a Service is one for this proxy."""
    spec = service["spec"]
    return (
        spec.get("type") != "ExternalName"
        and spec.get("clusterIP", "None") not in ("", "None")
        and HEADLESS not in _labels(service)
        and _labels(service).get(PROXY_NAME, "kube-router") == "kube-router"
    )


def _endpoint(told: Object, number: int, node: str) -> Endpoint:
    conditions = told.get("conditions") or {}
    ready = conditions.get("ready", True)
    serving = conditions.get("serving", ready)
    hints = told.get("hints") or {}
    return Endpoint(
        address=told["addresses"][0],
        port=number,
        ready=ready,
        draining=serving and conditions.get("terminating", False),
        local=told.get("nodeName") == node,
        zones=tuple(z["name"] for z in hints.get("forZones", ())),
        nodes=tuple(n["name"] for n in hints.get("forNodes", ())),
    )


def _near(ready: Sequence[Endpoint], node: str, zone: str) -> Callable[[Endpoint], bool]:
    """Which of the ready endpoints the hints leave. They count when no ready endpoint lacks one."""
    for hints_of, here in ((lambda e: e.nodes, node), (lambda e: e.zones, zone)):
        if all(hints_of(e) for e in ready) and any(here in hints_of(e) for e in ready):
            return lambda e, hints_of=hints_of, here=here: here in hints_of(e)
    return lambda e: True


class Evaluator:
    """All objects of a cluster as the proxy of one node must understand them."""

    def __init__(self, objects: Iterable[Object], site: Site) -> None:
        objects = list(objects)
        self.site = site
        of_kind = {k: [o for o in objects if o["kind"] == k] for k in ("Node", "EndpointSlice")}
        self.services = sorted(
            (o for o in objects if o["kind"] == "Service" and in_scope(o)), key=_age
        )
        self.slices: dict[tuple[str, str], list[Object]] = {}
        for one in of_kind["EndpointSlice"]:
            namespace, _ = _key(one)
            owner = _labels(one).get(SERVICE_NAME, "")
            if HEADLESS not in _labels(one):
                self.slices.setdefault((namespace, owner), []).append(one)
        self.pod_networks = [c for n in of_kind["Node"] for c in n["spec"].get("podCIDRs") or ()]
        self.zone = next(
            (_labels(n).get(ZONE, "") for n in of_kind["Node"] if _key(n)[1] == site.node), ""
        )
        self.frontends = self._frontends()

    def verdict(self, client: Client, address: str, port: int, protocol: str) -> Verdict:
        """What may become of a new connection."""
        frontend = self.frontends.get((address, port, protocol))
        if frontend:
            return self._choose(client, *frontend, family_of(address))
        if not self.site.closed or address in self.site.addresses:
            return frozenset({UNTOUCHED})
        # A Service's address has no other ports. In the range of ClusterIPs is nobody else.
        if any(address in self._addresses(s, k) for s in self.services for k in OWN_ADDRESSES):
            return frozenset({REFUSED})
        return frozenset({DROPPED if within(address, self.site.service_ranges) else UNTOUCHED})

    def _frontends(self) -> dict[tuple[str, int, str], Frontend]:
        """What each address means. Those that a Service has by itself come before the node's, older
        Services before younger ones."""
        found: dict[tuple[str, int, str], Frontend] = {}
        for kinds in (OWN_ADDRESSES, (NODE_PORT,)):
            for service in self.services:
                for one in service["spec"]["ports"]:
                    for kind in kinds:
                        number = one.get("nodePort", 0) if kind == NODE_PORT else one["port"]
                        for address in self._addresses(service, kind) if number else ():
                            key = (address, number, one["protocol"])
                            found.setdefault(key, (service, one, kind))
        return found

    def _addresses(self, service: Object, kind: str) -> Sequence[str]:
        """The addresses at which a Service is found, of those families that it has."""
        spec, site = service["spec"], self.site
        cluster_ips: list[str] = spec["clusterIPs"]
        if kind == CLUSTER_IP:
            return cluster_ips
        if kind == NODE_PORT:
            claimed, allowed = list(site.node_port_addresses), None
        elif kind == EXTERNAL_IP:
            claimed, allowed = spec.get("externalIPs") or [], site.external_ranges
        else:
            claimed, allowed = self._ingress(service), site.load_balancer_ranges
        families = {family_of(ip) for ip in cluster_ips}
        return [
            ip
            for ip in claimed
            if family_of(ip) in families and (allowed is None or within(ip, allowed))
        ]

    @staticmethod
    def _ingress(service: Object) -> list[str]:
        if SKIP_LB_IPS in _annotations(service):
            return []
        told = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
        return [i["ip"] for i in told if i.get("ip") and i.get("ipMode", "VIP") == "VIP"]

    def _endpoints(self, service: Object, one: Object, family: int) -> list[Endpoint]:
        """Those of all slices, by the port's name and protocol; one that is told twice is one."""
        found: dict[tuple[str, int], Endpoint] = {}
        for part in self.slices.get(_key(service), ()):
            if part["addressType"] != f"IPv{family}":
                continue
            numbers = [
                p["port"]
                for p in part["ports"]
                if (p.get("name", ""), p["protocol"]) == (one.get("name", ""), one["protocol"])
            ]
            for told in part["endpoints"] if numbers else ():
                new = _endpoint(told, numbers[0], self.site.node)
                if new.local or (new.address, new.port) not in found:
                    found[new.address, new.port] = new
        return list(found.values())

    def _lists(self, service: Object, one: Object, family: int) -> Lists:
        known = self._endpoints(service, one, family)
        ready = [e for e in known if e.ready]
        draining = [e for e in known if e.draining]
        near = _near(ready, self.site.node, self.zone)
        return Lists(
            cluster=[e for e in ready if near(e)] or draining,
            local=[e for e in ready if e.local] or [e for e in draining if e.local],
            any=bool(ready or draining),
        )

    def _choose(
        self, client: Client, service: Object, one: Object, kind: str, family: int
    ) -> Verdict:
        lists = self._lists(service, one, family)
        local = self._is_local(service, kind)
        if kind == LOAD_BALANCER and not self._is_let_in(client, service, family):
            return frozenset({DROPPED})
        if not lists.any:
            return frozenset({REFUSED})
        # Pods and the node have a short cut: as if they had gone out to the load balancer and back.
        inside = client.on_node or self._is_pod(client)
        chosen = lists.local if local and (kind == CLUSTER_IP or not inside) else lists.cluster
        if not chosen:
            return frozenset({DROPPED})
        hidden = self._is_masqueraded(client, kind, local)
        # What is for the node itself does not leave it, and is answered by way of it in any case.
        here = self.site.addresses
        return frozenset(
            Served(
                e.address,
                e.port,
                (hidden or (e.local and e.address == client.address)) and e.address not in here,
            )
            for e in chosen
        )

    def _is_let_in(self, client: Client, service: Object, family: int) -> bool:
        """Whether loadBalancerSourceRanges names the client; nobody is named in another family."""
        told = service["spec"].get("loadBalancerSourceRanges") or []
        ranges = [r for r in told if family_of(r) == family]
        if any(within(address, ranges) for address in self.site.primary):
            # A node that has the Service's address connects from there.
            ranges += self._addresses(service, LOAD_BALANCER)
        return not told or within(client.address, ranges)

    @staticmethod
    def _is_local(service: Object, kind: str) -> bool:
        """Whether only endpoints of this node are meant. The annotation is about the outside."""
        if _annotations(service).get(LOCAL) == "true":
            return kind != CLUSTER_IP
        policy = "internalTrafficPolicy" if kind == CLUSTER_IP else "externalTrafficPolicy"
        return bool(service["spec"].get(policy) == "Local")

    def _is_pod(self, client: Client) -> bool:
        return within(client.address, self.pod_networks)

    def _is_masqueraded(self, client: Client, kind: str, local: bool) -> bool:
        if kind != CLUSTER_IP:
            # Policy Local promises clients their own address, whatever the flag says.
            return client.on_node if local else True
        # Who is no pod can be told only when it is known who is.
        known = any(family_of(n) == family_of(client.address) for n in self.pod_networks)
        outside = known and not client.on_node and not self._is_pod(client)
        return self.site.masquerade_all or outside
