from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.chat.validate import MOST_MESSAGES, validate
from dragoman.wire.errors import Refused
from tests.support.chats import request, tool
from tests.support.requests import PDF, PNG

CALL = {"id": "call_1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
IMAGE = f"data:image/png;base64,{PNG}"


def refused(made: Any) -> str:
    """The path of what is refused; the message begins with it."""
    with pytest.raises(Refused) as caught:
        validate(made)
    failure = caught.value.failure
    assert failure.status == 400
    assert failure.message.startswith(f"{failure.param}: " if failure.param else "must be")
    return failure.param or ""


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("model", {"model": None}),
        ("model", {"model": " "}),
        ("n", {"n": 2}),
        ("n", {"n": 0}),
        ("n", {"n": "1"}),
        ("max_tokens", {"max_tokens": 0}),
        ("max_completion_tokens", {"max_completion_tokens": 1.5}),
        ("stream", {"stream": "yes"}),
        ("stream_options", {"stream_options": []}),
        ("stream_options.include_usage", {"stream_options": {"include_usage": 1}}),
        ("temperature", {"temperature": 2.1}),
        ("temperature", {"temperature": True}),
        ("top_p", {"top_p": -0.1}),
        ("frequency_penalty", {"frequency_penalty": 3}),
        ("presence_penalty", {"presence_penalty": "1"}),
        ("seed", {"seed": "x"}),
        ("logit_bias", {"logit_bias": []}),
        ("logprobs", {"logprobs": 1}),
        ("top_logprobs", {"top_logprobs": 2}),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 21}),
        ("stop", {"stop": 1}),
        ("stop", {"stop": list("abcde")}),
        ("stop.1", {"stop": ["a", ""]}),
        ("stop.0", {"stop": [1]}),
        ("response_format", {"response_format": "json"}),
        ("response_format.type", {"response_format": {"type": "xml"}}),
        ("response_format.json_schema", {"response_format": {"type": "json_schema"}}),
        (
            "response_format.json_schema.schema",
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
        ),
        (
            "response_format.json_schema.strict",
            {"response_format": {"type": "json_schema", "json_schema": {"strict": "yes", "schema": {}}}},
        ),
        ("reasoning_effort", {"reasoning_effort": "huge"}),
        ("reasoning.effort", {"reasoning": {"effort": "huge"}}),
        ("reasoning", {"reasoning": "high"}),
        ("verbosity", {"verbosity": "loud"}),
        ("include_reasoning", {"include_reasoning": 1}),
        ("audio", {"audio": {}}),
        ("modalities.0", {"modalities": ["audio"]}),
        ("modalities", {"modalities": "text"}),
        ("web_search_options", {"web_search_options": True}),
        ("web_search_options.search_context_size", {"web_search_options": {"search_context_size": "big"}}),
        (
            "web_search_options.city",
            {"web_search_options": {"user_location": {"approximate": {"city": 1}}}},
        ),
        ("user", {"user": 1}),
        ("metadata", {"metadata": []}),
        ("store", {"store": "no"}),
        ("prompt_cache_retention", {"prompt_cache_retention": 24}),
        ("tools", {"tools": {}}),
        ("tools.0", {"tools": [1]}),
        ("tools.0.type", {"tools": [{}]}),
        ("tools.0.function", {"tools": [{"type": "function"}]}),
        ("tools.0.function.name", {"tools": [{"type": "function", "function": {}}]}),
        ("tools.0.function.name", {"tools": [tool("a b")]}),
        ("tools.1.function.name", {"tools": [tool("a"), tool("a")]}),
        ("tools.0.function.strict", {"tools": [tool("a", strict=1)]}),
        ("tools.0.function.parameters", {"tools": [tool("a", parameters=[])]}),
        ("tools.0.function.parameters.type", {"tools": [tool("a", parameters={"type": "array"})]}),
        ("functions.0.name", {"functions": [{"name": ""}]}),
        ("functions.0", {"functions": ["a"]}),
        ("functions", {"tools": [tool("a")], "functions": [{"name": "b"}]}),
        ("parallel_tool_calls", {"parallel_tool_calls": "no"}),
        ("tool_choice", {"tool_choice": "any"}),
        ("tool_choice", {"tool_choice": 1}),
        ("tool_choice.type", {"tool_choice": {"type": "custom"}}),
        ("tool_choice.function", {"tool_choice": {"type": "function"}}),
        ("tool_choice.function.name", {"tool_choice": {"type": "function", "function": {}}}),
        ("tool_choice.allowed_tools", {"tool_choice": {"type": "allowed_tools"}}),
        (
            "tool_choice.allowed_tools.mode",
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "none"}}},
        ),
        (
            "tool_choice.allowed_tools.tools.0.function.name",
            {
                "tools": [tool("a")],
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"function": {"name": "b"}}]},
                },
            },
        ),
        ("function_call", {"function_call": "required"}),
        ("function_call.name", {"functions": [{"name": "a"}], "function_call": {"name": "b"}}),
    ],
)
def test_a_wrong_field_of_a_chat_is_refused_by_its_path(path: str, fields: dict[str, Any]) -> None:
    """B79."""
    assert refused({**request(), **fields}) == path


