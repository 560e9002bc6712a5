"""Short conversations with a pod's server, from any namespace."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .netns import Namespace

# Whoever waits this long waits for ever.
HANG_S = 5.0
# What is dropped can only be seen by waiting. A refusal takes a client one second at most.
DROP_S = 1.5

KINDS = {
    "TCP": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "UDP": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "SCTP": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Answer:
    """Which pod answered, the client's address as the pod saw it, and the pod's port."""

    pod: str
    client: str
    port: int


def kernel_has_sctp() -> bool:
    """Whether this kernel has sockets for SCTP."""
    try:
        socket.socket(socket.AF_INET, *KINDS["SCTP"]).close()
    except OSError:
        return False
    return True


PROTOCOLS = ["TCP", "UDP", "SCTP"] if kernel_has_sctp() else ["TCP", "UDP"]


def family_of(address: str) -> int:
    """The socket family of a literal address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextlib.contextmanager
def connected(
    space: Namespace,
    address: str,
    port: int,
    protocol: str = "TCP",
    *,
    timeout_s: float = HANG_S,
    source: str = "",
) -> Iterator[socket.socket]:
    """A connected socket of @space, closed without leaving a TIME_WAIT behind."""
    with space.socket(family_of(address), *KINDS[protocol]) as sock:
        sock.settimeout(timeout_s)
        if protocol == "TCP":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        if source:
            sock.bind((source, 0))
        sock.connect((address, port))
        yield sock


def greet(sock: socket.socket, protocol: str = "TCP") -> Answer:
    """Who is at the other end of a connection just made."""
    if protocol == "UDP":
        # A host tells its own programs that it filters their packet. What comes back counts.
        with contextlib.suppress(PermissionError):
            sock.send(b"who\n")
    text = sock.recv(4096).decode()
    if not text:
        raise ConnectionResetError("closed without an answer")
    pod, client, port = text.split()
    return Answer(pod, client, int(port))


def ask(
    space: Namespace,
    address: str,
    port: int,
    protocol: str = "TCP",
    *,
    timeout_s: float = HANG_S,
    source: str = "",
) -> Answer:
    """Connect once. ConnectionRefusedError, TimeoutError, or whatever else went wrong."""
    with connected(space, address, port, protocol, timeout_s=timeout_s, source=source) as sock:
        return greet(sock, protocol)


def outcome(space: Namespace, address: str, port: int, protocol: str = "TCP") -> str:
    """What a client meets that must not be served: "refused" or "dropped", else who answered."""
    try:
        return ask(space, address, port, protocol, timeout_s=DROP_S).pod
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "dropped"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


def outcomes(attempts: Iterable[tuple[Namespace, str, int, str]]) -> set[str]:
    """All that outcome() tells of the attempts, which are made at the same time."""
    attempts = list(attempts)
    with concurrent.futures.ThreadPoolExecutor(len(attempts)) as pool:
        return set(pool.map(lambda attempt: outcome(*attempt), attempts))


def pods_met(
    space: Namespace, address: str, port: int, protocol: str = "TCP", *, n: int = 60
) -> collections.Counter[str]:
    """Who answered @n connections, and how often."""
    return collections.Counter(ask(space, address, port, protocol).pod for _ in range(n))


class Datagrams:
    """A UDP client that sends from one port all the time, so that all it sends is one flow."""

    def __init__(
        self, space: Namespace, address: str, port: int, cleanup: contextlib.ExitStack
    ) -> None:
        self.sock = cleanup.enter_context(space.socket(family_of(address), *KINDS["UDP"]))
        self.sock.connect((address, port))

    @property
    def port(self) -> int:
        """The port that it sends from."""
        return int(self.sock.getsockname()[1])

    def port_met(self) -> int:
        """Which port of a pod answers now; 0: none does."""
        self.sock.settimeout(DROP_S)
        try:
            return greet(self.sock, "UDP").port
        except (ConnectionRefusedError, TimeoutError):
            return 0

    def ask(self) -> str:
        """Who answers now: a pod, or "refused" or "dropped"."""
        self.sock.settimeout(DROP_S)
        try:
            return greet(self.sock, "UDP").pod
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "dropped"
