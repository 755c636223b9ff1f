"""One connection of the front door: uvicorn's httptools protocol with the limits that it lacks.

It decides which bytes become a request at all (RFC 9112, stricter where peers disagree), how long a client
may take, and that a client which left is noticed at once. Whatever it refuses never reaches the application.
It never reads a body's meaning and knows no route.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dragoman.web import head, reply
from dragoman.web.cycle import Cycle, OldCycle, Outlet
from dragoman.web.departure import EXTENSION, Departure
from dragoman.web.limits import Limits
from dragoman.web.routes import speaks_openai
from dragoman.wire.errors import Failure, Kind

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope
    from uvicorn.server import ServerState


class Drain:
    """Whether the server is on its way out; requests that come now are answered, connections not kept."""

    begun = False


class DoorConfig(uvicorn.Config):
    """uvicorn's configuration and what the door wants to know beyond it."""

    def __init__(
        self,
        app: Any,
        *,
        limits: Limits,
        host_allowed: Callable[[str], bool] | None,
        fresh_id: Callable[[], str],
        drain: Drain,
    ) -> None:
        super().__init__(
            app,
            http=DoorProtocol,
            loop="none",
            ws="none",
            lifespan="auto",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
        self.limits = limits
        self.host_allowed = host_allowed
        self.fresh_id = fresh_id
        self.drain = drain


class _Phase(Enum):
    IDLE = "between two messages"
    HEAD = "in a head"
    BODY = "in a body"


_IDLE, _HEAD, _BODY = _Phase  # members of an Enum are slow to reach by name
_NOTED = head.NOTED
_PER_FIELD = len(": \r\n")


class _Stop(Exception):
    """Ends parsing from inside a callback; the reason is in `_verdict`."""


_MALFORMED = head.Refusal(Failure(Kind.INVALID_REQUEST, "The request is not valid HTTP."))
_SLOW = head.Refusal(Failure(Kind.REQUEST_TIMEOUT, "The request did not arrive in time."))
_TRAILER_BYTES = 64 * 1024


class _Flow(FlowControl):
    """uvicorn's flow control, which also tells that reading was taken up again since one last looked."""

    resumptions = 0

    def resume_reading(self) -> None:
        if self.read_paused:
            self.resumptions += 1
            super().resume_reading()


class DoorProtocol(HttpToolsProtocol):
    """A connection. At most one timer watches the idleness, one the input and one the output."""

    def __init__(
        self,
        config: DoorConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = False
        self.door = config
        self.limits = config.limits
        self._phase = _IDLE
        self._verdict = _MALFORMED  # why a callback ended the parsing
        self._deaf = False  # input is read and dropped from here on
        self._ended = False  # nothing more will be written
        self._silent = False  # the client closed its sending side
        self._active: Cycle | None = None  # the request being answered
        self._ahead = bytearray()  # bytes that came before their turn
        self._head_bytes = 0
        self._begun = False  # a message began inside the piece being parsed
        self._offer = False  # the parser stopped at an Upgrade that is not taken up
        self._noted: head.Noted = {}
        self.url = b""
        self._unbodied = 0
        self._dropped = 0
        self._drop_limit = config.limits.linger_body_bytes
        self._watched: _Phase | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_until = 0.0
        self._output_timer: asyncio.TimerHandle | None = None
        self._last_in = 0.0
        self._window_start = 0.0
        self._window_bytes = 0
        self._reading = (0, False)
        self._unsent = 0

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self.flow: _Flow = _Flow(self.transport)
        self._outlet = Outlet(self.transport, self._end)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = self._ended = True
        self._unwatch()
        self._unwatch_idleness()
        if self._output_timer is not None:
            self._output_timer.cancel()
        for cycle in self._waiting():
            cycle.leave()
        self.pipeline.clear()
        self._ahead.clear()
        self._active = None
        super().connection_lost(exc)

    def eof_received(self) -> Any:
        """The client says no more: after a whole request it counts as gone, yet may be answered."""
        self._silent = True
        self.pipeline.clear()
        active = self._active
        if active is not None and not (active.more_body or self._ended):
            self._deaf = True
            self._unwatch()
            active.half_close()
            return True
        if active is not None:
            active.leave()
        self._end()
        return False

    def shutdown(self) -> None:
        """The server drains: an idle connection ends, a busy one after its answer."""
        if self._active is not None:
            self._active.keep_alive = False
        elif self._phase is _IDLE:
            self._end()

    def retire(self, quiet: float) -> None:
        """A successor has the port: the next answer says that the connection closes, and so do that many
        quiet seconds. To close it any sooner could meet a request on its way."""
        if self._active is not None:
            if not self._active.response_started:
                self._active.keep_alive = False
        elif (
            self._watched is _IDLE and self.loop.time() >= self._idle_until - self.limits.idle_seconds + quiet
        ):
            self._end()

    @property
    def unsent(self) -> int:
        """Bytes that the client has not taken yet."""
        return self.transport.get_write_buffer_size()

    def hang_up(self) -> None:
        """The server closes: what is sent is sent."""
        if self.unsent:
            self.transport.abort()
        else:
            self.transport.close()

    def _waiting(self) -> list[Cycle]:
        queued = [cast("Cycle", cycle) for cycle, _ in self.pipeline]
        return queued if self._active is None else [self._active, *queued]

    # Bytes in

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._drop(len(data))
        elif self._answering():
            self._keep(data)
        else:
            self._take(data)
            self._watch()

    def _answering(self) -> bool:
        """Whether a whole request is in work: what comes now belongs to a later one."""
        return self._active is not None and not self._active.more_body

    def _keep(self, data: bytes) -> None:
        self._ahead += data
        if len(self._ahead) > self.limits.ahead_bytes:
            self.flow.pause_reading()

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > self._drop_limit:
            self.transport.abort()

    def _take(self, data: bytes) -> None:
        """Parses what came; a head in pieces that end where the limit ends, a body as it is."""
        limit = self.limits.header_bytes + self.limits.target_bytes
        while data and not self._deaf:
            self._begun = False
            if self._in_body():
                data = self._parse_body(data)
                continue
            piece, data = data[: limit - self._head_bytes], data[limit - self._head_bytes :]
            rest = self._parse(piece)
            if rest:
                data = rest + data
            elif not (self._in_body() or self._begun):
                self._head_bytes += len(piece)
                if self._head_bytes >= limit:
                    self._fail(head.TOO_LARGE)

    def _in_body(self) -> bool:
        return self._phase is _BODY

    def _parse_body(self, piece: bytes) -> bytes:
        """Body bytes set the clocks; chunk extensions and trailers with no body between them are bounded."""
        self._last_in = self.loop.time()
        self._window_bytes += len(piece)
        self._unbodied += len(piece)
        rest = self._parse(piece)
        if self._unbodied > _TRAILER_BYTES and self._in_body():
            self._fail(_MALFORMED)
        return rest

    def _parse(self, piece: bytes) -> bytes:
        """Feeds the parser; returns what it left because the request before it offered another protocol."""
        self._verdict = _MALFORMED
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as offer:
            self._decline()
            return piece[offer.args[0] :]
        except httptools.HttpParserError:
            self._fail(self._verdict)
        return b""

    def _decline(self) -> None:
        """Reads the head again without its offer: that may be ignored, the body may not."""
        again = head.without_offer(self.scope["method"], self.url, self.scope["http_version"], self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._parse(again)

    def _stop(self, refusal: head.Refusal) -> NoReturn:
        self._verdict = refusal
        raise _Stop

    # The parser's callbacks

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= self.limits.pipelined:
            raise _Stop
        super().on_message_begin()
        self._phase = _HEAD
        self._begun = True
        self._head_bytes = self._unbodied = 0
        self._offer = False
        self._noted = {}

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.limits.target_bytes:
            self._stop(head.TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is _HEAD:  # else a trailer: never a header
            name = name.lower()
            self.headers.append((name, value))
            if name in _NOTED:
                self._noted.setdefault(name, []).append(value)

    def on_headers_complete(self) -> None:
        fields = self.headers
        size = sum(map(len, itertools.chain.from_iterable(fields))) + _PER_FIELD * len(fields)
        if len(fields) > self.limits.header_fields or size > self.limits.header_bytes:
            self._stop(head.TOO_LARGE)
        version = self.parser.get_http_version()
        method = self.parser.get_method().decode("ascii")
        target = head.examine(version, method, self.url, self._noted, self.door.host_allowed)
        if isinstance(target, head.Refusal):
            self._stop(target)
        self.scope["method"] = method
        self.scope["http_version"] = version
        if self.parser.should_upgrade():
            self._offer = True
            return
        path, query = target
        self.scope["path"] = unquote(path.decode("ascii")) if b"%" in path else path.decode("ascii")
        self.scope["raw_path"] = path
        self.scope["query_string"] = query
        self._phase = _BODY
        self._open(self.scope, version)

    def _open(self, scope: HTTPScope, version: str) -> None:
        kind = OldCycle if version == "1.0" else Cycle
        cycle = kind(
            scope=scope,
            transport=cast("asyncio.Transport", self._outlet),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=version == "1.1" and head.expects_continue(self._noted),
            keep_alive=False,  # until the whole request is there: an unread rest must never be parsed
            on_response=self.on_response_complete,
        )
        cycle.give_up = self._answer_for
        cycle.departure = Departure(self.flow.resume_reading)
        scope["extensions"] = cast("dict[str, dict[object, object]]", {EXTENSION: cycle.departure})
        self.cycle = cycle
        if self._active is None:
            self._begin(cycle)
        else:
            self.pipeline.appendleft((cycle, self.app))

    def _begin(self, cycle: Cycle) -> None:
        self._active = cycle
        self._start_asgi_task(cycle, self.app)

    def on_body(self, body: bytes) -> None:
        self._unbodied = 0
        self.cycle.body += body
        if len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._offer:
            return
        self._phase = _IDLE
        cycle = self.cycle
        if not cycle.response_started:
            cycle.keep_alive = self.parser.should_keep_alive() and cycle.scope["http_version"] == "1.1"
            cycle.keep_alive = cycle.keep_alive and not self.door.drain.begun
        cycle.more_body = False
        cycle.message_event.set()

    # Answers

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self._active = None
        if self._ended:
            return
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            self._begin(cast("Cycle", cycle))
        self.flow.resume_reading()
        if self._ahead and not self._answering():
            ahead = bytes(self._ahead)
            self._ahead.clear()
            self._take(ahead)
        self._watch()

    def _fail(self, refusal: head.Refusal) -> None:
        """The input cannot be trusted from here on: what was asked before is answered, the rest refused."""
        if self._deaf:
            return  # refused already, for another reason
        self._deaf = True
        self._drop_limit = self.limits.linger_body_bytes if self._in_body() else self.limits.linger_head_bytes
        self._unwatch()
        active = self._active
        if active is None:
            self._refuse(refusal)
        elif not active.more_body:
            if self.pipeline and self.pipeline[0][0].more_body:
                self.pipeline.popleft()  # the culprit, which was to wait its turn
            last = self.pipeline[0][0] if self.pipeline else active
            last.keep_alive = False
        elif active.response_started:
            active.leave()
            self.transport.abort()
        else:
            active.departure.refusal = refusal.failure
            active.leave()
            self._refuse(refusal, active)

    def _answer_for(self, cycle: Cycle, failure: Failure) -> None:
        """The application left a request without an answer."""
        cycle.leave()
        self._refuse(head.Refusal(failure), cycle)

    def _refuse(self, refusal: head.Refusal, cycle: Cycle | None = None) -> None:
        fields = self.headers if cycle is None else cycle.scope["headers"]
        inbound = next((value for name, value in fields or () if name == b"x-request-id"), b"")
        asked = b"" if cycle is None else cycle.scope["method"].encode("ascii")
        path = self.url.decode("latin-1") if cycle is None else cycle.scope["path"]
        request_id = "" if cycle is None else cycle.departure.request_id
        if not request_id:
            request_id = reply.request_id(inbound.decode("latin-1"), self.door.fresh_id)
            if cycle is not None:
                cycle.departure.request_id = request_id
        self.transport.write(
            reply.raw(
                refusal.failure,
                request_id,
                status=refusal.status,
                headers=refusal.headers,
                body=asked != b"HEAD",
                dialect="openai" if speaks_openai(path) else "anthropic",
            )
        )
        self._end(unread=cycle is None or cycle.more_body)

    def _end(self, *, unread: bool = False) -> None:
        """Ends the connection once everything is written.

        Where input may be unread the reading goes on for a while: closing at once would answer it with a
        reset, and a reset takes the answer away from a client that is still sending.
        """
        if self._ended:
            return
        unread = unread or self._deaf or bool(self._ahead) or self._phase is not _IDLE
        self._ended = self._deaf = True
        self._unwatch()
        self._unwatch_idleness()
        if self._output_timer is not None:
            self._output_timer.cancel()
        self._output_timer = self.loop.call_later(self.limits.stall_seconds, self.transport.abort)
        if unread and not self._silent and not self.transport.is_closing():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._timer = self.loop.call_later(self.limits.linger_seconds, self.transport.close)
        else:
            self.transport.close()

    # Time

    def _watch(self) -> None:
        """Sets the one input timer to what is being waited for now."""
        phase = None if self._ended or self._deaf or self._answering() else self._phase
        if phase is self._watched:
            return
        self._unwatch()
        self._watched = phase
        if phase is _IDLE:
            self._idle_until = self.loop.time() + self.limits.idle_seconds
            if self._idle_timer is None:
                self._idle_timer = self.loop.call_later(self.limits.idle_seconds, self._look_if_idle)
        elif phase is _HEAD:
            self._timer = self.loop.call_later(self.limits.header_seconds, self._fail, _SLOW)
        elif phase is _BODY:
            self._last_in = self._window_start = self.loop.time()
            self._window_bytes = 0
            self._watch_body()

    def _unwatch(self) -> None:
        self._watched = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_if_idle(self) -> None:
        """The one timer of a kept connection: requests in between do not touch it, so it may be early."""
        self._idle_timer = None
        if self._watched is not _IDLE:
            return
        left = self._idle_until - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._look_if_idle)
        else:
            self._end()

    def _unwatch_idleness(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _watch_body(self) -> None:
        """Looks at the upload: silence and slowness count only while this side is willing to read."""
        now = self.loop.time()
        limits = self.limits
        reading = (self.flow.resumptions, self.cycle.waiting_for_100_continue)
        if self.flow.read_paused or self.cycle.waiting_for_100_continue or reading != self._reading:
            self._last_in = self._window_start = now
            self._window_bytes = 0
            self._reading = reading
        elif now - self._last_in >= limits.body_gap_seconds:
            self._fail(_SLOW)
            return
        elif now - self._window_start >= limits.body_rate_seconds:
            if self._window_bytes < limits.body_rate * limits.body_rate_seconds:
                self._fail(_SLOW)
                return
            self._window_start = now
            self._window_bytes = 0
        due = min(self._last_in + limits.body_gap_seconds, self._window_start + limits.body_rate_seconds)
        self._timer = self.loop.call_later(max(due - now, 0.001), self._watch_body)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_output()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._output_timer is not None and not self._ended:
            self._output_timer.cancel()
            self._output_timer = None

    def _watch_output(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._output_timer = self.loop.call_later(self.limits.stall_seconds, self._stalled)

    def _stalled(self) -> None:
        """The client takes nothing, or next to nothing: it holds an upstream's place for no one."""
        taken = self._unsent - self.transport.get_write_buffer_size()
        if taken < self.limits.stall_bytes:
            self.transport.abort()
        else:
            self._watch_output()
