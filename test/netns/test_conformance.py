"""Kubernetes' own end-to-end tests of Services, by their titles, as far as one node can show them.

The title is the first line of a test's docstring; docs/conformance.md lists all of them. What needs a
real API server is in test/cluster/test_conformance.py.
"""

from __future__ import annotations

import ast
import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig import objects
from rig.agent import REPOSITORY, Agent
from rig.client import Answer, Datagrams, ask, connected, outcomes
from rig.cluster import Cluster, Node, cluster_ip, start_server, wait_ready
from rig.frontends import Frontends, everywhere
from rig.health import wait_health
from rig.netns import Namespace
from rig.objects import Object
from rig.probe import Probe, probing
from rig.verdicts.conversations import Ask, Crowd

PODS = {"web-1", "web-2", "web-3", "web-4"}
LOCAL = {"web-1", "web-2"}
DRAINING = {"ready": False, "serving": True, "terminating": True}
NOT_READY = {"ready": False, "serving": False, "terminating": False}
HOST_PORT = 8090
ALL_PROTOCOLS = ("TCP", "UDP", "SCTP")
HTTP_AND_UDP = pytest.mark.parametrize("over", ["TCP", "UDP"], ids=["http", "udp"])

At = tuple[str, int]
Meet = Callable[..., set[str]]
Deploy = Callable[..., Frontends]


@pytest.fixture(scope="module")
def crowd(cluster: Cluster) -> Iterator[Crowd]:
    with contextlib.ExitStack() as cleanup:
        yield Crowd(cluster.pods, cleanup)


@pytest.fixture
def meet(crowd: Crowd) -> Meet:
    """Who answers connections from somewhere, or what else becomes of them."""

    def met(space: Namespace, at: At, protocol: str = "TCP", n: int = 60) -> set[str]:
        outcomes = crowd.converse([Ask(space, *at, protocol)] * n)
        return {o.pod if isinstance(o, Answer) else o for o in outcomes}

    return met


@pytest.fixture
def deploy(cluster: Cluster, agent: Agent, request: pytest.FixtureRequest) -> Iterator[Deploy]:
    """Services of one test, which end with it."""
    deployed: set[str] = set()

    def made(name: str, *pods: str, **options: object) -> Frontends:
        deployed.add(name)
        service = everywhere(cluster, name, *pods, **options)  # type: ignore[arg-type]
        cluster.settle(agent)
        return service

    yield made
    for name in deployed:
        with contextlib.suppress(FileNotFoundError):
            cluster.remove(name)


class Hosts:
    """Servers of pods that have no network but their node's."""

    def __init__(self, nodes: list[Node], cleanup: contextlib.ExitStack) -> None:
        self.nodes = {f"host-{node.number}": node for node in nodes}
        for name, node in self.nodes.items():
            wait_ready(start_server(node, name, cleanup, str(HOST_PORT)))

    def slices(self, made: Object, *names: str) -> list[Object]:
        return [
            objects.slice_of(
                made,
                [
                    objects.endpoint(self.nodes[n].ips[family], self.nodes[n].host_name)
                    for n in names
                ],
                family=family,
            )
            for family in (4, 6)
        ]


@pytest.fixture(scope="module")
def hosts(cluster: Cluster) -> Iterator[Hosts]:
    with contextlib.ExitStack() as cleanup:
        yield Hosts(cluster.nodes, cleanup)


def redeploy(made: Frontends, agent: Agent, *pods: str) -> None:
    """The same Service, as its object is now, with other endpoints."""
    made.cluster.deploy(made.object, *pods)
    made.cluster.settle(agent)


def apply_conditions(made: Frontends, agent: Agent, **pods: dict[str, bool]) -> None:
    """Give a Service endpoints in the conditions told; web_1=DRAINING is the pod web-1."""
    cluster = made.cluster
    slices = [
        objects.slice_of(
            made.object,
            [cluster.pods[n.replace("_", "-")].endpoint(f, **c) for n, c in pods.items()],
            family=f,
        )
        for f in (4, 6)
    ]
    cluster.apply(made.name, made.object, *slices)
    cluster.settle(agent)


def assert_nobody(places: list[Namespace], *at: At) -> None:
    """No pod answers there; whether it is refused or dropped is not asked."""
    attempts = [(place, *one, "TCP") for place in places for one in at]
    assert not outcomes(attempts) & PODS


# Services ---------------------------------------------------------------------------------------


def test_basic_endpoint(deploy: Deploy, meet: Meet, agent: Agent, family: int) -> None:
    """Services should serve a basic endpoint from pods"""
    made = deploy("basic")
    shell, at = made.cluster.pods["shell"], made.at("cluster-ip", family)
    for pods in ((), ("web-1",), ("web-1", "web-3"), ("web-3",), ()):
        redeploy(made, agent, *pods)
        assert meet(shell, at) == (set(pods) or {"refused"})


def test_multiport_endpoints(cluster: Cluster, agent: Agent, meet: Meet, family: int) -> None:
    """Services should serve multiport endpoints from pods"""
    ips = cluster_ip(cluster.new_number())
    ports = [objects.port(80, name="portname1"), objects.port(81, name="portname2", target=8081)]
    made = objects.service("multi", ips.values(), ports)

    def part(number: int, pod: str) -> Object:
        one = objects.slice_of(
            made, [cluster.pods[pod].endpoint(family)], suffix=str(number), family=family
        )
        return {**one, "ports": [one["ports"][number]]}

    shell = cluster.pods["shell"]
    for parts in ({0: "web-1"}, {0: "web-1", 1: "web-3"}, {1: "web-3"}):
        cluster.apply("multi", made, *(part(*p) for p in parts.items()))
        cluster.settle(agent)
        for number in (0, 1):
            wanted = {parts[number]} if number in parts else {"refused"}
            assert meet(shell, (ips[family], 80 + number)) == wanted


