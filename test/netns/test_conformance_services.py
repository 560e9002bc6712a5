"""Kubernetes' titles about Services: their ports, protocols, endpoints and slices."""

from __future__ import annotations

from rig import objects
from rig.agent import Agent
from rig.client import ask
from rig.cluster import Cluster, cluster_ip
from rig.frontends import everywhere
from rig.objects import Object
from rig.titles import ALL_PROTOCOLS, Deploy, Meet, assert_nobody, redeploy


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


def test_sctp(deploy: Deploy, meet: Meet, family: int) -> None:
    """Services should allow creating a basic SCTP service with pod and endpoints"""
    made = deploy("sctp", "web-1", "web-3", protocols=["SCTP"])
    met = meet(made.cluster.pods["shell"], made.at("cluster-ip", family), "SCTP")
    assert met == {"web-1", "web-3"}


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


def test_target_ports_differ(cluster: Cluster, agent: Agent, family: int) -> None:
    """Services should support named targetPorts that resolve to different ports on different endpoints"""
    ips = cluster_ip(cluster.new_number())
    made = objects.service("differing", ips.values())
    parts = []
    for pod, number in (("web-1", 8080), ("web-3", 8081)):
        one = cluster.pods[pod].endpoint(family)
        part = objects.slice_of(made, [one], suffix=pod, family=family)
        parts.append({**part, "ports": [{**part["ports"][0], "port": number}]})
    cluster.apply("differing", made, *parts)
    cluster.settle(agent)
    seen = [ask(cluster.pods["shell"], ips[family], 80) for _ in range(60)]
    assert {(answer.pod, answer.port) for answer in seen} == {("web-1", 8080), ("web-3", 8081)}
