"""WebSocket mode: one text frame asks for a response, each event comes back as one text frame.

It follows the public WebSocket guide: `response.create` frames without stream and background, continuation
by previous_response_id within the connection even when nothing is stored, `generate: false` to warm up, 60
minutes (virtual time) per connection. Faults that need an HTTP stream do not apply here, except cuts.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import WSMsgType, web

from dragoman.simulator import delivery as delivered
from dragoman.simulator.answer import Pause, Verbatim
from dragoman.simulator.contract import Flavour
from dragoman.simulator.doors import Door
from dragoman.simulator.exchange import Exchange
from dragoman.simulator.faults import CUTS, Fault, find
from dragoman.simulator.incoming import MAX_BODY, lowered, note_headers
from dragoman.simulator.log import Record
from dragoman.simulator.opening import open_exchange
from dragoman.simulator.presets import Page
from dragoman.simulator.refusal import Answer, Refused, breach, error_body
from dragoman.simulator.scenario import Pace
from dragoman.simulator.state import State
from dragoman.simulator.stored import Stored
from dragoman.wire import jsonio

CONNECTION_SECONDS = 3600
_LIMIT = Answer(
    400,
    error_body(
        "Responses websocket connection limit reached (60 minutes). Create a new connection to continue.",
        code="websocket_connection_limit_reached",
    ),
)


def create(flavour: Flavour) -> Door:
    """`GET …/responses` with an upgrade."""

    async def handle(request: web.Request, state: State, record: Record) -> web.StreamResponse:
        note_headers(state, record, dict(request.headers))
        now = state.clock.now()
        account = state.accounts.authenticate(flavour, lowered(request), now)
        record.account = account.id
        if request.headers.get("upgrade", "").lower() != "websocket":
            raise breach("method", "This endpoint takes POST, or GET with a WebSocket upgrade.", status=405)
        socket = web.WebSocketResponse(max_msg_size=MAX_BODY)
        await socket.prepare(request)
        record.status = 101
        connection = _Connection(request, socket, state, flavour, now)
        async for message in socket:
            if message.type is not WSMsgType.TEXT or not await connection.answer(message.data):
                break
        await socket.close()
        return socket

    return handle


class _Connection:
    """One WebSocket and what it remembers: its last response."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        state: State,
        flavour: Flavour,
        opened_at: float,
    ) -> None:
        self._request = request
        self._socket = socket
        self._state = state
        self._flavour = flavour
        self._opened_at = opened_at
        self._last: Stored | None = None

    async def answer(self, text: str) -> bool:
        """Answers one frame. False ends the connection."""
        state = self._state
        log = state.log
        pairs = list(lowered(self._request).items())
        record = log.open(state.clock.now(), "WS", self._request.path_qs, pairs)
        log.keep(record, text.encode(), text.encode())
        ended = "client_gone"
        try:
            if state.clock.now() - self._opened_at >= CONNECTION_SECONDS:
                await self._error(_LIMIT, "")
                ended = "refused"
                return False
            going_on = await self._respond(text, record)
            ended = record.ended or "complete"
            return going_on
        except Refused as refused:
            if refused.answer.breach:
                log.breach(record, refused.answer.breach, refused.answer.message)
            record.status, ended = refused.answer.status, "refused"
            await self._error(refused.answer, "")
            return True
        finally:
            log.close(record, ended)

    async def _respond(self, text: str, record: Record) -> bool:
        frame = _parse(text)
        stream_id = str(frame.pop("stream_id", ""))
        warm_up = frame.pop("generate", True) is False
        body = {**frame, "stream": True}
        headers = lowered(self._request)
        outcome, faults = open_exchange(
            self._state, self._flavour, body, headers, record, websocket=True, connection=self._last
        )
        if not isinstance(outcome, Exchange):
            await self._error(_as_answer(outcome), stream_id)
            return True
        if warm_up:
            outcome.fitted.steps.clear()
        going_on = await self._stream(outcome, faults, stream_id)
        if outcome.final.get("status") == "completed":
            self._last = Stored(outcome.account.scope, outcome.final, outcome.merged)
        return going_on

    async def _stream(self, exchange: Exchange, faults: tuple[Fault, ...], stream_id: str) -> bool:
        cut = find(faults, *CUTS)
        exchange.record.status = 200
        begun = False
        for frame in exchange.frames():
            if isinstance(frame, Pause):
                await asyncio.sleep(frame.ms * self._state.switches.speed / 1000)
                continue
            if isinstance(frame, Verbatim):
                continue  # comments belong to SSE
            if not begun and delivered.is_content(frame):
                begun = True
                exchange.begin()
            if cut is not None and exchange.record.events >= cut.number("after_events", 3):
                exchange.record.ended = f"fault:{cut.kind}"
                await self._cut(exchange.record, reset=cut.kind == "rst")
                return False
            await self._send({**frame, "stream_id": stream_id} if stream_id else frame)
            exchange.record.events += 1
        return True

    async def _cut(self, record: Record, *, reset: bool) -> None:
        cutter = delivered.Delivery(self._request, record, (), Pace(), 0.0, lambda: None)
        await cutter.break_off(reset=reset)

    async def _error(self, answer: Answer, stream_id: str) -> None:
        error = answer.body.get("error") or {"message": answer.message, "type": None, "code": None}
        frame: dict[str, Any] = {
            "type": "error",
            "status": answer.status,
            "error": error,
            "headers": dict(answer.headers),
        }
        await self._send({**frame, "stream_id": stream_id} if stream_id else frame)

    async def _send(self, frame: dict[str, Any]) -> None:
        await self._socket.send_str(jsonio.dump_text(frame))


def _parse(text: str) -> dict[str, Any]:
    try:
        frame = jsonio.parse(text.encode())
    except jsonio.InvalidJson as error:
        raise breach("json", f"We could not parse the JSON of this frame. ({error})") from error
    if not isinstance(frame, dict) or frame.pop("type", None) != "response.create":
        raise breach("frame", "A frame must be an object of type 'response.create'.")
    for name in ("stream", "background"):
        if name in frame:
            raise breach("frame", f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    return frame


def _as_answer(outcome: Answer | Page) -> Answer:
    if isinstance(outcome, Answer):
        return outcome
    return Answer(outcome.status, error_body(outcome.text[:200], None))
