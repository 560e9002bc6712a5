"""Namespaces, pods and NetworkPolicies written to an API server by many at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from rig.live.client import ApiClient
from rig.live.control_plane import ControlPlane
from rig.objects import Object

from filling import WRITERS, in_processes

APPS = 10
TEAMS = 10
# The nodes whose pods a measured agent has; all others are on nodes that nobody has an agent on.
NODES = ("node1", "node2")


@dataclass(frozen=True)
class Population:
    """Each namespace has so many pods and policies. In the first @near ones, so many of the pods are
    @local to each of NODES."""

    namespaces: int = 50
    pods: int = 100
    policies: int = 10
    near: int = 50
    local: int = 2

    def __str__(self) -> str:
        pods, local = self.namespaces * self.pods, self.near * self.local
        return f"{pods:,} pods, {local} of them local, {self.namespaces * self.policies:,} policies"


def namespace_of(number: int) -> Object:
    """The namespace with this number."""
    labels = {"team": f"team-{number % TEAMS}"}
    metadata = {"name": f"space-{number}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def pod_ip(size: Population, namespace: int, pod: int) -> str:
    """The address of a pod; no two are alike."""
    number = 1 + namespace * size.pods + pod
    return f"10.{128 + number // 65536}.{number // 256 % 256}.{number % 256}"


def pod_of(size: Population, namespace: int, pod: int, node_ips: dict[str, str]) -> Object:
    """A pod, running. The first ones are those of NODES."""
    home = pod // size.local
    near = namespace < size.near and home < len(NODES)
    node = NODES[home] if near else f"elsewhere-{pod % 97}"
    ip = pod_ip(size, namespace, pod)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": f"space-{namespace}",
            "name": f"pod-{pod}",
            "labels": {"app": f"app-{pod % APPS}", "version": "1"},
        },
        "spec": {
            "nodeName": node,
            "containers": [
                {"name": "c", "image": "none", "ports": [{"name": "web", "containerPort": 8080}]}
            ],
        },
        "status": {
            "phase": "Running",
            "hostIP": node_ips.get(node, "192.0.2.1"),
            "podIP": ip,
            "podIPs": [{"ip": ip}],
        },
    }


def policy_of(namespace: int, number: int) -> Object:
    """A policy with peers of each kind in both directions. Every other one selects all pods of its
    namespace."""
    app = {"app": f"app-{number % APPS}"}
    pods = {"podSelector": {"matchLabels": {"app": f"app-{(number + 1) % APPS}"}}}
    team = {"matchLabels": {"team": f"team-{(namespace + number) % TEAMS}"}}
    namespaces = {"namespaceSelector": team, "podSelector": {"matchLabels": app}}
    octet = 1 + number % 250
    network = f"172.{16 + octet % 16}"
    block = {"ipBlock": {"cidr": f"{network}.0.0/16", "except": [f"{network}.{octet}.0/24"]}}
    ports = [
        {"protocol": "TCP", "port": 8080},
        {"protocol": "TCP", "port": 9000 + number, "endPort": 9100 + number},
        {"protocol": "UDP", "port": 53},
    ]
    peers = [pods, namespaces, block]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": f"space-{namespace}", "name": f"policy-{number}"},
        "spec": {
            "podSelector": {"matchLabels": app} if number % 2 else {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": peers, "ports": ports}],
            "egress": [{"to": peers, "ports": ports}],
        },
    }


def objects_of(size: Population, namespace: int, node_ips: dict[str, str]) -> Iterator[Object]:
    """All policies and pods of a namespace."""
    yield from (policy_of(namespace, number) for number in range(size.policies))
    yield from (pod_of(size, namespace, pod, node_ips) for pod in range(size.pods))


def put(client: ApiClient, made: Object) -> None:
    """Create an object with its status."""
    status = made.pop("status", None)
    client.create(made)
    if status:
        client.patch(made, {"status": status}, "status")


def populate(control_plane: ControlPlane, size: Population, node_ips: dict[str, str]) -> float:
    """Create everything; the seconds it took."""
    begin = time.monotonic()
    for number in range(size.namespaces):
        control_plane.admin.create(namespace_of(number))

    def write(client: ApiClient, number: int) -> None:
        for namespace in range(size.namespaces):
            for n, made in enumerate(objects_of(size, namespace, node_ips)):
                if n % WRITERS == number:
                    put(client, made)

    in_processes(control_plane, WRITERS, write)
    return time.monotonic() - begin


def relabel(client: ApiClient, namespace: int, pod: int, app: int) -> None:
    """Give a pod another label, by which other policies select it."""
    metadata = {"namespace": f"space-{namespace}", "name": f"pod-{pod}"}
    change = {"metadata": {"labels": {"app": f"app-{app % APPS}"}}}
    client.patch({"kind": "Pod", "metadata": metadata}, change)
