"""The Responses doors: `/v1/responses` and the operations below it, under every prefix they are called by.

It says what the surface is; how a generation request is served stands in generation. Whatever goes wrong
leaves as OpenAI's envelope.
"""

from __future__ import annotations

from typing import Any

from dragoman.gateway.compaction import Compaction
from dragoman.gateway.house import House
from dragoman.gateway.input_tokens import count_input
from dragoman.gateway.responses import Responses
from dragoman.telemetry.logs import Logger
from dragoman.translate.messages.plan import Policy
from dragoman.translate.responses import validate
from dragoman.translate.responses.frames import error_frame
from dragoman.web import body, reply
from dragoman.web.generation import Surface
from dragoman.web.incoming import Incoming
from dragoman.wire import sse
from dragoman.wire.errors import Failure, Kind, Refused


def _read(request: dict[str, Any], policy: Policy) -> dict[str, Any]:
    return validate.read(request)


def _read_compaction(request: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """The answer is one document, whatever was asked."""
    return {name: value for name, value in validate.read(request).items() if name != "stream"}


def _farewell(failure: Failure, request_id: str) -> bytes:
    return sse.join([error_frame(failure, 0)])


RESPONSES = Surface(Responses(), "openai", "responses", _read, _farewell)
COMPACTION = Surface(Compaction(), "openai", "compact", _read_compaction, _farewell)


class InputTokensDoor:
    """Serves `/responses/input_tokens`: no place is taken, no row is written, nothing is generated."""

    def __init__(self, house: House, logger: Logger, limit: int) -> None:
        self._house = house
        self._logger = logger
        self._limit = limit

    async def __call__(self, incoming: Incoming) -> None:
        try:
            principal = self._house.keys.authenticate(incoming.headers)
            content = await body.read(incoming.scope, incoming.receive, limit=self._limit)
            asked = await body.json_object(incoming.scope, content, self._house.pieces)
            request = validate.read(asked, needs_input=False)
            answer = await count_input(self._house, principal, request)
            told = reply.id_fields(incoming.request_id, "openai")
            await reply.send_json(incoming.send, 200, answer, told)
        except Refused as refusal:
            await reply.send_failure(incoming.send, refusal.failure, incoming.request_id, "openai")
        except body.ClientGone:
            return
        except Exception as error:
            self._logger.error("fault", request_id=incoming.request_id, exc=error)
            failure = Failure(Kind.INTERNAL, "The gateway met an internal fault while counting.")
            await reply.send_failure(incoming.send, failure, incoming.request_id, "openai")
