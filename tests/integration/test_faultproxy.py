"""The fault proxy itself: each way of breaking a connection does what its name says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.faultproxy import FaultProxy, Toxics

PATIENCE = 30.0


@asynccontextmanager
async def _echo() -> AsyncIterator[tuple[FaultProxy, asyncio.Queue[str]]]:
    """A proxy before a server that echoes and notes how each connection ended."""
    endings: asyncio.Queue[str] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            endings.put_nowait("eof")
            writer.write(b"bye")
            await writer.drain()
        except ConnectionError:
            endings.put_nowait("reset")
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        async with (
            asyncio.timeout(PATIENCE),
            FaultProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy,
        ):
            yield proxy, endings
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def _client(proxy: FaultProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def test_a_well_proxy_passes_everything_on_also_a_half_close() -> None:
    async with _echo() as (proxy, endings), _client(proxy) as (reader, writer):
        writer.write(b"x" * 300_000)
        assert await reader.readexactly(300_000) == b"x" * 300_000
        writer.write_eof()
        assert await reader.read() == b"bye"
        assert endings.get_nowait() == "eof"
        assert proxy.connections == 1


@pytest.mark.parametrize("toxics", [Toxics(latency=0.05), Toxics(bandwidth=100), Toxics(slow_close=0.05)])
async def test_slowness_loses_nothing(toxics: Toxics) -> None:
    async with _echo() as (proxy, _), _client(proxy) as (reader, writer):
        proxy.to_client = toxics
        loop = asyncio.get_running_loop()
        begun = loop.time()
        writer.write(b"0123456789")
        writer.write_eof()
        assert await reader.read() == b"0123456789bye"
        assert loop.time() - begun >= 0.05


async def test_slicing_keeps_the_bytes_and_their_order() -> None:
    async with _echo() as (proxy, _), _client(proxy) as (reader, writer):
        proxy.to_client.slicer = proxy.to_server.slicer = 1
        writer.write("häppchenweise".encode())
        writer.write_eof()
        assert await reader.read() == "häppchenweisebye".encode()


async def test_a_limit_ends_the_connection_after_so_many_bytes() -> None:
    async with _echo() as (proxy, _), _client(proxy) as (reader, writer):
        proxy.to_client.limit_data = 7
        writer.write(b"0123456789")
        assert await reader.read() == b"0123456"


async def test_a_reset_reaches_both_sides() -> None:
    async with _echo() as (proxy, endings), _client(proxy) as (reader, writer):
        proxy.to_client.reset_peer = 0.0
        writer.write(b"0123456789")
        with pytest.raises(ConnectionResetError):
            while await reader.read(100):
                pass
        assert await endings.get() == "reset"


async def test_cutting_resets_what_is_open() -> None:
    async with _echo() as (proxy, endings), _client(proxy) as (reader, writer):
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        assert await endings.get() == "reset"


async def test_a_timeout_passes_nothing_and_then_ends() -> None:
    async with _echo() as (proxy, _), _client(proxy) as (reader, writer):
        proxy.to_client.timeout = 0.05
        writer.write(b"hello")
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)


async def test_a_timeout_of_zero_is_silence() -> None:
    async with _echo() as (proxy, _), _client(proxy) as (reader, writer):
        proxy.to_client.timeout = 0
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)


async def test_down_refuses_new_connections_until_it_is_up_again() -> None:
    async with _echo() as (proxy, endings):
        proxy.down = True
        async with _client(proxy) as (reader, _):
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
        proxy.down = False
        async with _client(proxy) as (reader, writer):
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
        assert await endings.get() in ("reset", "eof")


async def test_a_target_that_is_not_there_is_a_reset() -> None:
    async with FaultProxy("127.0.0.1", 1) as proxy, _client(proxy) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
