"""Explicit cache breakpoints, for upstreams that keep cache entries only at breakpoints.

Beside the implicit one (the latest user message or tool output) at most three marks are set: at the end of
the system prompt, at the latest instruction in the middle, and where the client marked last or the input
could still change. Marks are not part of the prompt; they only say where an entry may be kept. Follows
OpenAI's prompt caching guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MARK = "prompt_cache_breakpoint"
MOST = 3
_IMPLICIT = ("function_call_output",)


def set_breakpoints(items: Sequence[dict[str, Any]], client_marks: Sequence[dict[str, Any]]) -> None:
    """Marks parts of these items, in place: they were made for this request. `client_marks` are the parts
    that the client marked, in order; one at the very end is where the implicit breakpoint is anyway."""
    chosen: list[dict[str, Any]] = []
    for part in (
        _system_end(items),
        _latest_instruction(items),
        _deepest(items, client_marks),
        _before_last(items),
    ):
        if part is not None and all(part is not other for other in chosen):
            chosen.append(part)
    for part in chosen[:MOST]:
        part[MARK] = {"mode": "explicit"}


def _markable(item: dict[str, Any]) -> dict[str, Any] | None:
    """The last part of an item, if it can carry a mark: input parts can, texts and calls cannot."""
    parts = item.get("content") if item.get("role") in ("user", "developer") else item.get("output")
    return parts[-1] if isinstance(parts, list) and parts else None


def _system_end(items: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    return _markable(items[0]) if items and items[0].get("role") == "developer" else None


def _latest_instruction(items: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    for item in reversed(items):
        if item.get("role") == "developer" and item["type"] == "message":
            return _markable(item)
    return None


def _deepest(items: Sequence[dict[str, Any]], marks: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if not marks:
        return None
    last = items[-1]
    implicit = last.get("role") == "user" or last["type"] in _IMPLICIT
    return None if implicit and marks[-1] is _markable(last) else marks[-1]


def _before_last(items: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    for item in reversed(items[:-1]):
        if (part := _markable(item)) is not None:
            return part
    return None
