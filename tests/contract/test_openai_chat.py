"""OpenAI's official Python SDK on Chat Completions: plain, streamed, through its helpers."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from tests.support.house import assert_extends, call, rule, say, think
from tests.support.threaded import House

MODEL = "gpt-5.5"
ASKED: list[Any] = [{"role": "user", "content": "What do you see at sea?"}]
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather at a place.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["place"],
        },
    },
}
# 1 x 1 pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Sails(BaseModel):
    """What a structured answer is read into."""

    sails: int
    colour: str


class Weather(BaseModel):
    """The arguments of a strict tool."""

    place: str


def streamed(client: openai.OpenAI, **more: Any) -> tuple[ChatCompletion, list[Any]]:
    """The helper's final completion, and its events."""
    with client.chat.completions.stream(**{"model": MODEL, "messages": ASKED, **more}) as stream:
        events = list(stream)
        return stream.get_final_completion(), events


def plain(client: openai.OpenAI, **more: Any) -> ChatCompletion:
    made: ChatCompletion = client.chat.completions.create(**{"model": MODEL, "messages": ASKED, **more})
    return made


def shape(completion: ChatCompletion) -> dict[str, Any]:
    """What must be equal: everything but ids and times, which are new each time."""
    # The tier is known at the end, and the helper keeps what the first chunk says of it.
    made = completion.model_dump(mode="json", exclude={"id", "created", "service_tier"}, exclude_none=True)
    for choice in made["choices"]:
        message = choice["message"]
        message.pop("parsed", None)
        if message.get("refusal"):
            message.pop("content", None)  # empty in the first chunk, which cannot know what follows
        if not message.get("annotations"):
            message.pop("annotations", None)  # the helper has none where no chunk brought any
        for tool_call in message.get("tool_calls", ()):
            assert tool_call.pop("id")
            tool_call.pop("index", None)
            tool_call["function"].pop("parsed_arguments", None)
    return made


def spoilt(arguments: str) -> dict[str, Any]:
    """A call with these arguments, told three characters at a time."""
    split = list(range(3, len(arguments), 3))
    return {"function_call": {"name": "weather", "arguments": arguments, "split": split}}


CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "text": ([say("Only water, 水, and a gull 🕊.")], {}, "stop"),
    "long text": ([say("wave after wave, " * 150)], {}, "stop"),
    "unread thinking": ([think("I look around."), say("A sail.")], {}, "stop"),
    "one tool": ([call("weather", place="Lisbon", days=3)], {"tools": [WEATHER]}, "tool_calls"),
    "text and two tools": (
        [say("I will ask."), call("weather", place="Porto"), call("weather", place="Faro", days=2)],
        {"tools": [WEATHER]},
        "tool_calls",
    ),
    "a tool without arguments": ([call("weather")], {"tools": [WEATHER]}, "tool_calls"),
    "arguments that are no JSON": (
        [
            spoilt('{"place":"Faro\n", "days":NaN,} I hope so.'),
            spoilt("not json"),
            spoilt('{"place":"\\d" 7'),
            spoilt('{"place":"\\ud83d"'),
        ],
        {"tools": [WEATHER]},
        "tool_calls",
    ),
    "a refusal": ([{"refusal": "I would rather not."}], {}, "stop"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_streamed_completion_equals_a_plain_one(house: House, chatter: openai.OpenAI, name: str) -> None:
    """B57, B72: text, calls, finish reason and figures are the same both ways, through the SDK's helper."""
    steps, more, finish = CASES[name]
    house.scenario(rule(*steps))
    told, events = streamed(chatter, **more, stream_options={"include_usage": True})
    whole = plain(chatter, **more)
    assert shape(told) == shape(whole)
    assert whole.choices[0].finish_reason == finish
    assert whole.id.startswith("chatcmpl-") and told.id.startswith("chatcmpl-") and whole.id != told.id
    assert whole.model == MODEL
    assert whole.usage is not None and whole.usage.prompt_tokens > 0
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert [event.type for event in events].count("chunk") == len([e for e in events if e.type == "chunk"])
    if name == "a refusal":
        assert whole.choices[0].message.refusal == "I would rather not."
        assert whole.choices[0].message.content is None


def test_arguments_that_are_no_json_are_mended(house: House, chatter: openai.OpenAI) -> None:
    """D18: this dialect's clients parse arguments themselves."""
    steps, more, _ = CASES["arguments that are no JSON"]
    house.scenario(rule(*steps))
    calls = plain(chatter, **more).choices[0].message.tool_calls
    assert [json.loads(called.function.arguments) for called in calls or () if called.type == "function"] == [
        {"place": "Faro\n", "days": None},
        {},
        {"place": "\\d"},
        {"place": "\ufffd"},
    ]


def test_half_a_call_is_an_error_both_ways(house: House, chatter: openai.OpenAI) -> None:
    """D20, reliability E3: a complete response whose call ends in the middle."""
    house.scenario(rule(spoilt('{"place":"Faro", "da')))
    with pytest.raises(openai.APIError):
        streamed(chatter, tools=[WEATHER])
    with pytest.raises(openai.InternalServerError) as refused:
        plain(chatter, tools=[WEATHER])
    assert refused.value.status_code == 502


def test_chunks_come_in_the_order_the_sdk_documents(house: House, chatter: openai.OpenAI) -> None:
    """The role first, one finish reason, then the figures in a chunk without choices; one id for all."""
    house.scenario(rule(say("I will ask.", chunks=4), call("weather", place="Porto")))
    tools: list[Any] = [WEATHER]
    options: Any = {"include_usage": True}
    chunks: list[ChatCompletionChunk] = list(
        chatter.chat.completions.create(
            model=MODEL, messages=ASKED, tools=tools, stream=True, stream_options=options
        )
    )
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.choices[0].delta.role is None for chunk in chunks[1:-1])
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]].count("tool_calls") == 1
    assert chunks[-2].choices[0].finish_reason == "tool_calls"
    assert chunks[-1].choices == [] and chunks[-1].usage is not None
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_figures_come_only_to_whom_asked_for_them(house: House, chatter: openai.OpenAI) -> None:
    house.scenario(rule(say("Water.")))
    stream = chatter.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
    chunks = list(stream)
    assert all(chunk.choices for chunk in chunks)
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)


