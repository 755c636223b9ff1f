"""The Responses doors: `/v1/responses` and the operations below it, under every prefix they are called by.

It says what the surface is; how a generation request is served stands in generation. Whatever goes wrong
leaves as OpenAI's envelope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.gateway.compaction import Compaction
from dragoman.gateway.house import House
from dragoman.gateway.input_tokens import count_input
from dragoman.gateway.ports import Principal
from dragoman.gateway.responses import Responses
from dragoman.translate.messages.plan import Policy
from dragoman.translate.responses import validate
from dragoman.translate.responses.frames import error_frame
from dragoman.web.generation import Surface
from dragoman.wire import sse
from dragoman.wire.errors import Failure


def _read(request: dict[str, Any], policy: Policy) -> dict[str, Any]:
    return validate.read(request)


def _read_compaction(request: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """The answer is one document, whatever was asked."""
    return {name: value for name, value in validate.read(request).items() if name != "stream"}


def _farewell(failure: Failure, request_id: str) -> bytes:
    return sse.join([error_frame(failure, 0)])


async def count(
    house: House, principal: Principal, headers: Mapping[str, str], request: dict[str, Any]
) -> dict[str, Any]:
    """What `/responses/input_tokens` answers. Raises Refused."""
    return await count_input(house, principal, validate.read(request, needs_input=False))


RESPONSES = Surface(Responses(), "openai", "responses", _read, _farewell)
COMPACTION = Surface(Compaction(), "openai", "compact", _read_compaction, _farewell)
