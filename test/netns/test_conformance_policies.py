"""Kubernetes' titles about who is served where: nobody, traffic policies, terminating endpoints."""

from __future__ import annotations

import pytest

from rig import objects
from rig.agent import Agent
from rig.client import ask
from rig.cluster import Cluster, cluster_ip
from rig.health import wait_health
from rig.titles import (
    DRAINING,
    HOST_PORT,
    LOCAL,
    NOT_READY,
    PODS,
    Deploy,
    Hosts,
    Meet,
    apply_conditions,
    redeploy,
)


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
