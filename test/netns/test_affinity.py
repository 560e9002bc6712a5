"""sessionAffinity ClientIP: who is remembered, how long, and who is not."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from conftest import PROTOCOLS
from rig import objects
from rig.agent import Agent, wait_until
from rig.client import ask, pods_met
from rig.cluster import Cluster
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
