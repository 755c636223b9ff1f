"""What a client of the Responses API is told of an upstream failure, as a status or inside a stream.

The same table as everywhere, with two differences: a prompt that is too long is told in the sentence by
which OpenAI's clients know it, and what a pool's accounts are refused for (their credentials, their limits)
is said in our own words. Nothing here decides what may be tried again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dragoman.translate.messages.failure import PATIENCE, TOLD, Cause, UpstreamFailure, figures
from dragoman.translate.messages.failure import to_client as to_any_client
from dragoman.wire import sse
from dragoman.wire.errors import TABLE, Failure, Kind

# What an upstream says of these speaks of the account, its plan or its organisation.
PRIVATE = frozenset({Cause.CREDENTIALS, Cause.LOGIN, Cause.DEAD, Cause.QUOTA, Cause.RATE_LIMIT, Cause.BURST})


def to_client(failure: UpstreamFailure, *, tokens: int | None, window: int | None) -> Failure:
    """What the client is told. `tokens` is the estimate of the prompt, `window` the model's maximum."""
    if failure.cause is Cause.CONTEXT:
        return Failure(Kind.CONTEXT_OVERFLOW, _too_long(failure.message, tokens, window), param="input")
    told = to_any_client(failure, tokens=tokens, window=window)
    if failure.cause in PRIVATE:
        return replace(told, message=TOLD[failure.cause].sentence + _wait(told.retry_after))
    if failure.cause is Cause.PARAMETER:
        return replace(told, param=failure.param, error_code="unsupported_parameter")
    if told.kind is Kind.INVALID_REQUEST:
        return replace(told, param=failure.param)
    return told


def _wait(seconds: float | None) -> str:
    """Clients of OpenAI read the wait out of the sentence where there is no header."""
    if seconds is None or seconds > PATIENCE:
        return ""
    return f" Please try again in {max(1, -int(-seconds // 1))}s."


def _too_long(text: str, tokens: int | None, window: int | None) -> str:
    found = figures(text, tokens, window)
    if found is None:
        return "Your input exceeds the context window of this model. Please adjust your input and try again."
    return (
        f"Your input exceeds the context window of this model: {found[0]} tokens of at most {found[1]}. "
        "Please adjust your input and try again."
    )


def error_frame(failure: Failure, sequence: int) -> bytes:
    """The flat `error` event, for a stream in which no response has been told of."""
    error = failure.openai()["error"]
    return sse.encode(
        {
            "type": "error",
            "code": error["code"],
            "message": error["message"],
            "param": error["param"],
            "sequence_number": sequence,
        }
    ).removesuffix(b"\n\n")


def failed_frame(failure: Failure, sequence: int, identity: str, created_at: int, model: str) -> bytes:
    """`response.failed` for a response that has been told of. Its shape is the schema's, its output empty."""
    response: dict[str, Any] = {
        "id": identity,
        "object": "response",
        "created_at": created_at,
        "status": "failed",
        "error": {
            "code": failure.error_code or TABLE[failure.kind].openai_code,
            "message": failure.message,
        },
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
    }
    event = {"type": "response.failed", "sequence_number": sequence, "response": response}
    return sse.encode(event).removesuffix(b"\n\n")
