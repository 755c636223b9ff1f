"""The first and the last events of an answer: what stands around the blocks.

`message_start` is provisional: its usage is an estimate, because the upstream tells figures only at the
end. `message_delta` has the truth, or an estimate where the answer was ended here. Field order is fixed.
"""

from __future__ import annotations

from typing import Any

from dragoman.translate.messages.context import AnswerContext
from dragoman.translate.messages.outcome import Outcome
from dragoman.translate.messages.usage import final, provisional

Event = dict[str, Any]


def opening(context: AnswerContext, tier: str | None) -> Event:
    """`message_start`. `tier` is the upstream's service tier as far as it has told it."""
    return {
        "type": "message_start",
        "message": {
            "id": context.message_id,
            "type": "message",
            "role": "assistant",
            "model": context.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "container": None,
            "usage": provisional(context.input_estimate, tier),
            "context_management": None,
            "diagnostics": context.diagnostics if context.diagnostics_asked else None,
        },
    }


def closing(context: AnswerContext, outcome: Outcome, explanation: str | None) -> list[Event]:
    """`message_delta` and `message_stop`. `explanation` is the text of a refusal."""
    delta: Event = {
        "stop_reason": outcome.stop_reason,
        "stop_sequence": outcome.stop_sequence,
        "stop_details": None,
    }
    if outcome.stop_reason == "refusal":
        delta["stop_details"] = {"type": "refusal", "category": None, "explanation": explanation}
    last: Event = {
        "type": "message_delta",
        "delta": delta,
        "usage": final(outcome.usage, outcome.web_searches, outcome.service_tier),
    }
    if context.edits_asked:
        last["context_management"] = {"applied_edits": []}
    return [last, {"type": "message_stop"}]
