"""Thousands of short conversations, from any namespaces to any addresses, many at the same time.

One thread does it all: sockets stay in the namespaces where they were made. Where the kernel has no
SCTP, its first two packets are sent and read raw.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rig.client import KINDS, NO_LINGER, Answer, family_of, kernel_has_sctp
from rig.netns import Namespace
from rig.sctp import INIT, INIT_ACK, RawSocket

# So many are begun at a time, which is as many refusals as a kernel sends in one burst; and so many
# are under way with those that are waited for.
WINDOW, MOST = 50, 2000
# Whoever waits this long waits for ever. What is no stream is said again meanwhile.
HANG_S = 10.0
AGAIN_S = 1.0
RAW_SCTP = not kernel_has_sctp()

SILENCE = "silence"
Outcome = Answer | str


@dataclass(frozen=True)
class Ask:
    """Who connects, and where to."""

    space: Namespace
    address: str
    port: int
    protocol: str

    @property
    def is_raw(self) -> bool:
        return self.protocol == "SCTP" and RAW_SCTP


def _told(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return errno.errorcode.get(error.errno or 0, str(error))


def _answer(text: bytes) -> Outcome:
    words = text.decode().split()
    return Answer(words[0], words[1], int(words[2])) if len(words) == 3 else "closed"


class Conversation:
    """One that is under way, until it has an outcome. A kernel's socket, or what is said raw."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.outcome: Outcome = SILENCE
        self.ended = False
        self.begun = self.said = time.monotonic()

    def end(self, outcome: Outcome) -> None:
        self.outcome, self.ended = outcome, True

    def say(self) -> None:
        """Say, once more, what may have been lost."""


class Spoken(Conversation):
    """By a socket that is connected."""

    def __init__(self, ask: Ask, selector: selectors.BaseSelector) -> None:
        super().__init__(ask)
        self.selector = selector
        self.sock = ask.space.socket(family_of(ask.address), *KINDS[ask.protocol])
        self.sock.setblocking(False)
        if ask.protocol == "TCP":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        selector.register(self.sock, selectors.EVENT_READ, self)
        try:
            self.sock.connect((ask.address, ask.port))
        except BlockingIOError:
            pass
        except OSError as error:
            self.end(_told(error))
            return
        self.say()

    def say(self) -> None:
        if self.ask.protocol == "UDP":
            # What became of the one before is read where answers are.
            with contextlib.suppress(OSError):
                self.sock.send(b"who\n")

    def hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                self.end(_answer(self.sock.recv(4096)))
            except BlockingIOError:
                raise
            except OSError as error:
                self.end(_told(error))

    def end(self, outcome: Outcome) -> None:
        super().end(outcome)
        self.selector.unregister(self.sock)
        self.sock.close()


@dataclass(eq=False)
class Raw:
    """All SCTP of one namespace and family. A pod answers, as server.py does."""

    sock: RawSocket
    pod: str = ""
    asked: dict[int, RawConversation] = field(default_factory=dict)

    def hear(self) -> None:
        """End the conversations whose answer came in, and answer those of others."""
        for port in self.sock.refused_ports():
            if port in self.asked:
                self.asked[port].end("refused")
        with contextlib.suppress(OSError):
            while packet := self.sock.receive():
                if packet.kind == INIT and self.pod:
                    text = f"{self.pod} {packet.source} {packet.port}\n".encode()
                    self.sock.acknowledge(packet, text)
                asked = self.asked.get(packet.port)
                # One from elsewhere was not translated back.
                at = (packet.source, packet.source_port)
                if packet.kind == INIT_ACK and asked and at == (asked.ask.address, asked.ask.port):
                    asked.end(_answer(packet.text))


class RawConversation(Conversation):
    """By packets made by hand."""

    def __init__(self, ask: Ask, raw: Raw, port: int) -> None:
        super().__init__(ask)
        self.raw = raw
        self.port = port
        raw.asked[port] = self
        self.say()

    def say(self) -> None:
        with contextlib.suppress(OSError):
            self.raw.sock.send(self.ask.address, self.ask.port, self.port, 0, INIT)

    def end(self, outcome: Outcome) -> None:
        super().end(outcome)
        del self.raw.asked[self.port]


def _is_full(running: Sequence[Conversation]) -> bool:
    """Whether one should go on before another is begun."""
    # They stand in the order in which they were begun.
    is_new = len(running) >= WINDOW and time.monotonic() - running[-WINDOW].begun < AGAIN_S
    return is_new or len(running) >= MOST


class Crowd:
    """Clients in any namespaces. @pods are those whose servers may answer them."""

    def __init__(self, pods: Mapping[str, Namespace], cleanup: contextlib.ExitStack) -> None:
        self.cleanup = cleanup
        self.selector = cleanup.enter_context(contextlib.closing(selectors.DefaultSelector()))
        self.raw: dict[tuple[str, int], Raw] = {}
        self.ports = itertools.cycle(range(20000, 60000))
        for name, pod in pods.items() if RAW_SCTP else ():
            for family in (socket.AF_INET, socket.AF_INET6):
                self._raw(pod, family).pod = name

    def _raw(self, space: Namespace, family: int) -> Raw:
        key = (space.name, family)
        if key not in self.raw:
            made = self.raw[key] = Raw(RawSocket(space, family))
            self.cleanup.callback(made.sock.sock.close)
            made.sock.report_errors()
            self.selector.register(made.sock.sock, selectors.EVENT_READ, made)
        return self.raw[key]

    def _begin(self, ask: Ask) -> Conversation:
        if ask.is_raw:
            raw = self._raw(ask.space, family_of(ask.address))
            return RawConversation(ask, raw, next(self.ports))
        return Spoken(ask, self.selector)

    def _hear(self, wait_s: float) -> bool:
        """Whether anybody was heard."""
        heard = self.selector.select(wait_s)
        for key, _ in heard:
            key.data.hear()
        return bool(heard)

    def converse(self, asks: Iterable[Ask]) -> list[Outcome]:
        """What became of each. Silence is what is heard by who waits for ever."""
        begun: list[Conversation] = []
        running: list[Conversation] = []
        for ask in asks:
            begun.append(self._begin(ask))
            running.append(begun[-1])
            while _is_full(running):
                running = self._go_on(running)
        while running:
            running = self._go_on(running)
        return [one.outcome for one in begun]

    def _go_on(self, running: Sequence[Conversation]) -> list[Conversation]:
        """Hear what there is to be heard; those that are still under way."""
        self._hear(AGAIN_S / 4)
        now = time.monotonic()
        for one in running:
            if not one.ended and now - one.begun > HANG_S:
                one.end(SILENCE)
            elif not one.ended and now - one.said > AGAIN_S:
                one.said = now
                one.say()
        return [one for one in running if not one.ended]

    def listen(self, asks: Sequence[Ask], until: Callable[[], None]) -> list[Outcome]:
        """As converse(), for who should hear nothing: what they have heard when @until returns."""
        begun = [self._begin(ask) for ask in asks]
        until()
        while self._hear(0):
            pass
        for one in begun:
            if not one.ended:
                one.end(SILENCE)
        return [one.outcome for one in begun]
