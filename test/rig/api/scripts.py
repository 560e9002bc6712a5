"""Answers other than a well-behaved server's, for ApiServer.on()."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from .exchange import Cut, Exchange, Handler
from .http import Stream1

# Given the exchange and the handler that would answer it without the script.
Script = Callable[[Exchange, Handler], Awaitable[None]]


def fail(status: int, reason: str = "InternalError", message: str = "no", **headers: str) -> Script:
    """An error with a Status object. An underscore in a header's name stands for a dash."""

    async def script(x: Exchange, serve: Handler) -> None:
        del serve
        await x.fail(status, reason, message, **headers)

    return script


def body(data: bytes | str, kind: str = "application/json", *, status: int = 200) -> Script:
    """Just these bytes."""

    async def script(x: Exchange, serve: Handler) -> None:
        del serve
        await x.answer(status, data, kind)

    return script


def delayed(seconds: float) -> Script:
    """The right answer, late."""

    async def script(x: Exchange, serve: Handler) -> None:
        await asyncio.sleep(seconds)
        await serve(x)

    return script


def throttled(bytes_per_s: int) -> Script:
    """The right answer, slowly."""

    async def script(x: Exchange, serve: Handler) -> None:
        x.bytes_per_s = bytes_per_s
        await serve(x)

    return script


def cut(at: int, how: Cut) -> Script:
    """The first @at bytes of the right answer."""

    async def script(x: Exchange, serve: Handler) -> None:
        x.cut_at, x.cut = at, how
        await serve(x)

    return script


def edited(edit: Callable[[bytes], bytes]) -> Script:
    """The right answer, or each event of a watch, changed by @edit."""

    async def script(x: Exchange, serve: Handler) -> None:
        x.edit = edit
        await serve(x)

    return script


def events(*told: tuple[str, object]) -> Script:
    """A watch with just these events, each a type and an object, which then ends."""
    lines = [json.dumps({"type": kind, "object": o}) + "\n" for kind, o in told]
    return body("".join(lines))


async def silent(x: Exchange, serve: Handler) -> None:
    """No answer at all."""
    del serve
    await x.forever()


async def slow_head(x: Exchange, serve: Handler) -> None:
    """A head of an endless number of headers, over HTTP/1.1."""
    del serve
    assert isinstance(x.stream, Stream1)
    await x.stream.link.write(b"HTTP/1.1 200 Slow\r\n")
    while True:
        await asyncio.sleep(1)
        await x.stream.link.write(b"x: y\r\n")


async def reset(x: Exchange, serve: Handler) -> None:
    """The stream is reset instead of an answer."""
    del serve
    await x.stream.reset()


async def abort(x: Exchange, serve: Handler) -> None:
    """The connection is reset instead of an answer."""
    del serve
    x.stream.abort()
