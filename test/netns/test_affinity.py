"""sessionAffinity ClientIP: who is remembered, how long, and who is not."""

from __future__ import annotations

import concurrent.futures
import re
import signal
import time
from collections.abc import Callable

import pytest

from rig import frontends, objects
from rig.agent import Agent, wait_until
from rig.client import PROTOCOLS, ask, pods_met
from rig.cluster import Cluster, cluster_ip
from rig.frontends import Frontends, everywhere

PODS = ["web-1", "web-2", "web-3", "web-4"]


def sticky(
    cluster: Cluster, agent: Agent, name: str, timeout_s: int = 600, **spec: str
) -> Frontends:
    """A Service of all pods that remembers its clients."""
    made = everywhere(cluster, name, *PODS, protocols=PROTOCOLS, affinity_s=timeout_s, **spec)
    cluster.settle(agent)
    return made


@pytest.fixture(scope="module")
def remembering(cluster: Cluster, agent: Agent) -> Frontends:
    return sticky(cluster, agent, "remembering")


@pytest.mark.parametrize("kind", ["cluster-ip", "node-port", "external-ip"])
def test_a_client_stays_with_one_endpoint(
    remembering: Frontends, kind: str, client: str, protocol: str, family: int
) -> None:
    place = remembering.cluster.place(client)
    assert len(pods_met(place, *remembering.at(kind, family), protocol, n=30)) == 1


def test_clients_are_remembered_apart(remembering: Frontends, family: int) -> None:
    client = remembering.cluster.client
    sources = [f"192.168.50.{n}" if family == 4 else f"fd50::{n}" for n in range(101, 121)]
    bits = "24" if family == 4 else "64 nodad"
    client.ip(*(f"address add {source}/{bits} dev eth0" for source in sources))
    at = remembering.at("cluster-ip", family)
    first = {source: ask(client, *at, source=source).pod for source in sources}
    # That twenty clients choose one of four endpoints all alike happens once in 10^11 runs.
    assert len(set(first.values())) > 1
    assert {source: ask(client, *at, source=source).pod for source in sources} == first


def addresses(cluster: Cluster, family: int, first: int, n: int) -> list[str]:
    """Addresses that the client outside has besides its own."""
    sources = [
        f"192.168.50.{number}" if family == 4 else f"fd50::{number}"
        for number in range(first, first + n)
    ]
    bits = "24" if family == 4 else "64 nodad"
    cluster.client.ip(*(f"address replace {source}/{bits} dev eth0" for source in sources))
    return sources


@pytest.mark.parametrize("first", frontends.ALL)
def test_frontends_of_a_service_port_share_it(
    remembering: Frontends, first: str, family: int
) -> None:
    cluster = remembering.cluster
    kinds = [first, *(kind for kind in frontends.ALL if kind != first)]
    for source in addresses(cluster, family, 140 + 10 * frontends.ALL.index(first), 10):
        met = {
            ask(cluster.client, *remembering.at(kind, family), source=source).pod for kind in kinds
        }
        assert len(met) == 1


def test_ports_of_a_service_do_not_share_it(cluster: Cluster, agent: Agent, family: int) -> None:
    number = cluster.new_number()
    ports = [objects.port(80, name="a"), objects.port(81, name="b")]
    made = objects.service("two-ports", cluster_ip(number).values(), ports, affinity_s=600)
    cluster.deploy(made, *PODS)
    cluster.settle(agent)
    address = cluster_ip(number)[family]
    sources = addresses(cluster, family, 121, 15)
    # That each of 15 clients is bound to the same of four endpoints twice happens once in 10^9 runs.
    assert [ask(cluster.client, address, 80, source=source).pod for source in sources] != [
        ask(cluster.client, address, 81, source=source).pod for source in sources
    ]


