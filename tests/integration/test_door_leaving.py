"""Clients that leave and applications that fail: who is told, and what the other side sees."""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import threading
from collections.abc import Callable

import pytest

from dragoman.web.departure import EXTENSION
from dragoman.web.limits import Limits
from tests.support.frontdoor import (
    LOOPS,
    PATIENCE,
    Client,
    Receive,
    Scope,
    Send,
    chunked,
    request,
    respond,
    serving,
)

_HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}


@pytest.fixture(params=sorted(LOOPS))
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Streamer:
    """Streams without end beside a watcher on `receive`."""

    def __init__(self, *, chunk: bytes = b"x", pause: float = 0.01, silent: bool = False) -> None:
        self.events: queue.Queue[str] = queue.Queue()
        self._chunk = chunk
        self._pause = pause
        self._silent = silent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        if message["type"] == "http.disconnect":
            self.events.put("gone before the answer")
            return
        streaming = asyncio.ensure_future(self._stream(send))
        while (await receive())["type"] != "http.disconnect":
            pass
        self.events.put("gone")
        streaming.cancel()
        await asyncio.wait([streaming])

    async def _stream(self, send: Send) -> None:
        if not self._silent:
            await send(_HEAD)
        self.events.put("streaming")
        while True:
            if not self._silent:
                await send({"type": "http.response.body", "body": self._chunk, "more_body": True})
            await asyncio.sleep(self._pause)


class Told(Streamer):
    """The same, told by a call, as the Messages door is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        while (await receive())["more_body"]:
            pass
        left = asyncio.Event()
        departure = scope["extensions"][EXTENSION]
        departure.watch(left.set)
        streaming = asyncio.ensure_future(self._stream(send))
        await left.wait()
        self.events.put("gone")
        streaming.cancel()
        await asyncio.wait([streaming])


def _reset(client: Client) -> None:
    client.reset()


def _close(client: Client) -> None:
    client.sock.close()


def _half_close(client: Client) -> None:
    client.finish()


_WAYS = {"reset": _reset, "close": _close, "half-close": _half_close}


@pytest.mark.parametrize("leave", _WAYS.values(), ids=_WAYS.keys())
@pytest.mark.parametrize("shape", ["streaming", "silent", "back-pressure"])
@pytest.mark.parametrize("kind", [Streamer, Told])
@pytest.mark.parametrize("size", [2, 300_000], ids=["small", "large"])
def test_a_client_that_leaves_is_noticed_at_once(
    leave: Callable[[Client], None], shape: str, kind: type[Streamer], size: int, loop: str
) -> None:
    """decisions "client gone": RST, FIN and a half-close after the request, whatever flows just then.

    A large body stops the reading for a while; it must have been taken up again.
    """
    app = kind(
        chunk=b"x" * 65536 if shape == "back-pressure" else b"x",
        pause=0 if shape == "back-pressure" else 0.01,
        silent=shape == "silent",
    )
    with serving(app, loop=loop) as door, door.connect(receive_buffer=4096) as client:
        client.post("/", b" " * size)
        assert app.events.get(timeout=PATIENCE) == "streaming"
        if shape == "streaming":
            client.until(b"\r\nx\r\n")
        leave(client)
        assert app.events.get(timeout=PATIENCE) == "gone"


def test_a_pipelining_client_that_leaves_is_noticed_too(loop: str) -> None:
    app = Streamer()
    with serving(app, loop=loop) as door, door.connect() as client:
        client.send(request("GET", "/0") + request("GET", "/1")).send(b"GET /2")
        assert app.events.get(timeout=PATIENCE) == "streaming"
        client.reset()
        assert app.events.get(timeout=PATIENCE) == "gone"
    assert app.events.empty()  # the second request was never begun


@pytest.mark.parametrize("leave", _WAYS.values(), ids=_WAYS.keys())
def test_leaving_inside_the_body_is_told_instead_of_a_short_body(
    leave: Callable[[Client], None], loop: str
) -> None:
    app = Streamer()
    with serving(app, loop=loop) as door, door.connect() as client:
        client.send(request("POST", "/", "Content-Length: 10", "Expect: 100-continue"))
        client.until(b"\r\n\r\n")
        leave(client.send(b"abc"))
        assert app.events.get(timeout=PATIENCE) == "gone before the answer"
    assert app.events.empty()


@pytest.mark.parametrize("leave", [_reset, _half_close], ids=["reset", "half-close"])
@pytest.mark.parametrize("sent", [b"", b"GET", request("POST", "/", "Content-Length: 9")[:-2]])
def test_leaving_before_a_request_is_complete_starts_nothing(
    leave: Callable[[Client], None], sent: bytes, loop: str
) -> None:
    app = Streamer()
    with serving(app, loop=loop) as door:
        with door.connect() as client:
            client.send(sent)
            leave(client)
            if leave is _half_close:
                assert client.closed()
        with door.connect() as client:  # the server lives
            client.get("/")
            assert app.events.get(timeout=PATIENCE) == "streaming"


def test_an_answer_that_waits_for_nothing_reaches_a_half_closed_client(loop: str) -> None:
    """`printf … | nc -N`: a probe that half-closes still learns whether this server is well."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            while (await receive())["type"] != "http.disconnect":
                pass
            assert (await receive())["type"] == "http.disconnect"
            await respond(send, b"well")

    with serving(app, loop=loop) as door, door.connect() as client:
        client.sock.sendall(request("GET", "/"))
        client.finish()
        answer = client.answer()
        assert answer.body == b"well"
        assert client.closed()


def test_a_half_closed_client_that_is_given_up_sees_the_end(loop: str) -> None:
    app = Streamer(silent=True)
    with serving(app, loop=loop) as door, door.connect() as client:
        client.get("/").finish()
        assert client.closed()


