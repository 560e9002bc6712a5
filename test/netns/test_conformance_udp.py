"""Kubernetes' titles about UDP flows that outlive the endpoint they go to."""

from __future__ import annotations

import contextlib

from rig.agent import Agent
from rig.client import Datagrams
from rig.titles import NOT_READY, Deploy, apply_conditions, redeploy


def cycle(
    deploy: Deploy, agent: Agent, place: str, kind: str, family: int, *pods: str, **spec: str
) -> None:
    """A client sends from one port all the time, while one pod after the other is the endpoint."""
    made = deploy("cycling", protocols=["UDP"], **spec)
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


def test_udp_pod_cycles_for_the_host(deploy: Deploy, agent: Agent, family: int) -> None:
    """Conntrack should be able to preserve UDP traffic when server pod cycles for a ClusterIP service and client is hostNetwork"""
    cycle(deploy, agent, "node", "cluster-ip", family, "web-1", "web-2", "web-3")


def test_udp_pod_cycles_internal_local(deploy: Deploy, agent: Agent, family: int) -> None:
    """Conntrack should be able to preserve UDP traffic when server pod cycles for a ClusterIP service with InternalTrafficPolicy set to Local"""
    pods = ("web-1", "web-2", "web-1")
    cycle(deploy, agent, "pod", "cluster-ip", family, *pods, internalTrafficPolicy="Local")


def test_udp_pod_cycles_on_other_nodes(deploy: Deploy, agent: Agent, family: int) -> None:
    """LoadBalancers should be able to preserve UDP traffic when server pod cycles for a LoadBalancer service on different nodes"""
    cycle(deploy, agent, "outside", "load-balancer-ip", family, "web-1", "web-3", "web-2", "web-4")


def test_udp_pod_cycles_on_one_node(deploy: Deploy, agent: Agent, family: int) -> None:
    """LoadBalancers should be able to preserve UDP traffic when server pod cycles for a LoadBalancer service on the same nodes"""
    cycle(deploy, agent, "outside", "load-balancer-ip", family, "web-1", "web-2", "web-1")
    cycle(deploy, agent, "outside", "load-balancer-ip", family, "web-3", "web-4", "web-3")


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


def test_udp_target_port_changes(deploy: Deploy, agent: Agent, family: int) -> None:
    """Conntrack should be able to cleanup conntrack entries when UDP service target port changes for a NodePort service"""
    made = deploy("retargeted", "web-1", protocols=["UDP"])
    with contextlib.ExitStack() as cleanup:
        flow = Datagrams(made.cluster.client, *made.at("node-port", family), cleanup)
        for target in (8080, 8081, 8080):
            made.object["spec"]["ports"][0]["targetPort"] = target
            redeploy(made, agent, "web-1")
            agent.wait_until(f"an answer by port {target}", lambda t=target: flow.port_met() == t)  # type: ignore[misc]
