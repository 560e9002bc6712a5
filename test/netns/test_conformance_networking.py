"""Kubernetes' granular checks of the network, those of Services."""

from __future__ import annotations

import socket

import pytest

from rig import objects
from rig.agent import Agent
from rig.client import connected
from rig.cluster import Cluster, cluster_ip
from rig.frontends import Frontends
from rig.titles import HOST_PORT, PODS, Deploy, Hosts, Meet, assert_nobody, redeploy
from rig.tracked import tracks_udp

HTTP_AND_UDP = pytest.mark.parametrize("over", ["TCP", "UDP"], ids=["http", "udp"])


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
    node, port = made.cluster.node1, at[1]
    assert meet(client, at, over, n=120) == PODS
    assert tracks_udp(node, family, port) == (over == "UDP")
    made.object["spec"].update(type="ClusterIP", externalIPs=[])
    made.object["spec"]["ports"] = [objects.port(80, protocol=over, name=over.lower())]
    redeploy(made, agent, *PODS)
    # A new client may have the port of one before, whose flow goes on till then.
    agent.wait_until("the UDP flows to be ended", lambda: not tracks_udp(node, family, port))
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


def test_node_port_udp(deploy: Deploy, meet: Meet, client: str, family: int) -> None:
    """Networking Granular Checks: Services should support basic nodePort: udp functionality"""
    made = deploy("granular", *PODS, protocols=["UDP"])
    met = meet(made.cluster.place(client), made.at("node-port", family), "UDP", n=120)
    assert met == PODS
