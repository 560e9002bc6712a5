"""Every frontend of a Service, from everywhere, over every protocol."""

from __future__ import annotations

import pytest

from rig import frontends, objects
from rig.agent import Agent
from rig.client import PROTOCOLS, ask, outcomes, pods_met
from rig.cluster import FLAGS, Cluster, cluster_ip
from rig.frontends import Frontends, everywhere
from rig.ruleset import element_packets

PODS = {"web-1", "web-2", "web-3", "web-4"}


@pytest.fixture(scope="module")
def web(cluster: Cluster, agent: Agent) -> Frontends:
    """A Service with all four pods."""
    made = everywhere(cluster, "web", *sorted(PODS), protocols=PROTOCOLS)
    cluster.settle(agent)
    return made


@pytest.mark.parametrize("kind", frontends.ALL)
def test_connections_spread_over_all_endpoints(
    web: Frontends, kind: str, client: str, protocol: str, family: int
) -> None:
    # That one of four is never met in 120 connections happens once in 10^14 runs.
    met = pods_met(web.cluster.place(client), *web.at(kind, family), protocol, n=120)
    assert set(met) == PODS


def test_pod_and_node_keep_their_address_at_cluster_ip(web: Frontends, family: int) -> None:
    shell, node = web.cluster.pods["shell"], web.cluster.node1
    at = web.at("cluster-ip", family)
    assert {ask(shell, *at).client for _ in range(20)} == {shell.ips[family]}
    assert {ask(node, *at).client for _ in range(20)} <= node.seen_as(family)


def test_outside_is_masqueraded_at_cluster_ip(web: Frontends, family: int) -> None:
    seen = {ask(web.cluster.client, *web.at("cluster-ip", family)).client for _ in range(20)}
    assert seen <= web.cluster.node1.seen_as(family)


@pytest.mark.parametrize("kind", frontends.EXTERNAL)
def test_everybody_is_masqueraded_at_external_frontends(
    web: Frontends, kind: str, client: str, family: int
) -> None:
    place = web.cluster.place(client)
    seen = {ask(place, *web.at(kind, family)).client for _ in range(20)}
    assert seen <= web.cluster.node1.seen_as(family)


@pytest.mark.parametrize("kind", frontends.ALL)
def test_hairpin_is_masqueraded(
    cluster: Cluster, agent: Agent, kind: str, protocol: str, family: int
) -> None:
    alone = everywhere(cluster, "hairpin", "web-1", protocols=PROTOCOLS)
    cluster.settle(agent)
    answer = ask(cluster.pods["web-1"], *alone.at(kind, family), protocol)
    assert answer.pod == "web-1"
    assert answer.client in cluster.node1.seen_as(family)


def test_ports_are_joined_by_name_not_by_number(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    ips = cluster_ip(cluster.new_number())
    ports = [
        objects.port(80, target=8080, name="http"),
        objects.port(8080, target=8081, name="admin"),
    ]
    cluster.deploy(objects.service("two-ports", ips.values(), ports), "web-1", "web-3")
    cluster.settle(agent)
    shell = cluster.pods["shell"]
    assert {ask(shell, ips[family], 80).port for _ in range(10)} == {8080}
    assert {ask(shell, ips[family], 8080).port for _ in range(10)} == {8081}


def test_endpoints_of_several_slices_are_one_list(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    ips = cluster_ip(cluster.new_number())
    made = objects.service("sliced", ips.values())
    for name in ("web-1", "web-3", "web-4"):
        part = objects.slice_of(
            made, [cluster.pods[name].endpoint(family)], suffix=name, family=family
        )
        cluster.apply(f"sliced-{family}-{name}", part)
    cluster.apply("sliced", made)
    cluster.settle(agent)
    assert set(pods_met(cluster.node1, ips[family], 80)) == {"web-1", "web-3", "web-4"}


def test_one_port_number_serves_protocols_apart(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    ips = cluster_ip(cluster.new_number())
    tcp = objects.service("dns-tcp", ips.values(), [objects.port(53, target=8080)])
    udp = objects.service("dns-udp", ips.values(), [objects.port(53, target=8081, protocol="UDP")])
    cluster.deploy(tcp, "web-1")
    cluster.deploy(udp, "web-3")
    cluster.settle(agent)
    assert ask(cluster.client, ips[family], 53, "TCP").pod == "web-1"
    assert ask(cluster.client, ips[family], 53, "UDP").pod == "web-3"


def test_without_endpoints_everybody_is_refused(cluster: Cluster, agent: Agent) -> None:
    empty = everywhere(cluster, "empty", protocols=PROTOCOLS)
    cluster.settle(agent)
    attempts = empty.attempts(["pod", "node", "outside"], frontends.ALL, PROTOCOLS)
    assert outcomes(attempts) == {"refused"}


def test_refusal_needs_no_second_try(cluster: Cluster, agent: Agent, family: int) -> None:
    # An IPv6 client notices an ICMP error only when it sends its SYN again; a reset at once.
    empty = everywhere(cluster, f"empty-{family}")
    cluster.settle(agent)
    for n, client in enumerate(("pod", "node", "outside"), 1):
        assert outcomes(empty.attempts([client], ["cluster-ip"], ["TCP"])) == {"refused"}
        address, port = empty.at("cluster-ip", family)
        assert (
            element_packets(cluster.node1, family, "no-endpoints", f"{address} . tcp . {port}") == n
        )


def test_masquerade_all_hides_pods_too(own_cluster: Cluster, family: int) -> None:
    agent = own_cluster.agent(flags=[*FLAGS, "--masquerade-all=true"])
    agent.start()
    web = everywhere(own_cluster, "web", "web-1", "web-3")
    own_cluster.settle(agent)
    seen = {ask(own_cluster.pods["shell"], *web.at("cluster-ip", family)).client for _ in range(20)}
    assert seen <= own_cluster.node1.seen_as(family)


def test_addresses_outside_the_ranges_are_not_served(cluster: Cluster, agent: Agent) -> None:
    stolen = {4: cluster.client.ips[4], 6: cluster.client.ips[6]}
    ips = cluster_ip(cluster.new_number())
    made = objects.service("thief", ips.values(), externalIPs=list(stolen.values()))
    cluster.deploy(made, "web-1")
    cluster.settle(agent)
    assert ask(cluster.node1, ips[4], 80).pod == "web-1"
    for address in stolen.values():
        assert address not in cluster.node1.run("nft", "list", "ruleset")
    assert agent.logged(stolen[4])
