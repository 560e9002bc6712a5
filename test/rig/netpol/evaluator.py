"""What the NetworkPolicy API means, as a function of objects, addresses and ports.

Written from the API's description alone, for connections whose destination has been translated: an
expectation must not come from what it is compared with.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..objects import Object
from .world import Endpoint, World, pod_addresses


@dataclass(frozen=True)
class Party:
    """One end of a connection: its address; the ordinary pod that it is; the node that it is, or
    runs on with the node's own network."""

    address: str
    pod: Object | None = field(default=None, hash=False, compare=False)
    node: str = ""


@functools.cache
def _network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(cidr, strict=False)


@functools.cache
def _within(address: str, cidr: str) -> bool:
    # An address of one family is in no network of the other.
    return ipaddress.ip_address(address) in _network(cidr)


def _created(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _requirement_holds(entry: Object, labels: Mapping[str, str]) -> bool:
    key, operator = entry["key"], entry["operator"]
    if operator == "In":
        return key in labels and labels[key] in entry["values"]
    if operator == "NotIn":
        return key not in labels or labels[key] not in entry["values"]
    if operator == "Exists":
        return key in labels
    assert operator == "DoesNotExist", operator
    return key not in labels


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector holds; an empty one always does."""
    return all(
        labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()
    ) and all(_requirement_holds(entry, labels) for entry in selector.get("matchExpressions") or [])


def labels_of(made: Object | None) -> Mapping[str, str]:
    return (made or {"metadata": {}})["metadata"].get("labels") or {}


def named_ports(pod: Object) -> Iterator[tuple[str, str, int]]:
    """Name, protocol and number of the ports that a pod declares. Init containers count as long as
    they run beside the others."""
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    for container in (*spec["containers"], *sidecars):
        for entry in container.get("ports") or []:
            if entry.get("name"):
                yield entry["name"], entry.get("protocol", "TCP"), entry["containerPort"]


def directions(policy: Object) -> set[str]:
    """The directions that a policy is about."""
    spec = policy["spec"]
    if spec.get("policyTypes"):
        return set(spec["policyTypes"])
    return {"Ingress", "Egress"} if spec.get("egress") else {"Ingress"}


class Evaluator:
    """Verdicts in one state of the objects."""

    def __init__(self, world: World) -> None:
        self.namespaces = world.namespaces
        self.policies = list(world.policies.values())
        # An address that several pods claim is the newest one's.
        by_age = sorted(world.live_pods().values(), key=_created)
        self.owners = {address: pod for pod in by_age for address in pod_addresses(pod)}

    def party(self, endpoint: Endpoint, family: int) -> Party:
        """An endpoint as one end of connections of a family."""
        address = endpoint.ips[family]
        if endpoint.pod is not None:
            return Party(address, self.owners[address])
        return Party(address, None, endpoint.node)

    def allows(self, source: Party, target: Party, proto: str, port: int) -> bool:
        """Whether @source may open a connection to @target."""
        if source.pod is not None and source.pod is target.pod:
            return True
        return self.egress_allows(source, target, proto, port) and self.ingress_allows(
            source, target, proto, port
        )

    def egress_allows(self, source: Party, target: Party, proto: str, port: int) -> bool:
        """The source's say."""
        return source.pod is None or self._direction_allows(
            "Egress", source.pod, target, target.pod, proto, port
        )

    def ingress_allows(self, source: Party, target: Party, proto: str, port: int) -> bool:
        """The target's say."""
        if target.pod is None or source.node == target.pod["spec"]["nodeName"]:
            return True
        return self._direction_allows("Ingress", target.pod, source, target.pod, proto, port)

    def _direction_allows(
        self,
        direction: str,
        judged: Object,
        peer: Party,
        server: Object | None,
        proto: str,
        port: int,
    ) -> bool:
        about = [p for p in self.policies_of(judged) if direction in directions(p)]
        if not about:
            return True
        rules, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
        return any(
            self.peers_match(rule.get(peers), policy, peer)
            and _ports_match(rule.get("ports"), server, proto, port)
            for policy in about
            for rule in policy["spec"].get(rules) or []
        )

    def policies_of(self, pod: Object) -> list[Object]:
        """The policies that select a pod."""
        return [
            policy
            for policy in self.policies
            if policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and selects(policy["spec"].get("podSelector") or {}, labels_of(pod))
        ]

    def peers_match(self, peers: list[Object] | None, policy: Object, party: Party) -> bool:
        """Whether a rule of @policy is about connections with @party."""
        return not peers or any(self._peer_matches(peer, policy, party) for peer in peers)

    def _peer_matches(self, peer: Object, policy: Object, party: Party) -> bool:
        if block := peer.get("ipBlock"):
            return _within(party.address, block["cidr"]) and not any(
                _within(party.address, hole) for hole in block.get("except") or []
            )
        if party.pod is None:
            return False
        namespace = party.pod["metadata"]["namespace"]
        if peer.get("namespaceSelector") is None:
            if namespace != policy["metadata"]["namespace"]:
                return False
        elif namespace not in self.namespaces or not selects(
            peer["namespaceSelector"], labels_of(self.namespaces[namespace])
        ):
            return False
        return selects(peer.get("podSelector") or {}, labels_of(party.pod))


def _ports_match(
    entries: list[Object] | None, server: Object | None, proto: str, port: int
) -> bool:
    return not entries or any(_port_matches(entry, server, proto, port) for entry in entries)


def _port_matches(entry: Object, server: Object | None, proto: str, port: int) -> bool:
    if entry.get("protocol", "TCP") != proto:
        return False
    wanted = entry.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, int):
        return wanted <= port <= entry.get("endPort", wanted)
    return server is not None and (wanted, proto, port) in named_ports(server)
