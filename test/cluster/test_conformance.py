"""Kubernetes' own end-to-end tests of Services, by their titles, that need a real API server.

The title is the first line of a test's docstring, as in test/netns/test_conformance.py.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

import pytest

from rig import objects
from rig.agent import Agent, wait_until
from rig.api.cluster import API_IPS
from rig.api.server import PORT
from rig.client import outcome, pods_met
from rig.cluster import cluster_ip
from rig.frontends import everywhere
from rig.live.client import ApiError, reference
from rig.live.cluster import LiveCluster
from rig.netns import Namespace
from rig.objects import Object

ZONE = "topology.kubernetes.io/zone"


def meets(place: Namespace, at: tuple[str, int], *pods: str) -> bool:
    """Whether these pods answer, and no others; nobody: it is refused."""
    if not pods:
        return outcome(place, *at) == "refused"
    return outcome(place, *at) in pods and set(pods_met(place, *at)) == set(pods)


def handshake(place: Namespace, address: str, authority: str) -> str:
    """The version of TLS that the API server speaks at an address, its certificate verified."""
    context = ssl.create_default_context(cafile=authority)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with place.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(30)
        sock.connect((address, 443))
        with context.wrap_socket(sock, server_hostname="kubernetes") as tls:
            return str(tls.version())


def test_secure_master(cluster: LiveCluster, agent: Agent) -> None:
    """API Server should provide secure master service"""
    made = cluster.admin.get(reference("Service", "kubernetes"))
    assert [(p["name"], p["port"]) for p in made["spec"]["ports"]] == [("https", 443)]
    api = {**made, "spec": {"ports": [objects.port(443, target=PORT, name="https")]}}
    cluster.apply("masters", objects.slice_of(api, [objects.endpoint(API_IPS[4])]))
    cluster.settle(agent)
    # Its host has no route to pods.
    for place in (cluster.client, cluster.node1):
        authority = str(cluster.authority.path)
        assert handshake(place, made["spec"]["clusterIP"], authority).startswith("TLS")


def node_port_service(name: str, number: int, node_port: int) -> Object:
    return objects.service(
        name, cluster_ip(number).values(), [objects.port(80, node_port=node_port)]
    )


def test_node_port_collisions(cluster: LiveCluster, agent: Agent) -> None:
    """Services should prevent NodePort collisions"""
    first, second = cluster.new_number(), cluster.new_number()
    node_port = 30000 + first
    cluster.deploy(node_port_service("first", first, node_port), "web-1")
    with pytest.raises(ApiError, match="already allocated"):
        cluster.deploy(node_port_service("second", second, node_port), "web-3")
    cluster.settle(agent)
    at = (cluster.node1.ips[4], node_port)
    assert meets(cluster.client, at, "web-1")
    cluster.remove("first")
    cluster.deploy(node_port_service("second", second, node_port), "web-3")
    cluster.settle(agent)
    assert meets(cluster.client, at, "web-3")


def test_node_port_released(cluster: LiveCluster, agent: Agent) -> None:
    """Services should release NodePorts on delete"""
    made = everywhere(cluster, "released", "web-1")
    cluster.settle(agent)
    for _ in range(2):
        assert meets(cluster.client, made.at("node-port", 4), "web-1")
        cluster.remove("released")
        cluster.settle(agent)
        assert meets(cluster.client, made.at("node-port", 4))
        cluster.deploy(made.object, "web-1")
        cluster.settle(agent)


@contextlib.contextmanager
def pod_as(cluster: LiveCluster, name: str, *, ready: bool, terminating: bool) -> Iterator[None]:
    """The pod is in this state for a while, as its kubelet would tell."""
    cluster.api.put(cluster.pod_object(name, ready=ready))
    if terminating:
        cluster.admin.delete(cluster.pod_object(name), gracePeriodSeconds=300)
    try:
        yield
    finally:
        if terminating:
            cluster.api.delete(cluster.pod_object(name))
        cluster.api.put(cluster.pod_object(name))


def slices_tell(cluster: LiveCluster, service: str, **conditions: bool) -> bool:
    """Whether the slices of a Service have endpoints, all in these conditions."""
    selector = f"kubernetes.io/service-name={service}"
    found = [
        {name: endpoint["conditions"].get(name) for name in conditions}
        for each in cluster.admin.list("EndpointSlice", "default", labelSelector=selector)
        for endpoint in each["endpoints"] or ()
    ]
    return bool(found) and all(one == conditions for one in found)


def served_when_unready(
    cluster: LiveCluster, agent: Agent, *, published: bool, terminating: bool
) -> None:
    """One pod that is not ready is served if it is published, from inside and outside."""
    with pod_as(cluster, "web-1", ready=False, terminating=terminating):
        made = everywhere(cluster, "unready", publishNotReadyAddresses=published)
        cluster.select("unready", ["web-1"])
        wait_until(
            "the slices",
            lambda: slices_tell(
                cluster, "unready", ready=published, serving=False, terminating=terminating
            ),
        )
        cluster.settle(agent)
        for place in (cluster.pods["shell"], cluster.node1, cluster.client):
            for family in (4, 6):
                for kind in ("cluster-ip", "node-port"):
                    assert meets(place, made.at(kind, family), *(["web-1"] if published else []))


def test_unready_pods(cluster: LiveCluster, agent: Agent) -> None:
    """Services should create endpoints for unready pods"""
    served_when_unready(cluster, agent, published=True, terminating=False)


def test_terminating_and_published(cluster: LiveCluster, agent: Agent) -> None:
    """Services should be able to connect to terminating and unready endpoints if PublishNotReadyAddresses is true"""
    served_when_unready(cluster, agent, published=True, terminating=True)


def test_terminating_and_not_published(cluster: LiveCluster, agent: Agent) -> None:
    """Services should not be able to connect to terminating and unready endpoints if PublishNotReadyAddresses is false"""
    served_when_unready(cluster, agent, published=False, terminating=True)


def test_evicted_pods(cluster: LiveCluster, agent: Agent) -> None:
    """Services should be rejected for evicted pods (no endpoints exist)"""
    made = everywhere(cluster, "evicted", "web-1")
    cluster.settle(agent)
    pod = cluster.pod_object("web-1")
    # The controller looks again when a pod is not ready any more, whatever its phase.
    unready = [{"type": "Ready", "status": "False"}]
    failed = {"status": {"phase": "Failed", "reason": "Evicted", "conditions": unready}}
    assert meets(cluster.client, made.at("node-port", 4), "web-1")
    cluster.admin.patch(pod, failed, "status")
    try:
        cluster.wait_endpoints("evicted")
        cluster.settle(agent)
        for place in (cluster.pods["shell"], cluster.node1, cluster.client):
            for family in (4, 6):
                for kind in ("cluster-ip", "node-port"):
                    assert meets(place, made.at(kind, family))
    finally:
        cluster.api.delete(pod)
        cluster.api.put(pod)


@pytest.fixture
def zones(cluster: LiveCluster) -> Iterator[None]:
    """Either node in a zone of its own."""
    nodes = {"node1": "east", "node2": "west"}
    for name, zone in nodes.items():
        cluster.admin.patch(reference("Node", name), {"metadata": {"labels": {ZONE: zone}}})
    yield
    for name in nodes:
        cluster.admin.patch(reference("Node", name), {"metadata": {"labels": {ZONE: None}}})


@pytest.mark.parametrize("distribution", ["PreferClose", "PreferSameZone", "PreferSameNode"])
def test_traffic_distribution(
    cluster: LiveCluster, agent: Agent, zones: None, distribution: str
) -> None:
    """Traffic Distribution should route traffic to an endpoint in the same zone when using PreferClose
    Traffic Distribution should route traffic to an endpoint in the same zone when using PreferSameZone
    Traffic Distribution should route traffic to an endpoint on the same node when using PreferSameNode and fall back when the endpoint becomes unavailable"""
    made = everywhere(cluster, "near", "web-1", "web-3", trafficDistribution=distribution)
    shell = cluster.pods["shell"]

    def met(*pods: str) -> bool:
        return all(meets(shell, made.at("cluster-ip", family), *pods) for family in (4, 6))

    agent.wait_until("the endpoint here alone", lambda: met("web-1"))
    cluster.deploy(made.object, "web-3")
    agent.wait_until("the endpoint elsewhere", lambda: met("web-3"))
    cluster.deploy(made.object, "web-1", "web-2", "web-3")
    agent.wait_until("both here", lambda: met("web-1", "web-2"))
