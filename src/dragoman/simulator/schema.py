"""Validation by OpenAI's public OpenAPI description, with the service's own wording and paths.

The description's `oneOf` unions overlap, so they are read as `anyOf` and dispatched on `type` and `role`. A
key that no schema knows is refused, as the service does. It knows shapes only; rules that depend on the
model, the account or the history are in the files beside it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from dragoman.wire import jsonio

_REF = "#/components/schemas/"
_NAMES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a decimal",
    "boolean": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
# Members that servers accept although the description leaves them out.
_TOLERATED = {
    "EasyInputMessage": ("id", "status"),
    "InputMessage": ("id", "phase"),
    "WebSearchTool": ("search_content_types",),
}


class Flaw(ValueError):
    """Where a value breaks the schema: path, OpenAI's error code and message."""

    def __init__(self, path: str, code: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.code = code
        self.message = message


@dataclass(slots=True)
class Node:
    """One compiled schema. An empty `kinds` accepts every JSON type; `choices` makes it a union."""

    kinds: frozenset[str] = frozenset()
    enum: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None
    shortest: int | None = None
    longest: int | None = None
    pattern: re.Pattern[str] | None = None
    items: Node | None = None
    members: dict[str, Node] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    rest: Node | None = None  # schema of members not named; None refuses them when members are named
    choices: tuple[Node, ...] = ()


class Schemas:
    """The compiled description; schemas are compiled when first asked for."""

    def __init__(self, description: dict[str, Any]) -> None:
        self._raw: dict[str, Any] = description["components"]["schemas"]
        self._nodes: dict[str, Node] = {}

    def check(self, name: str, value: Any, path: str = "") -> None:
        """Raises Flaw unless the value fits the named schema."""
        _check(self.node(name), value, path)

    def node(self, name: str) -> Node:
        """The compiled schema of that name."""
        if name not in self._nodes:
            node = self._nodes[name] = Node()  # set first: schemas refer to each other in circles
            self._fill(node, self._raw[name])
            for member in _TOLERATED.get(name, ()):
                node.members.setdefault(member, Node())
        return self._nodes[name]

    def members(self, name: str) -> frozenset[str]:
        """The names of an object schema's members."""
        return frozenset(self.node(name).members)

    def _compile(self, raw: dict[str, Any]) -> Node:
        if "$ref" in raw:
            known = raw["$ref"].startswith(_REF)
            return self.node(raw["$ref"].removeprefix(_REF)) if known else Node()
        node = Node()
        if raw:
            self._fill(node, raw)
        return node

    def _fill(self, node: Node, raw: dict[str, Any]) -> None:
        if "$ref" in raw:
            self._adopt(node, self._compile({"$ref": raw["$ref"]}))
            return
        for part in raw.get("allOf", ()):
            self._adopt(node, self._compile(part))
        if union := raw.get("anyOf") or raw.get("oneOf"):
            node.choices = tuple(_flattened(self._compile(part) for part in union))
            return
        if "type" in raw:
            kinds = raw["type"]
            node.kinds = frozenset([kinds] if isinstance(kinds, str) else kinds)
        node.enum = tuple(raw.get("enum", ()))
        node.least, node.most = raw.get("minimum"), raw.get("maximum")
        node.shortest = raw.get("minLength", raw.get("minItems"))
        node.longest = raw.get("maxLength", raw.get("maxItems"))
        if "pattern" in raw:
            node.pattern = re.compile(raw["pattern"])
        if "items" in raw:
            node.items = self._compile(raw["items"])
        for name, part in raw.get("properties", {}).items():
            node.members[name] = self._compile(part)
        node.required += tuple(name for name in raw.get("required", ()) if name not in node.required)
        extra = raw.get("additionalProperties", not node.members)
        if extra is not False:
            node.rest = self._compile(extra) if isinstance(extra, dict) else Node()

    @staticmethod
    def _adopt(node: Node, other: Node) -> None:
        node.kinds |= other.kinds
        node.enum += other.enum
        node.choices += other.choices
        node.members.update(other.members)
        node.required += tuple(name for name in other.required if name not in node.required)
        node.items = node.items or other.items


@functools.cache
def schemas() -> Schemas:
    """The vendored description, read once."""
    text = resources.files("dragoman.simulator").joinpath("openapi.json").read_bytes()
    return Schemas(jsonio.parse(text))


def _flattened(nodes: Iterable[Node]) -> Iterable[Node]:
    for node in nodes:
        if node.choices:
            yield from node.choices
        else:
            yield node


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _accepts(node: Node, kind: str) -> bool:
    return not node.kinds or kind in node.kinds or (kind == "integer" and "number" in node.kinds)


def _check(node: Node, value: Any, path: str) -> None:
    if node.choices:
        _check_union(node, value, path)
        return
    kind = kind_of(value)
    if not _accepts(node, kind):
        raise _wrong_kind(path, node.kinds, kind)
    if node.enum and value not in node.enum:
        raise _wrong_value(path, value, node.enum)
    if kind == "object":
        _check_object(node, value, path)
    elif kind == "array":
        _check_size(node, len(value), path, "array")
        if node.items is not None:
            for index, one in enumerate(value):
                _check(node.items, one, f"{path}[{index}]")
    elif kind == "string":
        _check_size(node, len(value), path, "string")
        if node.pattern is not None and not node.pattern.search(value):
            raise wrong_pattern(path, node.pattern.pattern)
    elif kind in ("integer", "number"):
        _check_range(node, value, path)


def _check_union(node: Node, value: Any, path: str) -> None:
    kind = kind_of(value)
    fitting = [choice for choice in node.choices if _accepts(choice, kind)]
    if not fitting:
        raise _wrong_kind(path, frozenset().union(*(choice.kinds for choice in node.choices)), kind)
    if kind == "object":
        fitting = _dispatched(fitting, value, path)
    elif kind == "string" and all(choice.enum for choice in fitting):
        allowed = tuple(option for choice in fitting for option in choice.enum)
        if value not in allowed:
            raise _wrong_value(path, value, allowed)
    flaws: list[Flaw] = []
    for choice in fitting:
        try:
            _check(choice, value, path)
            return
        except Flaw as flaw:
            flaws.append(flaw)
    # The branch that got furthest is the one that was meant.
    raise max(flaws, key=lambda flaw: len(flaw.path))


def _dispatched(choices: list[Node], value: dict[str, Any], path: str) -> list[Node]:
    """Those branches of a union whose constants agree with the value's `type`, then its `role`."""
    for key in ("type", "role"):
        if key not in value:
            if key == "type":
                choices = [choice for choice in choices if key not in choice.required]
                if not choices:
                    raise _missing(f"{path}.type")
            continue
        agreeing = [
            choice for choice in choices if not (allowed := _enum(choice, key)) or value[key] in allowed
        ]
        if not agreeing:
            options = {option: None for choice in choices for option in _enum(choice, key)}
            raise _wrong_value(f"{path}.{key}", value[key], tuple(options))
        choices = agreeing
    return choices


def _enum(choice: Node, key: str) -> tuple[Any, ...]:
    member = choice.members.get(key)
    if member is None:
        return ()
    return member.enum or tuple(option for part in member.choices for option in part.enum)


def _check_object(node: Node, value: dict[str, Any], path: str) -> None:
    dot = f"{path}." if path else ""
    for name in node.required:
        if name not in value:
            raise _missing(f"{dot}{name}")
    for name, member in value.items():
        known = node.members.get(name)
        if known is not None:
            _check(known, member, f"{dot}{name}")
        elif node.rest is not None:
            _check(node.rest, member, f"{dot}{name}")
        elif node.members:
            raise Flaw(f"{dot}{name}", "unknown_parameter", f"Unknown parameter: '{dot}{name}'.")


def _check_size(node: Node, size: int, path: str, what: str) -> None:
    if node.longest is not None and size > node.longest:
        raise _wrong_size(path, what, size, "long", "maximum", node.longest)
    if node.shortest is not None and size < node.shortest:
        raise _wrong_size(path, what, size, "short", "minimum", node.shortest)


def _check_range(node: Node, value: float, path: str) -> None:
    if node.least is not None and value < node.least:
        raise _out_of_range(path, value, "below", "minimum", ">=", node.least)
    if node.most is not None and value > node.most:
        raise _out_of_range(path, value, "above", "maximum", "<=", node.most)


def _wrong_size(path: str, what: str, size: int, word: str, side: str, bound: int) -> Flaw:
    message = (
        f"Invalid '{path}': {what} too {word}. Expected {_NAMES[what]} with {side} length {bound}, "
        f"but got {_NAMES[what]} with length {size} instead."
    )
    return Flaw(path, f"{what}_{'above' if side == 'maximum' else 'below'}_{side[:3]}_length", message)


def _out_of_range(path: str, value: float, word: str, side: str, sign: str, bound: float) -> Flaw:
    what = "integer" if kind_of(value) == "integer" else "decimal"
    message = (
        f"Invalid '{path}': {what} {word} {side} value. "
        f"Expected a value {sign} {bound}, but got {value} instead."
    )
    return Flaw(path, f"{what}_{word}_{side[:3]}_value", message)


def _wrong_kind(path: str, kinds: frozenset[str], got: str) -> Flaw:
    named = [_NAMES[kind] for kind in sorted(kinds) if kind != "null"]
    expected = named[0] if len(named) == 1 else f"one of {' or '.join(named)}"
    message = f"Invalid type for '{path}': expected {expected}, but got {_NAMES[got]} instead."
    return Flaw(path, "invalid_type", message)


def _wrong_value(path: str, value: Any, allowed: tuple[Any, ...]) -> Flaw:
    options = [f"'{option}'" for option in allowed]
    listed = options[0] if len(options) == 1 else f"{', '.join(options[:-1])}, and {options[-1]}"
    return Flaw(path, "invalid_value", f"Invalid value: '{value}'. Supported values are: {listed}.")


def wrong_pattern(path: str, pattern: str) -> Flaw:
    """A string that does not match; also used for rules that no schema states."""
    message = (
        f"Invalid '{path}': string does not match pattern. "
        f"Expected a string that matches the pattern '{pattern}'."
    )
    return Flaw(path, "invalid_value", message)


def _missing(path: str) -> Flaw:
    return Flaw(path, "missing_required_parameter", f"Missing required parameter: '{path}'.")
