"""A small cluster that changes at random.

Names, addresses and ports are few, so that Services claim one another's frontends, share endpoints,
and turn from one kind into another. Objects share files, and move from one to another.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from . import objects
from .objects import Object

SERVICES = [(namespace, f"s{n}") for namespace in ("default", "shop") for n in range(7)]
NODES = ("node1", "node2", "node3")
CONDITIONS: list[dict[str, bool]] = [
    {},
    {},
    {"ready": True},
    {"ready": False},
    {"ready": False, "serving": True, "terminating": True},
]
ZONES = ("east", "west")
FILES = 24
RANGES = (
    "--service-cluster-ip-range=10.96.0.0/16",
    "--service-cluster-ip-range=fd96::/112",
    "--service-external-ip-range=203.0.113.0/24",
    "--service-external-ip-range=2001:db8:113::/64",
    "--loadbalancer-ip-range=198.51.100.0/24",
    "--loadbalancer-ip-range=2001:db8:100::/64",
)
CLUSTER_IPS = {4: [f"10.96.0.{n}" for n in range(1, 10)], 6: [f"fd96::{n}" for n in range(1, 10)]}
# The last one of each is outside its range; so is a cluster IP.
EXTERNAL_IPS = [f"{net}{n}" for net in ("203.0.113.", "2001:db8:113::") for n in (1, 2, 3)] + [
    "192.0.2.1",
    "10.96.0.1",
]
LOAD_BALANCER_IPS = [f"{net}{n}" for net in ("198.51.100.", "2001:db8:100::") for n in (1, 2)] + [
    "2001:db8:bad::1"
]
# A loopback address and a cluster IP are no endpoints.
ENDPOINTS = {
    4: [f"10.244.{node}.{n}" for node in (1, 2) for n in (2, 3, 4)] + ["127.0.0.1", "10.96.0.2"],
    6: [f"fd44:0:0:{node}::{n}" for node in (1, 2) for n in (2, 3, 4)] + ["::1", "fd96::2"],
}
# The second one of each family is an external address, too, the third is in a range of ClusterIPs.
NODE_ADDRESSES = [
    *("192.168.50.11", "203.0.113.2", "10.96.200.200"),
    *("fd50::11", "2001:db8:113::2", "fd96::c8c8"),
]
# They overlap, have host bits, mean everybody, nobody, the node.
SOURCE_RANGES = [
    *("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "192.0.2.5/24", "192.168.50.0/24", "0.0.0.0/0"),
    *("2001:db8::/32", "2001:db8:5::1/48", "fd50::11/128", "fd50::/16", "8000::/1", "::/0"),
    "nonsense",
]
POD_CIDRS = [
    *(f"10.244.{n}.0/24" for n in range(4)),
    "10.244.0.0/22",
    *(f"fd44:0:0:{n}::/64" for n in range(4)),
    "fd44::/62",
]
PORTS = [(protocol, port) for protocol in ("TCP", "UDP", "SCTP") for port in (53, 80)]
NODE_PORTS = [0, 0, 30001, 30002, 30003]
TARGETS = [8080, 8081]
PORT_NAMES = ["", "http", "dns", "admin"]
# How often an object of each kind changes.
WEIGHTS = {
    **{"Service": 8, "EndpointSlice": 10, "Node": 1},
    **{"Namespace": 1, "Pod": 6, "NetworkPolicy": 4},
}
LABELS = {"app": ["web", "db", "api"], "team": ["red", "blue"]}
POD_PORTS = [
    {"name": "http", "containerPort": 8080},
    {"name": "http", "containerPort": 8081},
    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
]
POLICY_PORTS = [
    *({"port": 80}, {"port": 70, "endPort": 90}, {"port": "http"}, {"protocol": "SCTP"}),
    *({"port": "dns", "protocol": "UDP"}, {"port": 53, "protocol": "UDP"}, {"port": "nobody"}),
]
# With what may be cut out of them.
BLOCKS = {
    "0.0.0.0/0": ["10.0.0.0/8", "128.0.0.0/1"],
    "10.244.0.0/16": ["10.244.1.0/24", "10.244.1.128/25"],
    "10.244.1.2/32": [],
    "::/0": ["fd44::/16"],
    "fd44::/32": ["fd44:0:0:1::/64"],
}
ANNOTATIONS = ["service.local", "service.hairpin", "service.skiplbips"]
SCHEDULERS = ["rr", "lc", "sh", "dh", "mh", "wrr"]

# What an object is known by: its kind, namespace and name.
Key = tuple[str, str, str]


class Universe:
    """All objects, and the directory in which they are written."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.rng = random.Random(seed)
        self.directory = directory
        self.objects: dict[Key, Object] = {}
        self.files: dict[Key, int] = {}
        self.changes = 0

    def batch(self) -> None:
        """Change some objects, then write the files that it concerns, in any order."""
        dirty: set[int] = set()
        for _ in range(self.rng.choice((1, 1, 2, 3, 8))):
            dirty |= self._change()
            self.changes += 1
        for number in self.rng.sample(sorted(dirty), len(dirty)):
            self._write(number)

    def _write(self, number: int) -> None:
        content = [o for key, o in self.objects.items() if self.files[key] == number]
        if content or self.rng.random() < 0.5:
            objects.write_manifest(self.directory, f"f{number:02}", *content)
        else:
            (self.directory / f"f{number:02}.yaml").unlink(missing_ok=True)

    def _change(self) -> set[int]:
        """Change one object; the files to be written."""
        namespace, name = self.rng.choice(SERVICES)
        kind = self.rng.choices(tuple(WEIGHTS), tuple(WEIGHTS.values()))[0]
        if kind == "Node":
            key = (kind, "", self.rng.choice(NODES))
        elif kind == "Namespace":
            key = (kind, "", namespace)
        elif kind in ("Pod", "NetworkPolicy"):
            key = (kind, namespace, f"{kind[0].lower()}{self.rng.randrange(8)}")
        elif kind == "EndpointSlice":
            key = (kind, namespace, f"{name}-{self.rng.randrange(3)}")
        else:
            key = (kind, namespace, name)
        return self._change_object(key)

    def _change_object(self, key: Key) -> set[int]:
        what = self.rng.random()
        dirty = {self.files[key]} if key in self.files else set()
        # Policies of a namespace that is deleted hold: that is history, not a state.
        if what < 0.12 and key[0] != "Namespace":
            self.objects.pop(key, None)
            self.files.pop(key, None)
            return dirty
        if what < 0.17 or key not in self.objects:
            self.files[key] = self.rng.randrange(FILES)
        if what < 0.3 or key not in self.objects:
            self.objects[key] = MAKERS[key[0]](self, key)
        else:
            EDITORS[key[0]](self, self.objects[key])
        return dirty | {self.files[key]}

    # Services ---------------------------------------------------------------------------------

    def _service(self, key: Key) -> Object:
        made = objects.service(key[2], [], namespace=key[1])
        made["status"] = {"loadBalancer": {}}
        for edit in SERVICE_EDITS:
            if edit is not Universe._edit_type or self.rng.random() < 0.2:
                edit(self, made)
        return made

    def _edit_service(self, made: Object) -> None:
        self.rng.choice(SERVICE_EDITS)(self, made)

    def _edit_age(self, made: Object) -> None:
        day = self.rng.randrange(1, 4)
        made["metadata"]["creationTimestamp"] = f"2024-05-0{day}T00:00:00Z"

    def _edit_type(self, made: Object) -> None:
        spec = made["spec"]
        spec["type"] = self.rng.choice(("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"))
        if self.rng.random() < 0.2:
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]

    def _edit_cluster_ips(self, made: Object) -> None:
        families = self.rng.choice(([4], [6], [4, 6], [6, 4], [4, 6]))
        ips = [self.rng.choice(CLUSTER_IPS[family]) for family in families]
        made["spec"].update(clusterIP=ips[0], clusterIPs=ips)

    def _edit_ports(self, made: Object) -> None:
        n = self.rng.choice((1, 1, 2, 3))
        node_ports = self.rng.sample(NODE_PORTS[1:], n)
        made["spec"]["ports"] = [
            objects.port(port, target=8080, protocol=protocol, name=name, node_port=node_port)
            for (protocol, port), name, node_port in zip(
                self.rng.sample(PORTS, n), self.rng.sample(PORT_NAMES, n), node_ports
            )
        ]

    def _edit_addresses(self, made: Object) -> None:
        some = self.rng.choice((0, 0, 1, 2, 4))
        made["spec"]["externalIPs"] = self.rng.sample(EXTERNAL_IPS, some)
        ingress = self.rng.sample(LOAD_BALANCER_IPS, min(some, 3))
        mode = self.rng.choice(("VIP", "VIP", "Proxy"))
        made["status"]["loadBalancer"]["ingress"] = [{"ip": ip, "ipMode": mode} for ip in ingress]

    def _edit_source_ranges(self, made: Object) -> None:
        some = self.rng.choice((0, 1, 2, 3, 6))
        made["spec"]["loadBalancerSourceRanges"] = self.rng.sample(SOURCE_RANGES, some)

    def _edit_policies(self, made: Object) -> None:
        for policy in ("externalTrafficPolicy", "internalTrafficPolicy"):
            made["spec"][policy] = self.rng.choice(("Cluster", "Cluster", "Local"))
        made["spec"]["publishNotReadyAddresses"] = self.rng.random() < 0.2

    def _edit_affinity(self, made: Object) -> None:
        made["spec"]["sessionAffinity"] = self.rng.choice(("None", "None", "ClientIP"))
        timeout = {"clientIP": {"timeoutSeconds": self.rng.choice((30, 60, 10800))}}
        made["spec"]["sessionAffinityConfig"] = timeout

    def _edit_annotations(self, made: Object) -> None:
        made["metadata"]["annotations"] = {
            f"kube-router.io/{name}": "true" for name in ANNOTATIONS if self.rng.random() < 0.15
        }
        # Seldom: the tables of mh are large.
        if self.rng.random() < 0.3:
            scheduler = self.rng.choices(SCHEDULERS, (4, 2, 4, 4, 1, 1))[0]
            made["metadata"]["annotations"] |= {
                "kube-router.io/service.scheduler": scheduler,
                "kube-router.io/service.schedflags": self.rng.choice(("", "flag-2", "flag-1")),
            }

    # EndpointSlices ---------------------------------------------------------------------------

    def _slice(self, key: Key) -> Object:
        owner = objects.service(key[2].split("-")[0], [], namespace=key[1])
        made = objects.slice_of(owner, [], family=self.rng.choice((4, 6)))
        made["metadata"]["name"] = key[2]
        self._edit_endpoints(made)
        self._edit_slice_ports(made)
        return made

    def _edit_slice(self, made: Object) -> None:
        what = self.rng.random()
        if what < 0.75:
            self._edit_endpoints(made)
        elif what < 0.9:
            self._edit_slice_ports(made)
        else:
            labels = {"kubernetes.io/service-name": self.rng.choice(SERVICES)[1]}
            made["metadata"]["labels"] = labels

    def _edit_endpoints(self, made: Object) -> None:
        universe = ENDPOINTS[int(made["addressType"][-1])]
        kept = [e for e in made["endpoints"] if self.rng.random() < 0.8]
        fresh = self.rng.sample(universe, self.rng.choice((0, 1, 1, 2, 4)))
        made["endpoints"] = kept + [self._endpoint(address) for address in fresh]

    def _endpoint(self, address: str) -> Object:
        conditions = self.rng.choice(CONDITIONS)
        made = objects.endpoint(address, self.rng.choice(("", *NODES[:2])), **conditions)
        if self.rng.random() < 0.2:
            made["hints"] = {"forZones": [{"name": self.rng.choice(ZONES)}]}
        if self.rng.random() < 0.1:
            made.setdefault("hints", {})["forNodes"] = [{"name": self.rng.choice(NODES)}]
        return made

    def _edit_slice_ports(self, made: Object) -> None:
        made["ports"] = [
            {"name": name, "protocol": protocol, "port": self.rng.choice(TARGETS)}
            for name in self.rng.sample(PORT_NAMES, 3)
            for protocol in ("TCP", "UDP", "SCTP")
        ]

    # Nodes ------------------------------------------------------------------------------------

    def _node(self, key: Key) -> Object:
        cidrs = self.rng.sample(POD_CIDRS, self.rng.choice((1, 2, 2)))
        addresses = self.rng.sample(NODE_ADDRESSES, self.rng.choice((1, 2, 2, 3)))
        made = objects.node(key[2], addresses, cidrs)
        made["metadata"]["labels"] = {"topology.kubernetes.io/zone": self.rng.choice(ZONES)}
        return made

    def _edit_node(self, made: Object) -> None:
        part = self.rng.choice(("spec", "status", "metadata"))
        made[part] = self._node(("Node", "", made["metadata"]["name"]))[part]


    # Network policy ---------------------------------------------------------------------------

    def _labels(self) -> dict[str, str]:
        return {k: self.rng.choice(v) for k, v in LABELS.items() if self.rng.random() < 0.6}

    def _namespace(self, key: Key) -> Object:
        metadata = {"name": key[2], "labels": self._labels()}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}

    def _pod(self, key: Key) -> Object:
        """Addresses are those of endpoints: few, and claimed by several."""
        addresses = [{"ip": self.rng.choice(ENDPOINTS[family][:6])} for family in (4, 6)]
        ports = self.rng.sample(POD_PORTS, self.rng.choice((0, 1, 2)))
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": key[1], "name": key[2], "labels": self._labels()},
            "spec": {
                "nodeName": self.rng.choice(NODES[:2]),
                "hostNetwork": self.rng.random() < 0.1,
                "containers": [{"name": "main", "ports": ports}],
            },
            "status": {
                "phase": self.rng.choice(("Pending", "Running", "Running", "Running", "Failed")),
                "podIPs": self.rng.sample(addresses, self.rng.choice((0, 1, 2))),
            },
        }

    def _selector(self) -> Object:
        if self.rng.random() < 0.5:
            return {"matchLabels": self._labels()}
        key = self.rng.choice(tuple(LABELS))
        operator = self.rng.choice(("In", "NotIn", "Exists", "DoesNotExist"))
        values = {"values": self.rng.sample(LABELS[key], 1)} if operator.endswith("In") else {}
        return {"matchExpressions": [{"key": key, "operator": operator, **values}]}

    def _peer(self) -> Object:
        what = self.rng.random()
        if what < 0.3:
            block = self.rng.choice(tuple(BLOCKS))
            excepts = self.rng.sample(BLOCKS[block], self.rng.randrange(len(BLOCKS[block]) + 1))
            return {"ipBlock": {"cidr": block, "except": excepts}}
        kinds = ("podSelector",), ("namespaceSelector",), ("podSelector", "namespaceSelector")
        return {kind: self._selector() for kind in self.rng.choice(kinds)}

    def _rules(self, peers: str) -> list[Object]:
        return [
            {
                peers: [self._peer() for _ in range(self.rng.randrange(3))],
                "ports": self.rng.sample(POLICY_PORTS, self.rng.randrange(4)),
            }
            for _ in range(self.rng.randrange(3))
        ]

    def _policy(self, key: Key) -> Object:
        types = (["Ingress"], ["Egress"], ["Ingress", "Egress"])
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"namespace": key[1], "name": key[2]},
            "spec": {
                "podSelector": self._selector(),
                "policyTypes": self.rng.choice(types),
                "ingress": self._rules("from"),
                "egress": self._rules("to"),
            },
        }

    def _edit_part(self, made: Object) -> None:
        """One part of it is another's."""
        metadata = made["metadata"]
        key = (made["kind"], metadata.get("namespace", ""), metadata["name"])
        part = self.rng.choice([part for part in made if isinstance(made[part], dict)])
        made[part] = MAKERS[made["kind"]](self, key)[part]


SERVICE_EDITS: list[Callable[[Universe, Object], None]] = [
    Universe._edit_age,
    Universe._edit_cluster_ips,
    Universe._edit_type,
    Universe._edit_ports,
    Universe._edit_addresses,
    Universe._edit_source_ranges,
    Universe._edit_policies,
    Universe._edit_affinity,
    Universe._edit_annotations,
]
MAKERS = {
    "Service": Universe._service,
    "EndpointSlice": Universe._slice,
    "Node": Universe._node,
    "Namespace": Universe._namespace,
    "Pod": Universe._pod,
    "NetworkPolicy": Universe._policy,
}
EDITORS = {
    "Service": Universe._edit_service,
    "EndpointSlice": Universe._edit_slice,
    "Node": Universe._edit_node,
    "Namespace": Universe._edit_part,
    "Pod": Universe._edit_part,
    "NetworkPolicy": Universe._edit_part,
}
