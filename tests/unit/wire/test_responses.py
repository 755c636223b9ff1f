"""The types of what is sent agree with OpenAI's description and with what the translator writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from dragoman.wire import jsonio, responses

_FILE = Path(responses.__file__).parents[1] / "simulator" / "openapi.json"
SCHEMAS: dict[str, Any] = jsonio.parse(_FILE.read_bytes())["components"]["schemas"]


def members(schema: dict[str, Any]) -> set[str]:
    """Names of a schema's properties, through references and unions."""
    found = set(schema.get("properties", ()))
    if reference := schema.get("$ref"):
        found |= members(SCHEMAS[reference.rpartition("/")[2]])
    for word in ("allOf", "oneOf", "anyOf"):
        for part in schema.get(word, ()):
            found |= members(part)
    return found


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (responses.ResponsesRequest, "CreateResponse"),
        (responses.InputText, "InputTextContent"),
        (responses.InputImage, "InputImageContent"),
        (responses.InputFile, "InputFileContent"),
        (responses.InputMessage, "InputMessage"),
        (responses.AssistantMessage, "EasyInputMessage"),
        (responses.ReasoningItem, "ReasoningItem"),
        (responses.FunctionCall, "FunctionToolCall"),
        (responses.FunctionCallOutput, "FunctionCallOutputItemParam"),
        (responses.WebSearchCall, "WebSearchToolCall"),
        (responses.AdditionalTools, "AdditionalToolsItemParam"),
        (responses.Compaction, "CompactionSummaryItemParam"),
        (responses.FunctionTool, "FunctionTool"),
        (responses.WebSearchTool, "WebSearchTool"),
        (responses.McpTool, "MCPTool"),
        (responses.Reasoning, "Reasoning"),
        (responses.ResponseUsage, "ResponseUsage"),
        (responses.Response, "Response"),
    ],
)
def test_every_member_is_in_the_description(kind: type, schema: str) -> None:
    known = members(SCHEMAS[schema])
    assert set(get_type_hints(kind)) <= known
    assert kind.__name__ in {one.__name__ for one in _typed_dicts()}


def _typed_dicts() -> list[type]:
    return [value for value in vars(responses).values() if hasattr(value, "__required_keys__")]


def test_unions_name_every_item_and_tool() -> None:
    assert {one.__name__ for one in get_args(responses.InputItem)} == {
        "InputMessage",
        "AssistantMessage",
        "ReasoningItem",
        "FunctionCall",
        "FunctionCallOutput",
        "WebSearchCall",
        "AdditionalTools",
        "Compaction",
    }
    assert len(get_args(responses.ToolParam)) == 3


def test_the_order_of_keys_is_the_one_in_which_bodies_are_written() -> None:
    """Equal requests are equal bytes."""
    order = list(responses.ResponsesRequest.__annotations__)
    golden = Path(__file__).parents[2] / "golden" / "request"
    bodies = [jsonio.parse(path.read_bytes()) for path in golden.glob("*/upstream.json")]
    assert len(bodies) > 100
    for body in bodies:
        assert list(body) == [name for name in order if name in body]
    assert {name for body in bodies for name in body} == set(order)
