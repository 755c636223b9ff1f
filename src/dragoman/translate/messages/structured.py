"""Structured answers: Anthropic's `output_config.format` as `text.format`, and when it may be strict.

OpenAI's strict mode takes a subset of JSON Schema (closed objects, every property required, a list of
keywords). A schema outside of it is still sent, with `strict: false`; schemas are never rewritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT_NAME = "output"

# Keywords of the strict subset, by what they hold.
_PLAIN = frozenset(
    {
        "$schema",
        "title",
        "description",
        "type",
        "enum",
        "const",
        "$ref",
        "required",
        "additionalProperties",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minItems",
        "maxItems",
    }
)
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_MAPS = ("properties", "$defs", "definitions")
_MAX_DEPTH = 10
_MAX_PROPERTIES = 5000


def text_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The upstream's `text.format` for a schema."""
    return {"type": "json_schema", "name": FORMAT_NAME, "schema": schema, "strict": is_strict(schema)}


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether a schema lies in OpenAI's strict subset: its root is an object and nothing is left open."""
    return schema.get("type") == "object" and "anyOf" not in schema and _Walk().fits(schema, 1)


class _Walk:
    """One walk over a schema, counting properties."""

    __slots__ = ("_properties",)

    def __init__(self) -> None:
        self._properties = 0

    def fits(self, schema: Any, depth: int) -> bool:
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            return False
        if (_is_object(schema) and not _closed(schema)) or not self._keywords(schema, depth):
            return False
        return "items" in schema or schema.get("type") != "array"

    def _keywords(self, schema: dict[str, Any], depth: int) -> bool:
        for word, value in schema.items():
            if word in _PLAIN:
                continue
            if word == "format":
                fits = value in _FORMATS if isinstance(value, str) else False
            elif word in _MAPS:
                fits = isinstance(value, dict) and all(self.fits(part, depth + 1) for part in value.values())
                self._properties += len(value) if fits else 0
            elif word == "items":
                fits = self.fits(value, depth + 1)
            elif word == "anyOf":
                fits = isinstance(value, list) and all(self.fits(part, depth + 1) for part in value)
            else:
                fits = False
            if not fits:
                return False
        return self._properties <= _MAX_PROPERTIES


def _is_object(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema


def _closed(schema: dict[str, Any]) -> bool:
    properties, required = schema.get("properties"), schema.get("required")
    return (
        schema.get("additionalProperties") is False
        and isinstance(properties, dict)
        and isinstance(required, list)
        and all(name in required for name in properties)
    )
