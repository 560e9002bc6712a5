"""externalTrafficPolicy and internalTrafficPolicy: who is sent where, and seen as whom."""

from __future__ import annotations

import pytest

from rig import frontends
from rig.agent import Agent
from rig.client import PROTOCOLS, ask, outcomes, pods_met
from rig.cluster import Cluster
from rig.frontends import Frontends, everywhere

LOCAL = {"web-1", "web-2"}
PODS = {*LOCAL, "web-3", "web-4"}


@pytest.fixture(scope="module")
def local(cluster: Cluster, agent: Agent) -> Frontends:
    """A Service with external policy Local and endpoints on both nodes."""
    made = everywhere(
        cluster, "local", *sorted(PODS), protocols=PROTOCOLS, externalTrafficPolicy="Local"
    )
    cluster.settle(agent)
    return made


@pytest.fixture(scope="module")
def remote(cluster: Cluster, agent: Agent) -> Frontends:
    """The same, without an endpoint on node1."""
    made = everywhere(
        cluster, "remote", "web-3", "web-4", protocols=PROTOCOLS, externalTrafficPolicy="Local"
    )
    cluster.settle(agent)
    return made


@pytest.mark.parametrize("kind", frontends.EXTERNAL)
def test_external_local_keeps_outsiders_here(
    local: Frontends, kind: str, protocol: str, family: int
) -> None:
    assert set(pods_met(local.cluster.client, *local.at(kind, family), protocol)) == LOCAL


@pytest.mark.parametrize("kind", frontends.EXTERNAL)
def test_external_local_keeps_the_source(
    local: Frontends, kind: str, protocol: str, family: int
) -> None:
    client = local.cluster.client
    seen = {ask(client, *local.at(kind, family), protocol).client for _ in range(20)}
    assert seen == {client.ips[family]}


@pytest.mark.parametrize("kind", frontends.EXTERNAL)
@pytest.mark.parametrize("inside", ["pod", "node"])
def test_external_local_sends_insiders_everywhere(
    local: Frontends, kind: str, inside: str, protocol: str, family: int
) -> None:
    place = local.cluster.place(inside)
    assert set(pods_met(place, *local.at(kind, family), protocol, n=120)) == PODS


@pytest.mark.parametrize("kind", frontends.EXTERNAL)
def test_external_local_source_of_insiders(local: Frontends, kind: str, family: int) -> None:
    shell, node = local.cluster.pods["shell"], local.cluster.node1
    at = local.at(kind, family)
    assert {ask(shell, *at).client for _ in range(20)} == {shell.ips[family]}
    assert {ask(node, *at).client for _ in range(20)} <= node.seen_as(family)


@pytest.mark.parametrize("kind", ["external-ip", "load-balancer-ip"])
def test_external_local_node_that_has_the_address_is_masqueraded(
    cluster: Cluster, agent: Agent, kind: str, family: int
) -> None:
    # Its own address is then what the node would connect from, and nobody could answer it.
    made = everywhere(
        cluster, f"bound-{kind}-{family}", "web-1", "web-3", externalTrafficPolicy="Local"
    )
    node, at = cluster.node1, made.at(kind, family)
    node.ip(f"address add {at[0]}/{'32' if family == 4 else '128 nodad'} dev lo")
    cluster.settle(agent)
    assert {ask(node, *at).client for _ in range(20)} <= node.seen_as(family)


def test_external_local_leaves_the_cluster_ip_alone(
    local: Frontends, client: str, family: int
) -> None:
    place = local.cluster.place(client)
    assert set(pods_met(place, *local.at("cluster-ip", family), n=120)) == PODS


def test_external_local_without_local_endpoint_drops_outsiders(remote: Frontends) -> None:
    attempts = remote.attempts(["outside"], frontends.EXTERNAL, PROTOCOLS)
    assert outcomes(attempts) == {"dropped"}


@pytest.mark.parametrize("kind", frontends.ALL)
@pytest.mark.parametrize("inside", ["pod", "node"])
def test_external_local_without_local_endpoint_serves_insiders(
    remote: Frontends, kind: str, inside: str, protocol: str, family: int
) -> None:
    place = remote.cluster.place(inside)
    assert set(pods_met(place, *remote.at(kind, family), protocol)) == {"web-3", "web-4"}


def test_external_local_without_any_endpoint_refuses(cluster: Cluster, agent: Agent) -> None:
    empty = everywhere(cluster, "none", protocols=PROTOCOLS, externalTrafficPolicy="Local")
    cluster.settle(agent)
    attempts = empty.attempts(["pod", "node", "outside"], frontends.ALL, PROTOCOLS)
    assert outcomes(attempts) == {"refused"}


def test_external_local_hairpin(cluster: Cluster, agent: Agent, family: int) -> None:
    alone = everywhere(cluster, "local-hairpin", "web-1", externalTrafficPolicy="Local")
    cluster.settle(agent)
    answer = ask(cluster.pods["web-1"], *alone.at("node-port", family))
    assert answer.pod == "web-1"
    assert answer.client in cluster.node1.seen_as(family)


def test_internal_local_stays_on_the_node(
    cluster: Cluster, agent: Agent, client: str, protocol: str, family: int
) -> None:
    made = everywhere(
        cluster, "internal", *sorted(PODS), protocols=PROTOCOLS, internalTrafficPolicy="Local"
    )
    cluster.settle(agent)
    place = cluster.place(client)
    assert set(pods_met(place, *made.at("cluster-ip", family), protocol)) == LOCAL
    assert set(pods_met(place, *made.at("node-port", family), protocol, n=120)) == PODS


def test_internal_local_without_local_endpoint_drops(cluster: Cluster, agent: Agent) -> None:
    made = everywhere(
        cluster, "internal-remote", "web-3", protocols=PROTOCOLS, internalTrafficPolicy="Local"
    )
    cluster.settle(agent)
    everyone = ["pod", "node", "outside"]
    assert outcomes(made.attempts(everyone, ["cluster-ip"], PROTOCOLS)) == {"dropped"}
    assert outcomes(made.attempts(everyone, ["node-port"], PROTOCOLS)) == {"web-3"}


def test_policy_can_change_while_it_runs(cluster: Cluster, agent: Agent, family: int) -> None:
    at_first = everywhere(cluster, "changing", "web-1", "web-3")
    cluster.settle(agent)
    client, node_port = cluster.client, at_first.at("node-port", family)
    assert set(pods_met(client, *node_port)) == {"web-1", "web-3"}

    at_first.object["spec"]["externalTrafficPolicy"] = "Local"
    cluster.deploy(at_first.object, "web-1", "web-3")
    cluster.settle(agent)
    assert set(pods_met(client, *node_port)) == {"web-1"}
    assert ask(client, *node_port).client == client.ips[family]
