"""Small clusters made at random: whatever policies can say, on addresses that several pods claim.

Names, labels, ports and networks are few, so that selectors hit and miss, rules overlap, and pods
claim one another's addresses.
"""

from __future__ import annotations

import copy
import ipaddress
import random
from collections.abc import Callable, Iterator
from typing import Any

from ..objects import Object
from .world import World, name_of

NODES = {
    "node-a": (["10.90.0.11", "fd00:90::11"], ["10.91.1.0/24", "fd00:91:1::/64"]),
    "node-b": (["10.90.0.12", "fd00:90::12"], ["10.91.2.0/24", "fd00:91:2::/64"]),
}
OUTSIDE = ["203.0.113.10", "203.0.113.140", "198.51.100.77", "2001:db8:100::10", "2001:db8:200::77"]
NAMESPACES = ["x", "y", "z", "default"]
KEYS = ["app", "tier", "env"]
VALUES = ["a", "b", "c", ""]
PROTOCOLS = ["TCP", "TCP", "UDP", "SCTP"]
PORTS = [53, 80, 81, 8080, 9000]
PORT_NAMES = ["web", "dns"]
# Networks that lie in one another, beside one another, on pods, on nodes and outside.
BLOCKS = {
    4: ["0.0.0.0/0", "10.0.0.0/8", "10.91.0.0/16", "10.91.1.0/24", "10.91.1.0/29", "10.91.1.4/31"]
    + ["10.91.2.4/32", "10.90.0.0/24", "10.90.0.11/32", "203.0.113.0/24", "203.0.113.128/25"]
    + ["10.91.1.3/24", "128.0.0.0/1"],
    6: ["::/0", "fd00::/8", "fd00:91::/32", "fd00:91:1::/64", "fd00:91:1::/125", "fd00:91:1::4/127"]
    + ["fd00:91:2::4/128", "fd00:90::/64", "fd00:90::11/128", "2001:db8::/32", "8000::/1"]
    + ["fd00:91:1::3/64"],
}


