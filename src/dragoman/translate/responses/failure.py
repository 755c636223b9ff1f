"""What a client of the Responses API is told of an upstream failure, as a status or inside a stream.

The same table as everywhere, with two differences: a prompt that is too long is told in the sentence by
which OpenAI's clients know it, and what a pool's accounts are refused for (their credentials, their limits)
is said in our own words. Nothing here decides what may be tried again.
"""

from __future__ import annotations

from dataclasses import replace

from dragoman.translate.messages.failure import (
    PATIENCE,
    TOLD,
    Cause,
    UpstreamFailure,
    figures,
    own_code,
    to_any_client,
)
from dragoman.wire.errors import Failure, Kind

# What an upstream says of these speaks of the account, its plan or its organisation.
PRIVATE = frozenset({Cause.CREDENTIALS, Cause.LOGIN, Cause.DEAD, Cause.QUOTA, Cause.RATE_LIMIT, Cause.BURST})

_LIMITS = frozenset({Cause.QUOTA, Cause.RATE_LIMIT, Cause.BURST})
_SOON = 1.0


def to_client(failure: UpstreamFailure, *, tokens: int | None, window: int | None) -> Failure:
    """What the client is told. `tokens` is the estimate of the prompt, `window` the model's maximum."""
    if failure.cause is Cause.CONTEXT:
        return Failure(Kind.CONTEXT_OVERFLOW, _too_long(failure.message, tokens, window), param="input")
    told = to_any_client(failure, tokens=tokens, window=window)
    if failure.cause in PRIVATE:
        return replace(told, message=TOLD[failure.cause].sentence + _wait(told.retry_after))
    if told.kind is Kind.INVALID_REQUEST:
        return replace(told, param=failure.param, error_code=own_code(failure))
    return replace(told, param="model") if told.kind is Kind.MODEL_NOT_FOUND else told


def served_elsewhere(told: Failure, failure: UpstreamFailure) -> Failure:
    """The same inside a stream where another account may serve now: asked again, the request goes there.

    Told as final or with the account's own wait, it would end a turn or hold it for nothing.
    """
    if failure.cause not in _LIMITS:
        return told
    message = TOLD[failure.cause].sentence + _wait(_SOON)
    return replace(told, message=message, retry_after=_SOON, should_retry=None)


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
