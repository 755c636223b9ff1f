"""The whole request contract: what is refused, under which rule, in whose dialect."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator.contract import Flavour
from dragoman.simulator.refusal import Refused
from dragoman.simulator.validate import Validator
from tests.support.simulated import (
    PNG_1X1,
    as_data_url,
    assistant,
    call,
    codex_request,
    output,
    request,
    terms,
    tool,
    user,
)

MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def refused(
    body: dict[str, Any], flavour: Flavour = "api", model: str = "gpt-5.5", **more: Any
) -> tuple[str, str, int]:
    """Rule, message and status with which a body is refused."""
    with pytest.raises(Refused) as caught:
        check(body, flavour, model, **more)
    answer = caught.value.answer
    dialect = set(answer.body)
    assert dialect in ({"error"}, {"detail"})
    return answer.breach, answer.message, answer.status


def check(body: dict[str, Any], flavour: Flavour = "api", model: str = "gpt-5.5", **more: Any) -> None:
    validator = Validator()
    validator.create(body, terms(model, flavour, **more))
    # A second look must come to the same result although good items are remembered.
    validator.create(body, terms(model, flavour, **more))


def part(**members: Any) -> dict[str, Any]:
    return {"role": "user", "content": [members]}


IMAGE = part(type="input_image", image_url=as_data_url(PNG_1X1), detail="auto")
PDF = part(type="input_file", filename="a.pdf", file_data=as_data_url(b"%PDF-1.7", "application/pdf"))
SEARCH = {"type": "web_search"}
LONG_NAME = "n" * 65
REPLAYED = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}],
}
IDLESS = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}

GOOD_PUBLIC: list[dict[str, Any]] = [
    request(),
    request(IMAGE, PDF),
    request(part(type="input_image", image_url="https://example.com/a.png", detail="low")),
    request(part(type="input_image", file_id="file-1", detail="auto")),
    request(part(type="input_file", file_url="https://example.com/a.pdf")),
    request(part(type="input_file", filename="a.txt", file_data=as_data_url(b"hi", "text/plain"))),
    request(user("a"), REPLAYED, {**assistant("b"), "phase": "commentary"}),
    request(call("c"), output("c", [{"type": "input_text", "text": "x"}, IMAGE["content"][0]])),
    request(tools=[tool(), {"type": "custom", "name": "x"}], tool_choice="required"),
    request(tools=[tool()], tool_choice={"type": "function", "name": "Read"}),
    request(
        tools=[tool()],
        tool_choice={
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "Read"}],
        },
    ),
    request(tools=[SEARCH], tool_choice={"type": "web_search_preview"}),
    request(
        tools=[
            {
                "type": "namespace",
                "name": "ns",
                "description": "d",
                "tools": [tool()],
            }
        ]
    ),
    request(tools=[{**tool(), "parameters": None}]),
    request(
        {"type": "additional_tools", "role": "developer", "tools": [tool("Late")]},
        tool_choice={"type": "function", "name": "Late"},
    ),
    request(tool_choice="auto"),
    request(tool_choice="none"),
    request(metadata={"a": "b"}, user="u", safety_identifier="s", max_output_tokens=16, service_tier="auto"),
    request(reasoning={"effort": "none"}, temperature=0.5),
    request(prompt_cache_retention="24h", prompt_cache_key="k" * 64),
    request(include=["reasoning.encrypted_content"], text={"verbosity": "low", "format": {"type": "text"}}),
    {"model": "gpt-5.5", "input": "just text"},
    {"model": "gpt-5.5", "prompt": {"id": "p"}},
]


@pytest.mark.parametrize("body", GOOD_PUBLIC)
def test_good_public_requests_pass(body: dict[str, Any]) -> None:
    check(body)


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (request(user("a", **MARK), prompt_cache_options={"mode": "explicit"}, model="gpt-5.6"), "gpt-5.6"),
        (
            request(model="gpt-5.6", reasoning={"effort": "max", "summary": "auto", "context": "all_turns"}),
            "gpt-5.6",
        ),
        (request(model="gpt-4.1", temperature=0.2, top_p=0.5, max_output_tokens=100), "gpt-4.1"),
    ],
)
def test_what_only_some_models_take_passes_there(body: dict[str, Any], model: str) -> None:
    check(body, model=model)


BAD_PUBLIC: list[tuple[str, dict[str, Any], str]] = [
    ("unknown_parameter", request(bogus=1), "Unknown parameter: 'bogus'."),
    ("cache_control", request(cache_control={"type": "ephemeral"}), "'cache_control'"),
    ("cache_control", request(user("a", cache_control={})), "input[0].content[0].cache_control"),
    ("cache_control", request({**user("a"), "cache_control": {}}), "input[0].cache_control"),
    ("cache_control", request(tools=[{**tool(), "cache_control": {}}]), "tools[0].cache_control"),
    ("cache_control", request(call("c"), {**output("c"), "cache_control": {}}), "input[1].cache_control"),
    ("unsupported_parameter", request(max_tokens=5), "has moved to 'max_output_tokens'"),
    ("unsupported_parameter", request(messages=[]), "has moved to 'input'"),
    ("unsupported_parameter", request(temperature=0.5), "'temperature' is not supported"),
    ("unsupported_parameter", request(top_p=0.5), "'top_p' is not supported"),
    ("unsupported_parameter", request(prompt_cache_options={"mode": "implicit"}), "'prompt_cache_options'"),
    ("prompt_cache_breakpoint", request(user("a", **MARK)), "prompt_cache_breakpoint is not supported"),
    ("prompt_cache_breakpoint", request({**assistant("a"), **MARK}), "input[0].prompt_cache_breakpoint"),
    ("prompt_cache_breakpoint", request(tools=[{**tool(), **MARK}]), "tools[0].prompt_cache_breakpoint"),
    ("unsupported_value", request(prompt_cache_retention="in_memory"), "'in_memory' is not supported"),
    (
        "unsupported_value",
        request(reasoning={"effort": "minimal"}),
        "'minimal' is not supported with the 'gpt-5.5'",
    ),
    ("prompt_cache_key", request(prompt_cache_key="k" * 65), "maximum length 64"),
    ("integer_below_min_value", request(max_output_tokens=15), ">= 16"),
    ("metadata", request(metadata={str(n): "v" for n in range(17)}), "at most 16"),
    ("metadata", request(metadata={"k" * 65: "v"}), "at most 64"),
    ("metadata", request(metadata={"k": "v" * 513}), "at most 512"),
    ("input", {"model": "gpt-5.5"}, "Missing required parameter: 'input'."),
    ("model", {"input": "x"}, "Missing required parameter: 'model'."),
    ("conversation", request(previous_response_id="r", conversation="c"), "Mutually exclusive"),
    ("invalid_type", request(reasoning="high"), "Invalid type for 'reasoning'"),
    ("invalid_type", request(text="x"), "Invalid type for 'text'"),
    ("invalid_type", request(metadata={"a": 1}), "metadata.a"),
    ("invalid_type", {"model": "gpt-5.5", "input": ["x"]}, "input[0]"),
    ("invalid_type", {"model": "gpt-5.5", "input": 7}, "Invalid type for 'input'"),
    ("strict", request(tools=[{k: v for k, v in tool().items() if k != "strict"}]), "tools[0].strict"),
    ("tool_name", request(tools=[tool("a b")]), "string does not match pattern"),
    ("tool_name", request(tools=[tool(LONG_NAME)]), "maximum length 64"),
    ("tool_name", request(call("c", "a.b"), output("c")), "input[0].name"),
    ("duplicate_tool", request(tools=[tool("A"), tool("A")]), "duplicate tool name 'A'"),
    (
        "tool_schema",
        request(tools=[{**tool("A"), "parameters": {"type": "string"}}]),
        "Invalid schema for function 'A'",
    ),
    (
        "tool_schema",
        request(tools=[{**tool("A"), "parameters": {"type": "object", "properties": {"x": {"type": 5}}}}]),
        "In context=(properties.x.type)",
    ),
    (
        "tool_schema",
        request(tools=[{**tool("A", x="string"), "strict": True}]),
        "'additionalProperties' is required",
    ),
    ("tool_choice", request(tool_choice="required"), "only allowed when 'tools'"),
    ("tool_choice", request(tool_choice={"type": "function", "name": "A"}), "only allowed when 'tools'"),
    (
        "tool_choice",
        request(tools=[tool()], tool_choice={"type": "function", "name": "A"}),
        "'A' not found in 'tools'",
    ),
    (
        "tool_choice",
        request(tools=[tool()], tool_choice={"type": "web_search_preview"}),
        "'web_search_preview' not found",
    ),
    (
        "tool_choice",
        request(
            tools=[tool()],
            tool_choice={
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "A"}],
            },
        ),
        "'A' not found",
    ),
    (
        "part_type",
        request({"role": "user", "content": [{"type": "output_text", "text": "a"}]}),
        "'output_text'",
    ),
    (
        "part_type",
        request({"role": "assistant", "content": [{"type": "input_text", "text": "a"}]}),
        "'input_text'",
    ),
    ("missing_required_parameter", request(IDLESS), "input[0].id"),
    ("missing_required_parameter", request({"type": "reasoning", "summary": []}), "input[0].id"),
    ("invalid_type", request({"role": "user", "content": ["text"]}), "input[0].content[0]"),
    ("item_id", request({**REPLAYED, "id": "x_1"}), "Expected an ID that begins with 'msg'"),
    ("item_id", request({**REPLAYED, "id": "msg_" + "1" * 61}), "maximum length 64"),
    ("item_id", request({**call("c"), "id": "call_1"}, output("c")), "begins with 'fc'"),
    ("call_id", request(call("c" * 65), output("c")), "maximum length 64"),
    ("call_id", request(call(""), output("c")), "too short"),
    (
        "image",
        request(part(type="input_image", image_url=as_data_url(b"<svg/>"), detail="auto")),
        "valid image",
    ),
    (
        "image",
        request(part(type="input_image", image_url="data:image/png;base64,!", detail="auto")),
        "valid image",
    ),
    ("image", request(part(type="input_image", image_url="file:///etc/hosts", detail="auto")), "valid URL"),
    (
        "image",
        request(call("c"), output("c", [{**IMAGE["content"][0], "image_url": "data:,x"}])),
        "valid image",
    ),
    ("missing_required_parameter", request(part(type="input_image", detail="auto")), "image_url"),
    ("file", request(part(type="input_file", filename="a")), "exactly one of"),
    ("file", request(part(type="input_file", file_url="ftp://x/y")), "valid URL"),
    ("file", request(part(type="input_file", file_data=as_data_url(b"%PDF-1"))), "filename"),
    (
        "file",
        request(part(type="input_file", filename="a.pdf", file_data=as_data_url(b"no", "application/pdf"))),
        "data URL",
    ),
    ("file", request(part(type="input_file", filename="a.pdf", file_data="JVBERi0=")), "data URL"),
    (
        "text.format",
        request(
            text={
                "format": {"type": "json_schema", "name": "n", "strict": True, "schema": {"type": "object"}}
            }
        ),
        "Invalid schema for response_format 'n'",
    ),
]


@pytest.mark.parametrize(("rule", "body", "words"), BAD_PUBLIC)
def test_bad_public_requests_are_refused_by_rule(rule: str, body: dict[str, Any], words: str) -> None:
    found, message, status = refused(body)
    assert (found, status) == (rule, 400)
    assert words in message


@pytest.mark.parametrize(
    ("rule", "body", "words"),
    [
        (
            "unsupported_parameter",
            request(reasoning={"effort": "low"}),
            "'reasoning.effort' is not supported",
        ),
        ("unsupported_parameter", request(reasoning={"summary": "auto"}), "'reasoning.summary'"),
        ("include", request(include=["reasoning.encrypted_content"]), "Encrypted content is not supported"),
        ("unsupported_value", request(text={"verbosity": "low"}), "'low' is not supported"),
    ],
)
def test_models_that_do_not_reason_refuse_what_needs_it(rule: str, body: dict[str, Any], words: str) -> None:
    found, message, _ = refused(body, model="gpt-4.1")
    assert found == rule
    assert words in message


def test_an_unverified_organisation_gets_no_summaries_and_that_is_no_breach() -> None:
    rule, message, _ = refused(request(reasoning={"summary": "auto"}), verified=False)
    assert rule == ""
    assert "verified" in message
    check(request(reasoning={"effort": "low"}), verified=False)


def test_switches_move_the_limits() -> None:
    check(request(tools=[tool(LONG_NAME)]), switches={"max_tool_name": 128})
    check(request(IDLESS), switches={"api_item_ids": "accept"})
    check(request({"type": "reasoning", "summary": []}), switches={"api_item_ids": "accept"})


GOOD_CODEX = [
    codex_request(),
    codex_request(user("a"), IDLESS, {"type": "reasoning", "summary": []}, call("c"), output("c")),
    codex_request({**user("a"), "id": "msg_1"}, client_metadata={"x": "y"}),
    codex_request(tools=[tool(), {**SEARCH, "external_web_access": True, "search_content_types": ["text"]}]),
    codex_request(tool_choice="required", tools=[tool()]),
    codex_request({"role": "developer", "content": "d"}, prompt_cache_key="k", service_tier="priority"),
]


@pytest.mark.parametrize("body", GOOD_CODEX)
def test_good_codex_requests_pass(body: dict[str, Any]) -> None:
    check(body, "codex")


BAD_CODEX: list[tuple[str, dict[str, Any], str]] = [
    *(
        ("unsupported_parameter", codex_request(**{name: value}), f"Unsupported parameter: {name}")
        for name, value in {
            "max_output_tokens": 100,
            "metadata": {},
            "prompt_cache_retention": "24h",
            "prompt_cache_options": {},
            "safety_identifier": "s",
            "temperature": 1,
            "top_p": 1,
            "truncation": "auto",
            "user": "u",
            "stream_options": {},
            "previous_response_id": "r",
            "context_management": [],
        }.items()
    ),
    ("store", codex_request(store=True), "Store must be set to false"),
    ("stream", codex_request(stream=False), "Stream must be set to true"),
    (
        "instructions",
        {k: v for k, v in codex_request().items() if k != "instructions"},
        "Instructions are required",
    ),
    ("input", {**codex_request(), "input": "text"}, "Input must be a list"),
    ("role_system", codex_request({"role": "system", "content": "s"}), "System messages are not allowed"),
    ("prompt_cache_breakpoint", codex_request(user("a", **MARK)), "not supported on this model"),
    (
        "prompt_cache_breakpoint",
        codex_request(call("c"), output("c", [{"type": "input_text", "text": "x", **MARK}])),
        "not supported on this model",
    ),
    (
        "additional_tools",
        codex_request({"type": "additional_tools", "role": "developer", "tools": []}),
        "additional_tools",
    ),
    ("tools", codex_request(tools=[{"type": "image_generation"}]), "Unsupported tool type: image_generation"),
    ("unsupported_value", codex_request(reasoning={"effort": "none"}), "'none' is not supported"),
    ("cache_control", codex_request(user("a", cache_control={})), "cache_control"),
]


@pytest.mark.parametrize(("rule", "body", "words"), BAD_CODEX)
def test_bad_codex_requests_are_refused_by_rule(rule: str, body: dict[str, Any], words: str) -> None:
    found, message, status = refused(body, "codex")
    assert (found, status) == (rule, 400)
    assert words in message


def test_the_codex_gate_speaks_its_own_dialect() -> None:
    with pytest.raises(Refused) as caught:
        check(codex_request(max_output_tokens=5), "codex")
    assert caught.value.answer.body == {"detail": "Unsupported parameter: max_output_tokens"}
    with pytest.raises(Refused) as caught:
        check(codex_request(reasoning={"effort": "low"}), "codex", "gpt-4.1")
    assert caught.value.answer.body == {"detail": "Unsupported parameter: reasoning.effort"}


@pytest.mark.parametrize(
    ("switch", "body"),
    [
        ({"codex_effort_none": "accept"}, codex_request(reasoning={"effort": "none"})),
        ({"require_instructions": False}, {k: v for k, v in codex_request().items() if k != "instructions"}),
        (
            {"codex_accepts": ["context_management"]},
            codex_request(context_management=[{"type": "compaction"}]),
        ),
        (
            {"codex_accepts": ["additional_tools"]},
            codex_request({"type": "additional_tools", "role": "developer", "tools": [tool()]}),
        ),
    ],
)
def test_open_questions_about_codex_are_switches(switch: dict[str, Any], body: dict[str, Any]) -> None:
    check(body, "codex", switches=switch)


@pytest.mark.parametrize(
    ("switch", "body", "rule"),
    [
        (
            {"codex_tool_choice": "auto_only"},
            codex_request(tools=[tool()], tool_choice="none"),
            "tool_choice",
        ),
        ({"codex_item_ids": "reject"}, codex_request({**user("a"), "id": "msg_1"}), "item_id"),
        ({"codex_item_ids": "require"}, codex_request(IDLESS), "missing_required_parameter"),
    ],
)
def test_switches_can_make_codex_stricter(switch: dict[str, Any], body: dict[str, Any], rule: str) -> None:
    assert refused(body, "codex", switches=switch)[0] == rule


def test_a_connection_may_continue_by_id_on_codex() -> None:
    check(codex_request(previous_response_id="resp_1", generate=False), "codex", websocket=True)
    check(request(generate=False, type="response.create"), websocket=True)


def test_models_without_eyes_refuse_images() -> None:
    body = request(IMAGE, model="gpt-5.3-codex-spark")
    rule, message, _ = refused(body, model="gpt-5.3-codex-spark")
    assert rule == "image"
    assert "not supported with the 'gpt-5.3-codex-spark' model" in message


def test_web_searches_count_as_one_kind_of_tool() -> None:
    check(request(tools=[{"type": "web_search"}], tool_choice={"type": "web_search_preview"}))
    late = {"type": "additional_tools", "role": "developer", "tools": []}
    assert refused(request(late, tool_choice="required"))[0] == "tool_choice"
    plain = {"model": "gpt-5.5", "input": "text", "tool_choice": {"type": "function", "name": "A"}}
    assert refused(plain)[0] == "tool_choice"


def test_items_without_a_known_prefix_may_have_any_id() -> None:
    shell = {"type": "shell_call", "id": "any", "call_id": "c", "action": {"commands": ["ls"]}}
    check(request(shell))


def test_a_call_id_is_checked_in_calls_and_in_outputs() -> None:
    assert refused(request({**call("x"), "id": 5}))[0] == "invalid_type"
    custom = {"type": "custom_tool_call", "call_id": "c" * 65, "name": "n", "input": ""}
    assert refused(request(custom))[0] == "call_id"


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "object", "additionalProperties": False, "properties": {}}, None),
        (
            {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}},
            "Missing 'a'",
        ),
        (
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["a"],
                "properties": {"a": {"type": "array", "items": {"type": "object"}}},
            },
            "In context=(a.items)",
        ),
        ({"$defs": {"X": {"type": "object"}}}, "In context=(X)"),
        ({"anyOf": [{"type": "string"}, {"type": "object"}]}, "In context=(anyOf)"),
        ("no schema", None),
    ],
)
def test_the_strict_subset(schema: Any, problem: str | None) -> None:
    from dragoman.simulator.parameters import strict_problem

    found = strict_problem(schema)
    assert (found is None) if problem is None else (found is not None and problem in found)


@pytest.mark.parametrize(
    ("name", "body", "rule"),
    [
        ("TokenCountsBody", {"model": "gpt-5.5", "input": "x", "tools": [tool()]}, None),
        ("TokenCountsBody", {"model": "gpt-5.5", "input": "x", "store": False}, "unknown_parameter"),
        ("TokenCountsBody", {"model": "gpt-5.5", "input": [{"role": "user"}]}, "missing_required_parameter"),
        ("TokenCountsBody", {"model": "gpt-5.5", "tools": [{"type": "x"}]}, "invalid_value"),
        (
            "CompactResponseMethodPublicBody",
            {"model": "gpt-5.5", "prompt_cache_key": "k" * 65},
            "string_above_max_length",
        ),
    ],
)
def test_side_endpoints_have_their_own_schemas(name: str, body: dict[str, Any], rule: str | None) -> None:
    validator = Validator()
    if rule is None:
        validator.side(name, body, terms())
        return
    with pytest.raises(Refused) as caught:
        validator.side(name, body, terms())
    assert caught.value.answer.breach == rule


def test_good_items_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    from dragoman.simulator import validate

    monkeypatch.setattr(validate, "_REMEMBERED", 3)
    validator = Validator()
    validator.create(request(*(user(str(number)) for number in range(9)), tools=[tool()]), terms())
    assert len(validator._good) == 3


def test_what_passes_for_one_model_is_judged_anew_for_another() -> None:
    validator = Validator()
    marked = request(user("a", **MARK))
    validator.create(marked, terms("gpt-5.6"))
    with pytest.raises(Refused):
        validator.create(marked, terms("gpt-5.5"))
