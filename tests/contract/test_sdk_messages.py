"""The official Python SDK, streamed through its helper and plain, against a live gateway."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from anthropic.types import Message

from tests.support.house import assert_extends, call, rule, say, think
from tests.support.threaded import House

WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "The weather at a place.",
    "input_schema": {
        "type": "object",
        "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["place"],
    },
}
# 1 x 1 pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ASKED: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 2000,
    "messages": [{"role": "user", "content": "What do you see at sea?"}],
}


def both(client: anthropic.Anthropic, request: dict[str, Any]) -> tuple[Message, Message, list[str]]:
    """The same request streamed and plain, and the names of the stream's events."""
    with client.messages.stream(**request) as stream:
        names: list[str] = [event.type for event in stream]
        streamed = stream.get_final_message()
    plain: Message = client.messages.create(**request)
    return streamed, plain, names


def shape(message: Message) -> dict[str, Any]:
    """What must be equal: everything but ids and seals, which are new each time."""
    made: dict[str, Any] = message.model_dump(mode="json", exclude={"id", "parsed_output"})
    for block in made["content"]:
        block.pop("parsed_output", None)
        for fresh in ("signature", "data", "id"):
            if fresh in block:
                assert block[fresh], f"an empty {fresh}"
                block[fresh] = "new each time"
    # Only a whole answer has these; the stream carries them as null or not at all.
    for only in ("service_tier", "cache_creation", "inference_geo"):
        made["usage"].pop(only, None)
    return made


CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "text": ([say("Only water, 水, and a gull 🕊.")], {}),
    "long text": ([say("wave after wave, " * 150)], {}),
    "thinking": (
        [think("I look around.", "I look again."), say("A sail.")],
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
    "one tool": ([call("weather", place="Lisbon", days=3)], {"tools": [WEATHER]}),
    "text and two tools": (
        [say("I will ask."), call("weather", place="Porto"), call("weather", place="Faro", days=2)],
        {"tools": [WEATHER]},
    ),
    "a tool without input": ([call("weather")], {"tools": [WEATHER]}),
}


@pytest.mark.parametrize("name", CASES)
def test_streamed_message_equals_plain_message(house: House, client: anthropic.Anthropic, name: str) -> None:
    """B72, D43: content, usage and stop reason are the same both ways."""
    steps, more = CASES[name]
    house.scenario(rule(*steps))
    streamed, plain, names = both(client, {**ASKED, **more})
    assert shape(streamed) == shape(plain)
    assert streamed.id.startswith("msg_") and plain.id.startswith("msg_") and streamed.id != plain.id
    assert streamed.model == plain.model == ASKED["model"]
    assert plain.stop_reason == ("tool_use" if more.get("tools") else "end_turn")
    assert plain.usage.input_tokens > 0 and plain.usage.output_tokens > 0
    assert names[0] == "message_start" and names[-1] == "message_stop"


# What models write and is not JSON, and the input that both ways make of it.
SPOILT: dict[str, tuple[str, dict[str, Any]]] = {
    "not json": ("not json", {}),
    "a comma at the end": ('{"place":"Faro",}', {"place": "Faro"}),
    "a raw line end": ('{"place":"Faro\nPorto"}', {"place": "Faro\nPorto"}),
    "half a character": ('{"place":"\\ud83d","days":1}', {"place": "\ufffd", "days": 1}),
    "no number": ('{"place":"Faro","days":NaN}', {"place": "Faro", "days": None}),
    "an odd escape": ('{"place":"\\d"}', {"place": "\\d"}),
    "text behind": ('{"place":"Faro"} I hope so.', {"place": "Faro"}),
    "no comma": ('{"place":"Faro" "days":1}', {"place": "Faro"}),
    "no bracket": ('{"place":"Faro"', {"place": "Faro"}),
}


def spoilt(arguments: str) -> dict[str, Any]:
    """A call with these arguments, told three characters at a time."""
    split = list(range(3, len(arguments), 3))
    return {"function_call": {"name": "weather", "arguments": arguments, "split": split}}


@pytest.mark.parametrize("name", SPOILT)
def test_arguments_that_are_no_json_never_break_an_answer(
    house: House, client: anthropic.Anthropic, name: str
) -> None:
    """B72, B57, D18: the helper parses at every delta and raises where it cannot."""
    arguments, expected = SPOILT[name]
    house.scenario(rule(spoilt(arguments), call("weather", place="Porto")))
    streamed, plain, _ = both(client, {**ASKED, "tools": [WEATHER]})
    assert shape(streamed) == shape(plain)
    assert plain.stop_reason == "tool_use"
    inputs = [block.input for block in plain.content if block.type == "tool_use"]
    assert inputs == [expected, {"place": "Porto"}]


