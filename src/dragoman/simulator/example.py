"""A value for a JSON schema: small, deterministic, valid, and where a text is free, taken from a hint.

It covers what tools and response formats use: types, enum, const, required members, lengths, bounds, unions,
local references. It never invents a value that does anything: paths and commands come from the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_DEPTH = 12
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}


def example(
    schema: Any, hint: str = "example", known: Mapping[str, Any] | None = None, *, fill: bool = False
) -> Any:
    """A value that satisfies the schema.

    `known` gives values by member name, at any depth. Optional members stay out, unless `fill` is on and the
    schema says of no member whether it is required.
    """
    root = schema if isinstance(schema, dict) else {}
    return _Maker(root, hint, known or {}, fill).make(root, 0)


@dataclass(frozen=True, slots=True)
class _Maker:
    root: Mapping[str, Any]
    hint: str
    known: Mapping[str, Any]
    fill: bool

    def make(self, schema: Any, depth: int) -> Any:
        schema = self._plain(schema) if depth <= _DEPTH else None
        if schema is None:
            return None
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        if schema.get("enum"):
            return schema["enum"][0]
        match _kind(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                count = int(schema.get("minItems", 1 if depth < 3 else 0))
                return [self.make(schema.get("items") or {}, depth + 1) for _ in range(count)]
            case "integer" | "number" as kind:
                return _number(schema, 1 if kind == "integer" else 1.0)
            case "boolean" | "null" as kind:
                return False if kind == "boolean" else None
        return _string(schema, self.hint)

    def _plain(self, schema: Any) -> dict[str, Any] | None:
        """The schema without references and unions; None where there is nothing to go by."""
        for _ in range(_DEPTH):
            if not isinstance(schema, dict):
                return {} if schema is True else None
            if "$ref" in schema:
                schema = _resolve(str(schema["$ref"]), self.root)
                continue
            union = next((key for key in ("anyOf", "oneOf", "allOf") if schema.get(key)), None)
            if union is None:
                return schema
            rest = {name: value for name, value in schema.items() if name != union}
            schema = {**rest, **_chosen(schema[union], union)}
        return None

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        members: Mapping[str, Any] = schema.get("properties") or {}
        required = schema.get("required")
        wanted = (members if self.fill else ()) if required is None else required
        made: dict[str, Any] = {}
        for name in dict.fromkeys([*members, *wanted]):
            if name in self.known:
                made[name] = self.known[name]
            elif name in wanted:
                made[name] = self.make(members.get(name, True), depth + 1)
        return made


def _chosen(branches: Sequence[Any], key: str) -> dict[str, Any]:
    """All of an `allOf`, the first branch that is not null of a union."""
    if key == "allOf":
        merged: dict[str, Any] = {}
        for branch in branches:
            members = {**merged.get("properties", {}), **branch.get("properties", {})}
            required = [*merged.get("required", []), *branch.get("required", [])]
            merged = {**merged, **branch, "properties": members, "required": required}
        return merged
    plain = [branch for branch in branches if isinstance(branch, dict) and branch.get("type") != "null"]
    return dict(plain[0]) if plain else {"type": "null"}


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)


def _string(schema: Mapping[str, Any], hint: str) -> str:
    text = _FORMATS.get(str(schema.get("format")), hint).ljust(int(schema.get("minLength", 0)), "x")
    most = schema.get("maxLength")
    return text if most is None else text[: int(most)]


def _number(schema: Mapping[str, Any], start: float) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    step = schema.get("multipleOf", 1)
    value = start
    if low is not None and value <= low:
        value = low if "minimum" in schema else low + step
    if high is not None and value >= high:
        value = high if "maximum" in schema else high - step
    return value if value % step == 0 else value + step - value % step


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step and isinstance(found, dict):
            found = found.get(step.replace("~1", "/").replace("~0", "~"))
    return found
