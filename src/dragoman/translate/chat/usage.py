"""Token figures in the words of Chat Completions.

Prompt tokens include what was read from the cache and written to it, completion tokens include reasoning.
What the upstream never tells (audio, predictions) is zero, because there was none; writes to the cache are
told by some upstreams alone, so their figure is there where one was.
"""

from __future__ import annotations

from dragoman.translate.messages.usage import Usage
from dragoman.wire import chat


def told(usage: Usage) -> chat.Usage:
    """The `usage` object of a completion or of the last chunk."""
    prompt = {"cached_tokens": usage.cached, "audio_tokens": 0}
    if usage.writes_told:
        prompt["cache_write_tokens"] = usage.written
    return {
        "prompt_tokens": usage.total_input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total_input + usage.output,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
