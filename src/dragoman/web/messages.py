"""The Messages door: `/v1/messages` and `/v1/messages/count_tokens`, under every prefix they are called by.

It says what the surface is; how a generation request is served stands in generation. Whatever goes wrong
leaves as Anthropic's envelope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.gateway.counting import count_tokens
from dragoman.gateway.house import House
from dragoman.gateway.messages import Messages
from dragoman.gateway.ports import Principal
from dragoman.translate.messages.plan import Policy
from dragoman.translate.messages.request import validate
from dragoman.web.generation import Surface
from dragoman.wire import sse
from dragoman.wire.errors import Failure


def _read(request: dict[str, Any], policy: Policy) -> dict[str, Any]:
    validate(request, lenient=policy.lenient)
    return request


def _farewell(failure: Failure, request_id: str) -> bytes:
    return sse.encode(failure.anthropic(request_id))


async def count(
    house: House, principal: Principal, headers: Mapping[str, str], request: dict[str, Any]
) -> dict[str, Any]:
    """What count_tokens answers. Raises Refused."""
    validate(request, counting=True, lenient=house.policy.lenient)
    return await count_tokens(house, principal, headers, request)


MESSAGES = Surface(Messages(), "anthropic", "messages", _read, _farewell)
