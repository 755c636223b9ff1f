"""A chat conversation as input items, in exactly the order in which the client has it.

Every choice is a matter of the message itself and of what stands before it, so that a later turn repeats an
earlier one byte for byte. Instructions at the very beginning are given back apart; a history whose calls and
results do not match is mended, or refused where the operator wants that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dragoman.translate.capability import Capability
from dragoman.translate.chat.content import ChatContent
from dragoman.translate.messages.answers import RENAMED, spoken
from dragoman.translate.messages.content import ORPHAN, Part, text_part
from dragoman.translate.messages.phases import Phases
from dragoman.translate.messages.plan import Policy, Target
from dragoman.translate.messages.questions import KEPT_ORPHAN, upstream_call_id
from dragoman.translate.messages.tools import Offer
from dragoman.translate.messages.transcript import Transcript
from dragoman.translate.pairing import Pairs, pair
from dragoman.wire.errors import invalid

Message = Mapping[str, Any]

INSTRUCTIONS = ("system", "developer")
RESULTS = ("tool", "function")


class Called(NamedTuple):
    """A call in the history; `id` is made up where the old shape has none."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class History:
    """A conversation that was read. `instructions` are the texts at its beginning, not among the items."""

    transcript: Transcript
    instructions: list[str]


def read_history(
    messages: Sequence[Message], target: Target, policy: Policy, offer: Offer, phases: Phases
) -> History:
    """Reads all messages. Raises Refused where the operator wants no history mended."""
    capability = target.capability
    calls = [_calls(message, number) for number, message in enumerate(messages)]
    results = _results(messages, calls)
    pairs = pair(_view(messages, calls, results), lambda _: False)
    if policy.strict_history:
        _refuse(messages, pairs)
    content = ChatContent(capability, offer.names.of)
    transcript = Transcript(content, offer, capability.instruction_role)
    talk = _Talk(transcript, content, pairs, calls, results, capability, phases)
    first = 0
    texts: list[str] = []
    if capability.system == "instructions":
        while first < len(messages) and messages[first]["role"] in INSTRUCTIONS:
            parts = content.message(messages[first].get("content"), f"messages.{first}")
            texts += [part["text"] for part in parts]
            first += 1
    for number in range(first, len(messages)):
        talk.read(messages[number], number)
    talk.end()
    if not transcript.items:
        transcript.ask([text_part("")])
    return History(transcript, texts)


class _Talk:
    """Reads messages into a transcript, one by one."""

    __slots__ = (
        "_beside",
        "_calls",
        "_capability",
        "_content",
        "_pairs",
        "_phases",
        "_results",
        "_transcript",
    )

    def __init__(
        self,
        transcript: Transcript,
        content: ChatContent,
        pairs: Pairs,
        calls: Sequence[Sequence[Called]],
        results: Mapping[int, str],
        capability: Capability,
        phases: Phases,
    ) -> None:
        self._transcript = transcript
        self._pairs = pairs
        self._calls = calls
        self._results = results
        self._capability = capability
        self._phases = phases
        self._content = content
        self._beside: list[Part] = []  # images of outputs that need a message of their own

    def read(self, message: Message, number: int) -> None:
        """The next message."""
        role = message["role"]
        if role == "assistant":
            self._flush()
            self._answer(message, number)
            return
        self._transcript.end_of_run()
        if role in RESULTS:
            self._result(message, number)
            return
        self._flush()
        parts = self._content.message(message.get("content"), f"messages.{number}")
        if parts and role in INSTRUCTIONS:
            self._transcript.instruct(parts)
        elif parts:
            self._transcript.ask(parts)
        if message.get("name"):
            self._content.ignored.append(f"messages.{number}.name")

    def end(self) -> None:
        """There are no more messages."""
        self._transcript.end_of_run()
        self._flush()

    def _answer(self, message: Message, number: int) -> None:
        transcript, calls = self._transcript, self._calls[number]
        for text in _texts(message):
            transcript.produce(spoken(text, self._capability, self._phases, before_call=bool(calls)))
        for place, call in enumerate(calls):
            renamed = self._pairs.renamed.get((number, place))
            if renamed is not None:
                transcript.repaired[RENAMED] = None
            call_id = upstream_call_id(renamed or call.id)
            if (number, place) in self._pairs.unanswered:
                transcript.unanswered.append(call_id)
            name = transcript.offer.names.of(call.name)
            item = {"type": "function_call", "call_id": call_id, "name": name, "arguments": call.arguments}
            transcript.produce(item)
        if message.get("reasoning_content"):
            transcript.dropped += 1  # text alone, without the seal that an upstream would take back

    def _result(self, message: Message, number: int) -> None:
        transcript, path, position = self._transcript, f"messages.{number}", (number, 0)
        if position in self._pairs.orphans:
            transcript.repaired[KEPT_ORPHAN] = None
            self._flush()
            transcript.ask([text_part(ORPHAN), *self._content.message(message.get("content"), path)])
            return
        output, beside = self._content.output(message, path)
        call_id = upstream_call_id(self._pairs.renamed.get(position) or self._results[number])
        transcript.items.append({"type": "function_call_output", "call_id": call_id, "output": output})
        self._beside += beside

    def _flush(self) -> None:
        if self._beside:
            self._transcript.ask(self._beside)
            self._beside = []


