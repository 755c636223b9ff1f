"""Properties of the front door over arbitrary bytes: one reading, however they arrive, and never a fault."""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from dragoman.web.limits import Limits
from dragoman.web.protocol import DoorConfig, DoorProtocol, Drain
from tests.support.frontdoor import Echo, chunked, request


class Wire(asyncio.Transport):
    """A transport that keeps what is written and ends in the same turn."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False
        self.unsent = 0
        self.paused = False
        self.protocol: DoorProtocol | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        assert not self.closing, "written after the end"
        self.written += data

    def write_eof(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            assert self.protocol is not None
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()


async def _through(pieces: list[bytes], limits: Limits, *, eof: bool) -> tuple[Echo, bytes]:
    """What reaches the application and what is answered when the pieces arrive one after another."""
    echo = Echo()
    config = DoorConfig(echo, limits=limits, host_allowed=None, fresh_id=lambda: "req_fresh", drain=Drain())
    state = ServerState()
    wire = Wire()
    protocol = DoorProtocol(config, state, {}, asyncio.get_running_loop())
    wire.protocol = protocol
    protocol.connection_made(wire)
    for piece in pieces:
        if wire.closing:
            break
        if piece:
            protocol.data_received(piece)
        else:
            await asyncio.sleep(0)  # time passes
    for _ in range(100):  # far more turns than any of these conversations takes
        await asyncio.sleep(0)
    if eof and not wire.closing:
        protocol.eof_received()
    wire.close()
    await asyncio.sleep(0)
    if state.tasks:
        await asyncio.wait(state.tasks)
    assert not state.connections
    return echo, wire.written


def _run(pieces: list[bytes], limits: Limits | None = None, *, eof: bool = False) -> tuple[Echo, bytes]:
    return asyncio.run(_through(pieces, limits or Limits(), eof=eof))


_paths = st.text("abc/%?=&.~-_", max_size=12).map(lambda text: "/" + text)
_bodies = st.binary(max_size=60)
_offers = st.sampled_from([(), ("Connection: Upgrade", "Upgrade: h2c"), ("X-A: b", "X-A: \t c")])


@st.composite
def _requests(draw: st.DrawFn) -> bytes:
    path, fields = draw(_paths), draw(_offers)
    match draw(st.sampled_from(["none", "length", "chunked", "trailer"])):
        case "none":
            return request("GET", path, *fields)
        case "length":
            body = draw(_bodies)
            return request("POST", path, f"Content-Length: {len(body)}", *fields) + body
        case "chunked":
            parts = draw(st.lists(_bodies.filter(len), max_size=3))
            return request("POST", path, "Transfer-Encoding: chunked", *fields) + chunked(*parts)
        case _:
            body = chunked(draw(_bodies.filter(len)), trailer=b"X-Evil: 1\r\nX-More: 2\r\n")
            return request("POST", path, *fields, "Transfer-Encoding: chunked") + body


_streams = st.lists(_requests(), min_size=1, max_size=5).map(b"".join)


@st.composite
def _cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The bytes in pieces, with turns of the loop between some of them."""
    at = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    pieces: list[bytes] = []
    for start, end in zip([0, *at], [*at, len(data)], strict=True):
        pieces.append(data[start:end])
        if draw(st.booleans()):
            pieces.append(b"")
    return pieces


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """A stream of requests with some bytes changed, removed, added or repeated."""
    data = draw(_streams)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 6))
        match draw(st.sampled_from(["change", "remove", "add", "repeat", "known"])):
            case "change":
                data = data[:at] + draw(st.binary(min_size=length, max_size=length)) + data[at + length :]
            case "remove":
                data = data[:at] + data[at + length :]
            case "add":
                data = data[:at] + draw(st.binary(max_size=6)) + data[at:]
            case "repeat":
                data = data[:at] + data[max(0, at - 20) : at] + data[at:]
            case _:
                token = draw(st.sampled_from(_TOKENS))
                data = data[:at] + token + data[at:]
    return data


_TOKENS = [
    b"\r\n",
    b"\n",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"Host: y\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 3\r\n",
    b"Upgrade: websocket\r\nConnection: upgrade\r\n",
    b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x00",
    b"\xff",
    b" ",
]


def _answers(written: bytes) -> list[int]:
    """The statuses of what was answered; fails where it is not a sequence of well-formed answers."""
    statuses = []
    closed = False
    while written:
        assert not closed, "something was said after the last answer"
        if written.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
            written = written[25:]
            continue
        head, mark, written = written.partition(b"\r\n\r\n")
        assert mark
        statuses.append(int(re.match(rb"HTTP/1\.1 (\d{3}) ", head)[1]))  # type: ignore[index]
        closed = b"connection: close" in head
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        written = written[int(length[1]) :]
    return statuses


