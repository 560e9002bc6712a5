"""Row N20: pods that pass themselves off as routers, or give leases, to their neighbours and their node."""

from __future__ import annotations

import contextlib
import re
import socket
import struct

from rig.agent import Agent
from rig.client import HANG_S
from rig.cluster import Cluster

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
ECHO, ADVERTISEMENT, REDIRECT = 128, 134, 137
EVERYBODY = "ff02::1"
BAD_NETWORK = "2001:db8:bad::"
DHCP_SERVER, DHCP_CLIENT = 67, 68


def advertisement() -> bytes:
    """A router for half an hour, with a network to take addresses from."""
    head = struct.pack("!BBHBBHII", ADVERTISEMENT, 0, 0, 64, 0, 1800, 0, 0)
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0)
    return head + prefix + socket.inet_pton(socket.AF_INET6, BAD_NETWORK)


def redirect(better: str, destination: str) -> bytes:
    """For a destination, another hop is said to be better."""
    addresses = b"".join(socket.inet_pton(socket.AF_INET6, a) for a in (better, destination))
    return struct.pack("!BBHI", REDIRECT, 0, 0, 0) + addresses


def bridged(cluster: Cluster) -> None:
    """Have the node see what its pods send each other, as the agent does when it has policies."""
    cluster.node1.sysctl({f"net.bridge.bridge-nf-call-{n}": 1 for n in ("iptables", "ip6tables")})


def test_N20_pods_are_no_routers(own_cluster: Cluster, own_agent: Agent) -> None:
    node, rogue, neighbour = own_cluster.node1, own_cluster.pods["web-1"], own_cluster.pods["web-2"]
    bridged(own_cluster)
    node.sysctl({"net.ipv6.conf.kube-bridge.accept_ra": 2})
    neighbour.sysctl({"net.ipv6.conf.eth0.accept_ra": 1})
    with contextlib.ExitStack() as cleanup:
        witness = cleanup.enter_context(
            neighbour.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IPV6))
        )
        witness.settimeout(HANG_S)
        raw = cleanup.enter_context(
            rogue.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        )
        raw.settimeout(HANG_S)
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        with rogue.entered():
            scope = socket.if_nametoindex("eth0")
        for packet in (
            advertisement(),
            redirect(own_cluster.node2.ips[6], own_cluster.client.ips[6]),
            struct.pack("!BBHHH", ECHO, 0, 0, 1234, 1) + b"behind them",
        ):
            raw.sendto(packet, (EVERYBODY, 0, 0, scope))
        # Both have got what was sent last: one has it, the other answers.
        types = set()
        while ECHO not in types:
            heard = witness.recv(2000)
            if heard[6] == socket.IPPROTO_ICMPV6:
                types.add(heard[40])
        while raw.recvfrom(2000)[1][0].split("%")[0] != own_address(own_cluster):
            pass
    assert not types & {ADVERTISEMENT, REDIRECT}
    for place in (node, neighbour):
        assert BAD_NETWORK not in place.run("ip", "-6", "address", "show")
        assert "proto ra" not in place.run("ip", "-6", "route", "show")


def own_address(cluster: Cluster) -> str:
    """The node's link-local address at its bridge."""
    listing = cluster.node1.run("ip", "-6", "address", "show", "dev", "kube-bridge")
    return re.findall(r"inet6 (fe80::\S+)/", listing)[0]


def test_N20_pods_give_no_leases(own_cluster: Cluster, own_agent: Agent) -> None:
    rogue, neighbour = own_cluster.pods["web-1"], own_cluster.pods["web-2"]
    bridged(own_cluster)
    with contextlib.ExitStack() as cleanup:
        witness = cleanup.enter_context(
            neighbour.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        )
        witness.settimeout(HANG_S)
        for port in (DHCP_SERVER, 6767):
            sender = cleanup.enter_context(rogue.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
            sender.bind(("", port))
            sender.sendto(b"take this one", ("255.255.255.255", DHCP_CLIENT))
        seen = []
        while 6767 not in seen:
            packet = witness.recv(2000)
            if packet[9] == socket.IPPROTO_UDP:
                seen.append(struct.unpack("!H", packet[20:22])[0])
    assert DHCP_SERVER not in seen
