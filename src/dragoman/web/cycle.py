"""One request and its answer on a connection: uvicorn's cycle, with this door's endings.

It adds to uvicorn's ASGI bridge that a half-closed client counts as gone, that whatever an application
leaves undone ends in an envelope or in a visible cut (never in a silent end), and that HTTP/1.0 clients get
no chunks. It knows no route and no limit.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from dragoman.web.departure import Departure
from dragoman.wire.errors import Failure, Kind

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent

_log = logging.getLogger(__name__)
_FRAMES = 5
_BODILESS = (204, 304)
_LAST_CHUNK = b"0\r\n\r\n"
# What may stand in a header field: no control character but the tab (RFC 9110, 5.5).
_FIELD_BYTES = bytes(code for code in range(256) if code >= 0x20 or code == 0x09).replace(b"\x7f", b"")

_FAULT = Failure(Kind.INTERNAL, "The gateway met an internal fault.")
_ENDING = Failure(Kind.OVERLOADED, "The gateway is shutting down.", retry_after=1)


class Outlet:
    """What a cycle may do to its connection: write at once, and ask the door for the end."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class Cycle(RequestResponseCycle):
    """`gone`: the client closed its sending side; an application that watches `receive` learns it at once."""

    gone = False
    _head = b""  # what the next write begins with
    departure: Departure
    give_up: Callable[[Cycle, Failure], None]

    def leave(self) -> None:
        """The connection is lost: `receive` says so at once and `send` goes nowhere."""
        self.disconnected = True
        self.message_event.set()
        self.departure.happen()

    def half_close(self) -> None:
        """The client will say nothing more. Who watches `receive` learns of it; who is answering may end."""
        self.gone = True
        self.keep_alive = False
        self.message_event.set()
        self.departure.happen()

    async def run_asgi(self, app: ASGI3Application) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._conclude(_ENDING)
        except Exception as error:
            if not self.disconnected:
                _log.error("the application failed: %s at %s", type(error).__name__, _places(error))
            self._conclude(_FAULT)
        else:
            if not (self.response_complete or self.disconnected or self.gone):
                _log.error("the application returned without completing its answer")
            self._conclude(_FAULT)
        finally:
            self.on_response = _nothing

    def _conclude(self, failure: Failure) -> None:
        if self.response_complete or self.disconnected:
            return
        if self.response_started or self.gone:
            self._put(b"")
            self.disconnected = True
            self.transport.close()  # without the end of the body: the client sees the cut
        else:
            self.give_up(self, failure)

    async def send(self, message: ASGISendEvent) -> None:
        """uvicorn's, cheaper: names arrive in lower case, fields are checked together, the head waits for the
        first of the body so that both leave in one write."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        event = cast("dict[str, Any]", message)
        kind = event["type"]
        if not self.response_started:
            if kind != "http.response.start":
                raise RuntimeError(f"{kind} before the start")
            self._start(event["status"], event.get("headers", ()))
        elif self.response_complete or kind != "http.response.body":
            raise RuntimeError(f"{kind} after {'the end' if self.response_complete else 'the start'}")
        else:
            self._write(event.get("body", b""), last=not event.get("more_body", False))

    def _start(self, status: int, fields: Sequence[tuple[bytes, bytes]]) -> None:
        lines = [b"%b: %b\r\n" % field for field in fields]
        told = b"".join(lines)
        if told.translate(None, _FIELD_BYTES) != b"\r\n" * len(lines):
            raise RuntimeError("a control character in a header field")
        self.response_started = True
        self.waiting_for_100_continue = False
        known = dict(fields)
        if (length := known.get(b"content-length")) is not None:
            self.expected_content_length = int(length)
            self.chunked_encoding = False
        if b"close" in known.get(b"connection", b""):
            self.keep_alive = False
        elif not self.keep_alive:
            told += b"connection: close\r\n"
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in _BODILESS:
            self.chunked_encoding = True
            told += b"transfer-encoding: chunked\r\n"
        self._head = b"%b%b\r\n" % (STATUS_LINE[status], told)

    def _write(self, body: bytes, *, last: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            body = b""
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if last:
                body += _LAST_CHUNK
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body is longer than its content-length")
        self._put(body)
        if last:
            if self.expected_content_length:
                raise RuntimeError("the body is shorter than its content-length")
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _put(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        self.transport.write(data)

    async def receive(self) -> ASGIReceiveEvent:
        if not self.gone:
            message = await super().receive()
            if not self._has_left():  # meanwhile
                return message
        return {"type": "http.disconnect"}

    def _has_left(self) -> bool:
        return self.gone


class OldCycle(Cycle):
    """A cycle for HTTP/1.0, which knows no chunks: a body of unknown length ends with the connection."""

    _until_close = False

    async def send(self, message: ASGISendEvent) -> None:
        event = cast("dict[str, Any]", message)
        if not self.response_started and event["type"] == "http.response.start":
            names = {name.lower() for name, _ in event.get("headers", ())}
            if b"content-length" not in names and self.scope["method"] != "HEAD":
                self._until_close = True
                self.chunked_encoding = False  # uvicorn then adds no Transfer-Encoding
            await super().send(message)
            return
        if not self._until_close or self.response_complete:
            await super().send(message)
            return
        if self.flow.write_paused:
            await self.flow.drain()  # also when the connection is lost
        if self.disconnected:
            return
        self._put(event.get("body", b""))
        if not event.get("more_body", False):
            self.response_complete = True
            self.message_event.set()
            self.transport.close()
            self.on_response()


def _places(error: Exception) -> str:
    """Where it happened, innermost last. An exception's message may quote a request: it is not logged."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return ", ".join(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)


def _nothing() -> None:
    """Stands in for the door once an answer is over."""
