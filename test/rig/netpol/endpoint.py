"""One end of connections: serves the ports of its addresses, and connects when it is told to.

Usage: python -m rig.netpol.endpoint NAME ADDRESS,... PROTO/PORT,...   (in its network namespace)

Prints "ready" when all listen. Each line on standard input is JSON:

    [[NUMBER, PROTO, ADDRESS, PORT, WANTED], ...]   make these connections, all at the same time;
        prints "done" when each that is WANTED has come to something
    null    prints what each has come to, as a JSON object of strings by number, and gives up the
        others

A connection that was served has come to "served NAME CLIENT": who answered, and the address that
the client has for it. Every connection has a source port that was not used before.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import selectors
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from rig.client import KINDS, NO_LINGER, family_of, kernel_has_sctp
from rig.sctp import INIT, INIT_ACK, RawSocket

SILENT = "silent"
# What a client is told of a packet that somebody did not let through. Else something is broken.
REFUSALS = {
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.EACCES,
    errno.EPERM,
    errno.EPROTO,
    errno.ETIMEDOUT,
}
FIRST_PORT, LAST_PORT = 10000, 60000

selector = selectors.DefaultSelector()


def outcome_of(error: OSError) -> str:
    name = errno.errorcode.get(error.errno or 0, str(error))
    return f"{'refused' if error.errno in REFUSALS else 'broken'} {name}"


# Serving ----------------------------------------------------------------------------------------


def accept(name: str, listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection, peer = listener.accept()
        # The client closes by a reset, which ends this side as well.
        with connection:
            connection.sendall(f"served {name} {peer[0]}".encode())


def answer_datagram(name: str, sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        _, peer = sock.recvfrom(64)
        sock.sendto(f"served {name} {peer[0]}".encode(), peer)


def listen(name: str, address: str, proto: str, port: int) -> None:
    sock = socket.socket(family_of(address), *KINDS[proto])
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    serve: Callable[[str, socket.socket], None] = answer_datagram
    if proto != "UDP":
        sock.listen(1024)
        serve = accept
    selector.register(sock, selectors.EVENT_READ, lambda: serve(name, sock))


# Connecting -------------------------------------------------------------------------------------


@dataclass
class Attempt:
    """A connection on its way. SCTP without a socket of its own has no @sock."""

    number: int
    wanted: bool
    sock: socket.socket | None = None
    outcome: str = SILENT


class RawAssociations:
    """SCTP for a kernel without it: one raw socket for each address, for both ends."""

    def __init__(self, name: str, addresses: list[str], ports: set[int]) -> None:
        self.name = name
        self.ports = ports
        self.by_family: dict[int, RawSocket] = {}
        self.pending: dict[tuple[str, int, int], Callable[[str], None]] = {}
        for address in addresses:
            raw = RawSocket(None, family_of(address))
            raw.sock.bind((address, 0))
            self.by_family[raw.family] = raw
            selector.register(raw.sock, selectors.EVENT_READ, lambda raw=raw: self._receive(raw))

    def connect(self, address: str, port: int, source: int, told: Callable[[str], None]) -> None:
        self.pending[address, port, source] = told
        self.by_family[family_of(address)].send(address, port, source, 0, INIT)

    def _receive(self, raw: RawSocket) -> None:
        with contextlib.suppress(OSError):
            packet = raw.receive()
            if packet.kind == INIT and packet.port in self.ports:
                raw.acknowledge(packet, f"served {self.name} {packet.source}".encode())
            elif packet.kind == INIT_ACK:
                key = (packet.source, packet.source_port, packet.port)
                if told := self.pending.pop(key, None):
                    told(packet.text.decode())


class Client:
    """The connections of one batch."""

    def __init__(self, raw: RawAssociations | None) -> None:
        self.raw = raw
        self.attempts: list[Attempt] = []
        self.waiting = 0
        self.last_port = FIRST_PORT

    def begin(self, batch: list[list]) -> None:
        self.attempts = [Attempt(number, wanted) for number, _, _, _, wanted in batch]
        # One more, so that nothing is done before all have begun.
        self.waiting = 1 + sum(attempt.wanted for attempt in self.attempts)
        for attempt, (_, proto, address, port, _) in zip(self.attempts, batch, strict=True):
            try:
                self._connect(attempt, proto, address, port)
            except OSError as error:
                self._end(attempt, outcome_of(error))
        self._count_down()

    def collect(self) -> str:
        for attempt in self.attempts:
            if attempt.outcome == SILENT:
                self._close(attempt)
        if self.raw:
            self.raw.pending.clear()
        return json.dumps({attempt.number: attempt.outcome for attempt in self.attempts})

    def _connect(self, attempt: Attempt, proto: str, address: str, port: int) -> None:
        if proto == "SCTP" and self.raw:
            told = functools.partial(self._end, attempt)
            self.raw.connect(address, port, self._new_port(), told)
            return
        attempt.sock = socket.socket(family_of(address), *KINDS[proto])
        attempt.sock.setblocking(False)
        if proto != "UDP":
            attempt.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        attempt.sock.bind(("", self._new_port()))
        failure = attempt.sock.connect_ex((address, port))
        if failure not in (0, errno.EINPROGRESS):
            raise OSError(failure, "connect")
        if proto == "UDP":
            attempt.sock.send(b"who")
        selector.register(attempt.sock, selectors.EVENT_READ, lambda: self._receive(attempt))

    def _new_port(self) -> int:
        self.last_port = FIRST_PORT if self.last_port >= LAST_PORT else self.last_port + 1
        return self.last_port

    def _receive(self, attempt: Attempt) -> None:
        if not attempt.sock:
            return  # it was given up in this very turn
        try:
            text = attempt.sock.recv(256).decode()
            self._end(attempt, text or "refused: closed")
        except BlockingIOError:
            pass
        except OSError as error:
            self._end(attempt, outcome_of(error))

    def _end(self, attempt: Attempt, outcome: str) -> None:
        attempt.outcome = outcome
        self._close(attempt)
        if attempt.wanted:
            self._count_down()

    def _close(self, attempt: Attempt) -> None:
        if attempt.sock:
            with contextlib.suppress(KeyError):
                selector.unregister(attempt.sock)
            attempt.sock.close()
            attempt.sock = None

    def _count_down(self) -> None:
        self.waiting -= 1
        if self.waiting == 0:
            print("done", flush=True)


class Orders:
    """Standard input, line by line. What Python buffers, the selector does not see."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.rest = b""

    def read(self) -> None:
        data = os.read(sys.stdin.fileno(), 1 << 16)
        if not data:
            sys.exit()
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            batch = json.loads(line)
            if batch is None:
                print(self.client.collect(), flush=True)
            else:
                self.client.begin(batch)


def main() -> None:
    name = sys.argv[1]
    addresses = sys.argv[2].split(",")
    listeners = [tuple(entry.split("/")) for entry in sys.argv[3].split(",")]
    raw = None
    if not kernel_has_sctp():
        ports = {int(port) for proto, port in listeners if proto == "SCTP"}
        raw = RawAssociations(name, addresses, ports)
        listeners = [(proto, port) for proto, port in listeners if proto != "SCTP"]
    for address in addresses:
        for proto, port in listeners:
            listen(name, address, proto, int(port))
    selector.register(sys.stdin, selectors.EVENT_READ, Orders(Client(raw)).read)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            key.data()


if __name__ == "__main__":
    main()
