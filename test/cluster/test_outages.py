"""The API server goes away, comes back, forgets. What is forwarded goes on being forwarded,
and afterwards all is as if nothing had been."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import pytest

from rig.agent import Agent
from rig.api.server import PORT
from rig.client import outcome
from rig.frontends import Frontends, everywhere, without_failures
from rig.live.churn import churning
from rig.live.cluster import LiveCluster
from rig.live.control_plane import ControlPlane
from rig.ruleset import own_tables

PODS = ("web-1", "web-2", "web-3", "web-4")


@pytest.fixture
def control_plane(cluster: LiveCluster) -> ControlPlane:
    return cluster.api


@pytest.fixture
def web(cluster: LiveCluster, agent: Agent) -> Frontends:
    made = everywhere(cluster, "web", *PODS)
    cluster.settle(agent)
    return made


@contextlib.contextmanager
def listing_at_most(control_plane: ControlPlane, n: int) -> Iterator[None]:
    """The agent asks for all objects of a kind @n times at most meanwhile."""
    before = control_plane.lists()
    yield
    more = control_plane.lists() - before
    assert max(more.values(), default=0) <= n, more


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_agent_restarted(
    cluster: LiveCluster, agent: Agent, web: Frontends, how: int, control_plane: ControlPlane
) -> None:
    other = everywhere(cluster, "other", "web-1")
    with listing_at_most(control_plane, 1), without_failures(web) as probes:
        agent.stop(how)
        cluster.deploy(other.object, "web-4")
        agent.start()
        cluster.settle(agent)
        probes.wait_connections(20)
    cluster.check(agent)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_api_server_restarted(
    cluster: LiveCluster, agent: Agent, web: Frontends, how: int, control_plane: ControlPlane
) -> None:
    """Services should work after restarting apiserver"""
    # The new one's watch cache knows nothing of before, so that it may want a list for each kind.
    with listing_at_most(control_plane, 1), without_failures(web) as probes:
        control_plane.restart_api_server(how=how)
        everywhere(cluster, "other", "web-1")
        cluster.settle(agent)
        probes.wait_connections(20)
    cluster.check(agent)


@contextlib.contextmanager
def cut_off(control_plane: ControlPlane, address: str) -> Iterator[None]:
    """Whatever comes from @address is answered by a reset."""
    ruleset = f"""
        add table ip cut
        add chain ip cut input {{ type filter hook input priority 0; }}
        add rule ip cut input ip saddr {address} tcp dport {PORT} reject with tcp reset
    """
    control_plane.run("nft", "-f", "-", stdin=ruleset)
    try:
        yield
    finally:
        control_plane.run("nft", "delete table ip cut")


def test_A3_connection_lost(
    cluster: LiveCluster, agent: Agent, web: Frontends, control_plane: ControlPlane
) -> None:
    other = everywhere(cluster, "other", "web-1")
    cluster.settle(agent)
    # The server has all that happened meanwhile, and tells no more than that.
    with listing_at_most(control_plane, 0), without_failures(web) as probes:
        with cut_off(control_plane, cluster.node1.ips[4]):
            cluster.deploy(other.object, "web-4")
            agent.wait_logged("API server.*problem=")
        cluster.settle(agent)
        probes.wait_connections(20)
    cluster.check(agent)


def test_A1_api_server_down_at_start(
    cluster: LiveCluster, agent: Agent, web: Frontends, control_plane: ControlPlane
) -> None:
    agent.stop()
    control_plane.api_server.stop(signal.SIGKILL)
    before = own_tables(cluster.node1)
    with listing_at_most(control_plane, 1), without_failures(web) as probes:
        agent.start()
        probes.wait_connections(200)
        assert agent.running
        assert own_tables(cluster.node1) == before
        control_plane.start_api_server()
        cluster.settle(agent)
    cluster.check(agent)


def test_A2_api_server_gone_under_churn(
    cluster: LiveCluster, agent: Agent, web: Frontends, control_plane: ControlPlane
) -> None:
    outages = 3
    with (
        listing_at_most(control_plane, outages),
        without_failures(web) as probes,
        churning(cluster) as churn,
    ):
        for _ in range(outages):
            churn.wait_written(50)
            control_plane.api_server.stop(signal.SIGKILL)
            probes.wait_connections(200)
            assert agent.running
            control_plane.start_api_server()
        churn.wait_written(50)
        churn.stop()
        cluster.check(agent)


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "uncached"])
def test_A4_history_compacted(
    cluster: LiveCluster, agent: Agent, web: Frontends, cached: bool, control_plane: ControlPlane
) -> None:
    gone, other = (everywhere(cluster, name, "web-1") for name in ("gone", "other"))
    cluster.settle(agent)
    with listing_at_most(control_plane, 1), without_failures(web) as probes:
        before = control_plane.lists()
        # While it is stopped and its connection is dead, it misses everything.
        agent.signal(signal.SIGSTOP)
        control_plane.restart_api_server()
        cluster.remove("gone")
        cluster.deploy(other.object, "web-2", "web-3")
        # The one has no events of before in its cache, the other asks etcd, which has none either.
        control_plane.restart_api_server(f"--watch-cache={str(cached).lower()}")
        control_plane.compact()
        agent.signal(signal.SIGCONT)
        cluster.settle(agent)
        # Without a new list it could not have learned of it.
        more = control_plane.lists() - before
        assert more["services"] == more["endpointslices"] == 1
        assert outcome(cluster.client, *gone.at("node-port", 4)) not in PODS
        probes.wait_connections(20)
        cluster.check(agent)
    if not cached:
        control_plane.restart_api_server()
