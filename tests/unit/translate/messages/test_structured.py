"""When a schema may be strict."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.messages.structured import is_strict, text_format


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def nested(depth: int) -> dict[str, Any]:
    schema = closed(a={"type": "string"})
    for _ in range(depth):
        schema = closed(a=schema)
    return schema


TEXT = {"type": "string"}

STRICT = [
    closed(),
    closed(a=TEXT, b={"type": ["integer", "null"], "minimum": 0}),
    {**closed(a=TEXT), "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "T"},
    closed(a={"type": "array", "items": closed(b=TEXT), "maxItems": 3}),
    closed(a={"anyOf": [TEXT, {"type": "null"}]}),
    {**closed(a={"$ref": "#/$defs/t"}), "$defs": {"t": {"type": "string", "enum": ["x"]}}},
    closed(a={"type": "string", "format": "date-time", "pattern": "^x"}),
]

OPEN: list[dict[str, Any]] = [
    {},
    {"type": "array", "items": TEXT},
    {**closed(a=TEXT), "anyOf": [closed()]},
    {**closed(a=TEXT), "required": []},
    {**closed(a=TEXT), "required": None},
    {**closed(a=TEXT), "additionalProperties": True},
    {"type": "object", "additionalProperties": False, "required": []},
    {**closed(), "properties": [TEXT]},
    closed(a={"type": "string", "minLength": 1}),
    closed(a={"type": "string", "format": "uri"}),
    closed(a={"type": "string", "format": 5}),
    closed(a={"properties": {"b": TEXT}}),
    closed(a={"type": ["object", "null"]}),
    closed(a={"type": "array"}),
    closed(a={"type": "array", "items": [TEXT]}),
    closed(a={"anyOf": "x"}),
    closed(a={"anyOf": [{"type": "object"}]}),
    closed(a=True),
    {**closed(), "$defs": [1]},
    nested(20),
    {
        **closed(),
        "properties": {str(n): TEXT for n in range(6000)},
        "required": [str(n) for n in range(6000)],
    },
]


@pytest.mark.parametrize("schema", STRICT)
def test_a_closed_schema_is_strict(schema: dict[str, Any]) -> None:
    """B40"""
    assert is_strict(schema)
    assert text_format(schema) == {"type": "json_schema", "name": "output", "schema": schema, "strict": True}


@pytest.mark.parametrize("schema", OPEN, ids=range(len(OPEN)))
def test_a_schema_outside_the_subset_is_sent_as_it_is_but_not_strict(schema: dict[str, Any]) -> None:
    """The upstream would refuse it. B40, B41, D7"""
    assert not is_strict(schema)
    made = text_format(schema)
    assert made["strict"] is False and made["schema"] is schema
