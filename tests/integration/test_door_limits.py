"""How much and how slowly: header, target and body limits, timers, and what a refusal leaves behind.

Waits are short through the door's limits; what a test itself waits for has a generous bound.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

import pytest

from dragoman.web.limits import KIB, MIB, Limits
from tests.support.frontdoor import (
    LOOPS,
    PATIENCE,
    Client,
    Echo,
    Message,
    Receive,
    Scope,
    Send,
    chunked,
    request,
    respond,
    serving,
)


@pytest.fixture(params=sorted(LOOPS))
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _pour(client: Client, piece: bytes, total: int) -> int:
    """Sends up to `total` bytes, until the other side takes no more; returns how many it took."""
    sent = 0
    try:
        while sent < total:
            sent += client.sock.send(piece)
    except OSError:
        pass
    return sent


def test_a_huge_header_is_cut_early_and_costs_nothing(loop: str) -> None:
    """A stock server reads all 200 MB of it into memory."""
    echo = Echo()
    with serving(echo, loop=loop) as door:
        with door.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ")
            accepted = _pour(client, b"a" * 65536, 200 * MIB)
        with door.connect() as client:
            assert client.get("/").answer().status == 200
    assert accepted < 40 * MIB  # what the kernels on both sides buffered, and a megabyte
    assert echo.paths == ["/"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(request("GET", "/", f"X-A: {'a' * 60 * KIB}"), 200, id="one-header-under-the-limit"),
        pytest.param(request("GET", "/", f"X-A: {'a' * 64 * KIB}"), 431, id="one-header-over-the-limit"),
        pytest.param(request("GET", "/", f"X-A: {'a' * MIB}"), 431, id="one-header-of-a-megabyte"),
        pytest.param(request("GET", "/", *(f"X-{n}: {'a' * 300}" for n in range(190))), 200, id="sum-under"),
        pytest.param(request("GET", "/", *(f"X-{n}: {'a' * 400}" for n in range(190))), 431, id="sum-over"),
        pytest.param(request("GET", "/", *(f"X-{n}: a" for n in range(199))), 200, id="200-fields"),
        pytest.param(request("GET", "/", *(f"X-{n}: a" for n in range(200))), 431, id="201-fields"),
        pytest.param(request("GET", "/" + "a" * 8100), 200, id="target-under-the-limit"),
        pytest.param(request("GET", "/" + "a" * 8192), 414, id="target-over-the-limit"),
        pytest.param(request("GET", "/" + "a" * 100_000), 414, id="target-of-100-kB"),
        pytest.param(b"\r\n" * 100_000, 431, id="blank-lines-without-end"),
    ],
)
def test_head_limits(head: bytes, status: int, loop: str) -> None:
    echo = Echo()
    with serving(echo, loop=loop) as door, door.connect() as client:
        for at in range(0, len(head), 5000):
            try:
                client.send(head[at : at + 5000])
            except OSError:
                break
        answer = client.answer()
        assert answer.status == status
        if status != 200:
            assert json.loads(answer.body)["type"] == "error"
            assert client.closed()
    assert len(echo.paths) == (1 if status == 200 else 0)


def test_header_limits_hold_for_every_request_of_a_connection(loop: str) -> None:
    echo = Echo()
    fields = [f"X-{n}: {'a' * 300}" for n in range(150)]
    with serving(echo, loop=loop) as door, door.connect() as client:
        for _ in range(5):  # each under the limit, together far over it
            assert client.get("/", *fields).answer().status == 200
        assert client.post("/", b"a" * 300_000, *fields).answer().status == 200
        assert client.get("/", f"X-A: {'a' * 70_000}").answer().status == 431


def test_an_endless_trailer_is_cut(loop: str) -> None:
    echo = Echo()
    with serving(echo, loop=loop) as door, door.connect() as client:
        client.send(request("POST", "/", "Transfer-Encoding: chunked") + b"2\r\nhi\r\n0\r\nX-A: ")
        _pour(client, b"a" * 65536, 4 * MIB)
        assert client.answer().status == 400
    assert echo.bodies == []


def test_endless_chunk_extensions_are_cut(loop: str) -> None:
    echo = Echo()
    with serving(echo, loop=loop) as door, door.connect() as client:
        client.send(request("POST", "/", "Transfer-Encoding: chunked") + b"2;a=")
        _pour(client, b"a" * 65536, 4 * MIB)
        assert client.answer().status == 400
    assert echo.bodies == []


def test_large_trailers_within_reason_are_dropped(loop: str) -> None:
    echo = Echo()
    body = chunked(b"x" * 400_000, trailer=b"X-A: " + b"a" * 20_000 + b"\r\n")
    with serving(echo, loop=loop) as door, door.connect() as client:
        client.send(request("POST", "/", "Transfer-Encoding: chunked") + body)
        assert client.answer().body == b"x" * 400_000


@pytest.mark.parametrize(
    ("start", "drip"),
    [
        pytest.param(b"G", b"", id="from-the-first-byte"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"", id="header-never-ended"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n", b"X: a\r\n", id="one-line-after-another"),
        pytest.param(request("GET", "/done") + b"GET /half HTTP/1.1\r\n", b"X: a\r\n", id="second-request"),
    ],
)
def test_a_head_that_does_not_end_is_timed_out(start: bytes, drip: bytes, loop: str) -> None:
    """Slowloris: the time runs from the first byte and more bytes do not renew it."""
    echo = Echo()
    with serving(echo, loop=loop, limits=Limits(header_seconds=0.3)) as door, door.connect() as client:
        client.send(start)
        if before := start.startswith(b"GET /done"):
            assert client.answer().status == 200
        client.sock.settimeout(0.02)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                if not client.read():
                    break
            except TimeoutError:
                _pour(client, drip, len(drip))
                continue
            client.sock.settimeout(PATIENCE)
            break
        answer = client.answer()
        assert answer.status == 408
        assert json.loads(answer.body)["error"]["type"] == "timeout_error"
        assert client.closed()
    assert len(echo.paths) == int(before)


@pytest.mark.parametrize("before", [b"", request("GET", "/"), b"\r\n"], ids=["fresh", "used", "blank-line"])
def test_an_idle_connection_ends_without_a_word(before: bytes, loop: str) -> None:
    with serving(Echo(), loop=loop, limits=Limits(idle_seconds=0.2)) as door, door.connect() as client:
        client.send(before)
        if len(before) > 2:
            assert client.answer().status == 200
        assert client.closed()


def test_a_connection_is_kept_while_it_is_used(loop: str) -> None:
    with serving(Echo(), loop=loop, limits=Limits(idle_seconds=5.0)) as door, door.connect() as client:
        for _ in range(20):
            assert client.get("/").answer().status == 200


def test_a_body_that_falls_silent_is_timed_out(loop: str) -> None:
    """decisions: 30 s between two body bytes at most, here 0.2 s."""
    echo = Echo()
    limits = Limits(body_gap_seconds=0.2)
    with serving(echo, loop=loop, limits=limits) as door, door.connect() as client:
        client.send(request("POST", "/", "Content-Length: 10") + b"abc")
        answer = client.answer()
        assert answer.status == 408
        assert client.closed()
    assert echo.bodies == []
    assert echo.disconnects == 1


def test_a_body_that_only_drips_is_timed_out(loop: str) -> None:
    """decisions: less than 4 KiB/s over 60 s is closed with 408; here over 0.4 s."""
    echo = Echo()
    limits = Limits(body_gap_seconds=PATIENCE, body_rate_seconds=0.4)
    with serving(echo, loop=loop, limits=limits) as door, door.connect() as client:
        client.send(request("POST", "/", "Content-Length: 1000000"))
        client.sock.settimeout(0.02)
        answered = b""
        until = time.monotonic() + PATIENCE
        while not answered and time.monotonic() < until:
            _pour(client, b"a", 1)
            try:
                answered = client.read()
            except TimeoutError:
                continue
        client.sock.settimeout(PATIENCE)
        assert client.answer().status == 408
    assert echo.bodies == []


def test_a_slow_but_steady_body_is_taken(loop: str) -> None:
    echo = Echo()
    limits = Limits(body_gap_seconds=PATIENCE, body_rate_seconds=0.05, body_rate=1)
    with serving(echo, loop=loop, limits=limits) as door, door.connect() as client:
        client.send(request("POST", "/", "Content-Length: 30"))
        for _ in range(30):
            client.send(b"a")
            time.sleep(0.02)
        assert client.answer().body == b"a" * 30


def test_time_does_not_run_while_this_side_is_not_reading(loop: str) -> None:
    """An application busy elsewhere must not make its client look slow, nor one that waits for 100."""

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(1.2)
            size = 0
            more = True
            while more:
                message = await receive()
                assert message["type"] == "http.request"
                size += len(message["body"])
                more = message["more_body"]
            await respond(send, str(size).encode())

    limits = Limits(body_gap_seconds=0.6, body_rate_seconds=0.8)
    with serving(late, loop=loop, limits=limits) as door:
        with door.connect() as client:
            assert client.post("/", b"a" * 500_000).answer().body == b"500000"
        with door.connect() as client:
            client.send(request("POST", "/", "Content-Length: 2", "Expect: 100-continue"))
            assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
            assert client.send(b"hi").answer().body == b"2"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_answer_before_the_body_reaches_a_client_that_is_still_sending(framing: str, loop: str) -> None:
    """The rest is read and dropped: a reset would take the answer away. Nothing of it becomes a request."""
    seen: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.append(True)
            await respond(send, b"refused", 413)

    body = request("GET", "/smuggled") * 400_000  # 13 MB
    with serving(app, loop=loop) as door, door.connect() as client:
        if framing == "length":
            client.send(request("POST", "/", f"Content-Length: {len(body)}") + body)
        else:
            client.send(request("POST", "/", "Transfer-Encoding: chunked") + chunked(body))
        answer = client.answer()
        assert (answer.status, answer.body) == (413, b"refused")
        assert answer.header("connection") == "close"
        assert client.closed()
    assert seen == [True]


def test_what_is_dropped_after_an_answer_is_bounded(loop: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await respond(send, b"refused", 413)

    limits = Limits(linger_body_bytes=MIB)
    with serving(app, loop=loop, limits=limits) as door, door.connect() as client:
        client.send(request("POST", "/", "Content-Length: 9999999999"))
        assert client.answer().status == 413
        assert _pour(client, b"a" * 65536, 200 * MIB) < 40 * MIB


def test_a_client_that_lingers_on_is_closed(loop: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await respond(send, b"refused", 413)

    with serving(app, loop=loop, limits=Limits(linger_seconds=0.2)) as door, door.connect() as client:
        client.send(request("POST", "/", "Content-Length: 10") + b"abc")
        assert client.answer().status == 413
        until = time.monotonic() + PATIENCE
        while door.server.connections and time.monotonic() < until:
            time.sleep(0.02)
        assert door.server.connections == 0


def test_a_connection_goes_on_after_a_refusal_whose_body_was_there(loop: str) -> None:
    """No `connection: close` where nothing is left over: clients keep their connection after a 401."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await respond(send, b"refused", 401)

    with serving(app, loop=loop) as door, door.connect() as client:
        for _ in range(3):
            answer = client.post("/", b"small").answer()
            assert answer.status == 401
            assert answer.header("connection") is None