@pytest.mark.parametrize("stream", [True, False])
def test_a_tool_loop_extends_its_prefix(house: House, chatter: openai.OpenAI, stream: bool) -> None:
    """B9, B16, B103: the calls go back as the SDK gives them, and the second request extends the first."""
    house.scenario(
        rule(say("It rains in both."), match={"after_tool": True}),
        rule(call("weather", place="Porto"), call("weather", place="Faro")),
    )
    ask = streamed if stream else plain
    first: Any = ask(chatter, tools=[WEATHER])
    completion = first[0] if stream else first
    message = completion.choices[0].message
    calls = message.tool_calls or []
    assert [json.loads(one.function.arguments) for one in calls] == [{"place": "Porto"}, {"place": "Faro"}]
    results = [{"role": "tool", "tool_call_id": one.id, "content": "rain"} for one in calls]
    again = [*ASKED, message.model_dump(mode="json", exclude_none=True), *results]
    second = plain(chatter, messages=again, tools=[WEATHER])
    assert second.choices[0].message.content == "It rains in both."
    before, now = house.bodies()
    assert_extends([before, now])
    kinds = [item["type"] for item in now["input"][len(before["input"]) :]]
    assert kinds == ["function_call", "function_call", "function_call_output", "function_call_output"]
    assert before["prompt_cache_key"] == now["prompt_cache_key"]


def test_a_structured_answer_is_parsed(house: House, chatter: openai.OpenAI) -> None:
    """B40: `parse` with a model, plain and streamed."""
    house.scenario(rule(say('{"sails":2,"colour":"red"}', chunks=5)))
    parsed = chatter.chat.completions.parse(model=MODEL, messages=ASKED, response_format=Sails)
    assert parsed.choices[0].message.parsed == Sails(sails=2, colour="red")
    told, _ = streamed(chatter, response_format=Sails)
    found: Any = told.choices[0].message
    assert found.parsed == Sails(sails=2, colour="red")
    for body in house.bodies():
        sent = body["text"]["format"]
        assert (sent["type"], sent["name"], sent["strict"]) == ("json_schema", "Sails", True)


def test_a_strict_tool_is_parsed(house: House, chatter: openai.OpenAI) -> None:
    """B41: the client's `strict` reaches the upstream; arguments come back as a model."""
    house.scenario(rule(call("Weather", place="Porto")))
    tool = openai.pydantic_function_tool(Weather)
    parsed = chatter.chat.completions.parse(model=MODEL, messages=ASKED, tools=[tool])
    calls = parsed.choices[0].message.tool_calls
    assert calls is not None and calls[0].function.parsed_arguments == Weather(place="Porto")
    assert house.bodies()[0]["tools"][0]["strict"] is True


def test_an_answer_cut_by_its_limit_is_never_parsed(house: House, chatter: openai.OpenAI) -> None:
    """B63: the SDK says so itself, because the finish reason does."""
    house.scenario(rule(say('{"sails":'), terminal={"incomplete": "max_output_tokens"}))
    with pytest.raises(openai.LengthFinishReasonError):
        chatter.chat.completions.parse(model=MODEL, messages=ASKED, response_format=Sails)
    assert plain(chatter).choices[0].finish_reason == "length"


def test_a_filtered_answer_is_never_parsed(house: House, chatter: openai.OpenAI) -> None:
    """B64."""
    house.scenario(rule(say('{"sails":'), terminal={"incomplete": "content_filter"}))
    with pytest.raises(openai.ContentFilterFinishReasonError):
        chatter.chat.completions.parse(model=MODEL, messages=ASKED, response_format=Sails)


