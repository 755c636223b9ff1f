"""Checks messages and their content blocks, as far as they are read later.

Extra members are no error: clients add them often. A type of block that nobody knows is one, because what it
means would be lost, and so is a file that was uploaded somewhere else; a lenient operator has both passed
over instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.translate.flaw import (
    Flaw,
    check_list,
    check_object,
    check_optional,
    check_string,
    check_text,
    check_url,
    check_word,
    is_base64,
)
from dragoman.translate.messages.notes import ASSISTANT_NOTES, RESULT_NOTES, SILENT, USER_NOTES
from dragoman.translate.messages.valid_tools import check_tool

Block = Mapping[str, Any]

ROLES = ("user", "assistant", "system")
MARKS = 4
TTLS = ("5m", "1h")
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


class Content:
    """Checks one request's messages; counts cache marks over tools, system and messages."""

    __slots__ = ("_lenient", "_marks")

    def __init__(self, *, lenient: bool) -> None:
        self._lenient = lenient
        self._marks = 0

    def mark(self, holder: Mapping[str, Any], *, counted: bool = True) -> None:
        """Checks and counts an object's `cache_control`; the request's own is automatic, not a mark."""
        control = holder.get("cache_control")
        if control is None:
            return
        if check_object(control, "cache_control").get("type") != "ephemeral":
            raise Flaw("cache_control.type", "must be ephemeral")
        if control.get("ttl") is not None and control["ttl"] not in TTLS:
            raise Flaw("cache_control.ttl", f"must be one of {', '.join(TTLS)}")
        self._marks += counted
        if self._marks > MARKS:
            raise Flaw("cache_control", f"at most {MARKS} blocks may be marked")

    def message(self, message: Any) -> None:
        """One message of any role."""
        role = check_object(message).get("role")
        if role not in ROLES:
            raise Flaw("role", f"must be one of {', '.join(ROLES)}")
        content = message.get("content")
        if isinstance(content, str):
            return
        if content is None and role == "system" and isinstance(message.get("output_config"), dict):
            return
        if not isinstance(content, list):
            raise Flaw("content", "must be a string or an array of content blocks")
        checks = _BY_ROLE[role]
        for place, block in enumerate(content):
            try:
                self.block(block, checks, role)
            except Flaw as flaw:
                raise flaw.under(place).under("content") from None

    def block(self, block: Any, checks: Mapping[str, _Check], where: str) -> None:
        """One block. `checks` are the types that may stand here, `where` names the place in an error."""
        if not isinstance(block, dict):
            raise Flaw("", "must be an object")
        kind = block.get("type")
        check = checks.get(kind) if isinstance(kind, str) else None
        if check is not None:
            check(self, block)
        elif not isinstance(kind, str):
            raise Flaw("type", "is required")
        elif not self._lenient or kind in _KNOWN:
            told = "cannot stand here" if kind in _KNOWN else "is not supported"
            raise Flaw("type", f"a block of type {kind!r} {told} ({where})")
        if "cache_control" in block:
            self.mark(block)

    def inner(self, blocks: Any, checks: Mapping[str, _Check], name: str, where: str) -> None:
        """A list of blocks inside a block."""
        for place, block in enumerate(check_list(blocks, name)):
            try:
                self.block(block, checks, where)
            except Flaw as flaw:
                raise flaw.under(place).under(name) from None

    # -- single types --------------------------------------------------------------------------------

    def text(self, block: Block) -> None:
        if not isinstance(block.get("text"), str):
            check_string(block, "text")

    def image(self, block: Block) -> None:
        self._source(block, self._image_source)

    def document(self, block: Block) -> None:
        check_optional(block, "title", str, "a string")
        check_optional(block, "context", str, "a string")
        self._source(block, self._document_source)

    def _source(self, block: Block, check: Callable[[Block], None]) -> None:
        source = check_object(block.get("source"), "source")
        try:
            check(source)
        except Flaw as flaw:
            raise flaw.under("source") from None

    def _image_source(self, source: Block) -> None:
        kind = source.get("type")
        if kind == "base64":
            check_word(source, "media_type", IMAGE_TYPES)
            check_text(source, "media_type")
            _check_base64(source)
        elif kind == "url":
            check_url(source, "url")
        else:
            self._other_source(kind)

    def _document_source(self, source: Block) -> None:
        kind = source.get("type")
        if kind == "base64":
            if source.get("media_type") != "application/pdf":
                raise Flaw("media_type", "must be application/pdf")
            _check_base64(source)
        elif kind == "url":
            check_url(source, "url")
        elif kind == "text":
            check_string(source, "data")
        elif kind == "content":
            content = source.get("content")
            if not isinstance(content, str):
                self.inner(content, _SOURCE, "content", "document")
        else:
            self._other_source(kind)

    def _other_source(self, kind: Any) -> None:
        if kind == "file":
            if not self._lenient:
                raise Flaw("", "uploaded files are not available; send the data or a URL")
        else:
            raise Flaw("type", "must be one of base64, url, text, content")

    def search_result(self, block: Block) -> None:
        check_string(block, "source")
        check_string(block, "title")
        self.inner(block.get("content"), _TEXT, "content", "search_result")

    def tool_use(self, block: Block) -> None:
        check_text(block, "id")
        check_text(block, "name")
        if not isinstance(block.get("input"), dict):
            raise Flaw("input", "must be an object")

    def tool_result(self, block: Block) -> None:
        check_text(block, "tool_use_id")
        check_optional(block, "is_error", bool, "a boolean")
        content = block.get("content")
        if content is not None and not isinstance(content, str):
            self.inner(content, _RESULT, "content", "tool_result")

    def tool_reference(self, block: Block) -> None:
        check_text(block, "tool_name")

    def thinking(self, block: Block) -> None:
        check_optional(block, "thinking", str, "a string")
        check_optional(block, "signature", str, "a string")

    def redacted_thinking(self, block: Block) -> None:
        check_optional(block, "data", str, "a string")

    def web_search_tool_result(self, block: Block) -> None:
        check_text(block, "tool_use_id")
        content = block.get("content")
        if isinstance(content, dict):
            return
        for place, result in enumerate(check_list(content, "content")):
            check_object(result, f"content.{place}")

    def instruction(self, block: Block) -> None:
        content = block.get("content")
        if content is not None and not isinstance(content, str):
            self.inner(content, _TEXT, "content", "mid_conv_system")

    def compaction(self, block: Block) -> None:
        check_optional(block, "content", str, "a string")
        check_optional(block, "encrypted_content", str, "a string")
        if block.get("tool_changes") is not None:
            self.inner(block["tool_changes"], _CHANGES, "tool_changes", "compaction")

    def tool_change(self, block: Block) -> None:
        tool = check_object(block.get("tool"), "tool")
        try:
            kind = check_text(tool, "type")
            if kind == "tool_reference":
                check_text(tool, "name")
            elif kind == "tool_definition":
                _check_definition(tool)
        except Flaw as flaw:
            raise flaw.under("tool") from None

    def anything(self, block: Block) -> None:
        """A block that is only told about: its members are not relied upon."""


