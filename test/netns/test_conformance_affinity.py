"""Kubernetes' titles about session affinity."""

from __future__ import annotations

import time

import pytest

from rig.agent import Agent
from rig.client import ask
from rig.titles import LOCAL, PODS, Deploy, Meet, redeploy


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


def test_affinity_of_load_balancer_local(deploy: Deploy, meet: Meet, family: int) -> None:
    """LoadBalancers should have session affinity work for LoadBalancer service with Local traffic policy"""
    remembers(deploy, meet, "load-balancer-ip", family, externalTrafficPolicy="Local")


def test_affinity_of_load_balancer(deploy: Deploy, meet: Meet, family: int) -> None:
    """LoadBalancers should have session affinity work for LoadBalancer service with Cluster traffic policy"""
    remembers(deploy, meet, "load-balancer-ip", family)


def test_affinity_switched_of_cluster_ip(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should be able to switch session affinity for service with type clusterIP"""
    switches(deploy, meet, agent, "cluster-ip")


def test_affinity_switched_of_node_port(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """Services should be able to switch session affinity for NodePort service"""
    switches(deploy, meet, agent, "node-port")


def test_affinity_switched_of_load_balancer_local(
    deploy: Deploy, meet: Meet, agent: Agent
) -> None:
    """LoadBalancers should be able to switch session affinity for LoadBalancer service with Local traffic policy"""
    switches(deploy, meet, agent, "load-balancer-ip", externalTrafficPolicy="Local")


def test_affinity_switched_of_load_balancer(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """LoadBalancers should be able to switch session affinity for LoadBalancer service with Cluster traffic policy"""
    switches(deploy, meet, agent, "load-balancer-ip")


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


@pytest.mark.parametrize("over", ["TCP", "UDP"], ids=["http", "udp"])
def test_client_ip_affinity(deploy: Deploy, meet: Meet, over: str, family: int) -> None:
    """Networking Granular Checks: Services should function for client IP based session affinity: http
    Networking Granular Checks: Services should function for client IP based session affinity: udp"""
    made = deploy("granular", *PODS, protocols=[over], affinity_s=600)
    shell = made.cluster.pods["shell"]
    assert len(meet(shell, made.at("cluster-ip", family), over, n=30)) == 1
