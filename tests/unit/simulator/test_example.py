"""Values for JSON schemas."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from dragoman.simulator.example import example

SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]},
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 5}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "number", "exclusiveMaximum": 0}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "integer", "exclusiveMinimum": 9}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "integer", "maximum": -5}}, "required": ["a"]},
    {"type": "integer", "multipleOf": 7, "minimum": 10},
    {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}, "minItems": 3},
    {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
    {"anyOf": [{"type": "null"}]},
    {"oneOf": [{"const": 5}], "description": "d"},
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"b": {"default": 3}}, "required": ["b"]},
        ]
    },
    {"type": ["string", "null"], "minLength": 20, "maxLength": 22},
    {"type": ["null"]},
    {"type": "string", "format": "date-time"},
    {"type": "string", "maxLength": 2},
    {"properties": {"a": {"items": {"type": "integer"}}}, "required": ["a"]},
    {
        "$defs": {"N": {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]}},
        "$ref": "#/$defs/N",
    },
    {
        "$defs": {
            "Tree": {
                "type": "object",
                "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
                "required": ["kids"],
            }
        },
        "$ref": "#/$defs/Tree",
    },
    {"type": "object", "required": ["free"]},
    {},
    {"type": "null"},
    {"type": "number"},
]


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("fill", [False, True])
def test_the_value_satisfies_its_schema(schema: dict[str, Any], fill: bool) -> None:
    Draft202012Validator(schema).validate(example(schema, "a hint", fill=fill))


_LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 3},
        {"type": "boolean"},
        {"enum": ["a", 2]},
        {"const": None},
    ]
)
_NESTED = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda item: {"type": "array", "items": item}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        st.dictionaries(st.sampled_from("abcd"), inner, max_size=3).map(
            lambda members: {
                "type": "object",
                "properties": members,
                "required": sorted(members),
                "additionalProperties": False,
            }
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(_NESTED)
def test_any_ordinary_schema_is_satisfied(schema: dict[str, Any]) -> None:
    Draft202012Validator(schema).validate(example(schema))


def test_texts_come_from_the_hint_and_known_members_from_the_caller() -> None:
    schema = SCHEMAS[0]
    assert example(schema, "My title") == {"title": "My title"}
    assert example(schema, "x", {"title": "given"}) == {"title": "given"}


def test_optional_members_stay_out_unless_nothing_is_required() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    assert example(schema) == {}
    assert example(schema, "h", fill=True) == {"a": "h", "b": "h"}
    assert example({**schema, "required": ["b"]}, "h", fill=True) == {"b": "h"}
    assert example(schema, "h", {"a": "x"}) == {"a": "x"}


@pytest.mark.parametrize(
    "schema", [None, "x", {"$ref": "#/nowhere"}, {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}]
)
def test_nothing_to_go_by(schema: Any) -> None:
    assert example(schema) in (None, "example")
