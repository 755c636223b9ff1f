"""Faults over real sockets: what a client of the simulator sees on the wire."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dragoman.simulator.server import Running, start
from dragoman.simulator.state import State
from tests.support.simulated import events_of, request, user

TEXT = "Grüße aus Köln 日本 🎉 " * 8
_LIMIT = 20.0


class Wire:
    """Everything one connection brought, and how it ended."""

    def __init__(self, raw: bytes, chunks: list[bytes], reset: bool) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        self.raw, self.chunks, self.reset = raw, chunks, reset
        self.status = int(head.split(b" ")[1]) if head else 0
        self.headers = head.decode("latin-1").lower()
        self.body, self.complete = _unchunked(body) if "chunked" in self.headers else (body, not reset)

    def events(self) -> list[dict[str, Any]]:
        return events_of(self.body)


def _unchunked(raw: bytes) -> tuple[bytes, bool]:
    """The body of a chunked answer and whether its last chunk came."""
    body = b""
    while raw:
        size, _, rest = raw.partition(b"\r\n")
        if not rest:
            break
        length = int(size, 16)
        if length == 0:
            return body, True
        body += rest[:length]
        raw = rest[length + 2 :]
    return body, False


async def exchange(running: Running, body: dict[str, Any], path: str = "/v1/responses") -> Wire:
    """Sends one request on its own connection and reads until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    raw = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    writer.write(head.encode() + raw)
    chunks: list[bytes] = []
    reset = False
    try:
        async with asyncio.timeout(_LIMIT):
            while chunk := await reader.read(65536):
                chunks.append(chunk)
    except ConnectionResetError:
        reset = True
    writer.close()
    return Wire(b"".join(chunks), chunks, reset)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    started = await start("127.0.0.1", 0, state=State({"speed": 0, "chunk_chars": 8}))
    yield started
    await started.close()


async def faulty(running: Running, fault: Any, **rule: Any) -> Wire:
    running.state.load([{"steps": [{"message": TEXT}], "fault": fault, **rule}])
    return await exchange(running, request())


def ended(running: Running) -> str:
    return running.state.log.records[-1].ended


async def plain_events(running: Running) -> int:
    running.state.load([{"steps": [{"message": TEXT}]}])
    return len((await exchange(running, request())).events())


def delivered(wire: Wire) -> str:
    return "".join(event.get("delta", "") for event in wire.events())


async def test_without_a_fault_everything_arrives(running: Running) -> None:
    wire = await faulty(running, None)
    assert (wire.status, wire.complete, wire.reset) == (200, True, False)
    assert delivered(wire) == TEXT
    assert wire.events()[-1]["type"] == "response.completed"
    assert ended(running) == "complete"


@pytest.mark.parametrize(
    ("kind", "complete", "reset"), [("disconnect", False, False), ("rst", False, True), ("end", True, False)]
)
@pytest.mark.parametrize("events", [0, 1, 6])
async def test_a_stream_is_cut_after_so_many_events(
    running: Running, kind: str, complete: bool, reset: bool, events: int
) -> None:
    wire = await faulty(running, {"kind": kind, "after_events": events})
    assert (wire.complete, wire.reset) == (complete, reset)
    assert len(wire.events()) == events
    assert ended(running) == f"fault:{kind}"


async def test_a_stream_is_cut_in_the_middle_of_an_event(running: Running) -> None:
    wire = await faulty(running, {"kind": "disconnect", "after_events": 4, "mid_event": True})
    assert len(wire.events()) == 4
    assert not wire.body.endswith(b"\n\n")
    assert not wire.complete


@pytest.mark.parametrize("size", [0, 1, 777])
async def test_a_stream_is_cut_after_so_many_bytes(running: Running, size: int) -> None:
    wire = await faulty(running, {"kind": "disconnect", "after_bytes": size})
    assert len(wire.body) == size
    assert not wire.complete


async def test_a_cut_beyond_the_end_changes_nothing(running: Running) -> None:
    wire = await faulty(running, {"kind": "rst", "after_bytes": 10_000_000})
    assert wire.complete
    assert ended(running) == "complete"


async def test_a_terminal_reset_comes_after_the_items(running: Running) -> None:
    wire = await faulty(running, None, terminal="rst")
    assert wire.reset and not wire.complete
    assert wire.events()[-1]["type"] == "response.output_item.done"


async def test_a_stream_may_end_without_a_terminal_event(running: Running) -> None:
    wire = await faulty(running, None, terminal="none")
    assert wire.complete
    assert wire.events()[-1]["type"] == "response.output_item.done"


async def test_a_stall_is_a_silence_in_the_middle(running: Running) -> None:
    started = time.monotonic()
    wire = await faulty(running, {"kind": "stall", "after_events": 3, "seconds": 0.3})
    assert time.monotonic() - started >= 0.3
    assert wire.complete


async def test_headers_may_be_slow(running: Running) -> None:
    started = time.monotonic()
    assert (await faulty(running, {"kind": "slow_headers", "seconds": 0.3})).complete
    assert time.monotonic() - started >= 0.3


async def test_a_slow_drip(running: Running) -> None:
    started = time.monotonic()
    wire = await faulty(running, {"kind": "slow_drip", "bytes_per_s": 20_000})
    assert time.monotonic() - started >= 0.1
    assert delivered(wire) == TEXT


async def test_a_garbage_event_stands_between_good_ones(running: Running) -> None:
    wire = await faulty(running, {"kind": "garbage_event", "after_events": 4, "text": "{oops"})
    frames = wire.body.split(b"\n\n")
    assert frames[4].endswith(b"data: {oops")
    assert frames[5].startswith(b"event: response.")
    default = await faulty(running, {"kind": "garbage_event"})
    assert default.body.startswith(b'event: response.output_text.delta\ndata: {"type":')


