"""What a request becomes as a prompt: an ordered list of segments with their bytes, tokens and boundaries.

Order: settings (no tokens, but part of every prefix), tools, instructions, then each input item by type. Two
spellings of one meaning (a string and a single text part) render the same; call ids and item ids do not
render. It decides what belongs to a prefix and never what is cached: that is cache.py.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dragoman.simulator import tokens
from dragoman.simulator.models import Family
from dragoman.wire import jsonio

BLOCK = 128
HEAD_TOKENS = 256
_MEMO_TOKENS = 2_000_000
# Volatile or already counted elsewhere: these keys of an item never reach the model.
_UNRENDERED = frozenset({"id", "status", "type", "call_id", "created_by"})


class Measured(NamedTuple):
    """Token count of one text and the byte offset where each token ends."""

    total: int
    ends: array[int]


class Memo:
    """Remembers measured texts by digest, bounded by tokens: a history is measured once, not every turn."""

    def __init__(self, limit: int = _MEMO_TOKENS) -> None:
        self._limit = limit
        self._held = 0
        self._seen: OrderedDict[bytes, Measured] = OrderedDict()

    def text(self, text: str, digest: bytes) -> Measured:
        """Measures a text; the same digest is measured once."""
        return self._recall(digest) or self._keep(digest, _measured(text))

    def fixed(self, digest: bytes, compute: Callable[[], int]) -> int:
        """The same for a part whose tokens do not follow from its text, such as an image."""
        key = digest + b"!"
        return (self._recall(key) or self._keep(key, Measured(compute(), array("I")))).total

    def _recall(self, key: bytes) -> Measured | None:
        if (found := self._seen.get(key)) is not None:
            self._seen.move_to_end(key)
        return found

    def _keep(self, key: bytes, found: Measured) -> Measured:
        self._seen[key] = found
        self._held += _weight(found)
        while self._held > self._limit and len(self._seen) > 1:
            self._held -= _weight(self._seen.popitem(last=False)[1])
        return found


def _measured(text: str) -> Measured:
    ends = tokens.ends(text)
    return Measured(len(ends), ends)


def _weight(measured: Measured) -> int:
    return len(measured.ends) + 32


@dataclass(slots=True)
class Segment:
    """One stretch of the prompt. `head` is the length of the part of raw that costs `overhead` tokens."""

    kind: str
    label: str
    raw: bytes
    digest: bytes
    tokens: int
    overhead: int = 0
    head: int = 0
    inner: array[int] | None = None  # ends of the text's own tokens, counted from `head`
    ends_turn: bool = False
    marked: bool = False
    ends_head: bool = False

    def token_end(self, index: int) -> int:
        """The byte of raw at which the segment's token `index` ends."""
        if index < self.overhead:
            return self.head
        if self.inner is not None:
            return self.head + self.inner[index - self.overhead]
        rest = self.tokens - self.overhead
        return self.head + (len(self.raw) - self.head) * (index - self.overhead + 1) // rest


@dataclass(slots=True)
class Prompt:
    """The rendered request."""

    segments: list[Segment]
    tokens: int
    prefixes: list[bytes] = field(default_factory=list)  # hash of everything up to and including a segment
    totals: list[int] = field(default_factory=list)  # tokens up to and including a segment

    def blocks(self) -> list[bytes]:
        """One key per full block of 128 tokens: the hash of everything before its end."""
        keys: list[bytes] = []
        running = hashlib.blake2b(digest_size=16)
        done = 0
        for segment in self.segments:
            at = 0
            while (len(keys) + 1) * BLOCK <= done + segment.tokens:
                stop = segment.token_end((len(keys) + 1) * BLOCK - done - 1)
                running.update(segment.raw[at:stop])
                keys.append(running.copy().digest())
                at = stop
            running.update(segment.raw[at:])
            done += segment.tokens
        return keys

    def head_hash(self) -> bytes:
        """Hash of about the first 256 tokens: what the public service routes by."""
        running = hashlib.blake2b(digest_size=8)
        left = HEAD_TOKENS
        for segment in self.segments:
            if segment.tokens > left:
                running.update(segment.raw[: segment.token_end(left - 1)] if left else b"")
                break
            running.update(segment.raw)
            left -= segment.tokens
        return running.digest()