def test_a_body_left_unread_by_the_application_is_bounded_in_memory(loop: str) -> None:
    """Back-pressure: what nobody reads stays with the sender."""
    release = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.to_thread(release.wait, PATIENCE)
            await respond(send, b"", 401)

    with serving(app, loop=loop) as door, door.connect() as client:
        client.send(request("POST", "/", f"Content-Length: {200 * MIB}"))
        client.sock.settimeout(1.0)
        assert _pour(client, b"a" * 65536, 200 * MIB) < 40 * MIB
        release.set()
        client.sock.settimeout(PATIENCE)
        assert client.answer().status == 401


def test_bytes_sent_ahead_of_an_answer_are_bounded(loop: str) -> None:
    release = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.to_thread(release.wait, PATIENCE)
            await respond(send, scope["path"].encode())

    with serving(app, loop=loop) as door, door.connect() as client:
        client.get("/0").send(request("POST", "/1", f"Content-Length: {200 * MIB}"))
        client.sock.settimeout(1.0)
        assert _pour(client, b"a" * 65536, 200 * MIB) < 40 * MIB
        release.set()
        client.sock.settimeout(PATIENCE)
        assert client.answer().body == b"/0"
        assert client.answer().body == b"/1"


@pytest.mark.parametrize("end", ["stream", "large"])
def test_a_client_that_stops_reading_is_let_go(end: str, loop: str) -> None:
    """reliability R5: back-pressure first, and an end when nothing is taken for the stall limit."""
    written = 0
    over: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal written
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if end == "large":
            await send({"type": "http.response.body", "body": b"a" * 64 * MIB})
        else:
            for _ in range(100_000):
                await send({"type": "http.response.body", "body": b"a" * 65536, "more_body": True})
                written += 65536
                if (await _poll(receive))["type"] == "http.disconnect":
                    break
        over.append("over")

    async def _poll(receive: Receive) -> Message:
        try:
            return await asyncio.wait_for(receive(), 0.0005)
        except TimeoutError:
            return {"type": "http.request"}

    limits = Limits(stall_seconds=0.3)
    with serving(app, loop=loop, limits=limits) as door, door.connect(receive_buffer=4096) as client:
        client.get("/")
        until = time.monotonic() + PATIENCE
        while (door.server.connections or not over) and time.monotonic() < until:
            time.sleep(0.02)
        assert door.server.connections == 0
        assert over == ["over"]
        assert written < 64 * MIB


def test_a_slow_reader_that_goes_on_reading_is_kept(loop: str) -> None:
    size = 6 * MIB

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await respond(send, b"a" * size)

    limits = Limits(stall_seconds=1.0, stall_bytes=1)
    with serving(app, loop=loop, limits=limits) as door, door.connect(receive_buffer=65536) as client:
        client.get("/", "Connection: close")
        got = reads = 0
        while data := client.read():
            got += len(data)
            reads += 1
            if reads % 16 == 0:
                time.sleep(0.05)
        assert got > size


def test_answers_leave_at_once(loop: str) -> None:
    """TCP_NODELAY is set on what the door accepts."""
    flags: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            transport = receive.__self__.transport.write.__self__  # type: ignore[attr-defined]
            sock = transport.get_extra_info("socket")
            flags.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            flags.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
            await respond(send)

    with serving(app, loop=loop, limits=Limits(stall_seconds=60)) as door, door.connect() as client:
        assert client.get("/").answer().status == 200
    assert flags == [1, 60_000]
