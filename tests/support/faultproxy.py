"""A TCP proxy that breaks connections on purpose, with Toxiproxy's vocabulary.

Each direction has its Toxics, which may be changed while connections are open. `async with FaultProxy(host,
port) as proxy` listens on an ephemeral port of 127.0.0.1, `proxy.port`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

_CHUNK = 65536


@dataclass
class Toxics:
    """What is wrong with one direction; times in seconds, sizes in bytes, None is well."""

    latency: float = 0.0  # every piece is so late
    bandwidth: int | None = None  # bytes per second
    slow_close: float = 0.0  # the end is passed on so late
    timeout: float | None = None  # nothing passes any more; closed after so long, 0: never
    reset_peer: float | None = None  # RST to both sides so long after the first byte
    slicer: int | None = None  # pieces of at most so many bytes, each on its own
    limit_data: int | None = None  # the connection ends after so many bytes


@dataclass
class FaultProxy:
    """`down` refuses new connections; `cut()` resets the open ones."""

    host: str
    target: int
    to_client: Toxics = field(default_factory=Toxics)
    to_server: Toxics = field(default_factory=Toxics)
    down: bool = False
    connections: int = 0

    async def __aenter__(self) -> FaultProxy:
        self._links: set[asyncio.Task[Any]] = set()
        self._server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        if self._links:
            await asyncio.wait(self._links)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Resets every open connection."""
        for link in self._links:
            link.cancel()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        self.connections += 1
        writers = [writer]
        try:
            if self.down:
                raise ConnectionResetError
            far_reader, far_writer = await asyncio.open_connection(self.host, self.target)
            writers.append(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, far_writer, self.to_server))
                both.create_task(self._pump(far_reader, writer, self.to_client))
        except (OSError, asyncio.CancelledError, ExceptionGroup):
            for each in writers:
                _reset(each)
        finally:
            self._links.discard(task)
            for each in writers:
                each.close()
            for each in writers:
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, toxics: Toxics) -> None:
        passed = 0
        async for piece in _pieces(reader, toxics):
            if toxics.timeout is not None:
                await asyncio.sleep(toxics.timeout or 1e9)
                raise ConnectionResetError
            await asyncio.sleep(toxics.latency + len(piece) / (toxics.bandwidth or float("inf")))
            allowed = piece if toxics.limit_data is None else piece[: max(0, toxics.limit_data - passed)]
            writer.write(allowed)
            await writer.drain()
            passed += len(allowed)
            if toxics.reset_peer is not None:
                await asyncio.sleep(toxics.reset_peer)
                raise ConnectionResetError
            if len(allowed) < len(piece) or passed == toxics.limit_data:
                writer.close()
                return
        await asyncio.sleep(toxics.slow_close)
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()


async def _pieces(reader: asyncio.StreamReader, toxics: Toxics) -> AsyncIterator[bytes]:
    while data := await reader.read(_CHUNK):
        size = toxics.slicer or len(data)
        for start in range(0, len(data), size):
            yield data[start : start + size]


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, AttributeError):  # closed already
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
