"""The addresses of Services: ping, closed ports, ranges of ClusterIPs, and who may connect."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator

import pytest

from rig import frontends, objects
from rig.agent import Agent
from rig.client import (
    DROP_S,
    HANG_S,
    PROTOCOLS,
    ask,
    connected,
    family_of,
    greet,
    outcome,
    outcomes,
    pods_met,
)
from rig.cluster import FLAGS, Cluster, cluster_ip, external_ip, load_balancer_ip
from rig.frontends import Frontends, everywhere
from rig.netns import Namespace
from rig.ping import checksum, ping

KINDS = ("cluster-ip", "external-ip", "load-balancer-ip")
# No Service has it, in any of the ranges.
NOBODY = 250
CLOSED = 81
ETH_P = {4: 0x0800, 6: 0x86DD}
SPOOFER_PORT = 4444


@pytest.fixture(scope="module")
def web(cluster: Cluster, agent: Agent) -> Frontends:
    made = everywhere(cluster, "web", "web-1", "web-3", protocols=PROTOCOLS)
    cluster.settle(agent)
    return made


@contextlib.contextmanager
def listening(space: Namespace, address: str, port: int) -> Iterator[None]:
    """A TCP server at one address, which says nothing."""
    with space.socket(family_of(address), socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(16)
        yield


def connects(space: Namespace, address: str, port: int) -> bool:
    with connected(space, address, port):
        return True


# Ping ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_service_address_answers_ping(web: Frontends, kind: str, client: str, family: int) -> None:
    address, _ = web.at(kind, family)
    assert ping(web.cluster.place(client), address) == address


def test_service_without_endpoints_answers_ping(
    cluster: Cluster, agent: Agent, client: str, family: int
) -> None:
    empty = everywhere(cluster, "empty")
    cluster.settle(agent)
    address, _ = empty.at("cluster-ip", family)
    assert ping(cluster.place(client), address) == address


def test_service_that_goes_answers_no_more(cluster: Cluster, agent: Agent, family: int) -> None:
    made = everywhere(cluster, f"passing-{family}", "web-1")
    cluster.settle(agent)
    address, _ = made.at("load-balancer-ip", family)
    assert ping(cluster.client, address) == address
    cluster.remove(made.name)
    cluster.settle(agent)
    with pytest.raises(TimeoutError):
        ping(cluster.client, address, timeout_s=DROP_S)


# Closed ports -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_undefined_ports_are_refused(web: Frontends, kind: str) -> None:
    attempts = [
        (web.cluster.place(client), web.at(kind, family)[0], CLOSED, protocol)
        for client in ("pod", "node", "outside")
        for protocol in PROTOCOLS
        for family in (4, 6)
    ]
    assert outcomes(attempts) == {"refused"}


def test_port_of_another_protocol_is_refused(cluster: Cluster, agent: Agent) -> None:
    only_tcp = everywhere(cluster, "only-tcp", "web-1")
    cluster.settle(agent)
    attempts = only_tcp.attempts(["pod", "node", "outside"], KINDS, ["UDP"])
    assert outcomes(attempts) == {"refused"}


def test_refusal_of_a_closed_port_needs_no_second_try(web: Frontends, family: int) -> None:
    # An IPv6 client notices an ICMP error only when it sends its SYN again, a second later.
    address, _ = web.at("cluster-ip", family)
    for client in ("pod", "node", "outside"):
        with (
            pytest.raises(ConnectionRefusedError),
            connected(web.cluster.place(client), address, CLOSED, timeout_s=0.9),
        ):
            pass


def test_a_port_that_is_defined_opens_and_closes(
    cluster: Cluster, agent: Agent, client: str, family: int
) -> None:
    ips = cluster_ip(cluster.new_number())
    name = f"changing-{client}-{family}"
    place = cluster.place(client)

    def with_ports(*numbers: int) -> None:
        ports = [objects.port(n, name=f"p{n}") for n in numbers]
        cluster.deploy(objects.service(name, ips.values(), ports), "web-1")
        cluster.settle(agent)

    with_ports(80)
    assert outcome(place, ips[family], CLOSED) == "refused"
    with_ports(80, CLOSED)
    assert outcome(place, ips[family], CLOSED) == "web-1"
    with_ports(80)
    assert outcome(place, ips[family], CLOSED) == "refused"


def test_connection_that_was_open_before_the_service_goes_on(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    # A host behind the node has an address that then becomes a Service's.
    address = external_ip(240 + family)[family]
    pod = cluster.pods["web-3"]
    bits = "32" if family == 4 else "128 nodad"
    pod.ip(f"address add {address}/{bits} dev lo")
    cluster.node1.ip(f"route add {address} via {cluster.node2.ips[family]}")
    cluster.node2.ip(f"route add {address} via {pod.ips[family]} dev kube-bridge onlink")
    shell = cluster.pods["shell"]
    with connected(shell, address, 8081) as open_before:
        assert greet(open_before).pod == "web-3"
        made = objects.service(
            f"late-{family}", cluster_ip(cluster.new_number()).values(), externalIPs=[address]
        )
        cluster.deploy(made, "web-1")
        cluster.settle(agent)
        assert outcome(shell, address, 8081) == "refused"
        assert outcome(shell, address, 80) == "web-1"
        open_before.sendall(b"still there\n")
        assert open_before.recv(100) == b"web-3 still there\n"


@pytest.mark.parametrize("kind", ["external-ip", "load-balancer-ip"])
def test_O2_service_address_of_the_host_keeps_the_hosts_ports(
    cluster: Cluster, agent: Agent, kind: str, family: int
) -> None:
    made = everywhere(cluster, f"bound-{kind}-{family}", "web-1", "web-3")
    node, (address, port) = cluster.node1, made.at(kind, family)
    node.ip(f"address add {address}/{'32' if family == 4 else '128 nodad'} dev lo")
    cluster.settle(agent)
    with listening(node, address, 22):
        for client in ("pod", "node", "outside"):
            place = cluster.place(client)
            assert connects(place, address, 22)
            assert ping(place, address) == address
            assert set(pods_met(place, address, port)) == {"web-1", "web-3"}
            assert outcome(place, address, CLOSED) == "refused"


def test_addresses_of_the_node_are_not_closed(web: Frontends, client: str, family: int) -> None:
    node = web.cluster.node1
    address, _ = web.at("node-port", family)
    with listening(node, address, 22):
        assert connects(web.cluster.place(client), address, 22)


# Ranges of ClusterIPs -----------------------------------------------------------------------------


def test_unallocated_cluster_ips_are_dropped(web: Frontends) -> None:
    attempts = [
        (web.cluster.place(client), cluster_ip(NOBODY)[family], port, protocol)
        for client in ("pod", "node", "outside")
        for port in (80, 443)
        for protocol in PROTOCOLS
        for family in (4, 6)
    ]
    drops = dropped(web.cluster)
    assert outcomes(attempts) == {"dropped"}
    assert dropped(web.cluster) >= drops + len(attempts)


def test_host_at_an_unallocated_cluster_ip_is_not_reached(web: Frontends, family: int) -> None:
    cluster, address = web.cluster, cluster_ip(NOBODY + 1)[family]
    # The nodes' default route leads there.
    bits = "32" if family == 4 else "128 nodad"
    cluster.client.ip(f"address add {address}/{bits} dev lo")
    with listening(cluster.client, address, 80):
        for place in (cluster.pods["shell"], cluster.node1):
            with pytest.raises(TimeoutError), connected(place, address, 80, timeout_s=DROP_S):
                pass


def dropped(cluster: Cluster) -> int:
    """Packets that went where no ClusterIP is."""
    listing = "".join(
        cluster.node1.run("nft", "list", "chain", family, "kube-nft", "unserved")
        for family in ("ip", "ip6")
    )
    return sum(
        int(line.split("packets ")[1].split()[0])
        for line in listing.splitlines()
        if "@cluster-ranges" in line
    )


def test_other_addresses_are_not_dropped(web: Frontends, family: int) -> None:
    for place in (web.cluster.pods["shell"], web.cluster.node1):
        assert ask(place, web.cluster.pods["web-3"].ips[family], 8080).pod == "web-3"
        assert ping(place, web.cluster.client.ips[family]) == web.cluster.client.ips[family]


def test_range_without_a_cluster_ip_is_nobodys(own_cluster: Cluster, family: int) -> None:
    # The default range, in a cluster whose real one is another: here behind it are other hosts.
    cluster, address = own_cluster, {4: "10.98.0.1", 6: "fd98::1"}[family]
    ranges = ("--service-cluster-ip-range=10.98.0.0/16", "--service-cluster-ip-range=fd98::/112")
    kept = [flag for flag in FLAGS if "cluster-ip-range" not in flag]
    agent = cluster.agent(flags=[*kept, *ranges])
    agent.start()
    cluster.settle(agent)
    bits = "32" if family == 4 else "128 nodad"
    cluster.client.ip(f"address add {address}/{bits} dev lo")
    with listening(cluster.client, address, 80):
        assert connects(cluster.pods["shell"], address, 80)
        assert connects(cluster.node1, address, 80)


# The flag -----------------------------------------------------------------------------------------


def test_without_permit_all_addresses_are_left_alone(own_cluster: Cluster, family: int) -> None:
    agent = own_cluster.agent(flags=[*FLAGS, "--ipvs-permit-all=false"])
    agent.start()
    web = everywhere(own_cluster, "web", "web-1")
    own_cluster.settle(agent)
    for kind in KINDS:
        address, port = web.at(kind, family)
        for client in ("pod", "node", "outside"):
            place = own_cluster.place(client)
            assert outcome(place, address, port) == "web-1"
            with pytest.raises(TimeoutError):
                ping(place, address, timeout_s=0.3)
    # The packets go where the routes lead: to the hosts that have the addresses, if any have.
    (address, _), nobody = web.at("cluster-ip", family), cluster_ip(NOBODY)[family]
    bits = "32" if family == 4 else "128 nodad"
    for one in (address, nobody):
        own_cluster.client.ip(f"address add {one}/{bits} dev lo")
        with listening(own_cluster.client, one, CLOSED):
            assert connects(own_cluster.pods["shell"], one, CLOSED)
            assert connects(own_cluster.node1, one, CLOSED)


# Source ranges ------------------------------------------------------------------------------------


def ranges_of(cluster: Cluster, *clients: str) -> list[str]:
    """The addresses of clients as ranges, of both families."""
    hosts = {"pod": cluster.pods["shell"], "node": cluster.node1, "outside": cluster.client}
    bits = {4: 32, 6: 128}
    return [f"{ip}/{bits[family]}" for c in clients for family, ip in hosts[c].ips.items()]


def guarded(cluster: Cluster, agent: Agent, name: str, *sources: str) -> Frontends:
    made = everywhere(
        cluster, name, "web-1", protocols=PROTOCOLS, loadBalancerSourceRanges=list(sources)
    )
    cluster.settle(agent)
    return made


ALL_CLIENTS = ("pod", "node", "outside")


@pytest.mark.parametrize("allowed", ALL_CLIENTS)
def test_source_ranges_let_in_only_who_is_in_them(
    cluster: Cluster, agent: Agent, allowed: str
) -> None:
    made = guarded(cluster, agent, f"for-{allowed}", *ranges_of(cluster, allowed))
    others = [client for client in ALL_CLIENTS if client != allowed]
    kinds = ["load-balancer-ip"]
    assert outcomes(made.attempts([allowed], kinds, PROTOCOLS)) == {"web-1"}
    assert outcomes(made.attempts(others, kinds, PROTOCOLS)) == {"dropped"}


def test_source_ranges_are_for_load_balancer_addresses_only(
    cluster: Cluster, agent: Agent
) -> None:
    made = guarded(cluster, agent, "for-nobody-here", "192.0.2.0/24", "2001:db8:1::/48")
    others = ["cluster-ip", "node-port", "external-ip"]
    assert outcomes(made.attempts(ALL_CLIENTS, others, PROTOCOLS)) == {"web-1"}
    assert outcomes(made.attempts(ALL_CLIENTS, ["load-balancer-ip"], PROTOCOLS)) == {"dropped"}


def test_source_ranges_go_before_refusals(cluster: Cluster, agent: Agent) -> None:
    made = everywhere(
        cluster,
        "empty-guarded",
        protocols=PROTOCOLS,
        loadBalancerSourceRanges=ranges_of(cluster, "pod"),
    )
    cluster.settle(agent)
    kinds = ["load-balancer-ip"]
    assert outcomes(made.attempts(["pod"], kinds, PROTOCOLS)) == {"refused"}
    assert outcomes(made.attempts(["node", "outside"], kinds, PROTOCOLS)) == {"dropped"}


def test_source_range_of_one_family_closes_the_other(cluster: Cluster, agent: Agent) -> None:
    made = guarded(cluster, agent, "ipv4-only", "0.0.0.0/0")
    for client in ALL_CLIENTS:
        place = cluster.place(client)
        assert outcome(place, *made.at("load-balancer-ip", 4)) == "web-1"
    attempts = [(cluster.place(c), *made.at("load-balancer-ip", 6), "TCP") for c in ALL_CLIENTS]
    assert outcomes(attempts) == {"dropped"}
    assert agent.logged("nobody may connect to its IPv6 load balancer addresses")


def test_source_ranges_that_are_none_let_nobody_in(cluster: Cluster, agent: Agent) -> None:
    made = guarded(cluster, agent, "nonsense", "everybody")
    assert outcomes(made.attempts(ALL_CLIENTS, ["load-balancer-ip"], ["TCP"])) == {"dropped"}
    assert agent.logged("1 of its loadBalancerSourceRanges are no address ranges")


def test_source_ranges_that_overlap(cluster: Cluster, agent: Agent, family: int) -> None:
    outside = cluster.client.ips
    lengths = [(4, 24), (4, 16), (4, 32), (6, 64), (6, 16), (6, 128)]
    sources = [f"{outside[f]}/{length}" for f, length in lengths]
    made = guarded(cluster, agent, f"overlap-{family}", *sources)
    at = made.at("load-balancer-ip", family)
    assert outcome(cluster.client, *at) == "web-1"
    assert outcome(cluster.node1, *at) == "web-1"
    # fd50::/16 holds fd50::100, and not fd44::.
    assert outcome(cluster.pods["shell"], *at) == "dropped"


def test_source_ranges_change_while_it_runs(cluster: Cluster, agent: Agent, family: int) -> None:
    outside, shell = cluster.client, cluster.pods["shell"]
    made = guarded(cluster, agent, f"narrowed-{family}", *ranges_of(cluster, "outside", "pod"))
    at = made.at("load-balancer-ip", family)

    def become(*sources: str) -> None:
        made.object["spec"]["loadBalancerSourceRanges"] = list(sources)
        cluster.deploy(made.object, "web-1")
        cluster.settle(agent)

    with connected(outside, *at) as before:
        assert greet(before).pod == "web-1"
        become(*ranges_of(cluster, "pod"))
        assert outcome(outside, *at) == "dropped"
        assert outcome(shell, *at) == "web-1"
        # Only new connections are asked.
        before.sendall(b"still there\n")
        assert before.recv(100) == b"web-1 still there\n"
    become(*(f"{net}/16" for net in outside.ips.values()))
    assert outcome(outside, *at) == "web-1"
    assert outcome(shell, *at) == "dropped"
    become()
    assert outcome(shell, *at) == "web-1"


def test_node_in_a_range_may_have_the_address_itself(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    # It connects from that address, then.
    node = cluster.node1
    made = guarded(cluster, agent, f"node-bound-{family}", *ranges_of(cluster, "node"))
    at = made.at("load-balancer-ip", family)
    node.ip(f"address add {at[0]}/{'32' if family == 4 else '128 nodad'} dev lo")
    assert outcome(node, *at) == "web-1"
    assert outcome(cluster.client, *at) == "dropped"


# Rows of the fault table --------------------------------------------------------------------------


def test_O1_contested_address_has_one_owner_that_stays(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    number = cluster.new_number()
    address = load_balancer_ip(number)[family]

    def claim(name: str, day: int, pod: str) -> None:
        ips = cluster_ip(cluster.new_number()).values()
        made = objects.service(name, ips, load_balancer_ips=[address], type="LoadBalancer")
        made["metadata"]["creationTimestamp"] = f"2024-05-0{day}T00:00:00Z"
        cluster.deploy(made, pod)
        cluster.settle(agent)

    claim(f"younger-{family}", 2, "web-3")
    assert set(pods_met(cluster.client, address, 80, n=10)) == {"web-3"}
    claim(f"older-{family}", 1, "web-1")
    for _ in range(3):
        # An update of the loser changes nothing.
        claim(f"younger-{family}", 2, "web-3")
        assert set(pods_met(cluster.client, address, 80, n=10)) == {"web-1"}
    told = f"default/younger-{family}.*{address} port 80 TCP belongs to Service default/older"
    assert len(agent.logged(told)) == 1
    cluster.remove(f"older-{family}")
    cluster.settle(agent)
    assert set(pods_met(cluster.client, address, 80, n=10)) == {"web-3"}


def test_O2_addresses_of_other_nodes_are_refused(own_cluster: Cluster, family: int) -> None:
    # The ranges allow it; the node would lose what it has there.
    cluster, address = own_cluster, own_cluster.node2.ips[family]
    wide = ("--service-external-ip-range=0.0.0.0/0", "--service-external-ip-range=::/0")
    agent = cluster.agent(flags=[*FLAGS, *wide])
    agent.start()
    made = objects.service(
        "thief", cluster_ip(cluster.new_number()).values(), externalIPs=[address]
    )
    cluster.deploy(made, "web-1")
    cluster.settle(agent)
    with listening(cluster.node2, address, 80):
        for place in (cluster.pods["shell"], cluster.node1):
            assert connects(place, address, 80)
            assert connects(place, address, 80)
    assert agent.logged(f"external address {address} is an address of a node")


def test_O3_endpoints_that_are_none_get_nothing(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    number = cluster.new_number()
    bad = {4: ["127.0.0.1", "169.254.1.1"], 6: ["::1", "fe80::1"]}[family]
    victim = objects.service(f"victim-{family}", cluster_ip(cluster.new_number()).values())
    bad.append(victim["spec"]["clusterIPs"][family == 6])
    cluster.deploy(victim, "web-3")
    made = objects.service(f"bad-{family}", cluster_ip(number).values())
    good = cluster.pods["web-1"].endpoint(family)
    endpoints = [good, *(objects.endpoint(address, "node1") for address in bad)]
    cluster.apply(f"bad-{family}", made, objects.slice_of(made, endpoints, family=family))
    cluster.settle(agent)
    for client in ALL_CLIENTS:
        met = pods_met(cluster.place(client), cluster_ip(number)[family], 80, n=40)
        assert set(met) == {"web-1"}
    for address in bad:
        assert agent.logged(f"default/bad-{family}.*endpoint {address} skipped")


def test_O4_pods_that_share_an_address_stay_apart(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    # Host-network pods: one address, two ports, two Services; one Service goes.
    ips = {target: cluster_ip(cluster.new_number()) for target in (8080, 8081)}
    for target, cluster_ips in ips.items():
        made = objects.service(
            f"shared-{target}-{family}", cluster_ips.values(), [objects.port(80, target=target)]
        )
        cluster.deploy(made, "web-1")
    cluster.settle(agent)
    itself = cluster.pods["web-1"]
    for target, cluster_ips in ips.items():
        assert ask(itself, cluster_ips[family], 80).port == target
    cluster.remove(f"shared-8080-{family}")
    cluster.settle(agent)
    # What made its connections to itself work is the other Service's, too.
    assert ask(itself, ips[8081][family], 80).port == 8081
    assert outcome(itself, ips[8080][family], 80) == "dropped"


def udp_packet(source: str, destination: str, port: int) -> bytes:
    """A packet whole, so that its addresses may be anybody's."""
    udp = struct.pack("!HHHH", SPOOFER_PORT, port, 12, 0) + b"who\n"
    if ":" in source:
        addresses = b"".join(socket.inet_pton(socket.AF_INET6, a) for a in (source, destination))
        pseudo = addresses + struct.pack("!II", len(udp), socket.IPPROTO_UDP)
        udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp)) + udp[8:]
        return struct.pack("!IHBB", 6 << 28, len(udp), socket.IPPROTO_UDP, 64) + addresses + udp
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(udp), 1, 0, 64, socket.IPPROTO_UDP)
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return head + struct.pack("!H", checksum(head + addresses)) + addresses + udp