def test_ports_added_or_deleted(
    cluster: Cluster, agent: Agent, meet: Meet, family: int
) -> None:
    """Services should be updated after adding or deleting ports"""
    ips = cluster_ip(cluster.new_number())
    first, second = objects.port(80, name="p1"), objects.port(81, name="p2", target=8081)
    shell = cluster.pods["shell"]
    for ports in ([first], [first, second], [second]):
        cluster.deploy(objects.service("ported", ips.values(), ports), "web-1")
        cluster.settle(agent)
        for port in (first, second):
            at = (ips[family], port["port"])
            if port in ports:
                assert meet(shell, at) == {"web-1"}
            else:
                assert_nobody([shell], at)


def test_same_port_and_different_protocols(
    deploy: Deploy, meet: Meet, agent: Agent, family: int
) -> None:
    """Services should serve endpoints on same port and different protocols"""
    made = deploy("protocols", "web-1", protocols=ALL_PROTOCOLS)
    shell, at = made.cluster.pods["shell"], made.at("cluster-ip", family)
    for served in (ALL_PROTOCOLS, ("TCP",), ("UDP",), ALL_PROTOCOLS):
        ports = [objects.port(80, protocol=p, name=p.lower()) for p in served]
        made.object["spec"].update(ports=ports, type="ClusterIP", externalIPs=[])
        redeploy(made, agent, "web-1")
        for protocol in served:
            assert meet(shell, at, protocol) == {"web-1"}


def test_same_port_and_different_protocols_of_a_load_balancer(
    deploy: Deploy, meet: Meet, family: int
) -> None:
    """Services should serve endpoints on same port and different protocol for internal traffic on Type LoadBalancer"""
    made = deploy("lb-protocols", "web-1", "web-3", protocols=ALL_PROTOCOLS)
    for kind in ("cluster-ip", "load-balancer-ip"):
        for protocol in ALL_PROTOCOLS:
            at = made.at(kind, family)
            assert meet(made.cluster.pods["shell"], at, protocol) == {"web-1", "web-3"}


def test_source_pod_ip(deploy: Deploy, family: int) -> None:
    """Services should preserve source pod IP for traffic thru service cluster IP"""
    made = deploy("source", "web-1", "web-3")
    shell = made.cluster.pods["shell"]
    seen = [ask(shell, *made.at("cluster-ip", family)) for _ in range(60)]
    assert {answer.client for answer in seen} == {shell.ips[family]}
    assert {answer.pod for answer in seen} == {"web-1", "web-3"}


def test_hairpin(deploy: Deploy, meet: Meet, family: int) -> None:
    """Services should allow pods to hairpin back to themselves through services"""
    made = deploy("hairpin", "web-1")
    assert meet(made.cluster.pods["web-1"], made.at("cluster-ip", family)) == {"web-1"}


def test_up_and_down(deploy: Deploy, meet: Meet, agent: Agent, family: int) -> None:
    """Services should be able to up and down services"""
    first, second = deploy("up-down-1", "web-1", "web-3"), deploy("up-down-2", "web-2")
    cluster = first.cluster
    for place in (cluster.pods["shell"], cluster.node1):
        assert meet(place, first.at("cluster-ip", family)) == {"web-1", "web-3"}
        assert meet(place, second.at("cluster-ip", family)) == {"web-2"}
    cluster.remove("up-down-1")
    third = deploy("up-down-3", "web-1", "web-4")
    assert_nobody([cluster.pods["shell"], cluster.node1], first.at("cluster-ip", family))
    for place in (cluster.pods["shell"], cluster.node1):
        assert meet(place, second.at("cluster-ip", family)) == {"web-2"}
        assert meet(place, third.at("cluster-ip", family)) == {"web-1", "web-4"}


def test_recreated(deploy: Deploy, meet: Meet, agent: Agent, family: int) -> None:
    """Services should work after the service has been recreated"""
    made = deploy("recreated", "web-1")
    shell, at = made.cluster.pods["shell"], made.at("cluster-ip", family)
    assert meet(shell, at) == {"web-1"}
    made.cluster.remove("recreated")
    made.cluster.settle(agent)
    assert_nobody([shell], at)
    redeploy(made, agent, "web-1")
    assert meet(shell, at) == {"web-1"}


def test_restarted(own_cluster: Cluster, own_agent: Agent) -> None:
    """Services should work after restarting kube-proxy"""
    first = everywhere(own_cluster, "before", "web-1")
    own_cluster.settle(own_agent)
    own_agent.stop()
    second = everywhere(own_cluster, "meanwhile", "web-3")
    own_agent.start()
    own_cluster.settle(own_agent)
    for family in (4, 6):
        for made, pod in ((first, "web-1"), (second, "web-3")):
            assert ask(own_cluster.pods["shell"], *made.at("cluster-ip", family)).pod == pod


def test_node_port(deploy: Deploy, meet: Meet, client: str, family: int) -> None:
    """Services should be able to create a functioning NodePort service"""
    made = deploy("node-port", "web-1", "web-3")
    for kind in ("cluster-ip", "node-port"):
        assert meet(made.cluster.place(client), made.at(kind, family)) == {"web-1", "web-3"}


