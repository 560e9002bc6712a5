"""HTTP/2 and HTTP/1.1 on a connection whose TLS handshake is over."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from .exchange import Exchange, Handler, Headers, Request

CHUNK = 64 * 1024


@dataclass
class Link:
    """A connection, for both versions. @serve is called for each request, @abort resets it."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    abort: Callable[[], None]
    serve: Handler

    async def write(self, data: bytes) -> None:
        """Send bytes; ConnectionResetError when the client has gone."""
        if self.writer.transport.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()


@dataclass
class Http2(Link):
    """Any number of exchanges at once."""

    def __post_init__(self) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.state = h2.connection.H2Connection(config)
        self.requests: dict[int, tuple[dict[str, str], bytearray]] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.window = asyncio.Event()

    async def run(self) -> None:
        """Serve until the client closes the connection."""
        self.state.initiate_connection()
        await self.flush()
        try:
            while data := await self.reader.read(CHUNK):
                for event in self.state.receive_data(data):
                    self._on(event)
                await self.flush()
        finally:
            for task in self.tasks.values():
                task.cancel()

    async def flush(self) -> None:
        await self.write(self.state.data_to_send())

    async def go_away(self) -> None:
        """Say that no new request is taken, as a server does that is about to end."""
        self.state.close_connection(last_stream_id=max(self.tasks, default=0))
        await self.flush()

    def _on(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.requests[event.stream_id] = (dict(event.headers), bytearray())
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id][1].extend(event.data)
            self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self._start(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.requests.pop(event.stream_id, None)
            if task := self.tasks.get(event.stream_id):
                task.cancel()
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            self.window.set()

    def _start(self, stream: int) -> None:
        headers, body = self.requests.pop(stream)
        request = Request(
            time.monotonic(),
            self.number,
            stream,
            headers[":method"],
            headers[":path"],
            headers,
            bytes(body),
        )
        task = asyncio.ensure_future(self.serve(Exchange(request, Stream2(self, stream))))
        self.tasks[stream] = task
        task.add_done_callback(lambda _: self.tasks.pop(stream, None))


class Stream2:
    """A stream of HTTP/2."""

    def __init__(self, link: Http2, number: int) -> None:
        self.link = link
        self.number = number
        self.abort = link.abort

    async def send_head(self, status: int, headers: Headers) -> None:
        self.link.state.send_headers(self.number, [(":status", str(status)), *headers.items()])
        await self.link.flush()

    async def send_data(self, data: bytes) -> None:
        state = self.link.state
        while data:
            room = min(
                state.local_flow_control_window(self.number), state.max_outbound_frame_size, CHUNK
            )
            if room <= 0:
                self.link.window.clear()
                await self.link.window.wait()
                continue
            state.send_data(self.number, data[:room])
            data = data[room:]
            await self.link.flush()

    async def end(self) -> None:
        self.link.state.end_stream(self.number)
        await self.link.flush()

    async def reset(self) -> None:
        self.link.state.reset_stream(self.number, error_code=2)
        await self.link.flush()


class Http1(Link):
    """One exchange after the other."""

    async def run(self) -> None:
        stream = 0
        while head := await self._read_head():
            stream += 1
            first, *lines = head.decode().split("\r\n")
            method, target, _ = first.split(" ")
            headers = {k.lower(): v.strip() for k, v in (li.split(":", 1) for li in lines if li)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            request = Request(time.monotonic(), self.number, stream, method, target, headers, body)
            if not await self._serve(Exchange(request, Stream1(self))):
                return

    async def _read_head(self) -> bytes:
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""

    async def _serve(self, exchange: Exchange) -> bool:
        """Whether the connection can be used again. A client that leaves ends the exchange."""
        answer = asyncio.ensure_future(self.serve(exchange))
        left = asyncio.ensure_future(self._left())
        await asyncio.wait((answer, left), return_when=asyncio.FIRST_COMPLETED)
        again = answer.done()
        for task in (answer, left):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        return again

    async def _left(self) -> None:
        """Until the client has closed the connection, without reading what it sends."""
        while not self.reader.at_eof():
            await asyncio.sleep(0.05)


class Stream1:
    """The current exchange of HTTP/1.1, whose body is chunked."""

    def __init__(self, link: Http1) -> None:
        self.link = link
        self.abort = link.abort

    async def send_head(self, status: int, headers: Headers) -> None:
        lines = [f"{k}: {v}\r\n" for k, v in {**headers, "transfer-encoding": "chunked"}.items()]
        await self.link.write(f"HTTP/1.1 {status} Scripted\r\n{''.join(lines)}\r\n".encode())

    async def send_data(self, data: bytes) -> None:
        if data:
            await self.link.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.link.write(b"0\r\n\r\n")

    async def reset(self) -> None:
        self.abort()