async def test_chunks_split_inside_characters_lose_nothing(running: Running) -> None:
    wire = await faulty(running, "split_utf8")
    assert delivered(wire) == TEXT
    edges = 0
    raw = wire.raw.partition(b"\r\n\r\n")[2]
    while raw:
        size, _, rest = raw.partition(b"\r\n")
        length = int(size, 16)
        edges += length > 0 and rest[0] & 0xC0 == 0x80
        raw = rest[length + 2 :]
    assert edges > 50


async def test_slices_of_a_byte_lose_nothing(running: Running) -> None:
    wire = await faulty(running, {"kind": "slice", "bytes": 1})
    assert delivered(wire) == TEXT


async def test_line_ends_may_be_crlf(running: Running) -> None:
    wire = await faulty(running, "crlf")
    assert b"\r\n\r\n" in wire.body
    assert delivered(wire) == TEXT


async def test_the_terminal_event_may_come_twice(running: Running) -> None:
    types = [event["type"] for event in (await faulty(running, "duplicate_terminal")).events()]
    assert types.count("response.completed") == 2


async def test_done_items_may_be_missing(running: Running) -> None:
    wire = await faulty(running, "no_done_item")
    assert "response.output_item.done" not in [event["type"] for event in wire.events()]
    assert wire.events()[-1]["response"]["output"]


async def test_the_body_may_be_compressed_unasked(running: Running) -> None:
    wire = await faulty(running, "gzip")
    assert "content-encoding: gzip" in wire.headers
    assert events_of(gzip.decompress(wire.body))[-1]["type"] == "response.completed"


async def test_the_content_type_may_be_wrong(running: Running) -> None:
    wire = await faulty(running, {"kind": "content_type", "value": "text/plain"})
    assert "content-type: text/plain" in wire.headers


async def test_a_server_may_say_goodbye(running: Running) -> None:
    for rule in ({}, {"preset": "500"}):
        assert "connection: close" in (await faulty(running, "goaway", **rule)).headers


async def test_faults_combine(running: Running) -> None:
    wire = await faulty(running, ["crlf", "split_utf8", {"kind": "disconnect", "after_events": 8}])
    assert len(wire.events()) == 8
    assert b"\r\n" in wire.body


async def test_connections_are_refused_for_a_while(running: Running) -> None:
    running.state.load([{"fault": {"kind": "connect_refused", "seconds": 0.3}, "times": 1}])
    assert (await exchange(running, request())).raw == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", running.port)
    async with asyncio.timeout(_LIMIT):
        while True:
            try:
                wire = await exchange(running, request())
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
    assert wire.complete
    assert wire.events()[-1]["type"] == "response.completed"


async def test_closing_while_connections_are_refused(running: Running) -> None:
    other = await start("127.0.0.1", 0)
    other.state.load([{"match": {"endpoint": "models"}, "fault": {"kind": "connect_refused", "seconds": 60}}])
    reader, writer = await asyncio.open_connection("127.0.0.1", other.port)
    writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    writer.close()
    other.state.refuse(60)
    await asyncio.sleep(0.05)
    await other.close()


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ({"kind": "disconnect"}, 0, 0),
        ({"kind": "rst"}, 0, 0),
        ({"kind": "disconnect", "after_bytes": 40}, 200, 40),
        ({"kind": "slow_headers", "seconds": 0.01}, 200, None),
    ],
)
async def test_plain_answers_are_cut_too(running: Running, fault: Any, status: int, body: int | None) -> None:
    running.state.load([{"fault": fault}])
    wire = await exchange(running, request(stream=False))
    assert wire.status == status
    if body is None:
        assert json.loads(wire.body)["status"] == "completed"
    else:
        assert len(wire.body) == body


@pytest.mark.parametrize("terminal", ["none", "rst"])
async def test_a_plain_answer_without_an_end_is_no_answer(running: Running, terminal: str) -> None:
    running.state.load([{"terminal": terminal}])
    wire = await exchange(running, request(stream=False))
    assert (wire.reset, wire.raw) == (True, b"")


async def test_a_scripted_error_can_come_late(running: Running) -> None:
    started = time.monotonic()
    wire = await faulty(running, [{"kind": "http", "status": 503}, {"kind": "slow_headers", "seconds": 0.2}])
    assert wire.status == 503
    assert time.monotonic() - started >= 0.2


async def test_pace_and_pauses_follow_the_speed(running: Running) -> None:
    rule = {
        "steps": [{"comment": "hi"}, {"message": {"text": "abcd", "chunks": 2}}, {"sleep_ms": 100}],
        "pace": {"headers_ms": 50, "first_token_ms": 100, "per_chunk_ms": 50},
    }
    for speed, least in ((0, 0.0), (1, 0.35)):
        running.state.switches.speed = speed
        running.state.load([rule])
        started = time.monotonic()
        wire = await exchange(running, request())
        assert wire.complete
        assert b": hi\n\n" in wire.body
        assert time.monotonic() - started >= least
    running.state.load([{**rule, "steps": [{"sleep_ms": 10}]}])
    assert (await exchange(running, request(stream=False))).status == 200


async def test_a_client_that_leaves_is_noticed(running: Running) -> None:
    running.state.load([{"steps": [{"message": "x"}, {"sleep_ms": 60_000}]}])
    running.state.switches.speed = 1.0
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    raw = json.dumps(request(user("hello"))).encode()
    head = (
        "POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    writer.write(head.encode() + raw)
    await reader.readuntil(b"output_item.done")
    assert running.state.log.active == 1
    writer.close()
    async with asyncio.timeout(_LIMIT):
        while running.state.log.active:
            await asyncio.sleep(0.02)
    assert ended(running) == "client_gone"
    assert running.state.report()["answered"] == 0
