"""An HTTP proxy that knows CONNECT and nothing else.

Usage: proxy.py PORT        (in a network namespace)

"ready" on standard output says that it listens; then it prints each target that it was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    method, target, _ = head.decode().split(" ", 2)
    print(method, target, flush=True)
    host, _, port = target.rpartition(":")
    upstream = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
    await asyncio.gather(pump(reader, upstream[1]), pump(upstream[0], writer))


async def main() -> None:
    server = await asyncio.start_server(serve, None, int(sys.argv[1]))
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
