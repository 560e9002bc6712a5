"""`kube-nft services`: what the kernel has of Services, and exact counts of what went there."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import pytest

from rig import objects
from rig.agent import PROGRAM, Agent
from rig.client import HANG_S, connected, greet, outcome, pods_met
from rig.cluster import Cluster, cluster_ip
from rig.frontends import Frontends, everywhere
from rig.netns import Namespace

Shown = dict[str, Any]
PODS = ["web-1", "web-2", "web-3", "web-4"]
ACCOUNTING = "net.netfilter.nf_conntrack_acct"


def services(space: Namespace, *flags: str) -> str:
    """What the command prints in @space."""
    return space.run(PROGRAM, "services", *flags)


def shown(space: Namespace, *flags: str) -> Shown:
    """The same as JSON."""
    made: Shown = json.loads(services(space, "--json", *flags))
    return made


def frontend(space: Namespace, name: str, address: str, port: int = 80) -> Shown:
    """One frontend of one Service."""
    for service_port in shown(space, f"--service={name}")["servicePorts"]:
        for one in service_port["frontends"]:
            if (one["address"], one["port"]) == (address, port):
                made: Shown = one
                return made
    raise KeyError(f"{name} has no frontend {address} {port}")


def connections(one: Shown) -> dict[str, int]:
    """The connections that each endpoint got."""
    return {e["address"]: e["connections"] for e in one["endpoints"]}


def test_connections_are_counted_exactly(cluster: Cluster, agent: Agent, family: int) -> None:
    web = everywhere(cluster, f"exact{family}", "web-1", "web-3")
    cluster.settle(agent)
    for client in ("pod", "node", "outside"):
        met = pods_met(cluster.place(client), *web.at("cluster-ip", family), n=7)
        assert met.total() == 7
    pods_met(cluster.client, *web.at("node-port", family), n=5)

    one = frontend(cluster.node1, web.name, *web.at("cluster-ip", family))
    assert one["connections"] == 21
    assert one["unserved"] == 0
    assert one["inside"] == one["outside"] == {"verdict": "balanced", "endpoints": 2}
    assert sum(connections(one).values()) == 21
    assert {e["address"]: e["thisNode"] for e in one["endpoints"]} == {
        cluster.pods["web-1"].ips[family]: True,
        cluster.pods["web-3"].ips[family]: False,
    }
    assert frontend(cluster.node1, web.name, *web.at("node-port", family))["connections"] == 5
    assert frontend(cluster.node1, web.name, *web.at("external-ip", family))["connections"] == 0


def test_each_endpoint_has_its_own_count(cluster: Cluster, agent: Agent) -> None:
    web = everywhere(cluster, "each", "web-1", "web-2", "web-3")
    cluster.settle(agent)
    met = pods_met(cluster.client, *web.at("cluster-ip", 4), n=30)
    one = frontend(cluster.node1, web.name, *web.at("cluster-ip", 4))
    assert connections(one) == {cluster.pods[p].ips[4]: met[p] for p in ("web-1", "web-2", "web-3")}


def test_refused_and_dropped_are_counted(cluster: Cluster, agent: Agent, family: int) -> None:
    empty = everywhere(cluster, f"empty{family}")
    remote = everywhere(cluster, f"remote{family}", "web-3", externalTrafficPolicy="Local")
    cluster.settle(agent)
    for _ in range(3):
        assert outcome(cluster.place("pod"), *empty.at("cluster-ip", family)) == "refused"
    assert outcome(cluster.client, *remote.at("node-port", family)) == "dropped"
    pods_met(cluster.place("pod"), *remote.at("node-port", family), n=4)

    one = frontend(cluster.node1, empty.name, *empty.at("cluster-ip", family))
    assert (one["connections"], one["unserved"]) == (0, 3)
    assert one["inside"]["verdict"] == one["outside"]["verdict"] == "refused"
    one = frontend(cluster.node1, remote.name, *remote.at("node-port", family))
    assert one["connections"] == 4
    assert one["unserved"] >= 1  # each time that the client sent its packet
    assert one["inside"] == {"verdict": "balanced", "endpoints": 1}
    assert one["outside"] == {"verdict": "dropped", "endpoints": 0}


def test_local_policy_has_endpoints_for_each_side(cluster: Cluster, agent: Agent) -> None:
    local = everywhere(cluster, "local", "web-1", "web-3", externalTrafficPolicy="Local")
    cluster.settle(agent)
    pods_met(cluster.client, *local.at("node-port", 4), n=6)
    one = frontend(cluster.node1, local.name, *local.at("node-port", 4))
    here, there = cluster.pods["web-1"].ips[4], cluster.pods["web-3"].ips[4]
    assert {e["address"]: e["clients"] for e in one["endpoints"]} == {here: "all", there: "inside"}
    assert connections(one) == {here: 6, there: 0}
    text = services(cluster.node1, "--service=local")
    assert "2 endpoints, outside: 1 endpoint" in text


def test_affinity_is_shown(cluster: Cluster, agent: Agent, family: int) -> None:
    sticky = everywhere(cluster, f"sticky{family}", "web-1", "web-2", affinity_s=600)
    cluster.settle(agent)
    pods_met(cluster.client, *sticky.at("cluster-ip", family), n=7)
    one = frontend(cluster.node1, sticky.name, *sticky.at("cluster-ip", family))
    assert one["affinitySeconds"] == 600
    assert one["connections"] == 7
    # Only the first was a choice.
    assert sum(connections(one).values()) == 1


def test_source_ranges_are_shown(cluster: Cluster, agent: Agent) -> None:
    networks = ["192.0.2.0/24", "2001:db8:7::/64"]
    made = everywhere(cluster, "guarded", "web-1", loadBalancerSourceRanges=networks)
    cluster.settle(agent)
    for family, network in zip((4, 6), networks, strict=True):
        one = frontend(cluster.node1, "guarded", *made.at("load-balancer-ip", family))
        assert one["sourceRanges"] == [network]
        one = frontend(cluster.node1, "guarded", *made.at("cluster-ip", family))
        assert "sourceRanges" not in one
    assert services(cluster.node1, "--service=guarded").count(", 1 source range ") == 2


def test_flows_and_what_they_carry(own_cluster: Cluster, own_agent: Agent, family: int) -> None:
    node = own_cluster.node1
    web = everywhere(own_cluster, "web", "web-1", "web-3")
    own_cluster.settle(own_agent)
    address, port = web.at("cluster-ip", family)
    with connected(own_cluster.client, address, port) as sock:
        greet(sock)
        one = frontend(node, "web", address)
        assert one["flows"] == 1
        assert "packetsIn" not in one
        assert "PACKETS" not in services(node)

    node.sysctl({ACCOUNTING: 1})
    before = frontend(node, "web", address)
    assert before["bytesIn"] == 0
    with connected(own_cluster.client, address, port) as sock:
        pod = greet(sock).pod
        one = frontend(node, "web", address)
        # Two packets and an acknowledgement to begin with, and what the server tells, at least.
        assert one["packetsIn"] >= 2
        assert one["packetsOut"] >= 2
        assert one["bytesIn"] >= 40 * one["packetsIn"]
        assert one["bytesOut"] >= 40 * one["packetsOut"] + len(pod)
        assert shown(node)["accounting"] is True
        assert "PACKETS-IN" in services(node)
        entry = next(e for e in one["endpoints"] if e["packetsIn"])
        assert entry["address"] == own_cluster.pods[pod].ips[family]


def test_dead_agent(own_cluster: Cluster, own_agent: Agent, family: int) -> None:
    web = everywhere(own_cluster, "web", "web-1", "web-3")
    own_cluster.settle(own_agent)
    own_agent.stop(signal.SIGKILL)
    pods_met(own_cluster.client, *web.at("cluster-ip", family), n=7)
    one = frontend(own_cluster.node1, "web", *web.at("cluster-ip", family))
    assert one["connections"] == 7


def counted(cluster: Cluster, web: Frontends, family: int) -> tuple[int, dict[str, int]]:
    """Connections of the ClusterIP: all, and by pod."""
    one = frontend(cluster.node1, web.name, *web.at("cluster-ip", family))
    names = {pod.ips[family]: name for name, pod in cluster.pods.items()}
    return one["connections"], {names[a]: n for a, n in connections(one).items()}


def test_counts_outlive_the_agents_changes(
    own_cluster: Cluster, own_agent: Agent, family: int
) -> None:
    web = everywhere(own_cluster, "web", "web-1", "web-2", "web-3")
    own_cluster.settle(own_agent)
    met = pods_met(own_cluster.client, *web.at("cluster-ip", family), n=21)
    assert counted(own_cluster, web, family) == (21, {p: met[p] for p in PODS[:3]})

    # Each of these replaces the frontend's element, and puts endpoints into other slots.
    own_cluster.deploy(web.object, *PODS)
    own_cluster.settle(own_agent)
    assert counted(own_cluster, web, family) == (21, {p: met[p] for p in PODS})
    own_cluster.deploy(web.object, "web-2", "web-3")
    own_cluster.settle(own_agent)
    assert counted(own_cluster, web, family) == (21, {p: met[p] for p in PODS[1:3]})
    met += pods_met(own_cluster.client, *web.at("cluster-ip", family), n=7)
    assert counted(own_cluster, web, family) == (28, {p: met[p] for p in PODS[1:3]})


def test_counts_outlive_restarts_and_upgrades(
    own_cluster: Cluster, own_agent: Agent, upgraded: str, family: int
) -> None:
    web = everywhere(own_cluster, "web", "web-1", "web-2", "web-3")
    own_cluster.settle(own_agent)
    met = pods_met(own_cluster.client, *web.at("cluster-ip", family), n=21)

    own_agent.stop(signal.SIGKILL)
    own_cluster.deploy(web.object, *PODS)
    own_agent.start()
    own_cluster.settle(own_agent)
    assert len(own_agent.logged('msg="tables adopted"')) == 1
    assert counted(own_cluster, web, family) == (21, {p: met[p] for p in PODS})

    own_agent.stop()
    own_cluster.deploy(web.object, "web-1", "web-2")
    successor = own_cluster.agent(program=upgraded, name="upgraded")
    successor.start()
    own_cluster.settle(successor)
    assert len(successor.logged('msg="tables replaced"')) == 1
    assert counted(own_cluster, web, family) == (21, {p: met[p] for p in PODS[:2]})


def test_filters_and_order(cluster: Cluster, agent: Agent) -> None:
    for namespace in ("beta", "alpha"):
        made = objects.service(
            "filtered",
            cluster_ip(cluster.new_number()).values(),
            [objects.port(81, name="b"), objects.port(80, name="a")],
            namespace=namespace,
        )
        cluster.apply(f"filtered-{namespace}", made, *cluster.slices(made, "web-1"))
    cluster.settle(agent)
    ports = shown(cluster.node1, "--service=filtered")["servicePorts"]
    names = [(p["namespace"], p["name"], p["port"]) for p in ports]
    assert names == [(n, "filtered", p) for n in ("alpha", "beta") for p in ("a", "b")]
    ports = shown(cluster.node1, "-n", "beta")["servicePorts"]
    assert {p["namespace"] for p in ports} == {"beta"}
    assert shown(cluster.node1, "-n", "gamma")["servicePorts"] == []
    lines = services(cluster.node1, "-n", "gamma").splitlines()
    assert [line.split()[0] for line in lines] == ["SERVICE"]


def test_foreign_elements_are_shown_harmless(own_cluster: Cluster, own_agent: Agent) -> None:
    own_agent.stop()
    comment = "\x1b[31mred/\x07web\u202e"
    own_cluster.node1.run(
        "nft",
        "add element ip kube-nft no-endpoints { 10.96.9.9 . tcp . 80 "
        f'comment "{comment}" : goto refuse }}',
    )
    own_cluster.node1.run(
        "nft", "add element ip kube-nft no-endpoints { 10.96.9.9 . icmp . 80 : goto refuse }"
    )
    text = services(own_cluster.node1)
    assert "10.96.9.9:80/TCP" in text
    assert "web" in text
    assert set(text) <= set(map(chr, range(32, 127))) | {"\n"}
    assert "icmp" not in text.lower()
    assert shown(own_cluster.node1)["servicePorts"][0]["frontends"]


def refused(space: Namespace, *wrapper: str, flags: tuple[str, ...] = ()) -> str:
    """What the command says when it fails with status 1."""
    argv = [*wrapper, PROGRAM, "services", *flags]
    process = space.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, log = process.communicate(timeout=60 * HANG_S)
    assert (process.returncode, out) == (1, "")
    return log


@pytest.mark.parametrize("json_flag", [(), ("--json",)])
def test_no_table(cluster: Cluster, json_flag: tuple[str, ...]) -> None:
    log = refused(cluster.client, flags=json_flag)
    assert 'msg="services failed" error="there is no table kube-nft here"' in log


def test_no_privileges(cluster: Cluster, agent: Agent) -> None:
    del agent
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    assert "CAP_NET_ADMIN" in refused(cluster.node1, *drop)
