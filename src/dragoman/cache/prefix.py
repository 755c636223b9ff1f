"""What was sent, as a chain of short hashes: where two upstream bodies stop being the same prompt.

A body is cut into segments in the order the upstream renders them: model, settings, tools, instructions,
input items. It keeps hashes and sizes, never content. What does not reach the model (breakpoint marks,
output limits, the key itself) is left out. Order and settings follow OpenAI's prompt caching guide.
The hashes are the interpreter's own, seeded anew in every process: they mean something only beside others
of the same process, and nobody outside can make two that are equal.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from dragoman.wire import jsonio

Part = Literal["model", "settings", "tools", "system", "input"]
Kind = Literal["same", "extended", "shortened", "model", "settings", "tools", "system", "input"]

BYTES_PER_TOKEN = 3.7
WIDTH = 8  # bytes of a hash
# A picture or file weighs by what it costs to read, about a thousand tokens, not by its base64.
_PICTURE_BYTES = 4000
_MARK = "prompt_cache_breakpoint"
_MARK_BYTES = _MARK.encode()
_ABSENT = b"\0" * WIDTH
# Bytes that are rare in text make the search for them skip far.
_SEPARATOR = "\0" * 6
_SEPARATOR_BYTES = b',"' + b"\\u0000" * 6 + b'",'
_HEAVY = {"input_image": "image_url", "input_file": "file_data"}
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
# A tuple: a role that is no text at all is looked for, too.
_SYSTEM_ROLES = ("developer", "system")
_NO_PARTS: tuple[Any, ...] = ()


@dataclass(slots=True)
class Prefix:
    """Hashes and sizes of one upstream body. Tools and items are packed, WIDTH bytes each.

    head        how many leading input items are system prompt (developer or system messages)
    boundary    number of items up to the last one that ends a cache entry by itself or by a mark: a user
                message, a tool's output, a marked part
    sealed      which items are sealed reasoning
    answered    whether anything that the model said or did is among the items
    tool_sizes, item_sizes  bytes as sent, pictures by their weight
    size        bytes of the whole prompt
    """

    model: str
    settings: bytes
    tools: bytes
    instructions: bytes
    items: bytes
    tool_names: tuple[str, ...]
    head: int
    boundary: int
    sealed: tuple[int, ...]
    answered: bool
    tool_sizes: array[int]
    instructions_size: int
    item_sizes: array[int]
    size: int

    @property
    def tokens(self) -> int:
        """The whole prompt in tokens, estimated from bytes."""
        return _tokens(self.size)

    @property
    def boundary_size(self) -> int:
        """Bytes up to the last place where the newer cache contract keeps an entry."""
        return sum(self.tool_sizes) + self.instructions_size + sum(self.item_sizes[: self.boundary])

    @property
    def bare_items(self) -> bytes:
        """The items' hashes without sealed reasoning."""
        kept = set(range(len(self.item_sizes))).difference(self.sealed)
        return b"".join(self.items[WIDTH * i : WIDTH * (i + 1)] for i in sorted(kept))

    @property
    def weight(self) -> int:
        """What this value takes in memory, roughly, in bytes."""
        return (
            600
            + (WIDTH + 4) * (len(self.tool_sizes) + len(self.item_sizes))
            + 60 * len(self.tool_names)
            + 8 * len(self.sealed)
        )


@dataclass(slots=True)
class Divergence:
    """Where a later body stops repeating an earlier one.

    kind            the first part that differs; `same`, `extended` or `shortened` (the end was taken back)
                    when none does
    segment         that part as a path: `settings`, `instructions`, `tools[3]`, `input[12]`; "" when none
    index           its number among tools or input items, 0 elsewhere
    replaced_tail   how many of the earlier input items are gone or changed, counted from its end
    kept_tokens     tokens of the common prefix, estimated from bytes
    missed_tokens   tokens of the earlier prompt behind the common prefix, estimated from bytes
    changed         every part that differs, not only the first; more or fewer items at the end do not differ
    """

    kind: Kind
    segment: str = ""
    index: int = 0
    replaced_tail: int = 0
    kept_tokens: int = 0
    missed_tokens: int = 0
    changed: frozenset[Part] = frozenset()

    @property
    def intact(self) -> bool:
        """The earlier prompt is a prefix of the later one."""
        return self.kind in ("same", "extended")


