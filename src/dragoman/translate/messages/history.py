"""The conversation as input items, in exactly the order in which the client has it.

Every choice is a matter of the block itself and of what stands before it, so that a later turn repeats an
earlier one byte for byte. A broken history is mended, or refused where the operator wants that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.translate.messages.answers import Answers, compaction_of
from dragoman.translate.messages.content import Content, text_part
from dragoman.translate.messages.phases import Phases
from dragoman.translate.messages.plan import Policy, Target
from dragoman.translate.messages.questions import Questions
from dragoman.translate.messages.tools import Offer
from dragoman.translate.messages.transcript import Transcript
from dragoman.translate.pairing import pair, refuse

PREFILL = (
    "Your answer has already begun with the text below. Continue exactly where it ends, without repeating it."
)


@dataclass(frozen=True, slots=True)
class History:
    """A conversation that was read: its transcript, and how the client itself began the answer."""

    transcript: Transcript
    prefill: str


def read_history(
    messages: Sequence[Mapping[str, Any]],
    target: Target,
    policy: Policy,
    offer: Offer,
    recall: Mapping[str, str],
    phases: Phases,
    *,
    without_reasoning: bool,
) -> History:
    """Reads all messages. Raises Refused where the operator wants no history mended."""
    bare = without_reasoning or not target.capability.reasoning

    def replaces(block: Mapping[str, Any]) -> bool:
        if block.get("content"):
            return True
        return not bare and compaction_of(block, policy.seal_key, target.account_tag) is not None

    pairs = pair(messages, replaces)
    if policy.strict_history:
        refuse(messages, pairs)
    capability = target.capability
    content = Content(capability, offer.names.of)
    transcript = Transcript(content, offer, capability.instruction_role)
    questions = Questions(transcript, pairs)
    answers = Answers(transcript, pairs, target, policy, recall, phases, without_reasoning=bare)
    first, skipped = pairs.start
    final = len(messages) - 1
    for number in range(first, len(messages)):
        message = messages[number]
        role = message["role"]
        if role == "assistant":
            answers.assistant(message["content"], number, skipped, is_last=number == final)
            skipped = 0
            continue
        transcript.end_of_run()
        if role == "user":
            questions.user(message["content"], number)
        else:
            questions.system(message, number)
    transcript.end_of_run()
    if answers.prefill:
        transcript.instruct([text_part(f"{PREFILL}\n\n{answers.prefill}")])
    if not transcript.items:
        transcript.ask([text_part("")])
    return History(transcript, answers.prefill)
