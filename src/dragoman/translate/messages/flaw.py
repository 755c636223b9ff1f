"""What is wrong with a request, and where: the small checks that every field goes through.

A check that fails raises Flaw with the path below its own object; whoever looks into a list or object puts
its own step in front, so that a valid request never pays for paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Flaw(Exception):
    """A field is missing or wrong. `path` is relative to the object that was checked."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def under(self, step: str | int) -> Flaw:
        """The same flaw as seen from one level further out."""
        return Flaw(f"{step}.{self.path}" if self.path else str(step), self.problem)


def check_object(value: Any, path: str = "") -> Mapping[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise Flaw(path, "must be an object")
    return value


def check_list(value: Any, path: str) -> list[Any]:
    """A JSON array."""
    if not isinstance(value, list):
        raise Flaw(path, "must be an array")
    return value


def check_text(holder: Mapping[str, Any], name: str) -> str:
    """A required string member, not empty."""
    value = holder.get(name)
    if not isinstance(value, str):
        raise Flaw(name, "is required" if name not in holder else "must be a string")
    if not value:
        raise Flaw(name, "must not be empty")
    return value


def check_string(holder: Mapping[str, Any], name: str) -> str:
    """A required string member, which may be empty."""
    value = holder.get(name)
    if not isinstance(value, str):
        raise Flaw(name, "is required" if name not in holder else "must be a string")
    return value


def check_optional(holder: Mapping[str, Any], name: str, kind: type, what: str) -> Any:
    """A member that may be absent or null. `what` says its type in words; a bool is never a number."""
    value = holder.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Flaw(name, f"must be {what}")
    return value


def check_whole(holder: Mapping[str, Any], name: str, least: int) -> int | None:
    """An integer member that may be absent or null, not below `least`."""
    value: int | None = check_optional(holder, name, int, "an integer")
    if value is not None and value < least:
        raise Flaw(name, f"must be at least {least}")
    return value


def check_fraction(holder: Mapping[str, Any], name: str) -> None:
    """A number between 0 and 1 that may be absent or null."""
    value = holder.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Flaw(name, "must be a number")
    if not 0 <= value <= 1:
        raise Flaw(name, "must be between 0 and 1")


def check_word(holder: Mapping[str, Any], name: str, words: tuple[str, ...]) -> Any:
    """A member out of a list of words that may be absent or null."""
    value = holder.get(name)
    if value is not None and value not in words:
        raise Flaw(name, f"must be one of {', '.join(words)}")
    return value


def check_strings(holder: Mapping[str, Any], name: str) -> list[str]:
    """An array of strings that may be absent or null."""
    value = holder.get(name)
    if value is None:
        return []
    for place, entry in enumerate(check_list(value, name)):
        if not isinstance(entry, str):
            raise Flaw(f"{name}.{place}", "must be a string")
    return list(value)