def _check_definition(tool: Block) -> None:
    try:
        check_tool(tool.get("definition"), lenient=True)
        check_text(tool["definition"], "name")
    except Flaw as flaw:
        raise flaw.under("definition") from None


def _check_base64(source: Block) -> None:
    if not is_base64(check_text(source, "data")):
        raise Flaw("data", "must be base64")


_Check = Callable[[Content, Block], None]

_TEXT: dict[str, _Check] = {"text": Content.text}
_CHANGES: dict[str, _Check] = {"tool_addition": Content.tool_change, "tool_removal": Content.tool_change}
_SOURCE: dict[str, _Check] = {**_TEXT, "image": Content.image}
_INPUT: dict[str, _Check] = {
    **_SOURCE,
    "document": Content.document,
    "search_result": Content.search_result,
}
_RESULT: dict[str, _Check] = {
    **_INPUT,
    "tool_reference": Content.tool_reference,
    **dict.fromkeys(RESULT_NOTES, Content.anything),
}
_BY_ROLE: dict[str, dict[str, _Check]] = {
    "user": {
        **_INPUT,
        **_CHANGES,
        "tool_result": Content.tool_result,
        "mid_conv_system": Content.instruction,
        **dict.fromkeys(USER_NOTES | SILENT, Content.anything),
    },
    "assistant": {
        **_TEXT,
        **_CHANGES,
        **dict.fromkeys(ASSISTANT_NOTES | SILENT, Content.anything),
        "thinking": Content.thinking,
        "redacted_thinking": Content.redacted_thinking,
        "tool_use": Content.tool_use,
        "server_tool_use": Content.tool_use,
        "web_search_tool_result": Content.web_search_tool_result,
        "tool_search_tool_result": Content.anything,
        "compaction": Content.compaction,
    },
    "system": {**_TEXT, **_CHANGES},
}
_KNOWN = frozenset(_RESULT).union(*_BY_ROLE.values())
