"""What is wrong with a request, and where: the small checks that every field goes through.

A check that fails raises Flaw with the path below its own object; whoever looks into a list or object puts
its own step in front, so that a valid request never pays for paths.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_URL = re.compile(r"https?://[^\s/][^\s]*", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_SAMPLE = 128


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


def check_between(holder: Mapping[str, Any], name: str, least: int, most: int) -> None:
    """A number in a range that may be absent or null."""
    value = holder.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Flaw(name, "must be a number")
    if not least <= value <= most:
        raise Flaw(name, f"must be between {least} and {most}")


def check_url(holder: Mapping[str, Any], name: str) -> None:
    """An http or https URL: nothing else is passed on to be fetched."""
    url = holder.get(name)
    if not isinstance(url, str) or not _URL.fullmatch(url):
        raise Flaw(name, "must be an http or https URL")


def is_base64(data: str) -> bool:
    """Whether a text looks like base64: of a long one the ends are looked at, the upstream decodes it."""
    sample = data if len(data) <= 2 * _SAMPLE else data[:_SAMPLE] + data[-_SAMPLE:]
    return data.isascii() and _BASE64.fullmatch(sample) is not None


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
