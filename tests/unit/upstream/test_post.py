"""Bytes of an answer are taken as they come, and no more is read ahead than a client may leave untaken."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from yarl import URL

from dragoman.upstream.post import READ_BYTES, Pool, read_some

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answer(script: Script) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer of a server that reads one request and then does as the script says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await script(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = Pool(aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None))
    try:
        response = await pool.post(URL(f"http://127.0.0.1:{port}/"), b"{}", {}, None)
        yield response
        response.close()
    finally:
        await pool.close()
        server.close()
        await server.wait_closed()


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize("framing", ["chunks", "length", "close"])
async def test_every_byte_comes_once_and_then_the_end(framing: str) -> None:
    dice = random.Random(7)
    pieces = [dice.randbytes(dice.choice([1, 30, 700, 9000])) for _ in range(200)]
    whole = b"".join(pieces)

    async def script(writer: asyncio.StreamWriter) -> None:
        told = {
            "chunks": b"transfer-encoding: chunked\r\n",
            "length": b"content-length: %d\r\n" % len(whole),
            "close": b"",
        }[framing]
        writer.write(HEAD + told + b"\r\n")
        for number, piece in enumerate(pieces):
            writer.write(chunked(piece) if framing == "chunks" else piece)
            if number % 7 == 0:
                await writer.drain()
                await asyncio.sleep(0)
        if framing == "chunks":
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with answer(script) as response:
        found = []
        while some := await read_some(response.content):
            found.append(some)
        assert b"".join(found) == whole
        assert await read_some(response.content) == b"", "the end stays the end"


async def test_an_empty_body_is_at_its_end() -> None:
    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"content-length: 0\r\n\r\n")

    async with answer(script) as response:
        assert await read_some(response.content) == b""


async def test_who_does_not_read_is_not_read_for_and_goes_on_afterwards() -> None:
    """Reading pauses at twice READ_BYTES, and is taken up again when they were taken."""
    whole = random.Random(8).randbytes(64 * READ_BYTES)
    sent = asyncio.Event()

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        for start in range(0, len(whole), 4096):
            writer.write(chunked(whole[start : start + 4096]))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        sent.set()

    async with answer(script) as response:
        reader = response.content
        async with asyncio.timeout(60):
            while not reader._protocol._reading_paused:
                await asyncio.sleep(0.01)
        assert reader.total_bytes < len(whole) // 4
        found = []
        while some := await read_some(reader):
            found.append(some)
            await asyncio.sleep(0)
        assert b"".join(found) == whole
        await asyncio.wait_for(sent.wait(), 60)


@pytest.mark.parametrize("late", [False, True], ids=["read at once", "read when it is over"])
async def test_a_cut_is_an_error_behind_what_came(late: bool) -> None:
    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunked(b"data: 1\n\n"))
        await writer.drain()

    async with answer(script) as response:
        async with asyncio.timeout(60):
            while late and response.content.exception() is None:
                await asyncio.sleep(0.01)
        assert await read_some(response.content) == b"data: 1\n\n"
        with pytest.raises(aiohttp.ClientError):
            await read_some(response.content)


@pytest.mark.parametrize("junk", [b"zz\r\n", b"HTTP/1.1 500 Oops\r\n\r\n"], ids=["no size", "another answer"])
@pytest.mark.parametrize("open_", [False, True], ids=["and closed", "and left open"])
async def test_broken_framing_is_an_error_behind_what_came(junk: bytes, open_: bool) -> None:
    """It is found when it is read: nobody waits for the end of a body that has no end."""
    left = asyncio.Event()

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunked(b"data: 1\n\n"))
        await writer.drain()
        await read.wait()
        writer.write(junk)
        await writer.drain()
        if open_:
            await left.wait()

    read = asyncio.Event()
    async with answer(script) as response, asyncio.timeout(60):
        assert await read_some(response.content) == b"data: 1\n\n"
        read.set()
        with pytest.raises(aiohttp.ClientPayloadError):
            await read_some(response.content)
        left.set()


async def test_the_end_of_a_whole_body_is_no_error_of_it() -> None:
    """A body that only the end of its connection ends is whole then; junk behind a whole one is not its."""

    async def closed(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"\r\n" + b"data: 1\n\n")
        await writer.drain()

    async def followed(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"content-length: 9\r\n\r\n" + b"data: 1\n\n")
        await writer.drain()
        await read.wait()
        writer.write(b"zz\r\n")
        await writer.drain()

    for script in (closed, followed):
        read = asyncio.Event()
        async with answer(script) as response, asyncio.timeout(60):
            assert await read_some(response.content) == b"data: 1\n\n"
            read.set()
            while response.connection is not None and response.connection.transport is not None:
                if response.connection.transport.is_closing():
                    break
                await asyncio.sleep(0.01)
            assert await read_some(response.content) == b""


OWN = HEAD + b"content-length: 3\r\n\r\nown"
STRANGE = HEAD + b"content-length: 7\r\n\r\nstrange"


FAREWELL = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
UNASKED = {
    "a whole answer": STRANGE,
    "a farewell": FAREWELL,
    "a promise": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a beginning": STRANGE[:9],
}


@pytest.mark.parametrize(
    ("name", "at_once"),
    [
        (name, at_once)
        for name in UNASKED
        for at_once in (True, False)
        if (name, at_once) != ("a beginning", True)
    ],
)
async def test_what_nobody_asked_for_is_nobodys_answer(name: str, at_once: bool) -> None:
    """X6: the next request there may be another client's. Some servers say goodbye like this."""
    more, connections = UNASKED[name], 0
    go, gone = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        if connections > 1:
            writer.write(OWN)
        else:
            writer.write(OWN + more if at_once else OWN)
            await go.wait()
            writer.write(b"" if at_once else more)
            await reader.read()
            gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=600)
    pool = Pool(connector, aiohttp.ClientTimeout(total=None))
    try:
        async with asyncio.timeout(60):
            for _ in range(2):
                response = await pool.post(URL(f"http://127.0.0.1:{port}/"), b"", {}, None)
                assert (response.status, await read_some(response.content)) == (200, b"own")
                assert await read_some(response.content) == b""
                response.release()
                go.set()
                await gone.wait()
        assert connections == 2
    finally:
        await pool.close()
        server.close()
        await server.wait_closed()


async def test_a_promise_before_the_answer_is_waited_out() -> None:
    """A 1xx is no answer, however many there are."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 2)
        await writer.drain()
        writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OWN)

    async with answer(script) as response, asyncio.timeout(60):
        assert (response.status, await read_some(response.content)) == (200, b"own")
