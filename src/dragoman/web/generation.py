"""The doors of generation: one request to one answer, in the language of the surface it came in on.

It authenticates before it reads, reads before it parses, and hands a checked request to the exchange. What
a surface is (its dialect, how its requests are checked, how its errors look) is a value that is handed in:
no protocol rule lives here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dragoman.gateway.dialects import Dialect
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.house import House
from dragoman.telemetry.logs import Logger
from dragoman.translate.messages.plan import Policy
from dragoman.web import body, reply
from dragoman.web.incoming import Incoming
from dragoman.wire import scrub
from dragoman.wire.errors import Failure, Kind, Refused

_ENDING = Failure(Kind.OVERLOADED, "The gateway is shutting down.", retry_after=1)


class Surface(NamedTuple):
    """What makes a door speak a language.

    dialect    admits requests (gateway/dialects)
    envelope   whose error object a refusal wears
    route      the name of the surface in the ledger
    read       checks a parsed body and returns the request to serve. Raises Refused naming the path
    farewell   the last bytes of a stream that has begun and whose turn cannot end it; gets the request id
    """

    dialect: Dialect
    envelope: reply.Dialect
    route: str
    read: Callable[[dict[str, Any], Policy], dict[str, Any]]
    farewell: Callable[[Failure, str], bytes]


class GenerationDoor:
    """Serves the generation requests of one surface."""

    def __init__(self, house: House, logger: Logger, limit: int, surface: Surface) -> None:
        self._house = house
        self._logger = logger
        self._limit = limit
        self._surface = surface

    async def turn_away(self, incoming: Incoming, failure: Failure) -> None:
        """Refuses a request unread, whoever sent it. It has its row like any other."""
        exchange = self._exchange(incoming)
        exchange.refuse(failure)
        try:
            await self._refuse(incoming, failure)
        finally:
            exchange.settle()

    async def __call__(self, incoming: Incoming) -> None:
        exchange = self._exchange(incoming)
        try:
            await self._serve(incoming, exchange)
        except Refused as refused:
            # What the client of a broken upload was told counts, whatever else was wrong.
            failure = incoming.departure.refusal or refused.failure
            exchange.refuse(failure)
            await self._refuse(incoming, failure)
        except body.ClientGone:
            # To whom the door closed in the middle of the upload, it has told why.
            if (refusal := incoming.departure.refusal) is None:
                exchange.leave()
            else:
                exchange.refuse(refusal)
        except asyncio.CancelledError:
            exchange.refuse(_ENDING)
            await self._last_word(incoming, exchange, _ENDING)
            raise
        except Exception as error:
            self._logger.error("fault", request_id=incoming.request_id, exc=error)
            await self._last_word(incoming, exchange, exchange.fault())
        finally:
            exchange.settle()

    def _exchange(self, incoming: Incoming) -> Exchange:
        exchange = Exchange(self._house, incoming.request_id, client=incoming.client)
        exchange.row.route = self._surface.route
        return exchange

    async def _refuse(self, incoming: Incoming, failure: Failure) -> None:
        await reply.send_failure(incoming.send, failure, incoming.request_id, self._surface.envelope)

    async def _last_word(self, incoming: Incoming, exchange: Exchange, failure: Failure) -> None:
        if not exchange.started:
            await self._refuse(incoming, failure)
            return
        last = exchange.last_word(failure)
        if last is None:
            last = self._surface.farewell(failure, incoming.request_id)
        await reply.end_stream_with(incoming.send, last)

    async def _serve(self, incoming: Incoming, exchange: Exchange) -> None:
        principal = self._house.keys.authenticate(incoming.headers)
        exchange.row.key = principal.name
        content = await body.read(incoming.scope, incoming.receive, limit=self._limit)
        request = await body.json_object(incoming.scope, content, self._house.pieces)
        size = len(content)
        del content
        exchange.row.requested_model = _name(request.get("model"))
        exchange.row.stream = request.get("stream") is True
        surface = self._surface
        async with self._house.pieces.of(size):
            request = surface.read(request, self._house.policy)
        async with self._house.pieces.of(size):
            exchange.admit(surface.dialect, principal, incoming.headers, request, size)
        told = reply.id_fields(incoming.request_id, surface.envelope)
        sink = _StreamSink(incoming.send, told) if request.get("stream") is True else None
        del request
        # Without this upstream streams would outlive their clients.
        departure = incoming.departure
        departure.watch(exchange.leave)
        try:
            answer = await exchange.run(sink)
        finally:
            departure.forget()
        if exchange.gone:
            return
        if sink is not None:
            await sink.end()
        elif answer is not None:
            await reply.send_json(incoming.send, 200, answer, exchange.head() | told)


class _StreamSink:
    """The client's side of a stream: an ASGI response that begins late and never buffers."""

    __slots__ = ("_open", "_send", "_told")

    def __init__(self, send: Any, told: Mapping[str, str]) -> None:
        self._send = send
        self._told = told
        self._open = False

    async def start(self, headers: Mapping[str, str]) -> None:
        self._open = True
        await self._send(reply.sse_head({**self._told, **headers}))

    async def write(self, data: bytes, *, last: bool = False) -> None:
        self._open = not last
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def end(self) -> None:
        """Ends what was begun and has not had its last."""
        if self._open:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _name(model: Any) -> str:
    return scrub.name(model) if isinstance(model, str) else ""