@settings(deadline=None)
@given(data=st.data(), stream=_streams)
def test_requests_mean_the_same_however_their_bytes_arrive(data: st.DataObject, stream: bytes) -> None:
    whole, answered = _run([stream])
    pieces = data.draw(_cuts(stream))
    parts, answered_in_parts = _run(pieces)
    assert parts.bodies == whole.bodies
    assert parts.paths == whole.paths
    assert answered_in_parts == answered
    assert set(_answers(answered)) == {200}


@settings(deadline=None)
@given(data=st.data(), stream=_mutated(), eof=st.booleans())
def test_damaged_requests_never_fault_and_never_split_an_answer(
    data: st.DataObject, stream: bytes, eof: bool
) -> None:
    limits = Limits(header_bytes=400, header_fields=8, target_bytes=60, pipelined=3, linger_head_bytes=100)
    echo, answered = _run(data.draw(_cuts(stream)), limits, eof=eof)
    statuses = _answers(answered)
    assert {status for status in statuses if status != 200} <= {400, 405, 414, 426, 431}
    assert len([status for status in statuses if status == 200]) <= len(echo.bodies)
    for scope in echo.scopes:
        names = [name for name, _ in scope["headers"]]
        assert names.count(b"host") <= 1
        assert not (b"content-length" in names and b"transfer-encoding" in names)
        assert scope["http_version"] in ("1.0", "1.1")
        assert len(cast("bytes", scope["raw_path"])) <= 60
        assert sum(len(name) + len(value) for name, value in scope["headers"]) <= 400


@settings(deadline=None)
@given(pieces=st.lists(st.binary(max_size=200), max_size=6))
def test_arbitrary_bytes_never_fault(pieces: list[bytes]) -> None:
    _, answered = _run(pieces)
    assert set(_answers(answered)) <= {200, 400, 405, 414, 426, 431}


def _connected(limits: Limits) -> tuple[DoorProtocol, Wire]:
    config = DoorConfig(Echo(), limits=limits, host_allowed=None, fresh_id=str, drain=Drain())
    protocol = DoorProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    wire = Wire()
    wire.protocol = protocol
    protocol.connection_made(wire)
    return protocol, wire


async def test_bytes_ahead_of_their_turn_are_kept_up_to_a_bound() -> None:
    protocol, wire = _connected(Limits(ahead_bytes=60))
    protocol.data_received(request("GET", "/0"))
    protocol.data_received(request("GET", "/1"))
    assert not wire.paused
    protocol.data_received(request("GET", "/2"))
    protocol.data_received(request("GET", "/3"))
    assert wire.paused
    for _ in range(20):
        await asyncio.sleep(0)
    assert not wire.paused
    assert _answers(wire.written) == [200] * 4
    wire.close()
    await asyncio.sleep(0)


async def test_a_client_that_takes_something_is_kept_one_that_takes_nothing_is_not() -> None:
    """The stall limit looks at what was taken since, not at whether everything was."""
    protocol, wire = _connected(Limits(stall_bytes=100))
    wire.unsent = 1000
    protocol.pause_writing()
    wire.unsent = 900
    protocol._stalled()
    assert not wire.closing
    wire.unsent = 801
    protocol._stalled()
    assert wire.closing
    await asyncio.sleep(0)


def test_a_head_that_is_wrong_in_two_ways_is_refused_once() -> None:
    """Malformed, and at the byte where that is seen over the limit as well."""
    _, answered = _run([b"T", b"his is no request" * 40], Limits(header_bytes=400, target_bytes=60))
    assert _answers(answered) == [400]


def test_a_body_that_is_wrong_in_two_ways_is_refused_once() -> None:
    head = request("POST", "/", "Transfer-Encoding: chunked")
    _, answered = _run([head, b"1;" + b"a" * 70_000 + b"\x00"])
    assert _answers(answered) == [400]


def test_trailers_are_seen_by_no_request() -> None:
    first = request("POST", "/", "Transfer-Encoding: chunked") + chunked(b"a", trailer=b"X-Evil: 1\r\n")
    for cut in range(len(first)):
        echo, _ = _run([first[:cut], first[cut:] + request("GET", "/next")])
        assert echo.bodies == [b"a", b""]
        assert all(name != b"x-evil" for scope in echo.scopes for name, _ in scope["headers"])
