"""When something was committed to nftables, seen from outside.

Every commit makes a new generation of the ruleset. The kernel tells its number to whoever asks, and
announces it to whoever listens. Asking costs those who commit nothing. Listening does: the kernel then
writes a notification of every element as well, so that nobody should listen while whole tables are
committed.
"""

from __future__ import annotations

import collections
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rig.netns import Namespace
from rig.state import NETLINK_NETFILTER, generation

NFNLGRP_NFTABLES = 7
SO_RCVBUFFORCE = 33
BUFFER_BYTES = 32 * 1024 * 1024
LARGEST_BYTES = 1024 * 1024  # of a datagram

NFT_MSG_NEWSETELEM = 10 << 8 | 12
NFT_MSG_GETSETELEM = 10 << 8 | 13
NFT_MSG_DELSETELEM = 10 << 8 | 14
NFT_MSG_NEWGEN = 10 << 8 | 15
NLM_F_REQUEST = 1
NLA_F_NESTED = 1 << 15
NFTA_SET_ELEM_LIST_TABLE = 1
NFTA_SET_ELEM_LIST_SET = 2
NFTA_SET_ELEM_LIST_ELEMENTS = 3
NFTA_LIST_ELEM = 1
NFTA_SET_ELEM_KEY = 1
NFTA_DATA_VALUE = 1
NFTA_GEN_PROC_NAME = 3
HEADER = struct.Struct("=IHHII")
ATTRIBUTES = HEADER.size + 4  # behind struct nfgenmsg

ASK_S = 0.001
# Who waits this long for a commit waits for ever.
HANG_S = 600.0


def wait_generation(space: Namespace, since: int, holds: Callable[[], bool]) -> float:
    """When the first generation after @since came in which @holds, by time.monotonic()."""
    deadline = time.monotonic() + HANG_S
    known = since
    while (now := time.monotonic()) < deadline:
        number = generation(space)
        if number == known:
            time.sleep(ASK_S)
            continue
        known = number
        if holds():
            return now
    raise TimeoutError("waited for a commit")


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def _nested(kind: int, *attributes: bytes) -> bytes:
    return _attribute(kind | NLA_F_NESTED, b"".join(attributes))


def has_frontend(space: Namespace, table: str, name: str, address: str, port: int) -> bool:
    """Whether the map @name of an IPv4 table has an element for a TCP port. nft(8) could tell, but
    it reads the whole table first, and meanwhile there may be another one."""
    value = socket.inet_aton(address) + struct.pack(">B3xH2x", socket.IPPROTO_TCP, port)
    key = _nested(NFTA_SET_ELEM_KEY, _attribute(NFTA_DATA_VALUE, value))
    request = b"".join(
        (
            struct.pack("=BBH", socket.AF_INET, 0, 0),
            _attribute(NFTA_SET_ELEM_LIST_TABLE, table.encode() + b"\0"),
            _attribute(NFTA_SET_ELEM_LIST_SET, name.encode() + b"\0"),
            _nested(NFTA_SET_ELEM_LIST_ELEMENTS, _nested(NFTA_LIST_ELEM, key)),
        )
    )
    header = HEADER.pack(HEADER.size + len(request), NFT_MSG_GETSETELEM, NLM_F_REQUEST, 0, 0)
    with space.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.send(header + request)
        _, kind, *_ = HEADER.unpack_from(sock.recv(LARGEST_BYTES))
    return bool(kind == NFT_MSG_NEWSETELEM)


@dataclass(frozen=True)
class Commit:
    """A generation: when it was announced, by time.monotonic(), and the name of who made it."""

    at: float
    process: str


def _messages(data: bytes) -> list[tuple[int, bytes]]:
    """The netlink messages of one datagram: type and all of it."""
    found = []
    while len(data) >= HEADER.size:
        length, kind, *_ = HEADER.unpack_from(data)
        found.append((kind, data[:length]))
        data = data[length + 3 & ~3 :]
    return found


def _text(message: bytes, wanted: int) -> str:
    """The attribute @wanted of a message; empty when it has none."""
    offset = ATTRIBUTES
    while offset + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, offset)
        if kind == wanted:
            return message[offset + 4 : offset + length].rstrip(b"\0").decode()
        offset += length + 3 & ~3
    return ""


class Listener:
    """Notes the commits of a namespace as they are announced, in a thread of its own, and how many
    messages with elements of a table there were."""

    def __init__(self, space: Namespace, cleanup: contextlib.ExitStack) -> None:
        self.commits: list[Commit] = []
        self.elements: collections.Counter[str] = collections.Counter()
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._socket = space.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        self._socket.bind((0, 1 << NFNLGRP_NFTABLES - 1))
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._run)
        cleanup.callback(self._end)
        self._thread.start()

    def _end(self) -> None:
        self._ending.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                data = self._socket.recv(LARGEST_BYTES)
            except TimeoutError:
                continue
            now = time.monotonic()
            for kind, message in _messages(data):
                self._note(now, kind, message)

    def _note(self, now: float, kind: int, message: bytes) -> None:
        if kind in (NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM):
            self.elements[_text(message, NFTA_SET_ELEM_LIST_TABLE)] += 1
        elif kind == NFT_MSG_NEWGEN:
            with self._changed:
                self.commits.append(Commit(now, _text(message, NFTA_GEN_PROC_NAME)))
                self._changed.notify_all()

    def wait_commit(self, since: float) -> Commit:
        """The first commit announced at @since or later."""

        def found() -> Commit | None:
            return next((c for c in reversed(self.commits) if c.at >= since), None)

        with self._changed:
            if not self._changed.wait_for(lambda: found() is not None, HANG_S):
                raise TimeoutError("waited for a commit")
            return next(c for c in self.commits if c.at >= since)