def test_all_that_a_request_may_hold_reaches_the_model(house: House, chatter: openai.OpenAI) -> None:
    """B12, B19, B20: roles, parts, images and files, also in results of tools; effort, verbosity, choice."""
    house.scenario(rule(say("One dot.")))
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}}
    data = "data:application/pdf;base64,JVBERi0xLjQKJSVFT0YK"
    document = {"type": "file", "file": {"filename": "a.pdf", "file_data": data}}
    messages: list[Any] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look."}, picture, document]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "sun"}]},
        {"role": "system", "content": "In one word."},
    ]
    completion = plain(
        chatter,
        messages=messages,
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
        reasoning_effort="high",
        verbosity="low",
        max_completion_tokens=5000,
        user="ann",
        metadata={"ship": "brig"},
        store=False,
        seed=7,
    )
    assert completion.choices[0].message.content == "One dot."
    body = house.bodies()[0]
    assert body["instructions"] == "Be brief."
    first, called, result, last = body["input"]
    assert [part["type"] for part in first["content"]] == ["input_text", "input_image", "input_file"]
    assert first["content"][1]["detail"] == "low"
    assert (called["type"], result["output"], last["role"]) == ("function_call", "sun", "developer")
    assert body["tool_choice"] == {"type": "function", "name": "weather"}
    assert (body["parallel_tool_calls"], body["max_output_tokens"]) == (False, 5000)
    assert (body["reasoning"]["effort"], body["text"]["verbosity"]) == ("high", "low")
    assert not {"user", "metadata", "seed"} & body.keys()


def test_a_stop_sequence_ends_the_answer(house: House, chatter: openai.OpenAI) -> None:
    """B36: what stands before it is delivered, and nothing of it or behind it."""
    house.scenario(rule(say("abENDcd", chunks=7)))
    told, _ = streamed(chatter, stop=["END"])
    for completion in (told, plain(chatter, stop="END")):
        [choice] = completion.choices
        assert (choice.message.content, choice.finish_reason) == ("ab", "stop")


def test_reasoning_is_shown_to_whom_asks_for_it(house: House, chatter: openai.OpenAI) -> None:
    """B59: a common extension; nobody else is shown any, and its tokens are counted for all."""
    house.scenario(rule(think("I look around.", tokens=64), say("A sail.")))
    shown = plain(chatter, extra_body={"include_reasoning": True})
    assert getattr(shown.choices[0].message, "reasoning_content", None) == "I look around."
    hidden = plain(chatter)
    assert not hasattr(hidden.choices[0].message, "reasoning_content")
    details = hidden.usage and hidden.usage.completion_tokens_details
    assert details and details.reasoning_tokens and details.reasoning_tokens >= 64


def test_citations_of_a_search_are_annotations(house: House, chatter: openai.OpenAI) -> None:
    """B66."""
    source = {"url": "https://ships.example/", "title": "Ships"}
    house.scenario(
        rule(
            {"web_search": {"queries": ["ships"], "sources": [source]}},
            say("A brig.", annotations=[{**source, "start_index": 2, "end_index": 6}]),
        )
    )
    completion = plain(chatter, web_search_options={"search_context_size": "low"})
    [annotation] = completion.choices[0].message.annotations or []
    assert annotation.url_citation.url == source["url"]
    assert (annotation.url_citation.start_index, annotation.url_citation.end_index) == (2, 6)
    assert house.bodies()[0]["tools"][-1]["type"] == "web_search"


def test_cached_tokens_are_told(house: House, chatter: openai.OpenAI) -> None:
    """B74: the second turn reads its prefix from the cache, and the figures say so."""
    house.scenario(rule(say("Yes.")))
    messages = [{"role": "system", "content": "A ship sails on. " * 600}, *ASKED]
    first, second = (plain(chatter, messages=messages).usage for _ in range(2))
    assert first is not None and second is not None
    assert first.prompt_tokens_details and second.prompt_tokens_details
    assert first.prompt_tokens_details.cached_tokens == 0
    assert (second.prompt_tokens_details.cached_tokens or 0) >= 1024
    assert second.prompt_tokens == first.prompt_tokens


def test_the_old_shape_of_calls_works(house: House, chatter: openai.OpenAI) -> None:
    """`functions` of old clients: one call, under its old name."""
    house.scenario(rule(call("weather", place="Porto")))
    completion = chatter.chat.completions.create(
        model=MODEL, messages=ASKED, functions=[WEATHER["function"]], function_call="auto"
    )
    [choice] = completion.choices
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call is not None
    assert choice.message.function_call.name == "weather"
    assert json.loads(choice.message.function_call.arguments) == {"place": "Porto"}


async def test_the_async_client_streams_too(house: House) -> None:
    """B72."""
    house.scenario(rule(say("Ahoy, sailor.", chunks=3)))
    sdk = openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=house.key, max_retries=0)
    async with sdk as client, client.chat.completions.stream(model=MODEL, messages=ASKED) as stream:
        texts = [event.delta async for event in stream if event.type == "content.delta"]
    assert "".join(texts) == "Ahoy, sailor."