def _calls(message: Message, number: int) -> list[Called]:
    """The calls of an assistant message, new shape and old."""
    if message["role"] != "assistant":
        return []
    found = [
        Called(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    ]
    if old := message.get("function_call"):
        found.append(Called(f"call_{number}", old["name"], old["arguments"]))
    return found


def _results(messages: Sequence[Message], calls: Sequence[Sequence[Called]]) -> dict[int, str]:
    """The id of the call that each result belongs to; in the old shape the latest call of its name."""
    found: dict[int, str] = {}
    latest: dict[str, str] = {}
    for number, message in enumerate(messages):
        latest.update((call.name, call.id) for call in calls[number])
        if message["role"] == "tool":
            found[number] = message["tool_call_id"]
        elif message["role"] == "function":
            found[number] = latest.get(message["name"], "")
    return found


def _view(
    messages: Sequence[Message], calls: Sequence[Sequence[Called]], results: Mapping[int, str]
) -> list[dict[str, Any]]:
    """The conversation as far as pairing looks at it."""
    seen: list[dict[str, Any]] = []
    for number, message in enumerate(messages):
        if message["role"] == "assistant":
            used = [{"type": "tool_use", "id": call.id} for call in calls[number]]
            seen.append({"role": "assistant", "content": used})
        elif number in results:
            result = {"type": "tool_result", "tool_use_id": results[number]}
            seen.append({"role": "user", "content": [result]})
        else:
            seen.append({"role": message["role"]})
    return seen


def _refuse(messages: Sequence[Message], pairs: Pairs) -> None:
    """Raises Refused, as OpenAI does, for the first thing in the history that does not match."""
    for problem, found in (
        ("a call must be followed by a message with its result", pairs.unanswered),
        ("a result must follow the call that it answers", pairs.orphans),
        ("this id was used by an earlier call", pairs.renamed),
    ):
        if found:
            number, place = min(found)
            message = messages[number]
            if message["role"] in RESULTS:
                path = "tool_call_id" if message["role"] == "tool" else "name"
            else:
                path = f"tool_calls.{place}.id" if message.get("tool_calls") else "function_call"
            raise invalid(f"messages.{number}.{path}", problem)


def _texts(message: Message) -> list[str]:
    """What an assistant message says, without empty texts; a refusal is something it said."""
    content = message.get("content")
    texts = [content] if isinstance(content, str) else []
    if isinstance(content, list):
        texts = [part["text"] if part["type"] == "text" else part["refusal"] for part in content]
    return [text for text in (*texts, message.get("refusal")) if text]
