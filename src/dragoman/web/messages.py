"""The Messages door: `/v1/messages` and `/v1/messages/count_tokens`, under every prefix they are called by.

It authenticates before it reads, reads before it parses, and hands a checked request to the exchange.
No protocol rule lives here; whatever goes wrong leaves as Anthropic's envelope.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from dragoman.gateway.counting import count_tokens
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.house import House
from dragoman.gateway.messages import Messages
from dragoman.telemetry.logs import Logger
from dragoman.translate.messages.request import validate
from dragoman.web import body, reply
from dragoman.web.incoming import Incoming
from dragoman.wire import scrub
from dragoman.wire.errors import Failure, Kind, Refused

_DIALECT = Messages()
_ENDING = Failure(Kind.OVERLOADED, "The gateway is shutting down.", retry_after=1)


class MessagesDoor:
    """Serves generation requests."""

    def __init__(self, house: House, logger: Logger, limit: int) -> None:
        self._house = house
        self._logger = logger
        self._limit = limit

    async def __call__(self, incoming: Incoming) -> None:
        exchange = Exchange(self._house, incoming.request_id, client=incoming.client)
        try:
            await self._serve(incoming, exchange)
        except Refused as refusal:
            exchange.refuse(refusal.failure)
            await reply.send_failure(incoming.send, refusal.failure, incoming.request_id)
        except body.ClientGone:
            exchange.leave()
        except asyncio.CancelledError:
            exchange.refuse(_ENDING)
            await self._last_word(incoming, exchange, _ENDING)
            raise
        except Exception as error:
            self._logger.error("fault", request_id=incoming.request_id, exc=error)
            await self._last_word(incoming, exchange, exchange.fault())
        finally:
            exchange.settle()

    async def _last_word(self, incoming: Incoming, exchange: Exchange, failure: Failure) -> None:
        if exchange.started:
            await reply.end_stream_with(incoming.send, failure, incoming.request_id)
        else:
            await reply.send_failure(incoming.send, failure, incoming.request_id)

    async def _serve(self, incoming: Incoming, exchange: Exchange) -> None:
        principal = self._house.keys.authenticate(incoming.headers)
        exchange.row.key = principal.name
        content = await body.read(incoming.scope, incoming.receive, limit=self._limit)
        request = await body.json_object(incoming.scope, content)
        size = len(content)
        del content
        exchange.row.requested_model = _name(request.get("model"))
        # Each pass over a large request is a turn of its own, so that streams get theirs in between.
        async with body.turn(size):
            validate(request, lenient=self._house.policy.lenient)
        async with body.turn(size):
            exchange.admit(_DIALECT, principal, incoming.headers, request, size)
        sink = _StreamSink(incoming.send, incoming.request_id) if request.get("stream") is True else None
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
            await reply.send_json(
                incoming.send, 200, answer, exchange.head() | {"request-id": incoming.request_id}
            )


class CountDoor:
    """Serves count_tokens: no place is taken, no row is written, nothing is generated."""

    def __init__(self, house: House, logger: Logger, limit: int) -> None:
        self._house = house
        self._logger = logger
        self._limit = limit

    async def __call__(self, incoming: Incoming) -> None:
        try:
            principal = self._house.keys.authenticate(incoming.headers)
            request = await body.json_object(
                incoming.scope, await body.read(incoming.scope, incoming.receive, limit=self._limit)
            )
            validate(request, counting=True, lenient=self._house.policy.lenient)
            answer = await count_tokens(self._house, principal, incoming.headers, request)
            await reply.send_json(incoming.send, 200, answer, {"request-id": incoming.request_id})
        except Refused as refusal:
            await reply.send_failure(incoming.send, refusal.failure, incoming.request_id)
        except body.ClientGone:
            return
        except Exception as error:
            self._logger.error("fault", request_id=incoming.request_id, exc=error)
            failure = Failure(Kind.INTERNAL, "The gateway met an internal fault while counting.")
            await reply.send_failure(incoming.send, failure, incoming.request_id)


class _StreamSink:
    """The client's side of a stream: an ASGI response that begins late and never buffers."""

    __slots__ = ("_open", "_request_id", "_send")

    def __init__(self, send: Any, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._open = False

    async def start(self, headers: Mapping[str, str]) -> None:
        self._open = True
        await self._send(reply.sse_head({"request-id": self._request_id, **headers}))

    async def write(self, data: bytes, *, last: bool = False) -> None:
        self._open = not last
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def end(self) -> None:
        """Ends what was begun and has not had its last."""
        if self._open:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _name(model: Any) -> str:
    return scrub.name(model) if isinstance(model, str) else ""
