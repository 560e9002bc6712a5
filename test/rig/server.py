"""A pod's server: tells who it is and whom it sees.

Usage: server.py NAME PORT...        (in the pod's network namespace)

Each port is served over TCP, UDP and, where the kernel has it, SCTP, in both families. A new
connection is answered "NAME CLIENT PORT"; after that each line comes back behind NAME. A datagram
is answered like a connection. "ready" on standard output says that all ports listen.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys

IP_PKTINFO = 8
NAME = sys.argv[1] if len(sys.argv) > 1 else ""
selector = selectors.DefaultSelector()


def greeting(sock: socket.socket, peer: tuple[str, int]) -> bytes:
    return f"{NAME} {peer[0]} {sock.getsockname()[1]}\n".encode()


def serve_line(connection: socket.socket) -> None:
    try:
        data = connection.recv(4096)
        if data:
            connection.sendall(f"{NAME} ".encode() + data)
            return
    except OSError:
        pass  # the client is gone: the same as an end
    selector.unregister(connection)
    connection.close()


def accept(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection, peer = listener.accept()
        connection.settimeout(5)
        selector.register(connection, selectors.EVENT_READ, serve_line)
        with contextlib.suppress(OSError):
            connection.sendall(greeting(connection, peer))


def answer_datagram(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        _, [(level, kind, told), *_], _, peer = sock.recvmsg(4096, 64)
        # A host has several addresses: the answer comes from the one that was asked, by any link.
        told = bytes(4) + told[4:] if level == socket.IPPROTO_IP else told[:16] + bytes(4)
        sock.sendmsg([greeting(sock, peer)], [(level, kind, told)], 0, peer)


def listen(family: int, kind: int, protocol: int, port: int) -> None:
    try:
        sock = socket.socket(family, kind, protocol)
    except OSError:
        if protocol == socket.IPPROTO_SCTP:
            return
        raise
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("", port))
    if kind == socket.SOCK_STREAM:
        sock.listen(1024)
    elif family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    handler = accept if kind == socket.SOCK_STREAM else answer_datagram
    selector.register(sock, selectors.EVENT_READ, handler)


def main() -> None:
    for port in map(int, sys.argv[2:]):
        for family in (socket.AF_INET, socket.AF_INET6):
            listen(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, port)
            listen(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP, port)
            listen(family, socket.SOCK_DGRAM, socket.IPPROTO_UDP, port)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            key.data(key.fileobj)


if __name__ == "__main__":
    main()
