"""nftables' own announcements of new generations, with the time at which each was there."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass

from .agent import wait_until
from .netns import Namespace

NETLINK_NETFILTER = 12
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
NFNLGRP_NFTABLES = 7
SO_RCVBUFFORCE = 33
NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM, NFT_MSG_NEWGEN = (10 << 8 | n for n in (12, 14, 15))
HEADER = struct.Struct("=IHHII")


@dataclass(frozen=True)
class Generation:
    """Packets sent later than @ns (of the monotonic clock) met the rules of this generation, or of
    a later one: the kernel announces it when it is in force. @elements: messages about elements in
    its transaction."""

    ns: int
    elements: int


class Generations:
    """Listens in @space from now on."""

    def __init__(self, space: Namespace, cleanup: contextlib.ExitStack) -> None:
        self.seen: list[Generation] = []
        self._elements = 0
        self._sock = space.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        cleanup.callback(self._sock.close)
        self._sock.bind((0, 0))  # without a port it would be told nothing
        self._sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
        self._sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)
        self._sock.settimeout(0.1)
        self._ending = threading.Event()
        thread = threading.Thread(target=self._listen)
        thread.start()
        cleanup.callback(thread.join)
        cleanup.callback(self._ending.set)

    def _listen(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                data = self._sock.recv(1 << 20)
                self._note(data, time.monotonic_ns())

    def _note(self, data: bytes, ns: int) -> None:
        while data:
            length, kind, *_ = HEADER.unpack_from(data)
            self._elements += kind in (NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM)
            if kind == NFT_MSG_NEWGEN:
                self.seen.append(Generation(ns, self._elements))
                self._elements = 0
            data = data[(length + 3) & ~3 :]

    def after(self, ns: int) -> list[Generation]:
        """Those later than @ns that changed elements."""
        return [one for one in self.seen if one.ns > ns and one.elements]

    def wait_after(self, ns: int) -> Generation:
        """The first of them."""
        wait_until("a new generation", lambda: bool(self.after(ns)))
        return self.after(ns)[0]
