"""The server cannot be reached: rows A1, A2, A14, A15. Packets go on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from rig import objects, state
from rig.agent import Agent
from rig.api import kubeconfig
from rig.api.cluster import ALL_LOGGED, API_IPS, KINDS, SERVER_NAMES, URLS, ApiCluster
from rig.api.server import PORT, Handshake
from rig.client import ask
from rig.cluster import FLAGS, cluster_ip
from rig.frontends import Frontends, without_failures
from rig.mounts import mounted

# A1 ----------------------------------------------------------------------------------------------


def lower_link(cluster: ApiCluster) -> None:
    cluster.api_host.ip("link set eth0 down")


def raise_link(cluster: ApiCluster) -> None:
    # Its IPv6 addresses went with the link.
    cluster.api_host.ip("link set eth0 up", f"address replace {API_IPS[6]}/64 dev eth0 nodad")


def close_at_once(cluster: ApiCluster) -> None:
    cluster.api.handshake = Handshake.CLOSED


def be_normal(cluster: ApiCluster) -> None:
    cluster.api.handshake = Handshake.NORMAL


@pytest.mark.parametrize(
    ("fail", "recover"),
    [
        (lower_link, raise_link),
        (lambda c: c.api.crash(), lambda c: c.api.listen()),
        (close_at_once, be_normal),
    ],
    ids=["unreachable", "refused", "closed"],
)
def test_A1_down_at_the_start(cluster: ApiCluster, web: Frontends, fail, recover) -> None:  # type: ignore[no-untyped-def]
    # Nothing is compared with the kernel as long as nothing is known, however often that is due.
    agent = cluster.agent(flags=(*FLAGS, ALL_LOGGED, "--ipvs-sync-period=1s"))
    agent.start()
    cluster.settle(agent)
    agent.stop()
    old = state.read(cluster.node1)
    fail(cluster)
    with without_failures(web):
        begun = len(agent.log())
        agent.start()
        agent.wait_until("a complaint", lambda: "level=warn" in agent.log()[begun:])
        # Its own preparations are over.
        generation = state.generation(cluster.node1)
        time.sleep(3)  # the first steps of the back-off
        assert agent.running
        complaints = [li for li in agent.log()[begun:].splitlines() if "level=warn" in li]
        assert 1 <= len(complaints) <= 2 * len(KINDS), complaints
        assert state.read(cluster.node1) == old
        assert state.generation(cluster.node1) == generation
        recover(cluster)
        cluster.settle(agent)


def test_A1_requests_become_rarer(cluster: ApiCluster) -> None:
    cluster.api.handshake = Handshake.CLOSED
    agent = cluster.agent()
    agent.start()
    begin = time.monotonic()
    while time.monotonic() < begin + 6:
        time.sleep(0.1)
    # 0.8, 1.6, 3.2 s: at most four attempts a kind, and libcurl may try a closed connection again.
    assert 2 <= len(cluster.api.connections) <= 8 * len(KINDS)
    be_normal(cluster)
    cluster.settle(agent)


# A2 ----------------------------------------------------------------------------------------------


def churn(cluster: ApiCluster, web: Frontends) -> None:
    """What happens in a cluster meanwhile."""
    for n in range(30):
        number = 100 + n % 7
        made = objects.service(f"other-{n % 7}", cluster_ip(number).values())
        cluster.deploy(made, *(["web-1", "web-2"][: n % 3]))
    cluster.remove("other-3")
    cluster.deploy(web.object, "web-2", "web-1")


@pytest.mark.parametrize("compacted", [False, True], ids=["short", "long"])
def test_A2_down_for_a_while(cluster: ApiCluster, web: Frontends, compacted: bool) -> None:
    agent = cluster.agent()
    agent.start()
    cluster.settle(agent)
    generation = state.generation(cluster.node1)
    with without_failures(web) as probes:
        cluster.api.crash()
        churn(cluster, web)
        if compacted:
            cluster.api.compact()
        probes.wait_connections(100)
        assert agent.running
        assert state.generation(cluster.node1) == generation
        mark = cluster.api.mark
        cluster.api.listen()
        cluster.settle(agent)
        state.wait_equal(agent, cluster.whole())
    for kind in KINDS:
        again = ("list", "watchlist") if compacted else ("watch",)
        cluster.api.wait_asked(*again, resource=kind, since=mark)
    # The history that is there is used; a list for each kind, and no storm, when it is not.
    lists = [r.plural for r in cluster.api.asked("list", "watchlist", since=mark)]
    assert sorted(lists) == (sorted(KINDS) if compacted else [])


# A14 ---------------------------------------------------------------------------------------------

NAME = "api.example"


def resolver(cluster: ApiCluster) -> tuple[Path, tuple[str, ...]]:
    """A hosts file, and what starts an agent so that it knows these names alone."""
    hosts, switch = cluster.directory / "hosts", cluster.directory / "nsswitch.conf"
    switch.write_text("hosts: files\n", encoding="ascii")
    return hosts, mounted({"/etc/hosts": hosts, "/etc/nsswitch.conf": switch})


def named_agent(cluster: ApiCluster, wrapper: tuple[str, ...]) -> Agent:
    """An agent that knows the server by its name."""
    cluster.api.certificate = cluster.authority.server(f"DNS:{NAME}")
    user = kubeconfig.with_token(cluster.token)
    return cluster.agent(
        source=cluster.kubeconfig(user, url=f"https://{NAME}:{PORT}"), wrapper=wrapper
    )


def test_A14_ipv6_only(cluster: ApiCluster) -> None:
    source = cluster.kubeconfig(kubeconfig.with_token(cluster.token), url=URLS[6])
    agent = cluster.agent(source=source)
    cluster.api_host.ip(f"address delete {API_IPS[4]}/24 dev eth0")
    agent.start()
    cluster.settle(agent)
    assert {c.server for c in cluster.api.connections} == {API_IPS[6]}


def test_A14_dead_address_besides_a_live_one(cluster: ApiCluster, family: int) -> None:
    hosts, wrapper = resolver(cluster)
    hosts.write_text("".join(f"{ip} {NAME}\n" for ip in API_IPS.values()), encoding="ascii")
    agent = named_agent(cluster, wrapper)
    other = {4: "ip6", 6: "ip"}[family]
    cluster.api_host.run(
        "nft",
        f"add table {other} cut; add chain {other} cut in "
        "{ type filter hook input priority 0; };"
        f"add rule {other} cut in tcp dport {PORT} drop",
    )
    agent.start()
    cluster.settle(agent)
    assert {c.server for c in cluster.api.connections} == {API_IPS[family]}


def test_A14_address_changes_and_name_flaps(cluster: ApiCluster) -> None:
    hosts, wrapper = resolver(cluster)
    hosts.write_text(f"{API_IPS[4]} {NAME}\n", encoding="ascii")
    agent = named_agent(cluster, wrapper)
    agent.start()
    cluster.settle(agent)
    mark = cluster.api.mark
    # First there is no such name, then it means another address.
    hosts.write_text("", encoding="ascii")
    cluster.api_host.ip(
        f"address delete {API_IPS[4]}/24 dev eth0", "address add 192.168.50.6/24 dev eth0"
    )
    cluster.api.reset_connections()
    begun = len(agent.log())
    agent.wait_until("a complaint", lambda: NAME in agent.log()[begun:])
    hosts.write_text(f"192.168.50.6 {NAME}\n", encoding="ascii")
    cluster.settle(agent)
    assert cluster.api.connections[-1].server == "192.168.50.6"
    assert not cluster.api.asked("list", "watchlist", since=mark)


# A15 ---------------------------------------------------------------------------------------------


VIPS = {4: "10.96.0.1", 6: "fd96::1"}


@pytest.fixture
def by_vip(cluster: ApiCluster, family: int) -> Sequence[str]:
    """The flags of an agent whose server is a Service that it has to serve itself."""
    made = objects.service("kubernetes", VIPS.values(), [objects.port(443, target=PORT)])
    slices = [objects.slice_of(made, [objects.endpoint(ip)], family=f) for f, ip in API_IPS.items()]
    cluster.apply("kubernetes", made, *slices)
    names = (f"IP:{ip}" for ip in VIPS.values())
    cluster.api.certificate = cluster.authority.server(*SERVER_NAMES, *names)
    host = {4: VIPS[4], 6: f"[{VIPS[6]}]"}[family]
    user = kubeconfig.with_token(cluster.token)
    return cluster.kubeconfig(user, url=f"https://{host}", name="vip")


def test_A15_behind_its_own_address(
    cluster: ApiCluster, by_vip: Sequence[str], web: Frontends
) -> None:
    # The first rules come by another way.
    first = cluster.agent(name="first")
    first.start()
    cluster.settle(first)
    first.stop()
    agent = cluster.agent(source=by_vip)
    agent.start()
    cluster.settle(agent)
    cluster.node1.run("nft", "delete table ip kube-nft; delete table ip6 kube-nft")
    cluster.settle(agent)
    # And when the connection must be made anew at this very moment.
    cluster.node1.run("nft", "flush ruleset")
    cluster.api.reset_connections()
    cluster.deploy(web.object, "web-2")
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())
    assert ask(cluster.client, *web.at("cluster-ip", 4)).pod == "web-2"


def test_A15_direct_address(cluster: ApiCluster, by_vip: Sequence[str]) -> None:
    # Nobody serves the address yet.
    agent = cluster.agent(source=(*by_vip, f"--master={URLS[4]}"))
    agent.start()
    cluster.settle(agent)
    assert {c.server for c in cluster.api.connections} == {API_IPS[4]}
