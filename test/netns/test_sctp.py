"""SCTP through the rules, packet by packet: this needs no SCTP in the kernel but conntrack's."""

from __future__ import annotations

import contextlib

import pytest

from rig import frontends
from rig.agent import Agent, wait_until
from rig.client import HANG_S, family_of
from rig.cluster import Cluster
from rig.frontends import Frontends, everywhere
from rig.ruleset import element_packets
from rig.sctp import INIT, RawSocket, pod_met

PODS = ["web-1", "web-2", "web-3", "web-4"]


@pytest.fixture(scope="module")
def signalling(cluster: Cluster, agent: Agent) -> Frontends:
    """A Service of all pods at one port number over TCP and SCTP."""
    made = everywhere(cluster, "signalling", *PODS, protocols=["TCP", "SCTP"])
    cluster.settle(agent)
    return made


@pytest.mark.parametrize("kind", frontends.ALL)
def test_sctp_associations_spread_over_all_endpoints(
    signalling: Frontends, kind: str, client: str, family: int
) -> None:
    cluster = signalling.cluster
    pods = {name: cluster.pods[name] for name in PODS}
    at = signalling.at(kind, family)
    # That one of four is never met in 80 associations happens once in 10^9 runs.
    met = {pod_met(cluster.place(client), pods, *at, 20000 + n) for n in range(80)}
    assert met == {(name, 8080) for name in PODS}


def test_sctp_without_endpoints_is_refused(cluster: Cluster, agent: Agent, family: int) -> None:
    empty = everywhere(cluster, "empty", protocols=["SCTP"])
    cluster.settle(agent)
    pods = {name: cluster.pods[name] for name in PODS}
    address, port = empty.at("cluster-ip", family)
    assert pod_met(cluster.client, pods, address, port, 20000) is None
    assert element_packets(cluster.node1, family, "no-endpoints", f"{address} . sctp . {port}") == 1


def test_sctp_source_ranges(cluster: Cluster, agent: Agent, family: int) -> None:
    shell = cluster.pods["shell"]
    sources = [f"{shell.ips[4]}/32", f"{shell.ips[6]}/128"]
    made = everywhere(
        cluster, "guarded", "web-1", protocols=["SCTP"], loadBalancerSourceRanges=sources
    )
    cluster.settle(agent)
    pods, at = {"web-1": cluster.pods["web-1"]}, made.at("load-balancer-ip", family)
    assert pod_met(shell, pods, *at, 20000) == ("web-1", 8080)
    assert pod_met(cluster.client, pods, *at, 20001) is None
    # A host tells its own programs at once.
    with pytest.raises(PermissionError):
        pod_met(cluster.node1, pods, *at, 20002)


def test_sctp_to_an_undefined_port_is_refused(
    signalling: Frontends, client: str, family: int
) -> None:
    cluster = signalling.cluster
    address, port = signalling.at("load-balancer-ip", family)
    sock = RawSocket(cluster.place(client), family_of(address))
    with sock.sock:
        sock.report_errors()
        with contextlib.suppress(PermissionError):  # as above; the refusal comes besides
            sock.send(address, port + 1, 20000, 0, INIT)
        wait_until("the refusal", lambda: 20000 in sock.refused_ports(), hang_s=HANG_S)


def test_sctp_affinity(cluster: Cluster, agent: Agent, client: str, family: int) -> None:
    sticky = everywhere(cluster, "sticky", *PODS, protocols=["SCTP"], affinity_s=600)
    cluster.settle(agent)
    pods = {name: cluster.pods[name] for name in PODS}
    at = sticky.at("cluster-ip", family)
    met = {pod_met(cluster.place(client), pods, *at, 30000 + n) for n in range(20)}
    assert len(met) == 1
    assert None not in met
