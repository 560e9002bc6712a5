"""Talks to Services all the time, and says when it sent what it sends.

Usage: streamer.py RATE FLOWS ADDRESS PORT [ADDRESS PORT]...     (in the client's network namespace)

To each ADDRESS go FLOWS UDP flows, each from a port of its own, and FLOWS established TCP
connections; besides, a new TCP connection is made in each of RATE rounds a second. What is sent is
the monotonic clock's time before it is sent, in nanoseconds, and a newline. The other ends are
witness.py. Each line on standard input is answered by one JSON object: the time of the last
answered datagram of each flow; the endpoint of each established connection and the time of its last answer;
how many connections were made; and what failed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import socket
import struct
import sys
import time

HANG_S = 5.0
NO_LINGER = struct.pack("ii", 1, 0)
# Of each flow and each established connection, one is used every so many rounds.
TURNS = 5

Target = tuple[str, int]


def stamp() -> bytes:
    return f"{time.monotonic_ns()}\n".encode()


class Flow:
    """A UDP flow."""

    def __init__(self, target: Target) -> None:
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.connect(target)
        self.sock.setblocking(False)
        self.answered_ns = 0

    def use(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                answer = self.sock.recv(4096).split()
                self.answered_ns = max(self.answered_ns, int(answer[1]))
        with contextlib.suppress(OSError):
            self.sock.send(stamp())


class Connection:
    """A TCP connection, established and asked once."""

    def __init__(self, target: Target) -> None:
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.endpoint, self.answered_ns, self.error = "", 0, ""
        try:
            self.sock.settimeout(HANG_S)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            line = stamp()
            self.sock.connect(target)
            self.exchange(line)
        except OSError as error:
            self.error = repr(error)

    def exchange(self, line: bytes) -> None:
        self.sock.sendall(line)
        answer = self.sock.recv(4096)
        if not answer:
            raise ConnectionResetError("closed by the other end")
        self.endpoint, sent = answer.decode().split()
        self.answered_ns = int(sent)

    def use(self) -> None:
        if not self.error:
            try:
                self.exchange(stamp())
            except OSError as error:
                self.error = repr(error)


def main() -> None:
    rate, n_flows, *rest = sys.argv[1:]
    targets = list(zip(rest[::2], map(int, rest[1::2]), strict=True))
    flows = [Flow(target) for target in targets for _ in range(int(n_flows))]
    established = [Connection(target) for target in targets for _ in range(int(n_flows))]
    made, failures = 0, [c.error for c in established if c.error]
    due = time.monotonic()
    for turn in itertools.count():
        for one in (*flows[turn % TURNS :: TURNS], *established[turn % TURNS :: TURNS]):
            one.use()
        connection = Connection(targets[turn % len(targets)])
        connection.sock.close()
        made += 1
        failures += filter(None, [connection.error])
        if select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
            if not sys.stdin.readline():
                return
            told = {
                "flows": [flow.answered_ns for flow in flows],
                "established": [(c.endpoint, c.answered_ns, c.error) for c in established],
                "made": made,
                "failures": failures,
            }
            print(json.dumps(told), flush=True)
        # Behind schedule, go on from here instead of catching up.
        due = max(due + 1 / int(rate), time.monotonic() - 0.1)


if __name__ == "__main__":
    main()
