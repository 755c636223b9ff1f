"""What the client says: user messages with their tool results, and system messages in the middle.

Block order is kept exactly. Reminders at the end of a user's message get an item of their own, because
clients take them away again in later turns: the item before them then stays a stable end. Nothing else of
what a text says is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from dragoman.translate.messages.content import ORPHAN, Part, text_part, tool_text
from dragoman.translate.messages.notes import SILENT
from dragoman.translate.messages.transcript import Transcript
from dragoman.translate.pairing import Pairs

Block = Mapping[str, Any]

REMINDER = "<system-reminder>"
CALL_ID_LIMIT = 64
KEPT_ORPHAN = "tool_result without tool_use: kept as text"
TOOL_CHANGES = frozenset({"tool_addition", "tool_removal"})


class Questions:
    """Reads user and system messages into a transcript."""

    __slots__ = ("_beside", "_pairs", "_parts", "_reminders", "_transcript")

    def __init__(self, transcript: Transcript, pairs: Pairs) -> None:
        self._transcript = transcript
        self._pairs = pairs
        self._parts: list[Part] = []
        self._beside: list[Part] = []  # images of tool outputs that need a message of their own
        self._reminders = 0  # how many of the last parts are reminders

    def user(self, content: Any, number: int) -> None:
        """A user message: its texts and files as one item between tool outputs."""
        if isinstance(content, str):
            if content:
                self._transcript.ask([text_part(content)])
            return
        for place, block in enumerate(content):
            kind = block["type"]
            if kind == "text":
                self._text(block)
            elif kind == "tool_result":
                self._result(block, number, place)
            elif kind in TOOL_CHANGES or kind == "mid_conv_system":
                self._flush()
                self._in_place(block, f"messages.{number}.content.{place}")
            elif kind not in SILENT:
                self._place(self._transcript.content.parts(block, f"messages.{number}.content.{place}"))
                self._mark(block, self._parts)
        self._flush(at_end=True)

    def system(self, message: Mapping[str, Any], number: int) -> None:
        """A system message inside the conversation: developer messages at this very place."""
        if message.get("clear_at") == "next_user_message" and number < self._pairs.last_user:
            return
        content = message.get("content") or ()
        if isinstance(content, str):
            self._transcript.instruct([text_part(content)])
            return
        parts: list[Part] = []
        for place, block in enumerate(content):
            path = f"messages.{number}.content.{place}"
            if block["type"] in TOOL_CHANGES:
                self._instruct(parts)
                parts = []
                self._in_place(block, path)
            else:
                parts += self._transcript.content.parts(block, path)
                self._mark(block, parts)
        self._instruct(parts)

    def _text(self, block: Block) -> None:
        if text := block["text"]:
            reminders = self._reminders + 1 if text.startswith(REMINDER) else 0
            self._place([text_part(text)])
            self._reminders = reminders
            self._mark(block, self._parts)

    def _place(self, parts: list[Part]) -> None:
        if self._beside:
            self._parts += self._beside
            self._beside = []
        self._parts += parts
        self._reminders = 0

    def _mark(self, block: Block, parts: Sequence[Part]) -> None:
        if block.get("cache_control") and parts:
            self._transcript.marks.append(parts[-1])

    def _flush(self, *, at_end: bool = False) -> None:
        """Ends the user's item."""
        reminders = self._reminders if at_end else 0
        self._place([])
        parts, self._parts = self._parts, []
        if 0 < reminders < len(parts):
            self._transcript.ask(parts[:-reminders])
            parts = parts[-reminders:]
        if parts:
            self._transcript.ask(parts)

    def _result(self, block: Block, number: int, place: int) -> None:
        transcript, pairs = self._transcript, self._pairs
        if pairs.orphans and (number, place) in pairs.orphans:
            transcript.repaired[KEPT_ORPHAN] = None
            path = f"messages.{number}.content.{place}"
            self._place([text_part(ORPHAN), *transcript.content.result_parts(block, path)])
            return
        if self._parts:
            self._flush()
        call_id = block["tool_use_id"]
        name = upstream_call_id((pairs.renamed and pairs.renamed.get((number, place))) or call_id)
        content = block.get("content")
        output: str | list[Part]
        if isinstance(content, str):  # by far the most frequent; it has neither marks nor references
            output = tool_text(block, content)
            transcript.items.append({"type": "function_call_output", "call_id": name, "output": output})
            return
        output, beside = transcript.content.output(block, f"messages.{number}.content.{place}")
        transcript.items.append({"type": "function_call_output", "call_id": name, "output": output})
        self._beside += beside
        inner = content or ()
        if isinstance(output, list) and any(part.get("cache_control") for part in (block, *inner)):
            transcript.marks.append(output[-1])
        if referenced := [part["tool_name"] for part in inner if part["type"] == "tool_reference"]:
            transcript.load(referenced)

    def _in_place(self, block: Block, path: str) -> None:
        """A block that is an instruction by itself."""
        if block["type"] in TOOL_CHANGES:
            self._transcript.change_tools(block, path)
            return
        content = block.get("content") or ()
        texts = [content] if isinstance(content, str) else [part["text"] for part in content]
        self._instruct([text_part(text) for text in texts if text])

    def _instruct(self, parts: list[Part]) -> None:
        if parts:
            self._transcript.instruct(parts)


def upstream_call_id(call_id: str) -> str:
    """A call's id, shortened where the upstream would refuse its length."""
    if len(call_id) <= CALL_ID_LIMIT:
        return call_id
    return f"{call_id[:47]}_{sha256(call_id.encode()).hexdigest()[:16]}"