def test_endpoints_with_different_ports_are_not_mixed(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    """Many first connections at the same instant; the endpoints of each half have another port."""
    number = cluster.new_number()
    made = objects.service(f"mixed-{family}", cluster_ip(number).values(), affinity_s=600)
    slices = []
    for suffix, target, pods in (("1", 8080, PODS[:2]), ("2", 8081, PODS[2:])):
        made["spec"]["ports"][0]["targetPort"] = target
        endpoints = [cluster.pods[name].endpoint(family) for name in pods]
        slices.append(objects.slice_of(made, endpoints, suffix=suffix, family=family))
    cluster.apply(f"mixed-{family}", made, *slices)
    cluster.settle(agent)
    at = cluster_ip(number)[family], 80
    sources = addresses(cluster, family, 180, 40)
    met = set()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for source in sources:
            list(pool.map(lambda _, s=source: ask(cluster.client, *at, source=s), range(8)))
            answers = {ask(cluster.client, *at, source=source) for _ in range(3)}
            assert len(answers) == 1
            met |= {(answer.pod, answer.port) for answer in answers}
    assert met == {(name, 8080) for name in PODS[:2]} | {(name, 8081) for name in PODS[2:]}


def test_timeout_ends_it(cluster: Cluster, agent: Agent, family: int) -> None:
    at = sticky(cluster, agent, f"brief-{family}", 1).at("cluster-ip", family)
    shell = cluster.pods["shell"]
    first = ask(shell, *at).pod

    def another() -> bool:
        # Each connection starts the second anew, so leave the client silent for longer.
        time.sleep(1.2)
        return ask(shell, *at).pod != first

    wait_until("another endpoint", another)


def test_timeout_starts_anew_with_each_connection(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    at = sticky(cluster, agent, f"sliding-{family}", 5).at("cluster-ip", family)
    shell = cluster.pods["shell"]
    met = {ask(shell, *at).pod}
    for _ in range(12):
        time.sleep(0.5)
        met.add(ask(shell, *at).pod)
    assert len(met) == 1


def test_an_endpoint_that_left_is_forgotten(cluster: Cluster, agent: Agent, family: int) -> None:
    made = sticky(cluster, agent, f"leaving-{family}")
    at, shell = made.at("cluster-ip", family), cluster.pods["shell"]
    first = ask(shell, *at).pod
    others = [pod for pod in PODS if pod != first]
    cluster.deploy(made.object, *others)
    cluster.settle(agent)
    second = ask(shell, *at).pod
    assert second in others
    # And it is not sent back to the one it had before.
    cluster.deploy(made.object, *PODS)
    cluster.settle(agent)
    assert set(pods_met(shell, *at, n=20)) == {second}


def test_an_endpoint_that_was_not_ready_is_forgotten(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    made = sticky(cluster, agent, f"unready-{family}")
    at, shell = made.at("cluster-ip", family), cluster.pods["shell"]
    first = ask(shell, *at).pod
    others = [pod for pod in PODS if pod != first]
    unready = cluster.slices(made.object, first, ready=False)
    for one in unready:
        one["metadata"]["name"] += "-unready"
    cluster.apply(made.name, made.object, *cluster.slices(made.object, *others), *unready)
    cluster.settle(agent)
    second = ask(shell, *at).pod
    assert second in others
    cluster.deploy(made.object, *PODS)
    cluster.settle(agent)
    assert set(pods_met(shell, *at, n=20)) == {second}


def test_a_shorter_timeout_holds_at_once(cluster: Cluster, agent: Agent, family: int) -> None:
    made = sticky(cluster, agent, f"edited-{family}")
    other = sticky(cluster, agent, f"not-edited-{family}")
    at, shell = made.at("cluster-ip", family), cluster.pods["shell"]
    first, others = ask(shell, *at).pod, ask(shell, *other.at("cluster-ip", family)).pod
    made.object["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"] = 1
    cluster.deploy(made.object, *PODS)
    cluster.settle(agent)
    assert ask(shell, *at).pod == first

    def another() -> bool:
        # Each connection starts the second anew, so leave the client silent for longer.
        time.sleep(1.2)
        return ask(shell, *at).pod != first

    wait_until("another endpoint", another)
    assert ask(shell, *other.at("cluster-ip", family)).pod == others


def test_a_change_of_other_endpoints_keeps_it(cluster: Cluster, agent: Agent, family: int) -> None:
    made = sticky(cluster, agent, f"staying-{family}")
    at, shell = made.at("cluster-ip", family), cluster.pods["shell"]
    first = ask(shell, *at).pod
    for other in (pod for pod in PODS if pod != first):
        cluster.deploy(made.object, first, other)
        cluster.settle(agent)
        assert set(pods_met(shell, *at, n=10)) == {first}


def test_it_can_be_switched_while_it_runs(cluster: Cluster, agent: Agent, family: int) -> None:
    made = everywhere(cluster, f"switched-{family}", *PODS)
    cluster.settle(agent)
    at, shell = made.at("cluster-ip", family), cluster.pods["shell"]
    assert set(pods_met(shell, *at, n=120)) == set(PODS)

    with_affinity = objects.service("x", ["10.96.0.1"], affinity_s=600)["spec"]
    made.object["spec"]["sessionAffinity"] = "ClientIP"
    made.object["spec"]["sessionAffinityConfig"] = with_affinity["sessionAffinityConfig"]
    cluster.deploy(made.object, *PODS)
    cluster.settle(agent)
    assert len(pods_met(shell, *at)) == 1

    made.object["spec"]["sessionAffinity"] = "None"
    cluster.deploy(made.object, *PODS)
    cluster.settle(agent)
    assert set(pods_met(shell, *at, n=120)) == set(PODS)


def test_external_local_remembers_among_local_endpoints(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    made = sticky(cluster, agent, f"local-{family}", externalTrafficPolicy="Local")
    met = pods_met(cluster.client, *made.at("node-port", family))
    assert len(met) == 1
    assert set(met) < {"web-1", "web-2"}
    assert len(pods_met(cluster.pods["shell"], *made.at("node-port", family))) == 1


def test_local_endpoints_are_remembered_apart(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    """A client from outside may use the ClusterIP too, and be bound to another node there."""
    made = sticky(cluster, agent, f"apart-{family}", externalTrafficPolicy="Local")
    sources = addresses(cluster, family, 225, 20)

    def met(kind: str) -> list[str]:
        return [
            ask(cluster.client, *made.at(kind, family), source=source).pod for source in sources
        ]

    anywhere = met("cluster-ip")
    assert set(anywhere) & {"web-3", "web-4"}
    here = met("node-port")
    assert set(here) == {"web-1", "web-2"}
    assert met("cluster-ip") == anywhere
    assert met("load-balancer-ip") == here


@pytest.fixture
def remembered(own_cluster: Cluster, own_agent: Agent) -> Callable[[], list[str]]:
    """Tells whom clients everywhere are sent to; they have been there before."""
    made = sticky(own_cluster, own_agent, "sticky")
    places = [
        (own_cluster.place(client), *made.at("cluster-ip", family))
        for client in ("pod", "node", "outside")
        for family in (4, 6)
    ]
    return lambda: [ask(*place).pod for place in places]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_O15_it_survives_a_restart(
    own_cluster: Cluster, own_agent: Agent, remembered: Callable[[], list[str]], how: int
) -> None:
    before = remembered()
    own_agent.stop(how)
    own_agent.start()
    own_cluster.settle(own_agent)
    for _ in range(5):
        assert remembered() == before


def test_O15_it_goes_on_without_an_agent(
    own_cluster: Cluster, own_agent: Agent, remembered: Callable[[], list[str]]
) -> None:
    before = remembered()
    own_agent.stop(signal.SIGKILL)
    assert remembered() == before
    # Clients that come now are remembered, too.
    sources = addresses(own_cluster, 4, 121, 20)
    at = cluster_ip(10)[4], 80
    fresh = [ask(own_cluster.client, *at, source=source).pod for source in sources]
    assert [ask(own_cluster.client, *at, source=source).pod for source in sources] == fresh
    own_agent.start()
    own_cluster.settle(own_agent)
    assert remembered() == before
    assert [ask(own_cluster.client, *at, source=source).pod for source in sources] == fresh


def fill_affinity(cluster: Cluster, at: tuple[str, int]) -> None:
    """Have the map full, of bindings as the agent's own but for the client."""
    ask(cluster.node1, *at)
    listing = cluster.node1.run("nft", "list", "map", "ip", "kube-nft", "affinity")
    found = re.search(r"[\d.]+( \. \d+ \. \d+ \. \d+) timeout \w+ expires \w+( : [\d.]+)", listing)
    assert found
    room = int(re.findall(r"size (\d+)", listing)[0]) - listing.count(" expires ")
    for begin in range(0, room, 20000):
        elements = ",".join(
            f"172.{20 + n // 65536}.{n // 256 % 256}.{n % 256}{found[1]} timeout 10m{found[2]}"
            for n in range(begin, min(begin + 20000, room))
        )
        command = f"add element ip kube-nft affinity {{ {elements} }}"
        cluster.node1.run("nft", "-f", "-", stdin=command)


def test_O15_a_full_map_is_told_and_costs_no_connection(
    own_cluster: Cluster, own_agent: Agent
) -> None:
    made = sticky(own_cluster, own_agent, "sticky")
    at, shell = made.at("cluster-ip", 4), own_cluster.pods["shell"]
    first = ask(shell, *at).pod
    fill_affinity(own_cluster, at)
    assert set(pods_met(own_cluster.client, *at, n=60)) == set(PODS)
    assert set(pods_met(shell, *at, n=10)) == {first}
    own_agent.wait_logged("more clients than session affinity can remember")
    assert set(pods_met(own_cluster.client, *at, n=60)) == set(PODS)
    assert len(own_agent.logged("more clients than session affinity can remember")) == 1
    own_cluster.node1.run("nft", "flush", "map", "ip", "kube-nft", "affinity")
    assert len(pods_met(own_cluster.client, *at, n=20)) == 1
    own_agent.wait_logged("session affinity remembers all clients again")


def test_N14_it_survives_an_upgrade(
    own_cluster: Cluster, own_agent: Agent, remembered: Callable[[], list[str]], upgraded: str
) -> None:
    before = remembered()
    own_agent.stop()
    new = own_cluster.agent(name="upgraded", program=upgraded)
    new.start()
    own_cluster.settle(new)
    assert new.logged("has another skeleton")
    for _ in range(5):
        assert remembered() == before


def test_N2_it_survives_a_repair(
    own_cluster: Cluster, own_agent: Agent, remembered: Callable[[], list[str]]
) -> None:
    before = remembered()
    for table in ("ip", "ip6"):
        own_cluster.node1.run("nft", "add", "chain", table, "kube-nft", "visitor")
    own_agent.wait_logged("foreign change repaired")
    for _ in range(5):
        assert remembered() == before
