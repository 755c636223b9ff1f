"""Reading a request the way a model would: what the user last said, what a tool answered, what is on offer.

Reminders that clients wrap in `<system-reminder>` are not the user's words. It reads only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman.simulator import offers

_REMINDER = re.compile(r"\s*<(system-reminder|environment_context|user_instructions)\b")
_PRODUCED = frozenset(
    {"reasoning", "function_call", "custom_tool_call", "web_search_call", "tool_search_call"}
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What matters of a request for choosing an answer."""

    user: str
    after_tool: bool
    outputs: list[str] = field(default_factory=list)
    tools: list[Mapping[str, Any]] = field(default_factory=list)
    compaction: bool = False


def read(body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> Reading:
    """Reads a create request; `items` is its whole input, with the stored turns before it."""
    outputs = _tail_outputs(items)
    added = [tool for item in items if item.get("type") == "additional_tools" for tool in item["tools"]]
    return Reading(
        user=_last_user(items),
        after_tool=bool(outputs),
        outputs=outputs,
        tools=[*(body.get("tools") or ()), *added],
        compaction=bool(items) and items[-1].get("type") == "compaction_trigger",
    )


def tool_names(reading: Reading) -> frozenset[str]:
    """Names of client tools, and the types of hosted ones."""
    hosted = {str(tool["type"]) for tool in reading.tools if tool["type"] not in ("function", "custom")}
    return frozenset(offers.names(reading.tools)) | hosted


def part_texts(content: Any) -> list[str]:
    """The texts of a message's or an output's content."""
    if isinstance(content, str):
        return [content]
    return [str(part.get("text", "")) for part in content or () if isinstance(part, dict) and "text" in part]


def _last_user(items: Sequence[Mapping[str, Any]]) -> str:
    for item in reversed(items):
        if item.get("type", "message") != "message" or item.get("role") != "user":
            continue
        said = [
            text for text in part_texts(item.get("content")) if text.strip() and not _REMINDER.match(text)
        ]
        if said:
            return said[-1].strip()
    return ""


def _tail_outputs(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tool outputs since the model last spoke; empty when the user has spoken for himself since."""
    found: list[str] = []
    for item in reversed(items):
        kind = item.get("type", "message")
        if kind.endswith("_output"):
            found.append("\n".join(part_texts(item.get("output"))))
        elif kind in _PRODUCED or item.get("role") == "assistant":
            break
    return found[::-1]