def send_from(place: Namespace, neighbour: Namespace, device: str, packet: bytes) -> None:
    """Send a packet past all routes of @place, to the neighbour's @device behind its eth0."""
    link = json.loads(neighbour.run("ip", "-json", "link", "show", device))[0]
    with place.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as sock:
        mac = bytes.fromhex(link["address"].replace(":", ""))
        sock.sendto(packet, ("eth0", ETH_P[6 if packet[0] >> 4 == 6 else 4], 0, 0, mac))


def test_N19_loopback_is_not_reached_from_outside(web: Frontends) -> None:
    cluster, node = web.cluster, web.cluster.node1
    _, port = web.at("node-port", 4)
    for address in ("127.0.0.1", "::1"):
        assert outcome(node, address, port) == "refused"
    with node.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        host.bind(("127.0.0.1", port))
        host.settimeout(HANG_S)
        for place, device in ((cluster.client, "eth0"), (cluster.pods["shell"], "kube-bridge")):
            source = place.ips[4]
            packet = udp_packet(source, "127.0.0.1", port)
            send_from(place, node, device, packet)
            # It has arrived when one behind it has. The first one that the host gets is its own.
            assert ask(place, *web.at("node-port", 4), "UDP").pod in {"web-1", "web-3"}
            with node.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
                own.sendto(b"own", ("127.0.0.1", port))
            assert host.recv(100) == b"own"
    for interface in ("all", "default", "eth0", "kube-bridge"):
        assert node.run("sysctl", "-n", f"net.ipv4.conf.{interface}.route_localnet").strip() == "0"


