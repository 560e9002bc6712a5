"""Kubernetes' titles about the types of Services, and about changing them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from rig import objects
from rig.agent import Agent
from rig.client import outcomes
from rig.frontends import Frontends
from rig.objects import Object
from rig.titles import PODS, At, Deploy, Meet, assert_nobody, redeploy


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


def assert_only(
    made: Frontends, protocol: str, addresses: Iterable[At], served: Iterable[At]
) -> None:
    """Of all these addresses, web-1 answers a client outside at those that are served."""
    served = set(served)
    attempts = {at: (made.cluster.client, *at, protocol) for at in addresses}
    assert outcomes(attempts[at] for at in served) == {"web-1"}
    assert not outcomes(attempts[at] for at in attempts.keys() - served) & PODS


@pytest.mark.parametrize("over", ["TCP", "UDP"], ids=str.lower)
def test_type_and_ports(deploy: Deploy, agent: Agent, over: str, family: int) -> None:
    """LoadBalancers should be able to change the type and ports of a TCP service
    LoadBalancers should be able to change the type and ports of a UDP service"""
    made = deploy("changing", "web-1", protocols=[over])
    balancer = made.object["status"]
    cluster_ip, lb_ip = (made.at(k, family)[0] for k in ("cluster-ip", "load-balancer-ip"))
    node, first = made.at("node-port", family)
    second = 30000 + made.cluster.new_number()
    addresses = [(ip, port) for ip in (cluster_ip, lb_ip) for port in (80, 81)]
    addresses += [(node, first), (node, second)]
    for kind, port, node_port, pods in (
        ("ClusterIP", 80, 0, 1),
        ("NodePort", 80, first, 1),
        ("LoadBalancer", 80, first, 1),
        ("LoadBalancer", 80, second, 1),
        ("LoadBalancer", 81, second, 1),
        ("LoadBalancer", 81, second, 0),
        ("LoadBalancer", 81, second, 1),
        ("ClusterIP", 81, 0, 1),
    ):
        one = objects.port(port, protocol=over, name=over.lower(), node_port=node_port)
        made.object["spec"].update(type=kind, ports=[one], externalIPs=[])
        made.object["status"] = balancer if kind == "LoadBalancer" else {}
        redeploy(made, agent, *["web-1"] * pods)
        served = [(cluster_ip, port)]
        served += [(node, node_port)] if kind != "ClusterIP" else []
        served += [(lb_ip, port)] if kind == "LoadBalancer" else []
        if pods:
            assert_only(made, over, addresses, served)
        else:
            attempts = [(made.cluster.client, *at, over) for at in served]
            assert outcomes(attempts) == {"refused"}


def test_load_balancer_without_node_port(deploy: Deploy, agent: Agent, family: int) -> None:
    """LoadBalancers should be able to create LoadBalancer Service without NodePort and change it"""
    made = deploy("portless")
    balancer, node = made.at("load-balancer-ip", family), made.at("node-port", family)
    for allocated in (False, True, False):
        number = node[1] if allocated else 0
        made.object["spec"].update(
            allocateLoadBalancerNodePorts=allocated,
            ports=[objects.port(80, name="tcp", node_port=number)],
        )
        redeploy(made, agent, "web-1")
        served = [balancer, node] if allocated else [balancer]
        assert_only(made, "TCP", [balancer, node, (balancer[0], 81)], served)
