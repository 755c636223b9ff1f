"""The Messages door: `/v1/messages` and `/v1/messages/count_tokens`, under every prefix they are called by.

It says what the surface is; how a generation request is served stands in generation. Whatever goes wrong
leaves as Anthropic's envelope.
"""

from __future__ import annotations

from typing import Any

from dragoman.gateway.counting import count_tokens
from dragoman.gateway.house import House
from dragoman.gateway.messages import Messages
from dragoman.telemetry.logs import Logger
from dragoman.translate.messages.plan import Policy
from dragoman.translate.messages.request import validate
from dragoman.web import body, reply
from dragoman.web.generation import Surface
from dragoman.web.incoming import Incoming
from dragoman.wire import sse
from dragoman.wire.errors import Failure, Kind, Refused


def _read(request: dict[str, Any], policy: Policy) -> dict[str, Any]:
    validate(request, lenient=policy.lenient)
    return request


def _farewell(failure: Failure, request_id: str) -> bytes:
    return sse.encode(failure.anthropic(request_id))


MESSAGES = Surface(Messages(), "anthropic", "messages", _read, _farewell)


class CountDoor:
    """Serves count_tokens: no place is taken, no row is written, nothing is generated."""

    def __init__(self, house: House, logger: Logger, limit: int) -> None:
        self._house = house
        self._logger = logger
        self._limit = limit

    async def __call__(self, incoming: Incoming) -> None:
        try:
            principal = self._house.keys.authenticate(incoming.headers)
            content = await body.read(incoming.scope, incoming.receive, limit=self._limit)
            request = await body.json_object(incoming.scope, content, self._house.pieces)
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
