"""What a client of Chat Completions is told of an upstream failure.

The same table as everywhere, in OpenAI's envelope; a prompt that is too long is told in the sentence by
which OpenAI's clients know it, and what is wrong with a request keeps the upstream's code. Nothing here
decides what may be tried again.
"""

from __future__ import annotations

from dataclasses import replace

from dragoman.translate.messages.failure import Cause, UpstreamFailure, figures, own_code, to_any_client
from dragoman.wire.errors import Failure, Kind


def to_client(failure: UpstreamFailure, *, tokens: int | None, window: int | None) -> Failure:
    """What the client is told. `tokens` is the estimate of the prompt, `window` the model's maximum."""
    if failure.cause is not Cause.CONTEXT:
        told = to_any_client(failure, tokens=tokens, window=window)
        param = "model" if told.kind is Kind.MODEL_NOT_FOUND else None
        return replace(told, param=param, error_code=own_code(failure))
    found = figures(failure.message, tokens, window)
    if found is None:
        sentence = "Your input exceeds the context window of this model. Please shorten the messages."
    else:
        sentence = (
            f"This model's maximum context length is {found[1]} tokens. However, your messages resulted in "
            f"{found[0]} tokens. Please reduce the length of the messages."
        )
    return Failure(Kind.CONTEXT_OVERFLOW, sentence, param="messages")
