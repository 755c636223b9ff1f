"""Responses events to chunks of a chat completion: the automaton of every answer, in this dialect's words.

States, order, endings and faults are those of messages/stream; this decides only what they are called here:
the first chunk with the role, the finish reason, the figures, the error object. A client gets exactly one
finish reason, or an error; `[DONE]` is written by whoever owns the socket.
Contract: OpenAI's chat completion chunks.
"""

from __future__ import annotations

from typing import Any

from dragoman.translate.chat.chunks import Chunks, chunks
from dragoman.translate.chat.failure import to_client
from dragoman.translate.chat.items import KINDS
from dragoman.translate.chat.plan import ChatContext
from dragoman.translate.chat.usage import told
from dragoman.translate.messages.causes import UpstreamFailure
from dragoman.translate.messages.outcome import Outcome
from dragoman.translate.messages.stream import ROWS, ResponsesToMessages, State, transitions
from dragoman.wire.errors import Failure

__all__ = ["TRANSITIONS", "ChatContext", "ResponsesToChat", "State"]

Event = dict[str, Any]

# How an answer ended, by the automaton's word for it.
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "refusal": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
}


class ResponsesToChat(ResponsesToMessages):
    """Translates one attempt's answer. `feed` every event, then `close` at the end of the bytes."""

    context: ChatContext
    _blocks: Chunks
    kinds = KINDS

    def _writer(self) -> Chunks:
        return chunks(self.context, self.context.count)

    def _opening(self) -> Event:
        # As OpenAI does: an answer that begins with a call has no text, not an empty one.
        content = None if self._blocks.only_called else ""
        return self._blocks.chunk({"role": "assistant", "content": content, "refusal": None})

    def _closing(self, details: str | None) -> list[Event]:
        writer, outcome = self._blocks, self._outcome
        outcome.stop_reason = finish_reason(outcome, legacy=self.context.plan.legacy)
        tier = {} if outcome.service_tier is None else {"service_tier": outcome.service_tier}
        last = [writer.chunk({}, outcome.stop_reason) | tier]
        if self.context.plan.include_usage:
            last.append({**writer.frame, **tier, "choices": [], "usage": told(outcome.usage)})
        return last

    def _tell(self, failure: UpstreamFailure) -> Failure:
        return to_client(failure, tokens=self.context.input_estimate, window=self.context.window)

    def _error(self, failure: Failure) -> Event:
        return failure.openai()

    def _weighed_delta(self, event: Event) -> None:
        """Text, perhaps with log probabilities."""
        if self.context.plan.logprobs:
            self._blocks.weigh(event.get("logprobs"))
        self._text_delta(event)


def finish_reason(outcome: Outcome, *, legacy: bool) -> str:
    """The client's word for how the answer ended."""
    reason = outcome.stop_reason or ""
    if reason == "refusal" and outcome.incomplete_reason is not None:
        return "content_filter" if outcome.incomplete_reason == "content_filter" else "length"
    if reason == "tool_use" and legacy:
        return "function_call"
    return FINISH[reason]


_WEIGHED = ("response.output_text.delta", "response.text.delta")
_OWN: dict[str, Any] = dict.fromkeys(_WEIGHED, ResponsesToChat._weighed_delta)

TRANSITIONS = transitions([row._replace(handler=_OWN.get(row.event, row.handler)) for row in ROWS])
ResponsesToChat.transitions = TRANSITIONS