class Dice:
    """Makes one cluster, and changes it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.created = 0
        self.namespaces: list[str] = []

    def world(self) -> World:
        """A cluster with its policies."""
        world = World(
            {
                "version": "random",
                "listeners": [],
                "clusterNetworks": {"serviceCIDRs": ["10.96.0.0/16", "fd00:96::/112"]},
                "nodes": [_node(name) for name in NODES],
                "namespaces": [self._namespace(n) for n in self._some(NAMESPACES, 1, 3)],
                "pods": [],
                "services": [],
                "externals": [{"name": f"ext{n}", "ips": [ip]} for n, ip in enumerate(OUTSIDE)],
            }
        )
        self.namespaces = list(world.namespaces)
        for number in range(self.rng.randint(3, 10)):
            pod = self._pod(f"p{number}")
            world.pods[name_of(pod)] = pod
        for number in range(self.rng.choice((1, 2, 3, 4, 6))):
            world.apply(self._policy(f"n{number}"))
        return world

    def change(self, world: World) -> None:
        """Change one thing: any object comes, goes, or becomes another one of its name."""
        kind = self.rng.choices(("policy", "pod", "labels", "status", "namespace"), (5, 4, 4, 2, 1))
        getattr(self, f"_change_{kind[0]}")(world)

    def _change_policy(self, world: World) -> None:
        name = f"n{self.rng.randrange(6)}"
        made = self._policy(name)
        if name_of(made) in world.policies and self.rng.random() < 0.4:
            del world.policies[name_of(made)]
        else:
            world.apply(made)

    def _change_pod(self, world: World) -> None:
        made = self._pod(f"p{self.rng.randrange(12)}")
        gone = [
            n for n, p in world.pods.items() if p["metadata"]["name"] == made["metadata"]["name"]
        ]
        for name in gone:
            del world.pods[name]
        if not gone or self.rng.random() < 0.6:
            world.pods[name_of(made)] = made

    def _change_labels(self, world: World) -> None:
        if world.pods:
            self.rng.choice(list(world.pods.values()))["metadata"]["labels"] = self._labels()

    def _change_status(self, world: World) -> None:
        """A pod ends, or one that had no address yet gets one."""
        if world.pods:
            pod = self.rng.choice(list(world.pods.values()))
            pod["status"] = self._status(pod["spec"])

    def _change_namespace(self, world: World) -> None:
        name = self.rng.choice(self.namespaces)
        world.namespaces[name] = self._namespace(name)

    def _some(self, pool: list[Any], least: int, most: int) -> list[Any]:
        return self.rng.sample(pool, self.rng.randint(least, min(most, len(pool))))

    def _labels(self) -> dict[str, str]:
        return {key: self.rng.choice(VALUES) for key in self._some(KEYS, 0, 3)}

    def _namespace(self, name: str) -> Object:
        labels = {"kubernetes.io/metadata.name": name, **self._labels()}
        return _object("v1", "Namespace", {"name": name, "labels": labels})

    # Pods -------------------------------------------------------------------------------------

    def _pod(self, name: str) -> Object:
        self.created += 1
        metadata = {
            "name": name,
            "namespace": self.rng.choice(self.namespaces),
            "labels": self._labels(),
            "creationTimestamp": _time(self.created),
        }
        node = self.rng.choice(list(NODES))
        spec: Object = {"nodeName": node, "containers": self._containers()}
        if self.rng.random() < 0.5:
            spec["initContainers"] = self._init_containers()
        if self.rng.random() < 0.1:
            spec["hostNetwork"] = True
        return {**_object("v1", "Pod", metadata), "spec": spec, "status": self._status(spec)}

    def _status(self, spec: Object) -> Object:
        hosts = NODES[spec["nodeName"]][0]
        ips = hosts if spec.get("hostNetwork") else self._addresses(spec["nodeName"])
        status: Object = {"phase": self.rng.choice(["Running"] * 6 + ["Succeeded", "Failed"])}
        if ips:
            status.update(hostIP=hosts[0], podIP=ips[0], podIPs=[{"ip": ip} for ip in ips])
        return status

    def _addresses(self, node: str) -> list[str]:
        """Of a network so small that pods happen to have one address."""
        number = self.rng.randint(2, 8)
        both = [str(ipaddress.ip_network(cidr)[number]) for cidr in NODES[node][1]]
        return self.rng.choice([both, both, both, both[:1], both[1:], both[::-1], []])

    def _containers(self) -> list[Object]:
        self.named: set[tuple[str, str]] = set()
        return [self._container(f"c{n}") for n in range(self.rng.choice((1, 1, 2)))]

    def _init_containers(self) -> list[Object]:
        made = [self._container("sidecar")]
        made[0]["restartPolicy"] = "Always"
        # The ports of one that has ended are nobody's.
        taken = self.named
        self.named = set()
        made.append(self._container("ended"))
        self.named = taken
        return made

    def _container(self, name: str) -> Object:
        ports = []
        for _ in range(self.rng.randint(0, 4)):
            port: Object = {"containerPort": self.rng.choice(PORTS)}
            protocol = self.rng.choice(PROTOCOLS)
            if protocol != "TCP" or self.rng.random() < 0.5:
                port["protocol"] = protocol
            called = self.rng.choice(PORT_NAMES)
            if (called, protocol) not in self.named and self.rng.random() < 0.9:
                self.named.add((called, protocol))
                port["name"] = called
            ports.append(port)
        return {"name": name, "image": "probe", **({"ports": ports} if ports else {})}

    # Policies ---------------------------------------------------------------------------------

    def _policy(self, name: str) -> Object:
        spec: Object = {"podSelector": self._selector()}
        types = [["Ingress"], ["Egress"], ["Ingress", "Egress"], ["Egress", "Ingress"], None, None]
        if chosen := self.rng.choice(types):
            spec["policyTypes"] = chosen
        for rules, peers in (("ingress", "from"), ("egress", "to")):
            if self.rng.random() < 0.7:
                spec[rules] = [self._rule(peers) for _ in range(self.rng.choice((0, 1, 1, 2, 3)))]
        metadata = {"name": name, "namespace": self.rng.choice(self.namespaces)}
        return {**_object("networking.k8s.io/v1", "NetworkPolicy", metadata), "spec": spec}

    def _rule(self, peers: str) -> Object:
        rule: Object = {}
        if self.rng.random() < 0.75:
            rule[peers] = [self._peer() for _ in range(self.rng.choice((0, 1, 1, 2, 3)))]
        if self.rng.random() < 0.6:
            rule["ports"] = [self._port() for _ in range(self.rng.choice((0, 1, 1, 2, 3)))]
        return rule

    def _peer(self) -> Object:
        kind = self.rng.random()
        if kind < 0.4:
            return {"ipBlock": self._block()}
        peer = {}
        if kind < 0.8:
            peer["podSelector"] = self._selector()
        if kind > 0.6:
            peer["namespaceSelector"] = self._selector()
        return peer

    def _block(self) -> Object:
        family = self.rng.choice((4, 6))
        cidr = self.rng.choice(BLOCKS[family])
        inside = [hole for hole in BLOCKS[family] if _lies_in(hole, cidr)]
        holes = self._some(inside, 0, 3) if inside and self.rng.random() < 0.6 else []
        return {"cidr": cidr, **({"except": holes} if holes else {})}

    def _port(self) -> Object:
        port: Object = {}
        if self.rng.random() < 0.7:
            port["protocol"] = self.rng.choice(PROTOCOLS)
        kind = self.rng.random()
        if kind < 0.35:
            port["port"] = self.rng.choice([*PORT_NAMES, "nobodys"])
        elif kind < 0.85:
            port["port"] = self.rng.choice(PORTS)
            if self.rng.random() < 0.4:
                port["endPort"] = port["port"] + self.rng.choice((0, 1, 30, 1000))
        return port

    def _selector(self) -> Object:
        made: Object = {}
        if self.rng.random() < 0.45:
            made["matchLabels"] = {key: self.rng.choice(VALUES) for key in self._some(KEYS, 1, 2)}
        if self.rng.random() < 0.35:
            made["matchExpressions"] = [self._requirement() for _ in range(self.rng.randint(1, 2))]
        return made

    def _requirement(self) -> Object:
        key, pool = self.rng.choice(KEYS), VALUES
        if self.rng.random() < 0.15:
            key, pool = "kubernetes.io/metadata.name", NAMESPACES
        operator = self.rng.choice(("In", "NotIn", "Exists", "DoesNotExist"))
        made: Object = {"key": key, "operator": operator}
        if operator in ("In", "NotIn"):
            made["values"] = self._some(pool, 1, 3)
        return made


def _lies_in(hole: str, cidr: str) -> bool:
    """Whether a network is a part of another one."""
    inner, outer = (ipaddress.ip_network(text, strict=False) for text in (hole, cidr))
    return inner.prefixlen > outer.prefixlen and inner[0] in outer


def _time(second: int) -> str:
    return f"2024-05-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


def _object(version: str, kind: str, metadata: Object) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _node(name: str) -> Object:
    ips, cidrs = NODES[name]
    status = {"addresses": [{"type": "InternalIP", "address": ip} for ip in ips]}
    spec = {"podCIDR": cidrs[0], "podCIDRs": cidrs}
    return {**_object("v1", "Node", {"name": name}), "spec": spec, "status": status}


def smaller(world: World) -> Iterator[World]:
    """The same with one thing less, in every way: for whoever looks for the cause of something."""
    for kind in ("policies", "pods"):
        for name in getattr(world, kind):
            less = world.copy()
            del getattr(less, kind)[name]
            yield less
    for name, policy in world.policies.items():
        for change in _smaller_policies(policy):
            less = world.copy()
            less.policies[name] = change
            yield less


def _smaller_policies(policy: Object) -> Iterator[Object]:
    """The policy with one rule, peer or port less. The last peer and port of a rule stay: without
    any, all would match."""
    for rules, peers in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(policy["spec"].get(rules) or []):
            less = copy.deepcopy(policy)
            del less["spec"][rules][number]
            yield less
            for part in (peers, "ports"):
                entries = rule.get(part) or []
                for entry in range(len(entries) if len(entries) > 1 else 0):
                    less = copy.deepcopy(policy)
                    del less["spec"][rules][number][part][entry]
                    yield less


def shrunk(world: World, differs: Callable[[World], bool]) -> World:
    """The smallest that still @differs, taking one thing away at a time."""
    while True:
        for less in smaller(world):
            if differs(less):
                world = less
                break
        else:
            return world
