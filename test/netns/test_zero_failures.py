"""No connection fails while something else happens: new ones are opened and established ones used
throughout, from a pod, the node and outside, in both families."""

from __future__ import annotations

import signal

import pytest

from rig import objects
from rig.agent import Agent
from rig.cluster import Cluster, cluster_ip
from rig.frontends import Frontends, everywhere, without_failures
from rig.ruleset import own_tables

PODS = ["web-1", "web-2", "web-3", "web-4"]
OTHERS = 50  # manifests of other Services
SERVICES_EACH = 4


@pytest.fixture
def web(own_cluster: Cluster, own_agent: Agent) -> Frontends:
    made = everywhere(own_cluster, "web", *PODS)
    own_cluster.settle(own_agent)
    return made


def apply_others(cluster: Cluster, generation: int) -> None:
    """Write manifests of other Services, whose endpoints differ from generation to generation."""
    pods = [cluster.pods[name] for name in PODS]
    for n in range(OTHERS):
        made = []
        for m in range(SERVICES_EACH):
            ips = cluster_ip(1000 + n * SERVICES_EACH + m)
            svc = objects.service(f"other-{n}-{m}", ips.values())
            chosen = [pods[(generation + m + k) % 4] for k in range(1 + (generation + n) % 4)]
            made += [svc, objects.slice_of(svc, [pod.endpoint(4) for pod in chosen])]
        cluster.apply(f"other-{n}", *made)


def test_zero_failures_during_1000_changes_of_others(web: Frontends, own_agent: Agent) -> None:
    apply_others(web.cluster, 0)
    web.cluster.settle(own_agent)
    with without_failures(web) as probes:
        for generation in range(1, 1 + 1000 // (OTHERS * SERVICES_EACH)):
            apply_others(web.cluster, generation)
            web.cluster.settle(own_agent)
            probes.wait_connections(10)


def test_zero_failures_while_endpoints_come_and_go(web: Frontends, own_agent: Agent) -> None:
    with without_failures(web) as probes:
        for n in range(40):
            # Down to one endpoint and up again, each time another order.
            present = (4 - n % 8) if n % 8 < 4 else n % 8 - 3
            turn = n // 8
            names = (PODS[turn % 4 :] + PODS[: turn % 4])[:present]
            web.cluster.deploy(web.object, *names)
            web.cluster.settle(own_agent)
            before = probes.report()
            after = probes.wait_connections(5)
            met = {name for name in PODS if after.pods[name] > before.pods[name]}
            # What was under way at the first report may still have met another one.
            assert met & set(names)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_zero_failures_while_the_agent_restarts(web: Frontends, own_agent: Agent, how: int) -> None:
    with without_failures(web) as probes:
        for n in range(5):
            own_agent.stop(how)
            probes.wait_connections(20)
            # What changed meanwhile is found at the start.
            web.cluster.deploy(web.object, *PODS[: 1 + n % 4])
            own_agent.start()
            web.cluster.settle(own_agent)
            probes.wait_connections(20)


def test_zero_failures_when_an_agent_is_replaced_while_it_commits(
    web: Frontends, own_agent: Agent
) -> None:
    with without_failures(web):
        for generation in range(8):
            apply_others(web.cluster, generation)
            own_agent.stop(signal.SIGKILL)
            own_agent.start()
        web.cluster.settle(own_agent)


def test_zero_failures_during_upgrade_and_downgrade(
    web: Frontends, own_agent: Agent, upgraded: str
) -> None:
    cluster = web.cluster
    refuse = ("nft", "list", "chain", "ip6", "kube-nft", "refuse")
    new = cluster.agent(name="upgraded", program=upgraded)
    skeleton = own_tables(cluster.node1).splitlines()[1]
    with without_failures(web) as probes:
        for running, starting in ((own_agent, new), (new, own_agent)):
            running.stop(signal.SIGTERM)
            starting.start()
            cluster.settle(starting)
            starting.wait_until(
                "the other skeleton",
                lambda new_one=starting is new: (
                    ("counter" in cluster.node1.run(*refuse)) == new_one
                ),
            )
            assert (own_tables(cluster.node1).splitlines()[1] == skeleton) == (
                starting is own_agent
            )
            probes.wait_connections(20)