def digest(body: Mapping[str, Any]) -> Prefix:
    """Reads an upstream body once. Its `input` may be a string, which is one user message."""
    tools = body.get("tools") or _NO_PARTS
    told_tools = _serialised(tools)
    instructions = body.get("instructions")
    told = jsonio.dump(instructions) if instructions else b""
    items = body.get("input") or _NO_PARTS
    if isinstance(items, str):
        items = ({"role": "user", "content": items},)
    hashes, item_sizes, boundary = _read_items(items)
    tool_sizes = array("I", map(len, told_tools))
    return Prefix(
        model=str(body.get("model")),
        settings=_hashes([jsonio.dump(_settings(body))]),
        tools=_hashes(told_tools),
        instructions=_hashes([told]) if told else _ABSENT,
        items=hashes,
        tool_names=tuple([_tool_name(tool) for tool in tools]),
        head=_head(items),
        boundary=boundary,
        sealed=tuple([i for i, item in enumerate(items) if item.get("type") == "reasoning"]),
        answered=any(map(_of_the_model, items)),
        tool_sizes=tool_sizes,
        instructions_size=len(told),
        item_sizes=item_sizes,
        size=sum(tool_sizes) + len(told) + sum(item_sizes),
    )


def continued(before: Prefix, now: Prefix) -> Prefix:
    """`now` behind the items of an earlier prompt, which the upstream has kept and puts in front by itself.

    What was answered to the earlier one stands between them and is not known here. Tools, instructions and
    settings are those of `now`: they are not inherited.
    """
    kept = len(before.item_sizes)
    return replace(
        now,
        items=before.items + now.items,
        head=before.head if before.head < kept else kept + now.head,
        boundary=kept + now.boundary if now.boundary else before.boundary,
        sealed=(*before.sealed, *(kept + index for index in now.sealed)),
        answered=True,
        item_sizes=before.item_sizes + now.item_sizes,
        size=now.size + sum(before.item_sizes),
    )


def compare(before: Prefix, now: Prefix) -> Divergence:
    """Where `now` stops repeating `before`."""
    changed: set[Part] = set()
    if before.model != now.model:
        changed.add("model")
    if before.settings != now.settings:
        changed.add("settings")
    tool = _first_difference(before.tools, now.tools)
    if before.tools != now.tools:
        changed.add("tools")
    item = _first_difference(before.items, now.items)
    differs = item < min(len(before.item_sizes), len(now.item_sizes))
    in_head = differs and item < max(before.head, now.head)
    if before.instructions != now.instructions or in_head:
        changed.add("system")
    if differs and not in_head:
        changed.add("input")
    kind, segment, index = _first_change(before, now, changed, tool, item)
    kept = _kept(before, kind, segment, tool, item)
    return Divergence(
        kind=kind,
        segment=segment,
        index=index,
        replaced_tail=len(before.item_sizes) - item,
        kept_tokens=_tokens(kept),
        missed_tokens=_tokens(before.size - kept),
        changed=frozenset(changed),
    )


# -- reading a body ----------------------------------------------------------------------------------


def _settings(body: Mapping[str, Any]) -> list[Any]:
    """The settings that are part of every cached prefix; equal meaning gives equal values."""
    reasoning = body.get("reasoning") or {}
    text = body.get("text") or {}
    return [
        reasoning.get("effort"),
        reasoning.get("context"),
        text.get("verbosity"),
        text.get("format"),
        body.get("parallel_tool_calls", True),
        body.get("context_management"),
    ]


def _serialised(values: Sequence[Any]) -> list[bytes]:
    """Each value as JSON. One call of the encoder for all of them: many small calls cost five times more.

    Between quotes a separator's own quotes would be escaped, so it can stand elsewhere only as a string in
    a list of a value; then the pieces are too many and the values are written one by one.
    """
    if not values:
        return []
    mixed: list[Any] = [_SEPARATOR] * (2 * len(values) - 1)
    mixed[::2] = values
    pieces = jsonio.dump(mixed)[1:-1].split(_SEPARATOR_BYTES)
    return pieces if len(pieces) == len(values) else [jsonio.dump(value) for value in values]


