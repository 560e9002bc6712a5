"""The scripted API server: a thread that serves on a socket in a network namespace."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import enum
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import h2.exceptions

from rig.agent import HANG_S, wait_until
from rig.netns import Namespace
from rig.objects import Object

from .certificates import Certificate
from .exchange import Exchange, Request, run
from .http import Http1, Http2
from .kubernetes import Behaviour, Kubernetes
from .scripts import Script
from .store import BY_KIND, Store, key_of

PORT = 6443
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Result = TypeVar("Result")


class Handshake(enum.Enum):
    """What becomes of a new connection's TLS handshake."""

    NORMAL = "it succeeds"
    SILENT = "nothing is answered"
    CLOSED = "the connection is closed at once"
    HALF = "it stops in the middle of the server's answer"


@dataclass
class Connection:
    """A connection that was accepted, and what is known of it."""

    number: int
    time: float
    client: str
    port: int  # the client's
    server: str
    sni: str | None = None
    alpn: str | None = None
    user: str = ""  # of the client certificate
    error: str = ""  # of the handshake
    closed: float = 0.0


@dataclass(eq=False)
class Rule:
    """When a script stands in for the usual answer."""

    script: Script
    verbs: tuple[str, ...]
    resource: str
    times: int | None
    where: Callable[[Request], bool]
    hits: int = 0

    def takes(self, request: Request) -> bool:
        return (
            (not self.verbs or request.verb in self.verbs)
            and self.resource in ("", request.plural)
            and (self.times is None or self.hits < self.times)
            and self.where(request)
        )


