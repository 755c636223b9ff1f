"""Bodies through the whole door: sizes, codings and JSON, as a client on a real connection meets them."""

from __future__ import annotations

import asyncio
import gzip
import json
import queue
import threading
import zlib
from collections.abc import Callable, Iterator

import pytest
import zstandard

from dragoman.gateway.pieces import Pieces
from dragoman.web import body, reply
from dragoman.wire.errors import Refused
from tests.support.faultproxy import FaultProxy
from tests.support.frontdoor import (
    LOOPS,
    PATIENCE,
    Client,
    Door,
    Receive,
    Scope,
    Send,
    chunked,
    request,
    serving,
)

MIB = 1024 * 1024


class Reader:
    """Answers a JSON object with its size, a refusal with its envelope; a client that left is noted."""

    def __init__(self) -> None:
        self.gone: queue.Queue[bool] = queue.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            raw = await body.read(scope, receive)
            value = await body.json_object(scope, raw, Pieces())
        except Refused as refusal:
            await reply.send_failure(send, refusal.failure, "req_1")
        except body.ClientGone:
            self.gone.put(True)
        else:
            await reply.send_json(send, 200, {"keys": list(value), "size": len(raw)})


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture(params=sorted(LOOPS))
def door(request: pytest.FixtureRequest, reader: Reader) -> Iterator[Door]:
    with serving(reader, loop=request.param) as served:
        yield served


@pytest.fixture
def client(door: Door) -> Iterator[Client]:
    with door.connect() as connected:
        yield connected


def _object(size: int) -> bytes:
    return b'{"a":"' + b"x" * (size - 8) + b'"}'


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_of_33_mb_is_a_413_that_the_client_gets_to_read(framing: str, client: Client) -> None:
    """B88: Anthropic's envelope, although the client is still sending when it is written."""
    data = _object(33 * MIB)
    if framing == "length":
        client.post("/", data)
    else:
        client.send(request("POST", "/", "Transfer-Encoding: chunked") + chunked(data))
    answer = client.answer()
    assert answer.status == 413
    told = json.loads(answer.body)
    assert told["error"]["type"] == "request_too_large"
    assert told["request_id"] == answer.header("request-id")
    assert answer.header("connection") == "close"


def test_a_body_of_the_limit_is_taken_and_the_connection_kept(client: Client) -> None:
    answer = client.post("/", _object(32 * MIB)).answer()
    assert json.loads(answer.body) == {"keys": ["a"], "size": 32 * MIB}
    assert client.post("/", b"{}").answer().status == 200


_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("coding", sorted(_PACKERS))
def test_compressed_bodies_and_bombs(coding: str, client: Client) -> None:
    pack = _PACKERS[coding]
    answer = client.post("/", pack(_object(MIB)), f"Content-Encoding: {coding}").answer()
    assert json.loads(answer.body)["size"] == MIB
    answer = client.post("/", pack(bytes(64 * MIB)), f"Content-Encoding: {coding}").answer()
    assert answer.status == 413
    told = json.loads(answer.body)["error"]
    assert told["details"]["error_code"] == "request_body_too_large_after_decoding"
    assert client.post("/", b"{}").answer().status == 200  # the connection lives on


@pytest.mark.parametrize(
    ("raw", "fields", "code"),
    [
        (b"{}", ["Content-Encoding: gzip"], "request_body_encoding_invalid"),
        (b"{}", ["Content-Encoding: br"], "request_body_encoding_unsupported"),
        (b"{}", ["Content-Encoding: gzip, zstd"], "request_body_encoding_unsupported"),
        (b"{", [], None),
        (b"[]", [], None),
        (b"", [], None),
        (b"{}", ["Content-Type: text/plain"], None),
    ],
)
def test_what_cannot_be_read_is_a_400_and_the_connection_goes_on(
    raw: bytes, fields: list[str], code: str | None, client: Client
) -> None:
    """B79, B88."""
    for _ in range(2):
        answer = client.post("/", raw, *fields).answer()
        assert answer.status == 400
        told = json.loads(answer.body)["error"]
        assert told["type"] == "invalid_request_error"
        assert told.get("details", {}).get("error_code") == code
        assert answer.header("connection") is None


def test_a_client_that_leaves_inside_its_body_is_noticed(client: Client, reader: Reader) -> None:
    client.send(request("POST", "/", "Content-Length: 1000000") + b"x" * 300_000)
    client.reset()
    assert reader.gone.get(timeout=PATIENCE)


async def test_a_door_behind_a_bad_line(door: Door, reader: Reader) -> None:
    """Byte by byte in both directions nothing changes; a line that breaks is a client that left."""

    def ask(port: int, data: bytes) -> int:
        with Client(("127.0.0.1", port)) as client:
            return int(json.loads(client.post("/", data).answer().body)["size"])

    async with asyncio.timeout(PATIENCE), FaultProxy(*door.address) as proxy:
        proxy.to_server.slicer = proxy.to_client.slicer = 1
        assert await asyncio.to_thread(ask, proxy.port, _object(500)) == 500
        proxy.to_server.slicer = None
        proxy.to_server.limit_data = 5000

        def cut_off() -> bytes:
            with Client(("127.0.0.1", proxy.port)) as client:
                return client.post("/", _object(20_000)).rest()

        assert await asyncio.to_thread(cut_off) == b""
        assert await asyncio.to_thread(reader.gone.get, timeout=PATIENCE)


def test_many_large_bodies_at_once_are_all_read(door: Door) -> None:
    sizes: list[int] = []

    def ask(size: int) -> None:
        with door.connect() as client:
            sizes.append(json.loads(client.post("/", _object(size)).answer().body)["size"])

    wanted = [2 * MIB + number for number in range(8)]
    threads = [threading.Thread(target=ask, args=(size,)) for size in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(sizes) == wanted