def test_N19_pod_is_not_taken_for_the_node(cluster: Cluster, agent: Agent, family: int) -> None:
    shell, node, target = cluster.pods["shell"], cluster.node1, cluster.pods["web-1"]
    made = everywhere(cluster, f"spoofed-{family}", "web-1", protocols=["UDP"])
    cluster.settle(agent)
    at, own = made.at("cluster-ip", family), shell.ips[family]
    protocol, header = ETH_P[family], {4: 20, 6: 40}[family]
    places = {4: slice(12, 16), 6: slice(8, 24)}
    with target.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(protocol)) as witness:
        witness.settimeout(HANG_S)
        for source in (own, node.ips[family], node.gateways[family]):
            send_from(shell, node, "kube-bridge", udp_packet(source, *at))
        assert ask(shell, *at, "UDP").pod == "web-1"

        def next_source() -> tuple[str, bool]:
            """Of the next datagram for the Service's port, and whether it was made here."""
            while True:
                packet = witness.recv(2000)
                ports = struct.unpack("!HH", packet[header : header + 4])
                next_header = packet[9] if family == 4 else packet[6]
                if next_header == socket.IPPROTO_UDP and ports[1] == 8080:
                    source = socket.inet_ntop(family_of(own), packet[places[family]])
                    return source, ports[0] == SPOOFER_PORT

        seen = [next_source()]
        while seen[-1][1]:
            seen.append(next_source())
    # The one that was no lie, and what was sent last.
    assert seen == [(own, True), (own, False)]