def _read_items(items: Sequence[Mapping[str, Any]]) -> tuple[bytes, array[int], int]:
    told = _serialised(items)
    boundary = _last_end(items)
    # One search in everything, so that the many who send no mark pay for no search in each.
    if _MARK_BYTES in b"".join(told):
        for number, raw in enumerate(told):
            if _MARK_BYTES in raw:
                boundary = max(boundary, number + 1)
                told[number] = jsonio.dump(_unmarked(items[number]))
    sizes = array("I", map(len, told))
    for number, size in enumerate(sizes):
        if size >= _PICTURE_BYTES:
            sizes[number] = _weighed(items[number], size)
    return _hashes(told), sizes, boundary


def _last_end(items: Sequence[Mapping[str, Any]]) -> int:
    """The number of items up to the last that ends a cache entry by itself."""
    for number in range(len(items), 0, -1):
        item = items[number - 1]
        if item.get("role") == "user" or item.get("type") in _OUTPUTS:
            return number
    return 0


def _hashes(told: Sequence[bytes]) -> bytes:
    # Of a kilobyte it takes a third of what SHA-256 takes, and a prompt has a hundred of them.
    return array("q", map(hash, told)).tobytes()


def _tool_name(tool: Mapping[str, Any]) -> str:
    return str(tool.get("name") or tool.get("type"))


def _head(items: Sequence[Mapping[str, Any]]) -> int:
    for index, item in enumerate(items):
        if item.get("role") not in _SYSTEM_ROLES:
            return index
    return len(items)


def _of_the_model(item: Mapping[str, Any]) -> bool:
    return item.get("role") == "assistant" or str(item.get("type")).endswith("_call")


def _parts(item: Mapping[str, Any]) -> Sequence[Any]:
    """The parts of a message or of a tool's output."""
    for field in ("content", "output"):
        if isinstance(parts := item.get(field), list):
            return parts
    return _NO_PARTS


def _unmarked(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item without breakpoint marks: they say where to store, they are not read by the model."""
    return {
        field: [{k: v for k, v in part.items() if k != _MARK} for part in value]
        if field in ("content", "output") and isinstance(value, list)
        else value
        for field, value in item.items()
    }


def _weighed(item: Mapping[str, Any], size: int) -> int:
    """The item's bytes with each inlined picture or file taken at its weight."""
    for part in _parts(item):
        carried = part.get(_HEAVY.get(part.get("type"), ""))
        if isinstance(carried, str) and len(carried) > _PICTURE_BYTES:
            size -= len(carried) - _PICTURE_BYTES
    return size


# -- comparing ---------------------------------------------------------------------------------------


def _first_difference(before: bytes, now: bytes) -> int:
    """How many leading hashes of `before` stand at the same place in `now`."""
    if now.startswith(before):
        return len(before) // WIDTH
    low, high = 0, min(len(before), len(now)) // WIDTH
    while low < high:  # bisection: equal up to n means equal up to every smaller n
        middle = (low + high + 1) // 2
        if before[: middle * WIDTH] == now[: middle * WIDTH]:
            low = middle
        else:
            high = middle - 1
    return low


def _first_change(
    before: Prefix, now: Prefix, changed: set[Part], tool: int, item: int
) -> tuple[Kind, str, int]:
    if "model" in changed:
        return "model", "model", 0
    if "settings" in changed:
        return "settings", "settings", 0
    if "tools" in changed:
        return "tools", f"tools[{tool}]", tool
    if before.instructions != now.instructions:
        return "system", "instructions", 0
    if "system" in changed:
        return "system", f"input[{item}]", item
    if "input" in changed:
        return "input", f"input[{item}]", item
    sizes = len(before.item_sizes), len(now.item_sizes)
    return ("same" if sizes[0] == sizes[1] else "extended" if sizes[0] < sizes[1] else "shortened"), "", item


def _kept(before: Prefix, kind: Kind, segment: str, tool: int, item: int) -> int:
    """Bytes of `before` ahead of the first change."""
    if kind in ("model", "settings"):
        return 0
    if kind == "tools":
        return sum(before.tool_sizes[:tool])
    head = sum(before.tool_sizes)
    if segment == "instructions":
        return head
    return head + before.instructions_size + sum(before.item_sizes[:item])


def _tokens(size: int) -> int:
    return round(size / BYTES_PER_TOKEN)
