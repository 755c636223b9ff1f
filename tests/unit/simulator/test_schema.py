"""The schema check: OpenAI's paths and wording, and agreement with jsonschema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.simulator.schema import Flaw, Schemas, kind_of, schemas
from tests.support.simulated import call, oracle, output, request, tool, user


def flaw(name: str, value: Any, path: str = "") -> Flaw:
    with pytest.raises(Flaw) as caught:
        schemas().check(name, value, path)
    return caught.value


@pytest.mark.parametrize(
    ("change", "path", "code", "words"),
    [
        ({"input": 5}, "input", "invalid_type", "expected one of an array or a string, but got an integer"),
        ({"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter", "Missing required"),
        ({"input": [{"type": "odd"}]}, "input[0].type", "invalid_value", "Invalid value: 'odd'. Supported"),
        ({"input": [{}]}, "input[0].role", "missing_required_parameter", "input[0].role"),
        ({"max_output_tokens": 3}, "max_output_tokens", "integer_below_min_value", "Expected a value >= 16"),
        (
            {"temperature": 2.5},
            "temperature",
            "decimal_above_max_value",
            "Expected a value <= 2, but got 2.5",
        ),
        ({"top_logprobs": 21}, "top_logprobs", "integer_above_max_value", "<= 20"),
        ({"reasoning": {"effort": "wild"}}, "reasoning.effort", "invalid_value", "'none', 'minimal'"),
        ({"text": {"verbosity": "loud"}}, "text.verbosity", "invalid_value", "and 'high'"),
        ({"tool_choice": "foo"}, "tool_choice", "invalid_value", "'none', 'auto', and 'required'"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type", "expected a string"),
        ({"bogus": 1}, "bogus", "unknown_parameter", "Unknown parameter: 'bogus'."),
        ({"stream": "yes"}, "stream", "invalid_type", "expected a boolean, but got a string"),
        ({"context_management": []}, "context_management", "array_below_min_length", "minimum length 1"),
        (
            {"tools": [{"type": "function", "name": "a", "parameters": {}}]},
            "tools[0].strict",
            "missing_required_parameter",
            "strict",
        ),
        (
            {"input": [output("x" * 65)]},
            "input[0].call_id",
            "string_above_max_length",
            "maximum length 64, but got a string with length 65",
        ),
        (
            {"input": [output("")]},
            "input[0].call_id",
            "string_below_min_length",
            "minimum length 1",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
            "input[0].content[0].type",
            "invalid_value",
            "'input_text', 'input_image', and 'input_file'",
        ),
        (
            {"input": [user("x", cache_control={})]},
            "input[0].content[0].cache_control",
            "unknown_parameter",
            "Unknown parameter",
        ),
        (
            {"input": [{**output("c"), "namespace": "a b"}]},
            "input[0].namespace",
            "invalid_value",
            "does not match pattern",
        ),
        ({"input": [{"type": "item_reference"}]}, "input[0].id", "missing_required_parameter", "id"),
    ],
)
def test_a_flaw_has_openais_path_code_and_words(
    change: dict[str, Any], path: str, code: str, words: str
) -> None:
    found = flaw("CreateResponse", {**request(), **change})
    assert (found.path, found.code) == (path, code)
    assert words in found.message


def test_a_missing_type_where_every_branch_needs_one() -> None:
    found = flaw("OutputItem", {"id": "x"}, "item")
    assert (found.path, found.code) == ("item.type", "missing_required_parameter")


@pytest.mark.parametrize(
    "body",
    [
        request(),
        request(user("a"), call("c"), output("c", [{"type": "input_text", "text": "x"}]), tools=[tool()]),
        request(input="text", metadata={"a": "b"}, max_output_tokens=None, temperature=1),
        request({"type": "compaction_trigger"}, reasoning=None),
        request(tools=[{"type": "web_search"}], tool_choice={"type": "function", "name": "x"}),
        request(text={"format": {"type": "json_schema", "name": "n", "schema": {"anything": [1]}}}),
    ],
)
def test_good_requests_pass_here_and_in_jsonschema(body: dict[str, Any]) -> None:
    schemas().check("CreateResponse", body)
    oracle("CreateResponse").validate(body)


_SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab_", max_size=3)
_NAMES = [
    "type",
    "role",
    "content",
    "call_id",
    "name",
    "arguments",
    "output",
    "id",
    "status",
    "summary",
    "action",
]
_KINDS = ["message", "function_call", "function_call_output", "reasoning", "web_search_call", "compaction"]
_ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(_KINDS)},
    optional={name: _SCALARS | st.lists(_SCALARS, max_size=2) for name in _NAMES[2:]}
    | {"role": st.sampled_from(["user", "assistant", "developer", "tool"])},
)


@settings(max_examples=150, deadline=None)
@given(_ITEMS)
def test_whatever_passes_here_passes_in_jsonschema(item: dict[str, Any]) -> None:
    try:
        schemas().check("InputItem", item)
    except Flaw:
        return
    oracle("InputItem").validate(item)


@settings(max_examples=150, deadline=None)
@given(_ITEMS)
def test_whatever_jsonschema_refuses_is_refused_here(item: dict[str, Any]) -> None:
    if oracle("InputItem").is_valid(item):
        return
    with pytest.raises(Flaw):
        schemas().check("InputItem", item)


def test_members_of_a_schema() -> None:
    assert {"model", "input", "tools", "stream"} <= schemas().members("CreateResponse")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "integer"),
        (1.0, "number"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_kinds(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


def test_schemas_may_refer_to_each_other_in_circles() -> None:
    raw = {
        "Tree": {
            "type": "object",
            "properties": {"next": {"$ref": "#/components/schemas/Tree"}, "odd": {"$ref": "#/elsewhere"}},
            "additionalProperties": {"type": "integer"},
        },
        "Open": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        "Closed": {"type": "object", "additionalProperties": False},
        "Many": {"type": ["string", "null"], "minLength": 1},
        "Alias": {"$ref": "#/components/schemas/Many"},
        "One": {"enum": ["a"]},
        "List": {"type": "array", "items": {"type": "string"}, "maxItems": 1},
    }
    own = Schemas({"components": {"schemas": raw}})
    own.check("Tree", {"next": {"next": {}}, "odd": "anything", "more": 1})
    own.check("Open", {"a": "x", "b": [1]})
    own.check("Many", None)
    own.check("Closed", {})
    own.check("Alias", "text")
    own.check("One", "a")
    for name, value in (
        ("One", "b"),
        ("Alias", 5),
        ("Tree", {"more": "x"}),
        ("Many", ""),
        ("List", ["a", "b"]),
        ("List", [1]),
    ):
        with pytest.raises(Flaw):
            own.check(name, value)


def test_the_vendored_description_is_the_whole_extract() -> None:
    text = json.dumps(sorted(schemas()._raw))
    for name in (
        "CreateResponse",
        "ResponseStreamEvent",
        "TokenCountsBody",
        "CompactResource",
        "ResponsesServerEvent",
    ):
        assert f'"{name}"' in text