@pytest.mark.parametrize(
    ("path", "messages"),
    [
        ("messages", None),
        ("messages", []),
        ("messages", [{"role": "user", "content": "x"}] * (MOST_MESSAGES + 1)),
        ("messages.0", ["x"]),
        ("messages.0.role", [{"role": "bot", "content": "x"}]),
        ("messages.0.content", [{"role": "user"}]),
        ("messages.0.content", [{"role": "developer", "content": 7}]),
        ("messages.0.name", [{"role": "user", "content": "x", "name": 7}]),
        ("messages.0.content.0", [user("x")]),
        ("messages.0.content.0.type", [user({})]),
        ("messages.0.content.0.type", [user({"type": "refusal", "refusal": "x"})]),
        ("messages.0.content.0.type", [user({"type": "video_url"})]),
        ("messages.0.content.0.type", [user({"type": "input_audio"})]),
        ("messages.0.content.1.text", [user({"type": "text", "text": "x"}, {"type": "text"})]),
        ("messages.0.content.0.image_url", [user({"type": "image_url", "image_url": IMAGE})]),
        (
            "messages.0.content.0.image_url.url",
            [user({"type": "image_url", "image_url": {"url": "file:///a"}})],
        ),
        (
            "messages.0.content.0.image_url.url",
            [user({"type": "image_url", "image_url": {"url": "data:text/html;base64,aaaa"}})],
        ),
        (
            "messages.0.content.0.image_url.url",
            [user({"type": "image_url", "image_url": {"url": "data:image/png;base64,<>"}})],
        ),
        (
            "messages.0.content.0.image_url.detail",
            [user({"type": "image_url", "image_url": {"url": IMAGE, "detail": "huge"}})],
        ),
        ("messages.0.content.0.file", [user({"type": "file"})]),
        ("messages.0.content.0.file.file_id", [user({"type": "file", "file": {"file_id": "f"}})]),
        ("messages.0.content.0.file.file_data", [user({"type": "file", "file": {}})]),
        (
            "messages.0.content.0.file.filename",
            [user({"type": "file", "file": {"file_data": PDF, "filename": 1}})],
        ),
        (
            "messages.0.content.0.refusal",
            [{"role": "assistant", "content": [{"type": "refusal", "refusal": None}]}],
        ),
        ("messages.0.refusal", [{"role": "assistant", "refusal": 1}]),
        ("messages.0.audio", [{"role": "assistant", "audio": {"id": "a"}}]),
        ("messages.0.tool_calls", [{"role": "assistant", "tool_calls": {}}]),
        ("messages.0.tool_calls.0", [{"role": "assistant", "tool_calls": [1]}]),
        ("messages.0.tool_calls.0.type", [{"role": "assistant", "tool_calls": [{**CALL, "type": "custom"}]}]),
        ("messages.0.tool_calls.0.id", [{"role": "assistant", "tool_calls": [{**CALL, "id": ""}]}]),
        ("messages.0.tool_calls.0.function", [{"role": "assistant", "tool_calls": [{"id": "a"}]}]),
        (
            "messages.0.tool_calls.0.function.arguments",
            [{"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "a", "arguments": {}}}]}],
        ),
        ("messages.0.function_call.name", [{"role": "assistant", "function_call": {"arguments": "{}"}}]),
        ("messages.0.tool_call_id", [{"role": "tool", "content": "x"}]),
        ("messages.0.name", [{"role": "function", "content": "x"}]),
    ],
)
def test_a_wrong_message_of_a_chat_is_refused_by_its_path(path: str, messages: Any) -> None:
    """B79."""
    assert refused({**request(), "messages": messages}) == path


@pytest.mark.parametrize("made", [None, [], "x", 1])
def test_what_is_no_object_is_refused(made: Any) -> None:
    assert refused(made) == ""


def test_what_clients_of_chat_send_is_accepted() -> None:
    nulls = ("temperature", "top_p", "stop", "tools", "tool_choice", "functions", "user", "n", "seed")
    validate(
        {
            **request(
                [
                    {"role": "developer", "content": [{"type": "text", "text": "x"}]},
                    user(
                        {"type": "image_url", "image_url": {"url": IMAGE, "detail": None}},
                        {"type": "image_url", "image_url": {"url": "DATA:image/PNG;base64," + PNG}},
                        {"type": "image_url", "image_url": {"url": "HTTPS://example.com/a.png"}},
                        {"type": "file", "file": {"file_data": PDF, "file_id": None}},
                    ),
                    {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "call_2"}], "audio": None},
                    {"role": "tool", "tool_call_id": "call_1", "content": None},
                    {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "x"}]},
                    {"role": "assistant", "content": None, "function_call": CALL["function"]},
                    {"role": "function", "name": "bash", "content": None},
                ]
            ),
            **dict.fromkeys(nulls),
            "stop": "",
            "modalities": ["text"],
            "response_format": {"type": "text"},
            "tool_choice": {"type": "function", "function": {"name": "anything"}},
            "reasoning_effort": " ",
            "unknown": object(),
        }
    )
