"""One ICMP echo, and who answered it."""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time

from .client import HANG_S, family_of
from .netns import Namespace

# By socket family: protocol, type of an echo request, of a reply.
ECHO = {
    socket.AF_INET: (socket.IPPROTO_ICMP, 8, 0),
    socket.AF_INET6: (socket.IPPROTO_ICMPV6, 128, 129),
}
_serial = itertools.count(1)


def checksum(data: bytes) -> int:
    """That of IPv4 and of ICMP."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _request(family: int, kind: int, identifier: int) -> bytes:
    head = struct.pack("!BBHHH", kind, 0, 0, identifier, 1)
    # The kernel sums up ICMPv6 itself.
    total = checksum(head) if family == socket.AF_INET else 0
    return struct.pack("!BBHHH", kind, 0, total, identifier, 1)


def ping(space: Namespace, address: str, *, timeout_s: float = HANG_S) -> str:
    """The source address of the answer. TimeoutError when there is none."""
    family = family_of(address)
    protocol, request, reply = ECHO[family]
    identifier = (os.getpid() * 7919 + next(_serial)) & 0xFFFF
    deadline = time.monotonic() + timeout_s
    with space.socket(family, socket.SOCK_RAW, protocol) as sock:
        sock.sendto(_request(family, request, identifier), (address, 0))
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            data, peer = sock.recvfrom(4096)
            if family == socket.AF_INET:
                data = data[(data[0] & 15) * 4 :]
            kind, _, _, answered, _ = struct.unpack_from("!BBHHH", data)
            if (kind, answered) == (reply, identifier):
                return str(peer[0])
    raise TimeoutError(f"no answer from {address}")
