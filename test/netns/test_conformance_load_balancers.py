"""Kubernetes' titles about load balancers, as far as they are a node's affair."""

from __future__ import annotations

from rig.agent import Agent
from rig.client import Answer, ask, outcomes
from rig.frontends import Frontends
from rig.health import wait_health
from rig.probe import Probe, probing
from rig.titles import DRAINING, NOT_READY, Deploy, Meet, apply_conditions, redeploy


def test_esipp_load_balancer(deploy: Deploy, agent: Agent, family: int) -> None:
    """LoadBalancers ExternalTrafficPolicy: Local should work for type=LoadBalancer"""
    made = deploy(
        "esipp", "web-1", "web-3", externalTrafficPolicy="Local", healthCheckNodePort=31510
    )
    client = made.cluster.client
    answers = {ask(client, *made.at("load-balancer-ip", family)) for _ in range(30)}
    assert answers == {Answer("web-1", client.ips[family], 8080)}
    wait_health(agent, made.cluster, 31510, "200 1")


def test_esipp_node_port(deploy: Deploy, family: int) -> None:
    """LoadBalancers ExternalTrafficPolicy: Local should work for type=NodePort
    Services should support externalTrafficPolicy=Local for type=NodePort"""
    made = deploy("esipp", "web-1", "web-3", externalTrafficPolicy="Local")
    client = made.cluster.client
    answers = {ask(client, *made.at("node-port", family)) for _ in range(30)}
    assert answers == {Answer("web-1", client.ips[family], 8080)}


def test_esipp_only_nodes_with_endpoints(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """LoadBalancers ExternalTrafficPolicy: Local should only target nodes with endpoints"""
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
    """LoadBalancers ExternalTrafficPolicy: Local should work from pods"""
    made = deploy("esipp", "web-3", externalTrafficPolicy="Local")
    for kind in ("load-balancer-ip", "node-port"):
        assert meet(made.cluster.pods["shell"], made.at(kind, family)) == {"web-3"}


def test_esipp_updates(deploy: Deploy, meet: Meet, agent: Agent) -> None:
    """LoadBalancers ExternalTrafficPolicy: Local should handle updates to ExternalTrafficPolicy field"""
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
