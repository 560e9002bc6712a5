"""The server is slow, or silent: rows A11 and A12."""

from __future__ import annotations

import time

import pytest

from rig import objects, state
from rig.agent import Agent
from rig.api import scripts
from rig.api.cluster import ApiCluster
from rig.api.exchange import Cut
from rig.api.kubernetes import WatchList
from rig.api.scripts import Script
from rig.client import ask
from rig.frontends import Frontends, without_failures

# A connection that is dead without a word is given up within a minute.
DEAD_S = 60.0


# A11 ---------------------------------------------------------------------------------------------


def check_slow(cluster: ApiCluster, agent: Agent, script: Script, *verbs: str) -> None:
    """The list of Services comes as @script lets it; the others' changes show nevertheless."""
    cluster.settle(agent)
    slow = cluster.api.on(*verbs, script=script, resource="services")
    mark = cluster.api.mark
    cluster.api.relist()
    cluster.api.wait_asked(*verbs, resource="services", since=mark)
    marker, *slices = cluster.applied["zz-marker"]
    for endpoint in ("10.244.2.77", "10.244.2.78"):
        slices[0]["endpoints"] = [objects.endpoint(endpoint, "node2")]
        cluster.apply("zz-marker", marker, *slices)
        agent.wait_until(
            "a change of a slice",
            lambda e=endpoint: e in str(state.read(cluster.node1)),  # type: ignore[misc]
        )
    cluster.api.off(slow)


def test_A11_a_byte_a_second(cluster: ApiCluster, agent: Agent) -> None:
    check_slow(cluster, agent, scripts.throttled(1), "list", "watchlist")
    cluster.api.reset_connections()
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())


@pytest.mark.parametrize("verb", ["list", "watchlist"])
@pytest.mark.parametrize(
    "script", [scripts.silent, scripts.cut(100, Cut.STALL)], ids=["no head", "no rest"]
)
def test_A11_deadlines_of_head_and_body(
    cluster: ApiCluster, agent: Agent, script: Script, verb: str
) -> None:
    # Of a watch list it is the refusal that does not end.
    cluster.api.behaviour.watch_list = WatchList.REFUSED
    check_slow(cluster, agent, script, verb)
    # Nobody but the agent ends it.
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())


def test_A11_slow_head_over_http_1(cluster: ApiCluster) -> None:
    cluster.api.protocols = ("http/1.1",)
    slow = cluster.api.on("list", "watchlist", script=scripts.slow_head, resource="services")
    agent = cluster.agent()
    agent.start()
    (first,) = cluster.api.wait_asked("list", "watchlist", resource="services")
    agent.wait_until("the end of the first request", lambda: first.ended > 0)
    cluster.api.off(slow)
    cluster.settle(agent)


# A12 ---------------------------------------------------------------------------------------------


def test_A12_silent_connection_is_noticed(cluster: ApiCluster, web: Frontends) -> None:
    agent = cluster.agent()
    agent.start()
    cluster.settle(agent)
    dead = {c.number for c in cluster.api.connections if not c.closed}
    ports = ", ".join(str(c.port) for c in cluster.api.connections if c.number in dead)
    cluster.api_host.run(
        "nft",
        "add table inet cut; add chain inet cut in { type filter hook input priority 0; };"
        f"add rule inet cut in tcp sport {{ {ports} }} drop;"
        "add chain inet cut out { type filter hook output priority 0; };"
        f"add rule inet cut out tcp dport {{ {ports} }} drop",
    )
    begin, mark = time.monotonic(), cluster.api.mark
    with without_failures(web):
        cluster.deploy(web.object, "web-2")
        cluster.api.wait_asked("watch", since=mark, hang_s=DEAD_S)
        assert time.monotonic() - begin < DEAD_S
        cluster.settle(agent)
    assert ask(cluster.client, *web.at("cluster-ip", 4)).pod == "web-2"
    assert not cluster.api.asked("list", "watchlist", since=mark)