def test_node_port_for_two_protocols(
    deploy: Deploy, meet: Meet, agent: Agent, family: int
) -> None:
    """Services should be able to update service type to NodePort listening on same port number but different protocols"""
    made = deploy("to-node-port", "web-1")
    node_port = 30000 + made.number
    made.object["spec"].update(type="ClusterIP", externalIPs=[], ports=[objects.port(80)])
    redeploy(made, agent, "web-1")
    assert meet(made.cluster.client, made.at("node-port", family), n=2) == {"refused"}
    ports = [objects.port(80, protocol=p, name=p, node_port=node_port) for p in ("TCP", "UDP")]
    made.object["spec"].update(type="NodePort", ports=ports)
    redeploy(made, agent, "web-1")
    for protocol in ("TCP", "UDP"):
        assert meet(made.cluster.client, made.at("node-port", family), protocol) == {"web-1"}


def test_external_ip(deploy: Deploy, meet: Meet, client: str, family: int) -> None:
    """Services should be possible to connect to a service via ExternalIP when the external IP is not assigned to a node"""
    made = deploy("external", "web-1", "web-3")
    at = made.at("external-ip", family)
    assert meet(made.cluster.place(client), at) == {"web-1", "web-3"}


def external_name(made: Frontends) -> Object:
    """What is left of a Service that is changed to ExternalName."""
    named = {"type": "ExternalName", "externalName": "foo.example.com"}
    spec = {**named, "ports": made.object["spec"]["ports"]}
    return {**made.object, "spec": spec, "status": {}}


def of_type(made: Frontends, kind: str) -> Object:
    spec = {**made.object["spec"], "type": kind, "externalIPs": []}
    if kind == "ClusterIP":
        spec["ports"] = [objects.port(80)]
    return {**made.object, "spec": spec, "status": {}}


def change_type(
    deploy: Deploy, meet: Meet, agent: Agent, kind: str, *, to_name: bool
) -> None:
    made = deploy("typed", "web-1", "web-3")
    cluster, shell = made.cluster, made.cluster.pods["shell"]
    frontends = ("cluster-ip", "node-port") if kind == "NodePort" else ("cluster-ip",)
    served, named = of_type(made, kind), external_name(made)
    for one in (served, named) if to_name else (named, served):
        cluster.deploy(one, "web-1", "web-3")
        cluster.settle(agent)
        for at in (made.at(f, family) for f in frontends for family in (4, 6)):
            if one is served:
                assert meet(shell, at) == {"web-1", "web-3"}
            else:
                assert_nobody([shell], at)


