"""Writes chunks of a chat completion: the other dialect of Blocks, fed by the same items.

Texts of several blocks are one `content`, calls are told one after the other by their index. GuardedChunks
is used where visible output is watched. It knows nothing of the upstream's items, and decides no ending.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.translate.chat.plan import ChatContext
from dragoman.translate.messages.blocks import Blocks, GuardedBlocks

Event = dict[str, Any]

# Between two texts of one answer, a comment on the way and the answer itself. It is left out where a program
# reads the text: structured answers, and texts that are scanned for a stop sequence.
JOINT = "\n\n"
_TEXT = {"type": "text"}
_REFUSAL = {"type": "refusal"}


class Chunks(Blocks):
    """The client's side of one answer. `calls` counts the calls that were begun."""

    # Without __slots__, because GuardedChunks has a second parent with slots of its own.

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.frame: Event = {}
        self.tail: Event = {}
        self.legacy = False
        self.joint = ""
        self._said = 0  # characters of content so far
        self._base = 0  # where the content of the open text block begins
        self._odds: list[Event] = []  # log probabilities of text that was not written yet

    def bind(self, context: ChatContext) -> None:
        """Takes what is the same in every chunk of the answer."""
        plan = context.plan
        self.frame = {
            "id": context.message_id,
            "object": "chat.completion.chunk",
            "created": context.created,
            "model": context.model,
            "system_fingerprint": None,
        }
        self.tail = {"usage": None} if plan.include_usage else {}
        self.legacy = plan.legacy
        self.joint = "" if plan.stop_sequences or plan.structured else JOINT

    @property
    def only_called(self) -> bool:
        """Calls were begun, and no text was said."""
        return self.calls > 0 and not self._said

    def chunk(self, delta: Event, finish: str | None = None, odds: Event | None = None) -> Event:
        """A chunk of the one choice."""
        choice = {"index": 0, "delta": delta, "logprobs": odds, "finish_reason": finish}
        return {**self.frame, "choices": [choice], **self.tail}

    # -- what items write ----------------------------------------------------------------------------

    def text(self, text: str) -> None:
        if self.kind != "text":
            self._open(_TEXT)
            if self._said and self.joint:
                self._said += len(self.joint)
                self._base = self._said
                self._said += len(text)
                self._say(self.joint + text)
                return
            self._base = self._said
        self._said += len(text)
        self._say(text)

    def refuse(self, text: str) -> None:
        if self.kind != "refusal":
            self.start(_REFUSAL)
        if not self.over:
            self.out.append(self.chunk({"refusal": text}))

    def cite(self, citation: Event) -> None:
        if self.kind == "text":
            places = {name: citation[name] + self._base for name in ("start_index", "end_index")}
            annotation = {"type": "url_citation", "url_citation": {**citation, **places}}
            self.out.append(self.chunk({"annotations": [annotation]}))

    def json(self, partial: str) -> None:
        self._call({"arguments": partial})

    def delta(self, delta: Event) -> None:
        if delta["type"] == "thinking_delta" and not self.over:
            self.out.append(self.chunk({"reasoning_content": delta["thinking"]}))

    def stop(self) -> None:
        self.kind = None

    def seal(self, signature: str) -> None:
        self.stop()  # the seal has no place in this dialect

    def weigh(self, odds: Any) -> None:
        """Takes the log probabilities of the text that follows."""
        if isinstance(odds, list):
            self._odds += [told for entry in odds if (told := _token(entry)) is not None]

    def _open(self, block: Event) -> None:
        self.kind = block["type"]
        if self.kind == "tool_use":
            self.calls += 1
            self._call({"name": block["name"], "arguments": ""}, block["id"])

    def _call(self, function: Event, call_id: str | None = None) -> None:
        """The beginning of a call (with its id), or more of the arguments of the one that is open."""
        if not self.legacy:
            head: Event = {"index": self.calls - 1}
            if call_id is not None:
                head |= {"id": call_id, "type": "function"}
            self.out.append(self.chunk({"tool_calls": [{**head, "function": function}]}))
        elif self.calls == 1:  # the old shape has room for one
            self.out.append(self.chunk({"function_call": function}))

    def _say(self, text: str) -> None:
        odds: Event | None = None
        if self._odds:
            odds = {"content": self._odds, "refusal": None}
            self._odds = []
        self.out.append(self.chunk({"content": text}, None, odds))


class GuardedChunks(GuardedBlocks, Chunks):
    """Chunks that watch visible output, as GuardedBlocks does."""


def chunks(context: ChatContext, count: Callable[[str], int]) -> Chunks:
    """The writer for an answer: the plain one unless something has to be watched."""
    plan = context.plan
    writer = (
        GuardedChunks(plan.stop_sequences, plan.visible_cap, "", count)
        if plan.stop_sequences or plan.visible_cap is not None
        else Chunks()
    )
    writer.bind(context)
    return writer


def _token(entry: Any) -> Event | None:
    """A token with its log probability and its alternatives; None for anything else."""
    if not _is_token(entry):
        return None
    others = entry.get("top_logprobs")
    found = (_odds(other) for other in (others if isinstance(others, list) else ()) if _is_token(other))
    return {**_odds(entry), "top_logprobs": list(found)}


def _is_token(entry: Any) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("token"), str)


def _odds(entry: Mapping[str, Any]) -> Event:
    return {"token": entry["token"], "logprob": entry.get("logprob"), "bytes": entry.get("bytes")}