def test_half_a_call_is_an_error_both_ways(house: House, client: anthropic.Anthropic) -> None:
    """D20, reliability E3: a complete response whose call ends in the middle."""
    house.scenario(rule(spoilt('{"place":"Faro", "da')))
    request = {**ASKED, "tools": [WEATHER]}
    with pytest.raises(anthropic.APIStatusError) as told, client.messages.stream(**request) as stream:
        stream.get_final_message()
    assert "The upstream sent an answer that makes no sense." in str(told.value)
    with pytest.raises(anthropic.InternalServerError) as refused:
        client.messages.create(**request)
    assert refused.value.status_code == 502


def test_blocks_come_in_the_order_the_model_made_them(house: House, client: anthropic.Anthropic) -> None:
    """B57, B59: thinking, text, calls."""
    steps = [
        think("Two places."),
        say("I will ask."),
        call("weather", place="Porto"),
        call("weather", place="Faro"),
    ]
    house.scenario(rule(*steps))
    thinking = {"type": "adaptive"}
    with client.messages.stream(**{**ASKED, "tools": [WEATHER], "thinking": thinking}) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block.input for block in message.content if block.type == "tool_use"] == [
        {"place": "Porto"},
        {"place": "Faro"},
    ]


def test_a_tool_loop_keeps_its_thinking_and_its_prefix(house: House, client: anthropic.Anthropic) -> None:
    """B26, B103: the second request replays the sealed reasoning and extends the first one's input."""
    house.scenario(
        rule(say("It rains in Porto."), match={"after_tool": True}),
        rule(think("I need the weather."), call("weather", place="Porto")),
    )
    request = {**ASKED, "tools": [WEATHER], "thinking": {"type": "adaptive"}}
    first = client.messages.create(**request)
    used = next(block for block in first.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": used.id, "content": "rain"}
    messages = [
        *ASKED["messages"],
        {"role": "assistant", "content": [block.model_dump(mode="json") for block in first.content]},
        {"role": "user", "content": [result]},
    ]
    second = client.messages.create(**{**request, "messages": messages})
    assert [block.type for block in second.content] == ["text"]
    before, now = house.bodies()
    assert_extends([before, now])
    kinds = [item["type"] for item in now["input"][len(before["input"]) :]]
    assert kinds == ["reasoning", "function_call", "function_call_output"]


def test_images_and_documents_reach_the_model(house: House, client: anthropic.Anthropic) -> None:
    """B19, B12: as images, also inside a tool result."""
    house.scenario(rule(say("One dot.")))
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Look."}, image]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": [image]}]},
    ]
    message = client.messages.create(**{**ASKED, "messages": messages, "tools": [WEATHER]})
    assert message.stop_reason == "end_turn"
    body = house.bodies()[0]
    assert [part["type"] for part in body["input"][0]["content"]] == ["input_text", "input_image"]
    output = next(item for item in body["input"] if item["type"] == "function_call_output")["output"]
    assert [part["type"] for part in output] == ["input_image"]


def test_structured_output_is_parsed_by_the_sdk(house: House, client: anthropic.Anthropic) -> None:
    """B40: a JSON schema goes out as text.format and the answer comes back as text."""
    house.scenario(rule(say('{"sails":2}')))
    schema = {
        "type": "object",
        "properties": {"sails": {"type": "integer"}},
        "required": ["sails"],
        "additionalProperties": False,
    }
    output = {"format": {"type": "json_schema", "schema": schema}}
    message = client.messages.create(**{**ASKED, "output_config": output})
    assert [block.type for block in message.content] == ["text"]
    assert house.bodies()[0]["text"]["format"]["type"] == "json_schema"


