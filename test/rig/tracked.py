"""Connections that are only in a node's connection tracking: as many as one likes, and nobody's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from .netns import Namespace

# Established and answered: the kernel gives none of them up for a new one.
LASTING = "-p tcp --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 600"
LIMIT = Path("/proc/sys/net/netfilter/nf_conntrack_max")


def track(node: Namespace, directory: Path, connections: Iterable[str]) -> None:
    """Have @node track connections, each as conntrack(8) is told of it. @directory is for a file."""
    path = directory / "connections"
    path.write_text("".join(f"-A {LASTING} {c}\n" for c in connections), encoding="ascii")
    node.run("conntrack", "-R", str(path))


def tracked(node: Namespace) -> int:
    """How many connections it tracks."""
    return int(node.run("conntrack", "-C"))


def tracks_udp(node: Namespace, family: int, port: int) -> bool:
    """Whether it tracks flows that were sent to this port."""
    to_port = ("-f", f"ipv{family}", "-p", "udp", "--orig-port-dst", str(port))
    return "udp" in node.run("conntrack", "-L", *to_port)


def fill(node: Namespace, directory: Path) -> None:
    """Have @node track as many as it may. The limit counts for each namespace alone, but only the
    first one can set it: so this makes what room there is go."""
    # What has ended would make room again later.
    for state in ("CLOSE", "TIME_WAIT"):
        node.run("conntrack", "-D", "-p", "tcp", "--state", state, check=False)

    def strangers() -> Iterator[str]:
        for n in range(int(LIMIT.read_text(encoding="ascii")) + 1):
            source = f"172.{16 + (n >> 16)}.{n >> 8 & 255}.{n & 255}"
            yield f"-s {source} -d 192.0.2.1 --sport 1024 --dport 80"

    with contextlib.suppress(RuntimeError):
        track(node, directory, strangers())
    assert tracked(node) == int(LIMIT.read_text(encoding="ascii"))
