"""One request and its answer on a connection: uvicorn's cycle, with this door's endings.

It adds to uvicorn's ASGI bridge that a half-closed client counts as gone, that whatever an application
leaves undone ends in an envelope or in a visible cut (never in a silent end), and that HTTP/1.0 clients get
no chunks. It knows no route and no limit.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from dragoman.wire.errors import Failure, Kind

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent

_log = logging.getLogger(__name__)
_FRAMES = 5

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
    give_up: Callable[[Cycle, Failure], None]

    def leave(self) -> None:
        """The connection is lost: `receive` says so at once and `send` goes nowhere."""
        self.disconnected = True
        self.message_event.set()

    def half_close(self) -> None:
        """The client will say nothing more. Who watches `receive` learns of it; who is answering may end."""
        self.gone = True
        self.keep_alive = False
        self.message_event.set()

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
            self.disconnected = True
            self.transport.close()  # without the end of the body: the client sees the cut
        else:
            self.give_up(self, failure)

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
        self.transport.write(event.get("body", b""))
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
