"""Token figures in the words of Chat Completions.

Prompt tokens include what was read from the cache, completion tokens include reasoning. What the upstream
does not tell (audio, predictions) is zero, because there was none.
"""

from __future__ import annotations

from dragoman.translate.messages.usage import Usage
from dragoman.wire import chat


def told(usage: Usage) -> chat.Usage:
    """The `usage` object of a completion or of the last chunk."""
    return {
        "prompt_tokens": usage.total_input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total_input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
