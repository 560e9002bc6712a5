"""The first two packets of an SCTP association, sent and read raw.

So SCTP can be followed through the rules on a kernel that has no SCTP sockets. Source: RFC 9260.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .client import DROP_S, family_of
from .netns import Namespace

INIT = 1
INIT_ACK = 2
TAG = 0x6B75626E
COOKIE = 7
IP_RECVERR, IPV6_RECVERR = 11, 25


@dataclass(frozen=True)
class Packet:
    """What a raw socket has received."""

    source: str
    source_port: int
    port: int
    kind: int  # of its first chunk
    text: bytes = b""  # the cookie of an INIT ACK


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _packet(source_port: int, port: int, tag: int, kind: int, text: bytes) -> bytes:
    # Window, outbound and inbound streams, first TSN; an INIT ACK carries a state cookie besides.
    body = struct.pack("!IIHHI", TAG, 65536, 1, 1, 1)
    if kind == INIT_ACK:
        body += struct.pack("!HH", COOKIE, 4 + len(text)) + text + bytes(-len(text) % 4)
    chunk = struct.pack("!BBH", kind, 0, 4 + len(body)) + body
    crc = _crc32c(struct.pack("!HHII", source_port, port, tag, 0) + chunk)
    return struct.pack("!HHI", source_port, port, tag) + struct.pack("<I", crc) + chunk


class RawSocket:
    """Receives all SCTP packets of a namespace; without @space, of the caller's own."""

    def __init__(self, space: Namespace | None, family: int) -> None:
        self.family = family
        make = space.socket if space else socket.socket
        self.sock = make(family, socket.SOCK_RAW, socket.IPPROTO_SCTP)

    def send(
        self, address: str, port: int, source_port: int, tag: int, kind: int, text: bytes = b""
    ) -> None:
        self.sock.sendto(_packet(source_port, port, tag, kind, text), (address, 0))

    def acknowledge(self, init: Packet, text: bytes = b"") -> None:
        """Answer an INIT."""
        self.send(init.source, init.source_port, init.port, TAG, INIT_ACK, text)

    def report_errors(self) -> None:
        """From now on refused_ports() tells what it can, and nothing waits for a packet."""
        self.sock.setblocking(False)
        if self.family == socket.AF_INET:
            self.sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        else:
            self.sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)

    def refused_ports(self) -> Iterator[int]:
        """The source ports of what was sent from here and came back as unreachable."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, *_ = self.sock.recvmsg(4096, 256, socket.MSG_ERRQUEUE)
                yield struct.unpack_from("!H", data)[0]

    def receive(self) -> Packet:
        data, peer = self.sock.recvfrom(4096)
        if self.family == socket.AF_INET:
            data = data[(data[0] & 15) * 4 :]  # IPv4 gives its header too
        source_port, port = struct.unpack_from("!HH", data)
        kind, _, length = struct.unpack_from("!BBH", data, 12)
        # The cookie stands behind the chunk's head and its fixed part.
        text = data[36 : 12 + length].rstrip(b"\0") if kind == INIT_ACK else b""
        return Packet(peer[0], source_port, port, kind, text)


def pod_met(
    space: Namespace, pods: Mapping[str, Namespace], address: str, port: int, source_port: int
) -> tuple[str, int] | None:
    """Send an INIT and have the pod that gets it answer, which must come from where the INIT went.
    The pod and its port; None when no pod got it, or no answer came back."""
    family = family_of(address)
    client = RawSocket(space, family)
    servers = {RawSocket(pod, family): name for name, pod in pods.items()}
    by_sock = {server.sock: server for server in servers}
    with_all = [client.sock, *by_sock]
    try:
        client.send(address, port, source_port, 0, INIT)
        met = None
        while ready := select.select(with_all, [], [], DROP_S)[0]:
            for sock in ready:
                if sock is client.sock:
                    answer = client.receive()
                    if answer == Packet(address, port, source_port, INIT_ACK):
                        return met
                    continue
                packet = by_sock[sock].receive()
                if packet.kind == INIT:
                    met = (servers[by_sock[sock]], packet.port)
                    by_sock[sock].acknowledge(packet)
        return None
    finally:
        for sock in with_all:
            sock.close()
