"""The Responses door: what the surface of `/v1/responses` is, under every prefix it is called by.

How a generation request is served stands in generation; whatever goes wrong leaves as OpenAI's envelope.
"""

from __future__ import annotations

from typing import Any

from dragoman.gateway.responses import Responses
from dragoman.translate.messages.plan import Policy
from dragoman.translate.responses import validate
from dragoman.translate.responses.failure import error_frame
from dragoman.web.generation import Surface
from dragoman.wire import sse
from dragoman.wire.errors import Failure


def _read(request: dict[str, Any], policy: Policy) -> dict[str, Any]:
    return validate.read(request)


def _farewell(failure: Failure, request_id: str) -> bytes:
    return sse.join([error_frame(failure, 0)])


RESPONSES = Surface(Responses(), "openai", "responses", _read, _farewell)