def test_external_name_to_cluster_ip(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should be able to change the type from ExternalName to ClusterIP"""
    change_type(deploy, meet, agent, "ClusterIP", to_name=False)


def test_external_name_to_node_port(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should be able to change the type from ExternalName to NodePort"""
    change_type(deploy, meet, agent, "NodePort", to_name=False)


def test_cluster_ip_to_external_name(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should be able to change the type from ClusterIP to ExternalName"""
    change_type(deploy, meet, agent, "ClusterIP", to_name=True)


def test_node_port_to_external_name(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should be able to change the type from NodePort to ExternalName"""
    change_type(deploy, meet, agent, "NodePort", to_name=True)


# Session affinity -------------------------------------------------------------------------------


def remembers(deploy: Deploy, meet: Meet, kind: str, family: int, **spec: str) -> None:
    """One client meets one endpoint."""
    made = deploy("sticky", *PODS, affinity_s=600, **spec)
    place = made.cluster.client if kind != "cluster-ip" else made.cluster.pods["shell"]
    assert len(meet(place, made.at(kind, family), n=30)) == 1


def switches(deploy: Deploy, meet: Meet, agent: Agent, kind: str, **spec: str) -> None:
    """With and without, in turn."""
    made = deploy("switched", *PODS, affinity_s=600, **spec)
    place = made.cluster.client if kind != "cluster-ip" else made.cluster.pods["shell"]
    several = LOCAL if spec else PODS
    for affinity in ("ClientIP", "None", "ClientIP"):
        made.object["spec"]["sessionAffinity"] = affinity
        redeploy(made, agent, *PODS)
        for family in (4, 6):
            met = meet(place, made.at(kind, family), n=120)
            assert len(met) == 1 if affinity == "ClientIP" else met == several


def forgets(deploy: Deploy, meet: Meet, agent: Agent, kind: str, family: int) -> None:
    """Behind the timeout, another endpoint may come; without affinity outliving it."""
    made = deploy("brief", *PODS, affinity_s=1)
    place = made.cluster.client if kind != "cluster-ip" else made.cluster.pods["shell"]
    at = made.at(kind, family)
    first = ask(place, *at).pod

    def another() -> bool:
        # Each connection begins the second anew; how long it rests in between is what is tested.
        time.sleep(1.1)
        return ask(place, *at).pod != first

    agent.wait_until("another endpoint", another)


def test_affinity_of_cluster_ip(deploy: Deploy, meet: Meet, family: int) -> None:
    """Services should have session affinity work for service with type clusterIP"""
    remembers(deploy, meet, "cluster-ip", family)


def test_affinity_of_node_port(deploy: Deploy, meet: Meet, family: int) -> None:
    """Services should have session affinity work for NodePort service"""
    remembers(deploy, meet, "node-port", family)


def test_affinity_switched_of_cluster_ip(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should be able to switch session affinity for service with type clusterIP"""
    switches(deploy, meet, agent, "cluster-ip")


def test_affinity_switched_of_node_port(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should be able to switch session affinity for NodePort service"""
    switches(deploy, meet, agent, "node-port")


def test_affinity_timeout_of_cluster_ip(
    deploy: Deploy, meet: Meet, agent: Agent, family: int
) -> None:
    """Services should have session affinity timeout work for service with type clusterIP"""
    forgets(deploy, meet, agent, "cluster-ip", family)


def test_affinity_timeout_of_node_port(
    deploy: Deploy, meet: Meet, agent: Agent, family: int
) -> None:
    """Services should have session affinity timeout work for NodePort service"""
    forgets(deploy, meet, agent, "node-port", family)


# Nobody there, policies, terminating endpoints --------------------------------------------------


def test_rejected_without_endpoints(
    deploy: Deploy, meet: Meet, client: str, family: int
) -> None:
    """Services should be rejected when no endpoints exist"""
    made = deploy("nobody")
    for kind in ("cluster-ip", "node-port"):
        assert meet(made.cluster.place(client), made.at(kind, family), n=2) == {"refused"}


def test_internal_local_pod_to_pod(deploy: Deploy, meet: Meet, agent: Agent, family: int) -> None:
    """Services should respect internalTrafficPolicy=Local Pod to Pod"""
    made = deploy("internal", *PODS, internalTrafficPolicy="Local")
    shell, at = made.cluster.pods["shell"], made.at("cluster-ip", family)
    assert meet(shell, at) == LOCAL
    redeploy(made, agent, "web-3", "web-4")
    with pytest.raises(TimeoutError):
        ask(shell, *at, timeout_s=0.5)


def test_internal_local_host_to_pod(
    deploy: Deploy, meet: Meet, agent: Agent, family: int
) -> None:
    """Services should respect internalTrafficPolicy=Local Pod (hostNetwork: true) to Pod"""
    made = deploy("internal", *PODS, internalTrafficPolicy="Local")
    node, at = made.cluster.node1, made.at("cluster-ip", family)
    assert meet(node, at) == LOCAL
    redeploy(made, agent, "web-3", "web-4")
    with pytest.raises(TimeoutError):
        ask(node, *at, timeout_s=0.5)


def test_internal_local_to_host(
    cluster: Cluster, agent: Agent, meet: Meet, hosts: Hosts, family: int
) -> None:
    """Services should respect internalTrafficPolicy=Local Pod and Node, to Pod (hostNetwork: true)"""
    ips = cluster_ip(cluster.new_number())
    ports = [objects.port(80, target=HOST_PORT)]
    made = objects.service("to-host", ips.values(), ports, internalTrafficPolicy="Local")
    for names in (("host-1", "host-2"), ("host-2",)):
        cluster.apply("to-host", made, *hosts.slices(made, *names))
        cluster.settle(agent)
        for place in (cluster.pods["shell"], cluster.node1):
            if "host-1" in names:
                assert meet(place, (ips[family], 80)) == {"host-1"}
            else:
                with pytest.raises(TimeoutError):
                    ask(place, ips[family], 80, timeout_s=0.5)


def test_terminating_internal_cluster(
    deploy: Deploy, meet: Meet, agent: Agent, family: int
) -> None:
    """Services should fallback to terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Cluster"""
    made = deploy("terminating")
    apply_conditions(made, agent, web_1=NOT_READY, web_2=DRAINING, web_3=DRAINING)
    for place in (made.cluster.pods["shell"], made.cluster.node1):
        assert meet(place, made.at("cluster-ip", family)) == {"web-2", "web-3"}


def test_terminating_internal_local(
    deploy: Deploy, meet: Meet, agent: Agent, family: int
) -> None:
    """Services should fallback to local terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Local"""
    made = deploy("terminating", internalTrafficPolicy="Local")
    apply_conditions(made, agent, web_1=NOT_READY, web_2=DRAINING, web_3=DRAINING, web_4={})
    for place in (made.cluster.pods["shell"], made.cluster.node1):
        assert meet(place, made.at("cluster-ip", family)) == {"web-2"}


def test_terminating_external_cluster(
    deploy: Deploy, meet: Meet, agent: Agent, family: int
) -> None:
    """Services should fallback to terminating endpoints when there are no ready endpoints with externallTrafficPolicy=Cluster"""
    made = deploy("terminating")
    apply_conditions(made, agent, web_1=NOT_READY, web_2=DRAINING, web_3=DRAINING)
    assert meet(made.cluster.client, made.at("node-port", family)) == {"web-2", "web-3"}


def test_terminating_external_local(
    deploy: Deploy, meet: Meet, agent: Agent, family: int
) -> None:
    """Services should fallback to local terminating endpoints when there are no ready endpoints with externalTrafficPolicy=Local"""
    made = deploy("terminating", externalTrafficPolicy="Local")
    apply_conditions(made, agent, web_1=NOT_READY, web_2=DRAINING, web_3=DRAINING, web_4={})
    assert meet(made.cluster.client, made.at("node-port", family)) == {"web-2"}


def test_health_check_of_terminating(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should fail health check node port if there are only terminating endpoints"""
    made = deploy("draining", "web-1", externalTrafficPolicy="Local", healthCheckNodePort=31500)
    wait_health(agent, made.cluster, 31500, "200 1")
    apply_conditions(made, agent, web_1=DRAINING)
    wait_health(agent, made.cluster, 31500, "503 0")
    for family in (4, 6):
        assert meet(made.cluster.client, made.at("node-port", family)) == {"web-1"}


def test_external_policy_changes(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should implement NodePort and HealthCheckNodePort correctly when ExternalTrafficPolicy changes"""
    made = deploy("policy", "web-1", "web-3", healthCheckNodePort=31501)
    cluster, spec = made.cluster, made.object["spec"]
    for policy, pods, told in (
        ("Cluster", {"web-1", "web-3"}, "none"),
        ("Local", {"web-1"}, "200 1"),
        ("Cluster", {"web-1", "web-3"}, "none"),
    ):
        spec.update(externalTrafficPolicy=policy)
        spec.update(healthCheckNodePort=31501 if policy == "Local" else 0)
        redeploy(made, agent, "web-1", "web-3")
        wait_health(agent, cluster, 31501, told)
        for family in (4, 6):
            assert meet(cluster.client, made.at("node-port", family)) == pods


def labelled(deploy: Deploy, meet: Meet, agent: Agent, label: str) -> None:
    """Served without the label only, whenever that comes and goes."""
    made = deploy("labelled", "web-1", labels={label: "foo"})
    places = [made.cluster.pods["shell"], made.cluster.node1]
    addresses = [made.at("cluster-ip", family) for family in (4, 6)]
    for labels in ({label: "foo"}, {}, {label: "foo"}, {}):
        made.object["metadata"]["labels"] = labels
        redeploy(made, agent, "web-1")
        if labels:
            assert_nobody(places, *addresses)
        else:
            assert all(meet(place, at) == {"web-1"} for place in places for at in addresses)


def test_proxy_name(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should implement service.kubernetes.io/service-proxy-name"""
    labelled(deploy, meet, agent, "service.kubernetes.io/service-proxy-name")


def test_headless(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should implement service.kubernetes.io/headless"""
    labelled(deploy, meet, agent, "service.kubernetes.io/headless")


def test_sctp(deploy: Deploy, meet: Meet, family: int) -> None:
    """Services should allow creating a basic SCTP service with pod and endpoints"""
    made = deploy("sctp", "web-1", "web-3", protocols=["SCTP"])
    met = meet(made.cluster.pods["shell"], made.at("cluster-ip", family), "SCTP")
    assert met == {"web-1", "web-3"}


# EndpointSlice ----------------------------------------------------------------------------------


def test_ports_in_several_slices(
    cluster: Cluster, agent: Agent, meet: Meet, family: int
) -> None:
    """EndpointSlice should support a Service with multiple ports specified in multiple EndpointSlices"""
    ips = cluster_ip(cluster.new_number())
    ports = [objects.port(80, name="a"), objects.port(81, name="b", target=8081)]
    made = objects.service("slices-of-ports", ips.values(), ports)
    web = cluster.pods["web-1"].endpoint(family)
    parts = [objects.slice_of(made, [web], suffix=str(n), family=family) for n in (0, 1)]
    for part, port in zip(parts, list(parts[0]["ports"]), strict=True):
        part["ports"] = [port]
    cluster.apply("slices-of-ports", made, *parts)
    cluster.settle(agent)
    shell = cluster.pods["shell"]
    assert [ask(shell, ips[family], port).port for port in (80, 81)] == [8080, 8081]


def test_addresses_in_several_slices(
    cluster: Cluster, agent: Agent, meet: Meet, family: int
) -> None:
    """EndpointSlice should support a Service with multiple endpoint IPs specified in multiple EndpointSlices"""
    ips = cluster_ip(cluster.new_number())
    made = objects.service("slices-of-ips", ips.values())
    parts = [
        objects.slice_of(made, [cluster.pods[pod].endpoint(family)], suffix=pod, family=family)
        for pod in ("web-1", "web-3")
    ]
    cluster.apply("slices-of-ips", made, *parts)
    cluster.settle(agent)
    assert meet(cluster.pods["shell"], (ips[family], 80)) == {"web-1", "web-3"}


# Conntrack --------------------------------------------------------------------------------------


def cycle(
    deploy: Deploy, agent: Agent, place: str, kind: str, family: int, *pods: str
) -> None:
    """A client sends from one port all the time, while one pod after the other is the endpoint."""
    made = deploy("cycling", protocols=["UDP"])
    with contextlib.ExitStack() as cleanup:
        address, port = made.at(kind, family)
        flow = Datagrams(made.cluster.place(place), address, port, cleanup)
        for pod in pods:
            redeploy(made, agent, pod)
            agent.wait_until(f"an answer by {pod}", lambda p=pod: flow.ask() == p)  # type: ignore[misc]


def test_udp_pod_cycles_cluster_ip(deploy: Deploy, agent: Agent, family: int) -> None:
    """Conntrack should be able to preserve UDP traffic when server pod cycles for a ClusterIP service"""
    cycle(deploy, agent, "pod", "cluster-ip", family, "web-1", "web-2", "web-3")


def test_udp_pod_cycles_node_port(deploy: Deploy, agent: Agent, family: int) -> None:
    """Conntrack should be able to preserve UDP traffic when server pod cycles for a NodePort service"""
    cycle(deploy, agent, "outside", "node-port", family, "web-1", "web-2", "web-3")


def test_udp_unready_becomes_ready(deploy: Deploy, agent: Agent, family: int) -> None:
    """Conntrack should be able to preserve UDP traffic when initial unready endpoints get ready"""
    made = deploy("becoming", protocols=["UDP"])
    apply_conditions(made, agent, web_1=NOT_READY)
    with contextlib.ExitStack() as cleanup:
        place = made.cluster.pods["shell"]
        flow = Datagrams(place, *made.at("cluster-ip", family), cleanup)
        assert flow.ask() == "refused"
        apply_conditions(made, agent, web_1={})
        agent.wait_until("an answer", lambda: flow.ask() == "web-1")


# LoadBalancers ----------------------------------------------------------------------------------


def test_esipp_load_balancer(deploy: Deploy, agent: Agent, family: int) -> None:
    """LoadBalancers ExternalTrafficPolicy: Local [Feature:LoadBalancer] should work for type=LoadBalancer"""
    made = deploy(
        "esipp", "web-1", "web-3", externalTrafficPolicy="Local", healthCheckNodePort=31510
    )
    client = made.cluster.client
    answers = {ask(client, *made.at("load-balancer-ip", family)) for _ in range(30)}
    assert answers == {Answer("web-1", client.ips[family], 8080)}
    wait_health(agent, made.cluster, 31510, "200 1")


def test_esipp_node_port(deploy: Deploy, family: int) -> None:
    """LoadBalancers ExternalTrafficPolicy: Local [Feature:LoadBalancer] should work for type=NodePort"""
    made = deploy("esipp", "web-1", "web-3", externalTrafficPolicy="Local")
    client = made.cluster.client
    answers = {ask(client, *made.at("node-port", family)) for _ in range(30)}
    assert answers == {Answer("web-1", client.ips[family], 8080)}


def test_esipp_only_nodes_with_endpoints(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """LoadBalancers ExternalTrafficPolicy: Local [Feature:LoadBalancer] should only target nodes with endpoints"""
    made = deploy("esipp", "web-1", externalTrafficPolicy="Local", healthCheckNodePort=31511)
    cluster = made.cluster
    wait_health(agent, cluster, 31511, "200 1")
    redeploy(made, agent, "web-3")
    wait_health(agent, cluster, 31511, "503 0")
    addresses = [made.at(k, f) for k in ("load-balancer-ip", "node-port") for f in (4, 6)]
    assert outcomes([(cluster.client, *at, "TCP") for at in addresses]) == {"dropped"}
    redeploy(made, agent, "web-2", "web-3")
    wait_health(agent, cluster, 31511, "200 1")
    assert all(meet(cluster.client, at) == {"web-2"} for at in addresses)


def test_esipp_from_pods(deploy: Deploy, meet: Meet, family: int) -> None:
    """LoadBalancers ExternalTrafficPolicy: Local [Feature:LoadBalancer] should work from pods"""
    made = deploy("esipp", "web-3", externalTrafficPolicy="Local")
    for kind in ("load-balancer-ip", "node-port"):
        assert meet(made.cluster.pods["shell"], made.at(kind, family)) == {"web-3"}


def test_esipp_updates(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """LoadBalancers ExternalTrafficPolicy: Local [Feature:LoadBalancer] should handle updates to ExternalTrafficPolicy field"""
    made = deploy(
        "esipp", "web-1", "web-3", externalTrafficPolicy="Local", healthCheckNodePort=31512
    )
    cluster, client = made.cluster, made.cluster.client
    wait_health(agent, cluster, 31512, "200 1")
    for policy, told in (("Cluster", "none"), ("Local", "200 1")):
        number = 31512 if policy == "Local" else 0
        made.object["spec"].update(externalTrafficPolicy=policy, healthCheckNodePort=number)
        redeploy(made, agent, "web-1", "web-3")
        wait_health(agent, cluster, 31512, told)
        for family in (4, 6):
            at = made.at("load-balancer-ip", family)
            seen = {ask(client, *at).client for _ in range(30)}
            assert (seen == {client.ips[family]}) == (policy == "Local")
            assert meet(client, at) == ({"web-1"} if policy == "Local" else {"web-1", "web-3"})


def test_source_ranges(deploy: Deploy, meet: Meet, agent: Agent, family: int) -> None:
    """LoadBalancers should only allow access from service loadbalancer source ranges"""
    made = deploy("ranged", "web-1", "web-3")
    client, shell = made.cluster.client, made.cluster.pods["shell"]
    at, spec = made.at("load-balancer-ip", family), made.object["spec"]
    for allowed, refused in (([shell], [client]), ([client], [shell]), ([client, shell], [])):
        bits = "32" if family == 4 else "128"
        spec["loadBalancerSourceRanges"] = [f"{place.ips[family]}/{bits}" for place in allowed]
        redeploy(made, agent, "web-1", "web-3")
        assert all(meet(place, at) == {"web-1", "web-3"} for place in allowed)
        for place in refused:
            assert outcomes([(place, *at, "TCP")]) == {"dropped"}
    del spec["loadBalancerSourceRanges"]
    redeploy(made, agent, "web-1", "web-3")
    assert all(meet(place, at) == {"web-1", "web-3"} for place in (client, shell))


def test_affinity_of_load_balancer_local(deploy: Deploy, meet: Meet, family: int) -> None:
    """LoadBalancers should have session affinity work for LoadBalancer service with Local traffic policy"""
    remembers(deploy, meet, "load-balancer-ip", family, externalTrafficPolicy="Local")


def test_affinity_of_load_balancer(deploy: Deploy, meet: Meet, family: int) -> None:
    """LoadBalancers should have session affinity work for LoadBalancer service with Cluster traffic policy"""
    remembers(deploy, meet, "load-balancer-ip", family)


def test_affinity_switched_of_load_balancer_local(
    deploy: Deploy, meet: Meet, agent: Agent
) -> None:
    """LoadBalancers should be able to switch session affinity for LoadBalancer service with Local traffic policy"""
    switches(deploy, meet, agent, "load-balancer-ip", externalTrafficPolicy="Local")


def test_affinity_switched_of_load_balancer(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """LoadBalancers should be able to switch session affinity for LoadBalancer service with Cluster traffic policy"""
    switches(deploy, meet, agent, "load-balancer-ip")


def roll(made: Frontends, agent: Agent, *stages: dict[str, dict[str, bool]]) -> None:
    """Change the endpoints from stage to stage, while connections are made; none may fail."""
    client = made.cluster.client
    probes = [
        Probe(client, *made.at(kind, family), rate=100)
        for kind in ("load-balancer-ip", "node-port")
        for family in (4, 6)
    ]
    with probing(*probes) as running:
        for stage in stages * 3:
            apply_conditions(made, agent, **stage)
            running.wait_connections(10)
        report = running.report()
    assert report.failures == ()
    assert report.connections >= 10 * len(probes) * 3 * len(stages)


def test_rolling_update_cluster(deploy: Deploy, agent: Agent) -> None:
    """LoadBalancers should not have connectivity disruption during rolling update with externalTrafficPolicy=Cluster"""
    made = deploy("rolling", "web-1")
    roll(
        made,
        agent,
        {"web_1": {}, "web_3": NOT_READY},
        {"web_1": {}, "web_3": {}},
        {"web_1": DRAINING, "web_3": {}},
        {"web_3": {}},
        {"web_3": DRAINING},
        {"web_3": DRAINING, "web_1": NOT_READY},
    )


def test_rolling_update_local(deploy: Deploy, agent: Agent) -> None:
    """LoadBalancers should not have connectivity disruption during rolling update with externalTrafficPolicy=Local"""
    made = deploy("rolling", "web-1", externalTrafficPolicy="Local")
    roll(
        made,
        agent,
        {"web_1": {}, "web_2": NOT_READY, "web_3": {}},
        {"web_1": {}, "web_2": {}, "web_3": {}},
        {"web_1": DRAINING, "web_2": {}},
        {"web_2": {}, "web_3": {}},
        {"web_2": DRAINING, "web_3": {}},
        {"web_2": DRAINING, "web_1": NOT_READY, "web_4": {}},
    )


def test_udp_pod_cycles_on_other_nodes(deploy: Deploy, agent: Agent, family: int) -> None:
    """LoadBalancers should be able to preserve UDP traffic when server pod cycles for a LoadBalancer service on different nodes"""
    cycle(deploy, agent, "outside", "load-balancer-ip", family, "web-1", "web-3", "web-2", "web-4")


def test_udp_pod_cycles_on_one_node(deploy: Deploy, agent: Agent, family: int) -> None:
    """LoadBalancers should be able to preserve UDP traffic when server pod cycles for a LoadBalancer service on the same nodes"""
    cycle(deploy, agent, "outside", "load-balancer-ip", family, "web-1", "web-2", "web-1")
    cycle(deploy, agent, "outside", "load-balancer-ip", family, "web-3", "web-4", "web-3")


# Networking Granular Checks: Services -----------------------------------------------------------


def functions(deploy: Deploy, meet: Meet, place: str, protocol: str, family: int) -> None:
    """All endpoints are met at the ClusterIP and at the NodePort."""
    made = deploy("granular", *PODS, protocols=[protocol])
    where = made.cluster.pods["web-1"] if place == "endpoint" else made.cluster.place(place)
    for kind in ("cluster-ip", "node-port"):
        assert meet(where, made.at(kind, family), protocol, n=120) == PODS


def test_pod_service_http(deploy: Deploy, meet: Meet, family: int) -> None:
    """Networking Granular Checks: Services should function for pod-Service: http"""
    functions(deploy, meet, "pod", "TCP", family)


def test_pod_service_udp(deploy: Deploy, meet: Meet, family: int) -> None:
    """Networking Granular Checks: Services should function for pod-Service: udp"""
    functions(deploy, meet, "pod", "UDP", family)


def test_pod_service_sctp(deploy: Deploy, meet: Meet, family: int) -> None:
    """Networking Granular Checks: Services should function for pod-Service: sctp"""
    functions(deploy, meet, "pod", "SCTP", family)


def test_node_service_http(deploy: Deploy, meet: Meet, family: int) -> None:
    """Networking Granular Checks: Services should function for node-Service: http"""
    functions(deploy, meet, "node", "TCP", family)


def test_node_service_udp(deploy: Deploy, meet: Meet, family: int) -> None:
    """Networking Granular Checks: Services should function for node-Service: udp"""
    functions(deploy, meet, "node", "UDP", family)


def test_node_service_sctp(deploy: Deploy, meet: Meet, family: int) -> None:
    """Networking Granular Checks: Services should function for node-Service: sctp"""
    functions(deploy, meet, "node", "SCTP", family)


def test_endpoint_service_http(deploy: Deploy, meet: Meet, family: int) -> None:
    """Networking Granular Checks: Services should function for endpoint-Service: http"""
    functions(deploy, meet, "endpoint", "TCP", family)


def test_endpoint_service_udp(deploy: Deploy, meet: Meet, family: int) -> None:
    """Networking Granular Checks: Services should function for endpoint-Service: udp"""
    functions(deploy, meet, "endpoint", "UDP", family)


def test_endpoint_service_sctp(deploy: Deploy, meet: Meet, family: int) -> None:
    """Networking Granular Checks: Services should function for endpoint-Service: sctp"""
    functions(deploy, meet, "endpoint", "SCTP", family)


def test_two_services_of_the_same_pods(deploy: Deploy, meet: Meet, family: int) -> None:
    """Networking Granular Checks: Services should function for multiple endpoint-Services with same selector"""
    first, second = deploy("twin-1", *PODS), deploy("twin-2", *PODS)
    cluster = first.cluster
    for made in (first, second):
        assert meet(cluster.pods["web-1"], made.at("cluster-ip", family), n=120) == PODS
    cluster.remove("twin-1")
    third = deploy("twin-3", "web-1")
    assert_nobody([cluster.pods["web-1"]], first.at("cluster-ip", family))
    assert meet(cluster.pods["web-1"], second.at("cluster-ip", family), n=120) == PODS
    assert meet(cluster.pods["web-1"], third.at("cluster-ip", family)) == {"web-1"}


@HTTP_AND_UDP
def test_update_endpoints(
    deploy: Deploy, meet: Meet, agent: Agent, over: str, family: int
) -> None:
    """Networking Granular Checks: Services should update endpoints: http
    Networking Granular Checks: Services should update endpoints: udp"""
    made = deploy("granular", *PODS, protocols=[over])
    shell, at = made.cluster.pods["shell"], made.at("cluster-ip", family)
    assert meet(shell, at, over, n=120) == PODS
    redeploy(made, agent, *(PODS - {"web-1"}))
    assert meet(shell, at, over, n=120) == PODS - {"web-1"}


@HTTP_AND_UDP
def test_update_node_port(
    deploy: Deploy, meet: Meet, agent: Agent, over: str, family: int
) -> None:
    """Networking Granular Checks: Services should update nodePort: http
    Networking Granular Checks: Services should update nodePort: udp"""
    made = deploy("granular", *PODS, protocols=[over])
    client, at = made.cluster.client, made.at("node-port", family)
    assert meet(client, at, over, n=120) == PODS
    made.object["spec"].update(type="ClusterIP", externalIPs=[])
    made.object["spec"]["ports"] = [objects.port(80, protocol=over, name=over.lower())]
    redeploy(made, agent, *PODS)
    assert meet(client, at, over, n=6) == {"refused"}


@HTTP_AND_UDP
def test_large_requests(
    cluster: Cluster, agent: Agent, client: str, over: str, family: int
) -> None:
    """Networking Granular Checks: Services should be able to handle large requests: http
    Networking Granular Checks: Services should be able to handle large requests: udp"""
    number = cluster.new_number()
    ports = [objects.port(80, target=9090, protocol=over, node_port=30000 + number)]
    made = Frontends(cluster, objects.service("large", cluster_ip(number).values(), ports), number)
    cluster.deploy(made.object, "web-3")
    cluster.settle(agent)
    # A datagram of this size is in fragments on its way.
    request = bytes(range(256)) * 200
    with cluster.pods["web-3"].socket(
        socket.AF_INET6 if family == 6 else socket.AF_INET,
        socket.SOCK_DGRAM if over == "UDP" else socket.SOCK_STREAM,
    ) as server:
        server.settimeout(10)
        server.bind(("", 9090))
        if over == "TCP":
            server.listen()
        for kind in ("cluster-ip", "node-port"):
            with connected(cluster.place(client), *made.at(kind, family), over) as sock:
                sock.sendall(request)
                if over == "UDP":
                    heard, peer = server.recvfrom(65536)
                    server.sendto(heard, peer)
                    assert sock.recv(65536) == heard == request
                else:
                    accepted, _ = server.accept()
                    with accepted:
                        accepted.settimeout(10)
                        heard = accepted.recv(len(request), socket.MSG_WAITALL)
                        accepted.sendall(heard)
                        assert sock.recv(len(request), socket.MSG_WAITALL) == heard == request


def test_host_network_endpoints(
    cluster: Cluster, agent: Agent, meet: Meet, hosts: Hosts, client: str, family: int
) -> None:
    """Networking Granular Checks: Services should function for service endpoints using hostNetwork"""
    number = cluster.new_number()
    ports = [
        objects.port(80, target=HOST_PORT, protocol=p, name=p, node_port=30000 + number)
        for p in ("TCP", "UDP")
    ]
    made = Frontends(cluster, objects.service("hosts", cluster_ip(number).values(), ports), number)
    cluster.apply("hosts", made.object, *hosts.slices(made.object, "host-1", "host-2"))
    cluster.settle(agent)
    for kind in ("cluster-ip", "node-port"):
        for protocol in ("TCP", "UDP"):
            at = made.at(kind, family)
            assert meet(cluster.place(client), at, protocol) == {"host-1", "host-2"}


@HTTP_AND_UDP
def test_client_ip_affinity(deploy: Deploy, meet: Meet, over: str, family: int) -> None:
    """Networking Granular Checks: Services should function for client IP based session affinity: http
    Networking Granular Checks: Services should function for client IP based session affinity: udp"""
    made = deploy("granular", *PODS, protocols=[over], affinity_s=600)
    shell = made.cluster.pods["shell"]
    assert len(meet(shell, made.at("cluster-ip", family), over, n=30)) == 1


def test_node_port_udp(deploy: Deploy, meet: Meet, client: str, family: int) -> None:
    """Networking Granular Checks: Services should support basic nodePort: udp functionality"""
    made = deploy("granular", *PODS, protocols=["UDP"])
    met = meet(made.cluster.place(client), made.at("node-port", family), "UDP", n=120)
    assert met == PODS


# The list ---------------------------------------------------------------------------------------

TITLE = re.compile(
    r"(Services|EndpointSlice|Conntrack|LoadBalancers|Networking|Traffic Distribution)\b"
)


def titles_of(path: Path) -> Iterator[tuple[str, str]]:
    """The titles in the docstrings of a file, with the tests that have them."""
    where = path.relative_to(REPOSITORY)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for line in (ast.get_docstring(node) or "").splitlines():
                if TITLE.match(line):
                    yield line, f"{where}::{node.name}"


def test_the_list_of_titles_is_true() -> None:
    files = [f for d in ("netns", "cluster") for f in (REPOSITORY / "test" / d).glob("test_*.py")]
    found = [title for path in files for title in titles_of(path)]
    text = (REPOSITORY / "docs" / "conformance.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (.+) \| `(test/\S+)` \|$", text, re.MULTILINE)
    assert sorted(told) == sorted(found)
