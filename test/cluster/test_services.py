"""Services and Pods are changed through the API, the endpoint slice controller does its part, and
packets tell what became of it."""

from __future__ import annotations

import pytest

from rig import objects
from rig.agent import Agent
from rig.client import ask, outcome, pods_met
from rig.cluster import cluster_ip
from rig.frontends import ALL, Frontends, everywhere
from rig.live.churn import churning
from rig.live.client import reference
from rig.live.cluster import LiveCluster

SERVICE = reference("Service", "web")
REFUSED = ("refused", "dropped", "EHOSTUNREACH", "ENETUNREACH")


@pytest.fixture
def web(cluster: LiveCluster, agent: Agent) -> Frontends:
    made = everywhere(cluster, "web", "web-1", "web-3")
    cluster.settle(agent)
    return made


def met(web: Frontends, family: int, kind: str = "cluster-ip") -> set[str]:
    """The pods that answer connections from outside."""
    return set(pods_met(web.cluster.client, *web.at(kind, family)))


@pytest.mark.parametrize("kind", ALL)
def test_created(web: Frontends, client: str, family: int, kind: str) -> None:
    place = web.cluster.place(client)
    assert set(pods_met(place, *web.at(kind, family))) == {"web-1", "web-3"}


def test_scaled(cluster: LiveCluster, agent: Agent, web: Frontends, family: int) -> None:
    for n in (4, 2, 1, 3):
        names = {f"web-{k + 1}" for k in range(n)}
        cluster.deploy(web.object, *names)
        cluster.settle(agent)
        assert met(web, family) == met(web, family, "node-port") == names
    cluster.deploy(web.object)
    cluster.settle(agent)
    assert outcome(cluster.client, *web.at("cluster-ip", family)) == "refused"


def test_edited(cluster: LiveCluster, agent: Agent, web: Frontends, family: int) -> None:
    address, port = web.at("cluster-ip", family)
    edited = [objects.port(port + 1, target=8081, name="tcp", node_port=30000 + web.number)]
    cluster.admin.patch(SERVICE, {"spec": {"ports": edited, "externalIPs": None}})
    agent.wait_until(
        "the other target port",
        lambda: outcome(cluster.client, address, port + 1) in ("web-1", "web-3")
        and ask(cluster.client, address, port + 1).port == 8081,
    )
    assert outcome(cluster.client, address, port) in REFUSED
    assert outcome(cluster.client, *web.at("external-ip", family)) in REFUSED
    assert met(web, family, "node-port") == {"web-1", "web-3"}


def test_edited_status(cluster: LiveCluster, agent: Agent, web: Frontends, family: int) -> None:
    none = {"status": {"loadBalancer": {"ingress": None}}}
    cluster.admin.patch(SERVICE, none, "status")
    cluster.settle(agent)
    assert outcome(cluster.client, *web.at("load-balancer-ip", family)) in REFUSED
    assert met(web, family) == {"web-1", "web-3"}


def test_deleted(cluster: LiveCluster, agent: Agent, web: Frontends) -> None:
    cluster.remove("web")
    cluster.settle(agent)
    for family in (4, 6):
        for kind in ALL:
            assert outcome(cluster.client, *web.at(kind, family)) in REFUSED
    # Its number is free for another one, which the API server may now give the same addresses.
    other = objects.service("other", cluster_ip(web.number).values())
    cluster.deploy(other, "web-2")
    cluster.settle(agent)
    assert met(web, 4) == met(web, 6) == {"web-2"}


def test_deleted_and_created_at_once(cluster: LiveCluster, agent: Agent, web: Frontends) -> None:
    for n in range(1, 5):
        cluster.remove("web")
        cluster.deploy(web.object, f"web-{n}")
    cluster.settle(agent)
    assert met(web, 4) == met(web, 6) == {"web-4"}


def test_pod_that_is_not_ready(cluster: LiveCluster, agent: Agent, web: Frontends) -> None:
    for ready, answering in ((False, {"web-3"}), (True, {"web-1", "web-3"})):
        cluster.api.put(cluster.pod_object("web-1", ready=ready))
        cluster.wait_endpoints("web", *answering)
        cluster.settle(agent)
        assert met(web, 4) == met(web, 6) == answering


def test_pod_that_is_terminating(cluster: LiveCluster, agent: Agent, web: Frontends) -> None:
    pod = cluster.pod_object("web-1")
    cluster.admin.delete(pod, gracePeriodSeconds=300)
    try:
        cluster.wait_endpoints("web", "web-3")
        cluster.settle(agent)
        assert met(web, 4) == met(web, 6) == {"web-3"}
    finally:
        cluster.api.delete(pod)
        cluster.api.put(pod)


def test_given_to_another_proxy_and_back(
    cluster: LiveCluster, agent: Agent, web: Frontends, family: int
) -> None:
    label = "service.kubernetes.io/service-proxy-name"
    for proxy, answers in (("other", REFUSED), (None, ("web-1", "web-3"))):
        cluster.admin.patch(SERVICE, {"metadata": {"labels": {label: proxy}}})
        cluster.settle(agent)
        assert outcome(cluster.client, *web.at("cluster-ip", family)) in answers


def test_nodes_come_and_go(cluster: LiveCluster, agent: Agent) -> None:
    def networks() -> str:
        return cluster.node1.run("nft", "list", "set", "ip", "kube-nft", "pod-cidrs")

    cluster.apply("node9", objects.node("node9", ["192.168.50.19"], ["10.244.9.0/24"]))
    agent.wait_until("the new node's pod network", lambda: "10.244.9.0/24" in networks())
    cluster.remove("node9")
    agent.wait_until("that to be gone", lambda: "10.244.9.0/24" not in networks())


def test_many_changes_come_to_the_same(cluster: LiveCluster, agent: Agent) -> None:
    lists = cluster.api.lists()
    with churning(cluster) as churn:
        churn.wait_written(300)
        churn.stop()
        assert churn.failed == 0, churn.error
        cluster.check(agent)
    cluster.check(agent)
    assert cluster.api.lists() == lists
