"""The Chat Completions door: `/v1/chat/completions`, with and without `/v1`.

It says what the surface is; how a generation request is served stands in generation. Whatever goes wrong
leaves as OpenAI's envelope with the field as `param`.
"""

from __future__ import annotations

from typing import Any

from dragoman.gateway.chat import ChatCompletions
from dragoman.translate.chat.validate import validate
from dragoman.translate.messages.plan import Policy
from dragoman.web.generation import Surface
from dragoman.wire import sse
from dragoman.wire.errors import Failure


def _read(request: dict[str, Any], policy: Policy) -> dict[str, Any]:
    validate(request)
    return request


def _farewell(failure: Failure, request_id: str) -> bytes:
    """The error, then the mark that nothing follows, as OpenAI's own service ends a stream that failed."""
    return sse.encode_data(failure.openai()) + sse.DONE


CHAT = Surface(ChatCompletions(), "openai", "chat", _read, _farewell)
