"""A request and its answer, whatever carries them; and what scripts can do to the answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from .store import RESOURCES, Resource

Headers = Mapping[str, str]


class Cut(Enum):
    """How a body ends before its end."""

    END = "as if it were whole"
    RESET = "its stream is reset"
    ABORT = "the connection is reset"
    STALL = "nothing more comes"


class Stream(Protocol):
    """What an HTTP version does for an exchange."""

    async def send_head(self, status: int, headers: Headers) -> None: ...
    async def send_data(self, data: bytes) -> None: ...
    async def end(self) -> None: ...
    async def reset(self) -> None: ...
    def abort(self) -> None:
        """Reset the connection."""


@dataclass
class Request:
    """What was asked and what became of it; times are monotonic, in seconds."""

    time: float
    connection: int
    stream: int
    method: str
    target: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    resource: Resource | None = None
    namespace: str = ""
    name: str = ""
    verb: str = ""
    status: int = 0
    sent: int = 0  # bytes of the body
    ended: float = 0.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.target)
        self.path = parts.path
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self._parse_path()
        self.verb = self._verb()

    def _parse_path(self) -> None:
        for resource in RESOURCES.values():
            if self.path.startswith(resource.prefix + "/"):
                rest = self.path.removeprefix(resource.prefix + "/").split("/")
                if rest[0] == "namespaces" and len(rest) > 2:
                    self.namespace, rest = rest[1], rest[2:]
                if rest[0] == resource.plural:
                    self.resource = resource
                    self.name = rest[1] if len(rest) > 1 else ""
                    return

    def _verb(self) -> str:
        if self.method != "GET":
            return {"POST": "create", "PUT": "update"}.get(self.method, self.method.lower())
        if self.query.get("watch") in ("1", "true"):
            return "watchlist" if "sendInitialEvents" in self.query else "watch"
        return "get" if self.name else "list"

    @property
    def plural(self) -> str:
        return self.resource.plural if self.resource else ""

    @property
    def version(self) -> str | None:
        """The resourceVersion asked for."""
        return self.query.get("resourceVersion")


class Exchange:
    """One request being answered. The attributes say how, until head() is called."""

    def __init__(self, request: Request, stream: Stream) -> None:
        self.request = request
        self.stream = stream
        self.bytes_per_s = 0  # 0: as fast as it goes
        self.cut_at = -1  # bytes of the body; -1: not at all
        self.cut = Cut.END
        self.edit: Callable[[bytes], bytes] = lambda body: body  # of answer()

    async def head(self, status: int, headers: Headers) -> None:
        self.request.status = status
        await self.stream.send_head(status, headers)

    async def send(self, data: bytes) -> None:
        """Part of the body, subject to the attributes."""
        if 0 <= self.cut_at <= self.request.sent + len(data):
            await self._pass(data[: self.cut_at - self.request.sent])
            await self._cut()
        await self._pass(data)

    async def end(self) -> None:
        await self.stream.end()

    async def answer(
        self, status: int, body: bytes | str, kind: str = "application/json", **headers: str
    ) -> None:
        """A whole answer. An underscore in a header's name stands for a dash."""
        data = self.edit(body.encode() if isinstance(body, str) else body)
        more = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        await self.head(status, {"content-type": kind, **more})
        await self.send(data)
        await self.end()

    async def fail(self, status: int, reason: str, message: str, **headers: str) -> None:
        """An error as the API server words it."""
        await self.answer(status, json.dumps(status_of(status, reason, message)), **headers)

    async def forever(self) -> None:
        """Until the client, or the server, has had enough."""
        await asyncio.get_running_loop().create_future()

    async def _pass(self, data: bytes) -> None:
        step = max(1, self.bytes_per_s // 10) if self.bytes_per_s else len(data)
        for at in range(0, len(data), max(1, step)):
            part = data[at : at + step]
            await self.stream.send_data(part)
            self.request.sent += len(part)
            if self.bytes_per_s:
                await asyncio.sleep(len(part) / self.bytes_per_s)

    async def _cut(self) -> None:
        if self.cut is Cut.END:
            await self.stream.end()
        elif self.cut is Cut.RESET:
            await self.stream.reset()
        elif self.cut is Cut.ABORT:
            self.stream.abort()
        else:
            await self.forever()
        raise Finished


class Finished(Exception):
    """The answer came to an end earlier than who made it thinks."""


Handler = Callable[[Exchange], Awaitable[None]]


async def run(exchange: Exchange, handler: Handler) -> None:
    """Answer by @handler."""
    try:
        await handler(exchange)
    except Finished:
        pass
    finally:
        exchange.request.ended = time.monotonic()


def status_of(code: int, reason: str, message: str) -> dict[str, object]:
    """A Status object that tells of a failure."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
