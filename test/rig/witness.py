"""Endpoints that note what reaches them: one program for all addresses of its network namespace.

Usage: witness.py PORT        (in the network namespace of the endpoints)

Serves UDP and TCP in both families. What comes begins with the time at which it was sent, see
streamer.py; a datagram, and each line of a connection, is answered by "ADDRESS LINE", where ADDRESS
is the one it came to. "ready" on standard output says that all listen. A line on standard input is
answered by one JSON object: all datagrams and connections since the last one, each as its address
and its time.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import struct
import sys

SO_RCVBUFFORCE = 33
PKTINFO = {socket.AF_INET: (socket.IPPROTO_IP, 8), socket.AF_INET6: (socket.IPPROTO_IPV6, 50)}

selector = selectors.DefaultSelector()
datagrams: list[tuple[str, int]] = []
connections: list[tuple[str, int]] = []


def destination(family: int, info: bytes) -> tuple[str, bytes]:
    """The address in a control message, and the control message that answers from it."""
    if family == socket.AF_INET:
        packed = info[8:12]
        return socket.inet_ntop(family, packed), struct.pack("=I4s4x", 0, packed)
    return socket.inet_ntop(family, info[:16]), info[:16] + bytes(4)


def serve_datagram(sock: socket.socket) -> None:
    data, control, _, peer = sock.recvmsg(4096, 256)
    address, answer = destination(sock.family, control[0][2])
    datagrams.append((address, int(data)))
    with contextlib.suppress(OSError):
        sock.sendmsg([f"{address} ".encode() + data], [(*control[0][:2], answer)], 0, peer)


def serve_line(connection: socket.socket, *, first: bool = False) -> None:
    address = connection.getsockname()[0]
    with contextlib.suppress(OSError):
        data = connection.recv(4096)
        if data:
            if first:
                connections.append((address, int(data)))
            connection.sendall(f"{address} ".encode() + data)
            return
    selector.unregister(connection)
    connection.close()


def serve_first_line(connection: socket.socket) -> None:
    selector.modify(connection, selectors.EVENT_READ, serve_line)
    serve_line(connection, first=True)


def accept(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    selector.register(connection, selectors.EVENT_READ, serve_first_line)


def listen(family: int, kind: int, port: int) -> None:
    sock = socket.socket(family, kind)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("", port))
    if kind == socket.SOCK_STREAM:
        sock.listen(4096)
        selector.register(sock, selectors.EVENT_READ, accept)
        return
    level, info = PKTINFO[family]
    receive = {socket.IPPROTO_IP: info, socket.IPPROTO_IPV6: 49}[level]
    sock.setsockopt(level, receive, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
    selector.register(sock, selectors.EVENT_READ, serve_datagram)


def report(_: object) -> None:
    if not sys.stdin.readline():
        sys.exit()
    print(json.dumps({"datagrams": datagrams, "connections": connections}), flush=True)
    datagrams.clear()
    connections.clear()


def main() -> None:
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            listen(family, kind, int(sys.argv[1]))
    selector.register(sys.stdin, selectors.EVENT_READ, report)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            key.data(key.fileobj)


if __name__ == "__main__":
    main()
