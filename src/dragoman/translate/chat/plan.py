"""What the two halves of the Chat Completions translation share beyond what every answer needs.

A ChatPlan is a Plan with what only this dialect asks for; a ChatContext is the frame of one answer in it.
Values only.
"""

from __future__ import annotations

from dataclasses import dataclass

from dragoman.translate.messages.context import AnswerContext
from dragoman.translate.messages.plan import Plan


@dataclass(slots=True)
class ChatPlan(Plan):
    """A translated request. `thinking` is `shown` where the client asked to read reasoning, else `off`.

    include_usage  figures are told in a chunk of their own at the end
    legacy         the client offered `functions`: a call is a `function_call`, and there is only one
    logprobs       log probabilities of the text were asked for, and the upstream gives them
    """

    include_usage: bool = False
    legacy: bool = False
    logprobs: bool = False


@dataclass(slots=True)
class ChatContext(AnswerContext):
    """The frame of an answer: `message_id` is our own `chatcmpl-…`, `created` epoch seconds.

    plan  what the request half decided
    """

    plan: ChatPlan
    created: int = 0