class ApiServer:
    """As a context manager it listens on all addresses of @space. Tests may call it from any
    thread; `behaviour`, `tokens`, `users` and the like may be set at any time."""

    def __init__(self, space: Namespace, certificate: Certificate, client_ca: Path) -> None:
        self.space = space
        self.certificate = certificate
        self.client_ca = client_ca
        self.handshake = Handshake.NORMAL
        self.protocols: Sequence[str] = ("h2", "http/1.1")
        # Who is let in: by bearer token, by "user:password", by a client certificate's common name.
        self.tokens: set[str] = set()
        self.passwords: set[str] = set()
        self.users: set[str] = set()
        self.store = Store()
        self.behaviour = Behaviour()
        self.kubernetes = Kubernetes(self.store, self.behaviour)
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.rules: list[Rule] = []
        self.errors: list[BaseException] = []  # of the server itself: there must be none
        self._live: dict[int, Http1 | Http2] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._listener: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.crash()
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self.errors and not error:
            raise self.errors[0]

    # For tests: the objects ------------------------------------------------------------------

    def put(self, *made: Object) -> None:
        """Create or update objects, without a pause between them."""
        self.do(lambda: [self.store.put(o) for o in made])

    def delete(self, *made: Object) -> None:
        """Delete objects that are there."""
        for o in made:
            self.do(partial(self.store.delete, o["kind"], key_of(o)))

    def all(self, kind: str) -> list[Object]:
        """All objects of a kind."""
        return self.do(lambda: self.store.all(BY_KIND[kind].plural))

    def do(self, action: Callable[[], Result]) -> Result:
        """Run @action in the server's thread, so that the server sees all of it or nothing."""

        async def call() -> Result:
            return action()

        return self._wait(call())

    # For tests: what it does ------------------------------------------------------------------

    def on(
        self,
        *verbs: str,
        script: Script,
        resource: str = "",
        times: int | None = None,
        where: Callable[[Request], bool] = lambda _: True,
    ) -> Rule:
        """Have @script answer requests: with these verbs (list, watch, watchlist, get, create, ...;
        none: all), for one resource, so many of them. The rule made last goes first."""
        rule = Rule(script, verbs, resource, times, where)
        self.rules.insert(0, rule)
        return rule

    def off(self, *rules: Rule) -> None:
        """Drop rules, or all."""
        for rule in rules or tuple(self.rules):
            self.rules.remove(rule)

    def asked(self, *verbs: str, resource: str = "", since: int = 0) -> list[Request]:
        """The requests with these verbs (none: all) behind the first @since ones."""
        return [
            r
            for r in self.requests[since:]
            if (not verbs or r.verb in verbs) and resource in ("", r.plural)
        ]

    def transcript(self) -> str:
        """All that was asked so far, for nobody to find a secret in it."""
        return "\n".join(f"{r.target} {r.body.decode(errors='replace')}" for r in self.requests)

    @property
    def mark(self) -> int:
        """To be given to asked() later."""
        return len(self.requests)

    def wait_asked(
        self,
        *verbs: str,
        resource: str = "",
        since: int = 0,
        count: int = 1,
        hang_s: float = HANG_S,
    ) -> list[Request]:
        """Wait for so many requests."""
        wait_until(
            f"{count} x {'/'.join(verbs)} {resource}",
            lambda: len(self.asked(*verbs, resource=resource, since=since)) >= count,
            hang_s=hang_s,
        )
        return self.asked(*verbs, resource=resource, since=since)

    def wait_connected(self, count: int = 1) -> None:
        """Wait until so many connections have been accepted since the server began."""
        wait_until(f"{count} connections", lambda: len(self.connections) >= count)

    def listen(self) -> None:
        """Take connections."""
        listening = self.space.socket(socket.AF_INET6, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(("::", PORT))
        listening.listen(128)
        listening.setblocking(False)
        self.do(lambda: self._listen(listening))

    def refuse(self) -> None:
        """Refuse connections from here on; those that are there stay."""
        self._wait(self._refuse())

    def reset_connections(self) -> None:
        """Reset all connections."""
        self.do(self._reset_all)

    def crash(self) -> None:
        """Be gone, until listen()."""
        self.refuse()
        self.reset_connections()

    def close_watches(self) -> None:
        """Have the streams of all watches end as if their time was over."""
        self.do(self.kubernetes.close_watches)

    def compact(self) -> None:
        """Forget the history, so that watches from before must begin with a list again."""
        self.do(self.store.compact)

    def relist(self) -> None:
        """Have every client of now list again."""
        self.compact()
        self.close_watches()

    def bookmark(self) -> None:
        """Have every watch get a bookmark now."""
        self.do(self.kubernetes.bookmark)

    # Connections ------------------------------------------------------------------------------

    def _wait(self, what: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(HANG_S)

    def _listen(self, listening: socket.socket) -> None:
        self._listener = self._loop.create_task(self._accept(listening))

    async def _refuse(self) -> None:
        if self._listener:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
            self._listener = None

    def _reset_all(self) -> None:
        for number in list(self._sockets):
            self._abort(number)

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        with listening:
            while True:
                sock, peer = await self._loop.sock_accept(listening)
                server = sock.getsockname()[0].removeprefix("::ffff:")
                client = peer[0].removeprefix("::ffff:")
                made = Connection(
                    len(self.connections) + 1, time.monotonic(), client, peer[1], server
                )
                self.connections.append(made)
                self._sockets[made.number] = sock
                # The loop itself holds tasks only weakly.
                task = self._loop.create_task(self._connection(sock, made))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _connection(self, sock: socket.socket, made: Connection) -> None:
        try:
            if self.handshake is Handshake.NORMAL:
                await self._serve_connection(sock, made)
            elif self.handshake is not Handshake.CLOSED:
                await self._stall(sock, made)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError) as error:
            # The client's doing, or a script's.
            made.error = made.error or repr(error)
        except Exception as error:
            self.errors.append(error)
        finally:
            made.closed = time.monotonic()
            self._sockets.pop(made.number, None)
            self._live.pop(made.number, None)
            sock.close()

    def _context(self, made: Connection) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate.certificate, self.certificate.key)
        context.load_verify_locations(self.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(list(self.protocols))

        def note(_: object, name: str | None, __: ssl.SSLContext) -> None:
            made.sni = name

        context.sni_callback = note
        return context

    async def _serve_connection(self, sock: socket.socket, made: Connection) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._loop.connect_accepted_socket(
            lambda: protocol, sock, ssl=self._context(made), ssl_handshake_timeout=HANG_S
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        made.alpn = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        subject = (transport.get_extra_info("peercert") or {}).get("subject", ())
        made.user = dict(pair for part in subject for pair in part).get("commonName", "")
        kind = Http2 if made.alpn == "h2" else Http1
        link = kind(made.number, reader, writer, lambda: self._abort(made.number), self._serve)
        self._live[made.number] = link
        try:
            await link.run()
        finally:
            writer.transport.abort()

    async def _stall(self, sock: socket.socket, made: Connection) -> None:
        if self.handshake is Handshake.HALF:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            half = self._context(made).wrap_bio(incoming, outgoing, server_side=True)
            incoming.write(await self._loop.sock_recv(sock, 65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                half.do_handshake()
            await self._loop.sock_sendall(sock, outgoing.read()[:100])
        while await self._loop.sock_recv(sock, 65536):
            pass

    def _abort(self, number: int) -> None:
        sock = self._sockets[number]
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            if link := self._live.get(number):
                link.writer.transport.abort()
            else:
                sock.shutdown(socket.SHUT_RDWR)

    # Exchanges --------------------------------------------------------------------------------

    async def _serve(self, x: Exchange) -> None:
        self.requests.append(x.request)
        rule = next((r for r in self.rules if r.takes(x.request)), None)
        try:
            if rule:
                rule.hits += 1
                await run(x, lambda x: rule.script(x, self._answer))
            else:
                await run(x, self._answer)
        except (OSError, h2.exceptions.ProtocolError):
            pass  # the client has gone
        except Exception as error:
            self.errors.append(error)

    async def _answer(self, x: Exchange) -> None:
        if self._knows(x.request):
            await self.kubernetes.serve(x)
        else:
            await x.fail(401, "Unauthorized", "Unauthorized")

    def _knows(self, request: Request) -> bool:
        scheme, _, proof = request.headers.get("authorization", "").partition(" ")
        if self.connections[request.connection - 1].user in self.users:
            return True
        if scheme == "Basic":
            return base64.b64decode(proof).decode() in self.passwords
        return scheme == "Bearer" and proof in self.tokens
