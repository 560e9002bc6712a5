"""Connects again and again, and tells what became of it.

Usage: prober.py ADDRESS PORT RATE ESTABLISHED        (in the client's network namespace)

Opens RATE connections a second, one after the other, each to be answered by a pod's server.
Besides, ESTABLISHED connections opened at the start take turns to exchange a line, as often. What
is refused, reset or hangs is a failure. Each line on standard input is answered by a report: one
JSON object in one line. Ends when standard input does.
"""

from __future__ import annotations

import collections
import json
import select
import socket
import struct
import sys
import time

HANG_S = 3.0
NO_LINGER = struct.pack("ii", 1, 0)


class Prober:
    """Both kinds of connections to one address, and the counts."""

    def __init__(self, address: str, port: int, established: int) -> None:
        self.target = (address, port)
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.connections = 0
        self.exchanges = 0
        self.failures: list[str] = []
        self.pods: collections.Counter[str] = collections.Counter()
        self.slowest_s = 0.0
        self.established = [self.open() for _ in range(established)]

    def open(self) -> tuple[socket.socket, str]:
        """A new connection and the pod at its other end."""
        sock = socket.socket(self.family, socket.SOCK_STREAM)
        try:
            sock.settimeout(HANG_S)
            # Closing by a reset leaves no TIME_WAIT, of which the ports would run out.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            sock.connect(self.target)
            return sock, self.read(sock).split()[0]
        except OSError:
            sock.close()
            raise

    @staticmethod
    def read(sock: socket.socket) -> str:
        data = sock.recv(4096)
        if not data:
            raise ConnectionResetError("closed by the other end")
        return data.decode()

    def connect_once(self) -> None:
        begin = time.monotonic()
        self.connections += 1
        try:
            sock, pod = self.open()
            sock.close()
            self.pods[pod] += 1
        except OSError as error:
            self.failures.append(f"connection {self.connections}: {error!r}")
        self.slowest_s = max(self.slowest_s, time.monotonic() - begin)

    def exchange_once(self) -> None:
        if not self.established:
            return
        sock, pod = self.established[self.exchanges % len(self.established)]
        self.exchanges += 1
        line = f"{self.exchanges}\n"
        try:
            sock.sendall(line.encode())
            answer = self.read(sock)
            if answer != f"{pod} {line}":
                self.failures.append(f"exchange {self.exchanges}: {answer!r} from {pod}")
        except OSError as error:
            self.failures.append(f"exchange {self.exchanges} with {pod}: {error!r}")

    def report(self) -> str:
        return json.dumps(
            {
                "connections": self.connections,
                "exchanges": self.exchanges,
                "failures": self.failures,
                "pods": self.pods,
                "slowest_s": round(self.slowest_s, 4),
            }
        )


def main() -> None:
    address, port, rate, established = sys.argv[1:]
    prober = Prober(address, int(port), int(established))
    print(prober.report(), flush=True)
    due = time.monotonic()
    while True:
        wait_s = max(0.0, due - time.monotonic())
        if select.select([sys.stdin], [], [], wait_s)[0]:
            if not sys.stdin.readline():
                return
            print(prober.report(), flush=True)
            continue
        prober.connect_once()
        prober.exchange_once()
        # Behind schedule, go on from here instead of catching up.
        due = max(due + 1 / int(rate), time.monotonic() - 0.1)


if __name__ == "__main__":
    main()
