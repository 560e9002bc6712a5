"""What the kernel logs to an NFLOG group, by the prefix of each packet."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Self

from .netns import Namespace

NETLINK_NETFILTER = 12
ULOG = 4  # NFNL_SUBSYS_ULOG
PACKET, CONFIG = ULOG << 8, ULOG << 8 | 1
# NFULA_CFG_CMD, NFULA_CFG_MODE, NFULA_CFG_QTHRESH; NFULA_PREFIX
COMMAND, MODE, AT_ONCE, PREFIX = 1, 2, 5, 10
BIND, COPY_PACKET = 1, 2
REQUEST, ACK = 1, 4
HEADER = struct.Struct("=IHHII")


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


class Log:
    """A group of one network namespace, from now on."""

    def __init__(self, space: Namespace, group: int) -> None:
        self.sock = space.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.sock.bind((0, 0))
        for attribute in (
            _attribute(COMMAND, bytes([BIND])),
            _attribute(MODE, struct.pack(">IBx", 64, COPY_PACKET)),
            _attribute(AT_ONCE, struct.pack(">I", 1)),
        ):
            body = struct.pack(">BBH", socket.AF_UNSPEC, 0, group) + attribute
            size = HEADER.size + len(body)
            self.sock.send(HEADER.pack(size, CONFIG, REQUEST | ACK, 0, 0) + body)
            error = struct.unpack_from("=i", self.sock.recv(4096), HEADER.size)[0]
            if error:
                raise OSError(-error, "NFLOG")

    def prefixes(self) -> list[str]:
        """Of all packets that were logged since the last call."""
        found: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found += _prefixes(self.sock.recv(1 << 16, socket.MSG_DONTWAIT))
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.sock.close()


def _prefixes(data: bytes) -> Iterator[str]:
    while len(data) >= HEADER.size:
        size, kind, *_ = HEADER.unpack_from(data)
        if kind == PACKET:
            for attribute, value in _attributes(data[HEADER.size + 4 : size]):
                if attribute == PREFIX:
                    yield value.rstrip(b"\0").decode()
        data = data[(size + 3) & ~3 :]
