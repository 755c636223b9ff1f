"""Which tool results belong to which calls, before anything is translated.

The upstream refuses a call without output, an output without call and an id that is used twice. This finds
all three; what is done about them is decided in history.py. It also finds where a conversation begins that
was compacted. Positions are (message, block).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman.wire.errors import invalid

Position = tuple[int, int]


@dataclass(slots=True)
class Pairs:
    """What does not match. `renamed` gives calls (and their results) whose id was used before a new one.

    start            the first message that counts: everything before a compaction was replaced by it
    last_user        the last message of the user, -1 when there is none
    """

    unanswered: set[Position] = field(default_factory=set)
    orphans: set[Position] = field(default_factory=set)
    renamed: dict[Position, str] = field(default_factory=dict)
    start: Position = (0, 0)
    last_user: int = -1


def pair(messages: Sequence[Mapping[str, Any]], replaces: Callable[[Mapping[str, Any]], bool]) -> Pairs:
    """Matches results with calls by id, in order. `replaces` says which compactions can be used.

    Results stand between their calls and the next answer, as Anthropic wants it. One that comes later is an
    orphan: its call was sent with another output in the turns between.
    """
    pairs = Pairs()
    waiting: dict[str, list[Position]] = {}
    seen: set[str] = set()
    before = ""
    for number, message in enumerate(messages):
        content, role = message.get("content"), message["role"]
        if role == "user":
            pairs.last_user = number
        elif role == "assistant" and before != role:
            _close(waiting, pairs)
        before = role
        if not isinstance(content, list):
            continue
        for place, block in enumerate(content):
            kind = block["type"]
            if kind == "tool_use":
                _call(block["id"], (number, place), pairs, waiting, seen)
            elif kind == "tool_result":
                _result(block["tool_use_id"], (number, place), pairs, waiting)
            elif kind == "compaction" and role == "assistant" and replaces(block):
                pairs = Pairs(start=(number, place), last_user=pairs.last_user)
                waiting, seen = {}, set()
    _close(waiting, pairs)
    return pairs


def _close(waiting: dict[str, list[Position]], pairs: Pairs) -> None:
    """The next answer begins: what is still waiting stays without result."""
    if waiting:
        pairs.unanswered.update(position for positions in waiting.values() for position in positions)
        waiting.clear()


def _call(
    call_id: str, position: Position, pairs: Pairs, waiting: dict[str, list[Position]], seen: set[str]
) -> None:
    waiting.setdefault(call_id, []).append(position)
    if call_id not in seen:
        seen.add(call_id)
        return
    name, count = call_id, 1
    while name in seen:
        count += 1
        name = f"{call_id}_{count}"
    seen.add(name)
    pairs.renamed[position] = name


def _result(call_id: str, position: Position, pairs: Pairs, waiting: dict[str, list[Position]]) -> None:
    if not (calls := waiting.get(call_id)):
        pairs.orphans.add(position)
        return
    call = calls.pop(0)
    if not calls:
        del waiting[call_id]
    if call in pairs.renamed:
        pairs.renamed[position] = pairs.renamed[call]


def refuse(messages: Sequence[Mapping[str, Any]], pairs: Pairs) -> None:
    """Raises Refused, as Anthropic does, for the first thing in the history that does not match."""
    for kind, found in (
        ("tool_use without a tool_result after it", pairs.unanswered),
        ("tool_result without a tool_use before it", pairs.orphans),
        ("this tool_use id was used before", pairs.renamed),
    ):
        if found:
            number, place = min(found)
            raise invalid(f"messages.{number}.content.{place}", kind)
