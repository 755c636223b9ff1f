"""What the translation of one answer has to know beforehand.

Everything comes in from outside: the id, the estimate, the tokenizer, the key for sealing. A context is
made for one attempt and never changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dragoman.translate.messages.plan import Plan
from dragoman.translate.messages.reasoning import Seal

WINDOW_BETA = "model-context-window-exceeded-2025-08-26"


@dataclass(slots=True)
class AnswerContext:
    """The frame of an answer.

    message_id         our own `msg_…`
    model              the requested name, which is echoed
    input_estimate     tokens of the prompt, by estimate
    plan               what the request half decided
    seal               key, account and model that sealed reasoning is bound to
    betas              the client's `anthropic-beta` values
    count              tokens of a text, by estimate; only used where visible output is capped
    diagnostics        the cache diagnosis, or None where there is nothing to tell
    diagnostics_asked  whether the client asked for it; else it is told null
    window             the model's context window, for the wording of an overflow
    now                epoch seconds, for reset times that an upstream names; None: unknown
    request_id         stands in an `error` event, as in any other error
    edits_asked        the client sent `context_management`: it is told that no edit was applied
    """

    message_id: str
    model: str
    input_estimate: int
    plan: Plan
    seal: Seal
    betas: frozenset[str]
    count: Callable[[str], int]
    diagnostics: dict[str, Any] | None = None
    diagnostics_asked: bool = False
    window: int | None = None
    now: float | None = None
    edits_asked: bool = False
    request_id: str | None = None