def test_web_search_comes_back_as_a_server_tool(house: House, client: anthropic.Anthropic) -> None:
    """B43, B66: use, result and citation blocks, and the searches in the usage."""
    source = {"url": "https://ships.example/", "title": "Ships"}
    house.scenario(
        rule(
            {"web_search": {"queries": ["ships"], "sources": [source]}},
            say("A brig.", annotations=[{**source, "start_index": 2, "end_index": 6}]),
        )
    )
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    streamed, plain, _ = both(client, {**ASKED, "tools": [tool]})
    for message in (streamed, plain):
        kinds = [block.type for block in message.content]
        assert kinds == ["server_tool_use", "web_search_tool_result", "text"]
        assert message.usage.server_tool_use is not None
        assert message.usage.server_tool_use.web_search_requests == 1
        text = message.content[-1]
        assert (
            text.type == "text" and text.citations and text.citations[0].type == "web_search_result_location"
        )


def test_a_search_without_sources_is_answered_with_what_the_text_cites(
    house: House, client: anthropic.Anthropic
) -> None:
    """B66, B30, B103; behaviours C8: the result comes behind the text, and goes back where the search was."""
    page = {"url": "https://ships.example/", "title": "Ships"}
    house.scenario(
        rule(say("Two masts."), match={"user": "How many masts?"}),
        rule(
            think("I look it up."),
            {"web_search": {"queries": ["ships"]}},
            say("A brig.", annotations=[{**page, "start_index": 2, "end_index": 6}]),
        ),
    )
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    asked = {**ASKED, "tools": [tool], "thinking": {"type": "adaptive"}}
    streamed, plain, _ = both(client, asked)
    for message in (streamed, plain):
        *_, result = message.content
        kinds = [block.type for block in message.content]
        assert kinds == ["thinking", "server_tool_use", "text", "web_search_tool_result"]
        assert result.type == "web_search_tool_result" and isinstance(result.content, list)
        assert [(found.title, found.url) for found in result.content] == [("Ships", "https://ships.example/")]
        assert message.usage.server_tool_use is not None
        assert message.usage.server_tool_use.web_search_requests == 1
    said = [block.model_dump(mode="json") for block in plain.content]
    messages = [
        *ASKED["messages"],
        {"role": "assistant", "content": said},
        {"role": "user", "content": "How many masts?"},
    ]
    client.messages.create(**{**asked, "messages": messages})
    _, before, now = house.bodies()
    assert_extends([before, now])
    kinds = [item["type"] for item in now["input"][len(before["input"]) :]]
    assert kinds == ["reasoning", "web_search_call", "message", "message"]


def test_a_stop_sequence_ends_the_answer(house: House, client: anthropic.Anthropic) -> None:
    """B36, behaviours C21: what stands before it is delivered, with its name."""
    house.scenario(rule(say("abENDcd", chunks=7)))
    streamed, plain, _ = both(client, {**ASKED, "stop_sequences": ["END"]})
    for message in (streamed, plain):
        assert [block.text for block in message.content if block.type == "text"] == ["ab"]
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


def test_an_answer_that_ran_out_of_tokens_says_so(house: House, client: anthropic.Anthropic) -> None:
    """B63."""
    house.scenario(rule(say("half a sen"), terminal={"incomplete": "max_output_tokens"}))
    streamed, plain, _ = both(client, ASKED)
    assert streamed.stop_reason == plain.stop_reason == "max_tokens"


def test_a_refusal_says_so(house: House, client: anthropic.Anthropic) -> None:
    """B62."""
    house.scenario(rule({"refusal": "I would rather not."}))
    streamed, plain, _ = both(client, ASKED)
    assert streamed.stop_reason == plain.stop_reason == "refusal"


def test_usage_splits_cached_from_new(house: House, client: anthropic.Anthropic) -> None:
    """B74, behaviours T7: the parts of the second turn add up and the prefix is read from the cache."""
    house.scenario(rule(say("Yes.")))
    long = {**ASKED, "system": "A ship sails on. " * 600}
    first = client.messages.create(**long)
    second = client.messages.create(**long)
    assert first.usage.cache_read_input_tokens == 0
    read = second.usage.cache_read_input_tokens or 0
    created = second.usage.cache_creation_input_tokens or 0
    assert read >= 1024
    assert second.usage.input_tokens + read + created == first.usage.input_tokens


async def test_the_async_client_streams_too(house: House) -> None:
    """B72."""
    house.scenario(rule(say("Ahoy, sailor.")))
    sdk = anthropic.AsyncAnthropic(base_url=house.url, api_key=house.key, max_retries=0)
    async with sdk as client, client.messages.stream(**ASKED) as stream:
        text = "".join([part async for part in stream.text_stream])
    assert text == "Ahoy, sailor."