class Renderer:
    """Renders requests; holds the memo of what was measured before."""

    def __init__(self) -> None:
        self.memo = Memo()

    def render(
        self,
        body: Mapping[str, Any],
        family: Family,
        *,
        sealed_tokens: Callable[[str], int],
        render_summaries: bool = True,
    ) -> Prompt:
        """`sealed_tokens` tells for an encrypted_content how many tokens it stands for."""
        segments = [self._salt(body)]
        segments += self._tools("tools", body.get("tools") or ())
        if instructions := body.get("instructions"):
            segments.append(self._text("instructions", "instructions", "", instructions, tokens.ITEM))
        if len(segments) > 1:
            segments[-1].ends_head = True
        items = as_items(body.get("input"))
        hidden = _last_user(items) if _drops_old_reasoning(body, family) else -1
        for index, item in enumerate(items):
            kind = item.get("type", "message")
            if kind == "reasoning" and index < hidden:
                continue
            label = f"input[{index}]"
            if kind == "message":
                segments += self._message(label, item)
            elif kind in ("reasoning", "compaction"):
                segments.append(self._sealed(label, kind, item, sealed_tokens, render_summaries))
            elif kind.endswith("_output"):
                segments += self._output(label, kind, item)
            elif kind == "additional_tools":
                segments += self._tools(label, item.get("tools") or ())
            else:
                segments.append(self._call(label, kind, item))
        return _chained(segments)

    def _salt(self, body: Mapping[str, Any]) -> Segment:
        text = body.get("text") or {}
        settings = [
            body.get("model"),
            body.get("parallel_tool_calls", True),
            text.get("format"),
            (body.get("reasoning") or {}).get("effort"),
            text.get("verbosity"),
            body.get("context_management"),
        ]
        raw = jsonio.dump(settings)
        return Segment("settings", "settings", raw, _digest(raw), 0, head=len(raw))

    def _tools(self, label: str, tools: Sequence[Any]) -> list[Segment]:
        return [
            self._text("tools", f"{label}[{index}]", "tool", jsonio.dump_text(tool), tokens.TOOL)
            for index, tool in enumerate(tools)
        ]

    def _message(self, label: str, item: Mapping[str, Any]) -> list[Segment]:
        role = item.get("role", "user")
        header = f"{role}:{item.get('phase') or ''}"
        segments = list(self._parts(role, label, header, item.get("content")))
        if role == "user":
            segments[-1].ends_turn = True
        return segments

    def _output(self, label: str, kind: str, item: Mapping[str, Any]) -> list[Segment]:
        segments = list(self._parts("output", label, kind, item.get("output", "")))
        segments[-1].ends_turn = True
        return segments

    def _parts(self, kind: str, label: str, header: str, content: Any) -> Iterator[Segment]:
        """One segment per part; the item's overhead and header belong to the first."""
        if not isinstance(content, list):
            text = content if isinstance(content, str) else jsonio.dump_text(content)
            yield self._text(kind, label, header, text, tokens.ITEM)
            return
        if not content:
            yield self._text(kind, label, header, "", tokens.ITEM)
        for index, part in enumerate(content):
            first = index == 0
            segment = self._part(
                kind,
                label if len(content) == 1 else f"{label}.content[{index}]",
                header if first else "",
                part,
                tokens.ITEM if first else 0,
            )
            segment.marked = bool(part.get("prompt_cache_breakpoint"))
            yield segment

    def _part(self, kind: str, label: str, header: str, part: Mapping[str, Any], overhead: int) -> Segment:
        match part.get("type"):
            case "input_image":
                detail = part.get("detail") or "auto"
                url = part.get("image_url") or part.get("file_id") or ""
                text = f"image:{detail}:{url}"
                return self._opaque(kind, label, header, text, overhead, lambda: tokens.image(url, detail))
            case "input_file":
                carried = part.get("file_data")
                text = f"file:{carried or part.get('file_url') or part.get('file_id')}"
                return self._opaque(kind, label, header, text, overhead, lambda: tokens.file(carried))
            case "refusal":
                return self._text(kind, label, header, part.get("refusal", ""), overhead)
            case "input_text" | "output_text" | "text":
                return self._text(kind, label, header, part.get("text", ""), overhead)
        return self._text(kind, label, header, jsonio.dump_text(part), overhead)

    def _sealed(
        self,
        label: str,
        kind: str,
        item: Mapping[str, Any],
        sealed_tokens: Callable[[str], int],
        render_summaries: bool,
    ) -> Segment:
        sealed = item.get("encrypted_content") or ""
        summary = [part.get("text", "") for part in item.get("summary") or ()] if render_summaries else []
        content = [part.get("text", "") for part in item.get("content") or ()]
        raw = jsonio.dump([kind, sealed, summary, content])
        cost = sealed_tokens(sealed) + sum(map(tokens.count, summary)) + sum(map(tokens.count, content))
        return Segment(kind, label, raw, _digest(raw), cost + tokens.ITEM, tokens.ITEM, 0)

    def _call(self, label: str, kind: str, item: Mapping[str, Any]) -> Segment:
        if kind == "function_call":
            text = f"{item.get('namespace') or ''}\n{item.get('name')}\n{item.get('arguments')}"
        elif kind == "custom_tool_call":
            text = f"{item.get('name')}\n{item.get('input')}"
        else:
            text = jsonio.dump_text({key: item[key] for key in item if key not in _UNRENDERED})
        return self._text("call", label, kind, text, tokens.ITEM)

    def _text(self, kind: str, label: str, header: str, text: str, overhead: int) -> Segment:
        head = header.encode() + b"\0"
        raw = head + text.encode()
        digest = _digest(raw)
        measured = self.memo.text(text, digest)
        return Segment(
            kind, label, raw, digest, measured.total + overhead, overhead, len(head), measured.ends
        )

    def _opaque(
        self, kind: str, label: str, header: str, text: str, overhead: int, cost: Callable[[], int]
    ) -> Segment:
        head = header.encode() + b"\0"
        raw = head + text.encode()
        digest = _digest(raw)
        return Segment(
            kind, label, raw, digest, self.memo.fixed(digest, cost) + overhead, overhead, len(head)
        )


def as_items(value: Any) -> list[dict[str, Any]]:
    """The input as a list of items: a bare string is one user message."""
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    return list(value or ())


def _drops_old_reasoning(body: Mapping[str, Any], family: Family) -> bool:
    context = (body.get("reasoning") or {}).get("context") or "auto"
    return context == "current_turn" or (context == "auto" and not family.all_turns)


def _last_user(items: Sequence[Mapping[str, Any]]) -> int:
    for index in range(len(items) - 1, -1, -1):
        if items[index].get("type", "message") == "message" and items[index].get("role") == "user":
            return index
    return -1


def _digest(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=16).digest()


def _chained(segments: list[Segment]) -> Prompt:
    prompt = Prompt(segments, 0)
    running = b""
    for segment in segments:
        running = _digest(running + segment.digest)
        prompt.tokens += segment.tokens
        prompt.prefixes.append(running)
        prompt.totals.append(prompt.tokens)
    return prompt
