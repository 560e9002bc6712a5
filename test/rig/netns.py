"""Network namespaces of our own: made, entered, and removed again.

A thread that has entered a namespace opens sockets and starts programs there; both stay in it when
the thread has left. So clients need no process of their own.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PREFIX = "kn-"
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count(1)


def unique_prefix() -> str:
    """A new name for a group of namespaces, which tells which process they belong to."""
    return f"{PREFIX}{os.getpid()}-{next(_serial)}-"


def _setns(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def ip_batch(commands: Sequence[str]) -> None:
    """Run ip(8) once for many commands."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)


class Namespace:
    """One network namespace with a name that ip(8) knows, removed by @cleanup."""

    def __init__(self, name: str, cleanup: contextlib.ExitStack) -> None:
        self.name = name
        subprocess.run(["ip", "netns", "add", name], check=True)
        # The kernel keeps it until its last process and socket are gone.
        cleanup.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
        self._fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        cleanup.callback(os.close, self._fd)
        self.sysctl(
            {
                "net.ipv4.conf.all.rp_filter": 0,
                "net.ipv4.conf.default.rp_filter": 0,
                "net.ipv4.conf.all.send_redirects": 0,
                "net.ipv4.conf.default.send_redirects": 0,
                "net.ipv4.icmp_ratelimit": 0,
                "net.ipv4.ip_local_port_range": "10000 60999",
                "net.ipv6.icmp.ratelimit": 0,
                "net.ipv6.conf.default.accept_dad": 0,
                "net.ipv6.conf.default.accept_ra": 0,
                "net.ipv6.conf.default.accept_redirects": 0,
            }
        )
        self.ip("link set lo up")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Have the calling thread in this namespace for a while."""
        with open("/proc/thread-self/ns/net", "rb") as before:
            _setns(self._fd)
            try:
                yield
            finally:
                _setns(before.fileno())

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that lives in this namespace, whoever uses it."""
        with self.entered():
            return socket.socket(family, kind, protocol)

    def spawn(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a program here. It dies with the thread that started it, whatever ends that."""
        with self.entered():
            return subprocess.Popen(argv, text=True, preexec_fn=_die_with_parent, **options)

    def run(self, *argv: str, stdin: str | None = None, check: bool = True) -> str:
        """Run a program here to its end; its standard output."""
        with self.entered():
            done = subprocess.run(argv, input=stdin, text=True, capture_output=True, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stderr}")
        return done.stdout

    def ip(self, *commands: str) -> None:
        """Run ip(8) here, once for all commands."""
        with self.entered():
            ip_batch(commands)

    def sysctl(self, values: dict[str, object]) -> None:
        """Write kernel parameters of this namespace."""
        with self.entered():
            for key, value in values.items():
                Path("/proc/sys", key.replace(".", "/")).write_text(str(value), encoding="ascii")


def _runs(process: str) -> bool:
    try:
        # One that is dead but not yet waited for has no command line any more.
        return Path("/proc", process, "cmdline").read_bytes() != b""
    except OSError:
        return False


def sweep() -> None:
    """Remove what processes that were killed have left: namespaces, and directories so named."""

    def left_in(directory: str) -> Iterator[Path]:
        for path in Path(directory).glob(f"{PREFIX}*"):
            owner = re.match(rf"{PREFIX}(\d+)-", path.name)
            if owner and not _runs(owner[1]):
                yield path

    for path in left_in("/run/netns"):
        subprocess.run(["ip", "netns", "delete", path.name], check=False)
    for path in left_in(tempfile.gettempdir()):
        shutil.rmtree(path, ignore_errors=True)