@pytest.mark.parametrize("way", ["raise", "return"])
def test_an_application_that_fails_before_its_answer_is_a_500_in_the_envelope(
    way: str, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and way == "raise":
            raise ValueError("secret detail")

    with caplog.at_level(logging.ERROR), serving(app, loop=loop) as door, door.connect() as client:
        answer = client.get("/", "X-Request-Id: mine").answer()
        assert client.closed()
    assert answer.status == 500
    assert json.loads(answer.body)["error"]["type"] == "api_error"
    assert answer.header("request-id") == "mine"
    assert b"secret" not in answer.body
    assert "dragoman.web.cycle" in {record.name for record in caplog.records}
    assert "secret" not in caplog.text
    assert ("ValueError at" in caplog.text) is (way == "raise")


def test_a_failure_after_the_client_left_is_no_error_of_ours(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    over = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            while (await receive())["type"] != "http.disconnect":
                pass
            over.set()
            raise ValueError("nobody is there")

    with caplog.at_level(logging.ERROR), serving(app, loop=loop) as door:
        with door.connect() as client:
            client.get("/")
            client.reset()
        assert over.wait(PATIENCE)
    assert [record for record in caplog.records if record.name.startswith("dragoman")] == []


def test_a_failure_on_head_has_no_body(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raise ValueError("boom")

    with caplog.at_level(logging.CRITICAL), serving(app, loop=loop) as door, door.connect() as client:
        assert client.send(request("HEAD", "/")).answer(head=True).status == 500
        assert client.closed()


@pytest.mark.parametrize("way", ["raise", "return"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_an_application_that_fails_inside_its_answer_cuts_it_visibly(
    way: str, framing: str, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Never a well-formed end: clients would take half an answer for a whole one."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        fields = [(b"content-length", b"100")] if framing == "length" else []
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        if way == "raise":
            raise ValueError("boom")

    with caplog.at_level(logging.ERROR), serving(app, loop=loop) as door, door.connect() as client:
        answer = client.get("/").answer()
        assert answer.body == b"half"
        assert not answer.complete
        assert client.closed()


def test_a_broken_body_after_the_answer_began_cuts_it_visibly(loop: str) -> None:
    gone = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send(_HEAD)
            await send({"type": "http.response.body", "body": b"early", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

    with serving(app, loop=loop) as door, door.connect() as client:
        client.send(request("POST", "/", "Transfer-Encoding: chunked"))
        client.until(b"early\r\n")
        client.send(b"nonsense\r\n")
        assert b"0\r\n\r\n" not in client.rest()
        assert gone.wait(PATIENCE)


def test_garbage_behind_a_request_does_not_break_into_its_stream(loop: str) -> None:
    release = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send(_HEAD)
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            await asyncio.to_thread(release.wait, PATIENCE)
            await send({"type": "http.response.body", "body": b"second"})

    with serving(app, loop=loop) as door, door.connect() as client:
        client.get("/")
        client.until(b"first\r\n")
        client.send(b"\x00garbage\r\n\r\n")
        release.set()
        assert client.until(b"0\r\n\r\n") == b"6\r\nsecond\r\n"
        told = client.answer()
        assert told.status == 400
        assert client.closed()


@pytest.mark.parametrize("length", [True, False])
def test_http_1_0_clients_get_no_chunks(length: bool, loop: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            fields = [(b"content-length", b"8")] if length else []
            await send({"type": "http.response.start", "status": 200, "headers": fields})
            for part in (b"one.", b"two."):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    with serving(app, loop=loop) as door:
        for headers in ([], ["Connection: keep-alive"]):
            with door.connect() as client:
                answer = client.send(request("GET", "/", *headers, version="1.0")).answer()
                assert answer.header("transfer-encoding") is None
                assert answer.header("connection") == "close"
                assert answer.body == b"one.two."
                assert client.closed()
        with door.connect() as client:
            client.send(request("HEAD", "/", version="1.0"))
            assert client.answer(head=True).status == 200
            assert client.closed()


def test_an_http_1_0_client_that_stops_reading_is_let_go(loop: str) -> None:
    over = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send(_HEAD)
            for _ in range(1000):
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            assert (await receive())["type"] == "http.disconnect"
            over.set()

    limits = Limits(stall_seconds=0.3)
    with serving(app, loop=loop, limits=limits) as door, door.connect(receive_buffer=4096) as client:
        client.send(request("GET", "/", version="1.0"))
        assert over.wait(PATIENCE)


def test_an_answer_larger_than_any_buffer_arrives_whole_over_http_1_0(loop: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(100):
                await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            await send({"type": "http.response.body"})

    with serving(app, loop=loop) as door, door.connect(receive_buffer=65536) as client:
        assert len(client.send(request("GET", "/", version="1.0")).answer().body) == 10_000_000


def test_chunked_uploads_and_streams_do_not_disturb_each_other(loop: str) -> None:
    """Many connections at once, each with its own bytes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await send(_HEAD)
        more = True
        size = 0
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
        for _ in range(20):
            await send({"type": "http.response.body", "body": b"%d." % size, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"end"})

    with serving(app, loop=loop) as door:
        clients = [door.connect() for _ in range(20)]
        try:
            for number, client in enumerate(clients):
                client.send(request("POST", "/", "Transfer-Encoding: chunked"))
                client.send(chunked(*[b"a" * 1000] * (number + 1)))
            for number, client in enumerate(clients):
                expected = b"%d." % (1000 * (number + 1)) * 20 + b"end"
                assert client.answer().body == expected
        finally:
            for client in clients:
                client.sock.close()
