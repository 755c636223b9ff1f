"""OpenAI's official Python SDK on the Responses API: plain, streamed, through its helpers, and its errors."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from tests.support.house import assert_extends, call, rule, say, think
from tests.support.threaded import House

ASKED: dict[str, Any] = {"model": "gpt-5.5", "input": "What do you see at sea?", "store": False}
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "The weather at a place.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    "strict": False,
}


class Sails(BaseModel):
    """What a structured answer is read into."""

    sails: int
    colour: str


def plain(client: openai.OpenAI, **more: Any) -> Response:
    made: Response = client.responses.create(**{**ASKED, **more})
    return made


def streamed(client: openai.OpenAI, **more: Any) -> tuple[Response, list[str]]:
    """The helper's final response, and the names of the stream's events."""
    with client.responses.stream(**{**ASKED, **more}) as stream:
        names = [str(event.type) for event in stream]
        found: Any = stream.get_final_response()
        return found, names


def shape(response: Response) -> dict[str, Any]:
    """What must be equal: everything but ids, times and seals, which are new each time."""
    made = response.model_dump(mode="json", include={"model", "status", "output", "usage"}, exclude_none=True)
    for item in made["output"]:
        for fresh in ("id", "call_id", "encrypted_content", "parsed_arguments"):
            item.pop(fresh, None)
        for part in item.get("content", ()):
            part.pop("parsed", None)
    return made


CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any], list[str]]] = {
    "text": ([say("Only water, 水, and a gull 🕊.")], {}, ["message"]),
    "reasoning": (
        [think("I look around."), say("A sail.")],
        {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]},
        ["reasoning", "message"],
    ),
    "text and two tools": (
        [say("I will ask."), call("weather", place="Porto"), call("weather", place="Faro")],
        {"tools": [WEATHER]},
        ["message", "function_call", "function_call"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_streamed_response_equals_a_plain_one(house: House, chatter: openai.OpenAI, name: str) -> None:
    """B57, B72: items and figures are the same both ways, through the SDK's helper."""
    steps, more, kinds = CASES[name]
    house.scenario(rule(*steps))
    told, names = streamed(chatter, **more)
    whole = plain(chatter, **more)
    assert shape(told) == shape(whole)
    assert [item.type for item in whole.output] == kinds
    assert whole.status == "completed" and whole.usage is not None and whole.usage.input_tokens > 0
    assert (names[0], names[-1]) == ("response.created", "response.completed")


def test_a_tool_loop_extends_its_prefix(house: House, chatter: openai.OpenAI) -> None:
    """B26, B103: the items go back as the SDK gives them, sealed reasoning among them."""
    house.scenario(
        rule(say("It rains in Porto."), match={"after_tool": True}),
        rule(think("I need the weather."), call("weather", place="Porto")),
    )
    question = [{"type": "message", "role": "user", "content": "What of Porto?"}]
    more: dict[str, Any] = {"tools": [WEATHER], "include": ["reasoning.encrypted_content"]}
    first = plain(chatter, input=question, **more)
    called = next(item for item in first.output if item.type == "function_call")
    assert json.loads(called.arguments) == {"place": "Porto"}
    replayed = [item.model_dump(mode="json", exclude_none=True) for item in first.output]
    result = {"type": "function_call_output", "call_id": called.call_id, "output": "rain"}
    second = plain(chatter, input=[*question, *replayed, result], **more)
    assert second.output_text == "It rains in Porto."
    before, now = house.bodies()
    assert_extends([before, now])
    kinds = [item["type"] for item in now["input"][len(before["input"]) :]]
    assert kinds == ["reasoning", "function_call", "function_call_output"]


def test_a_structured_answer_is_parsed(house: House, chatter: openai.OpenAI) -> None:
    """B40."""
    house.scenario(rule(say('{"sails":2,"colour":"red"}', chunks=5)))
    parsed = chatter.responses.parse(**ASKED, text_format=Sails)
    assert parsed.output_parsed == Sails(sails=2, colour="red")
    told, _ = streamed(chatter, text_format=Sails)
    assert getattr(told, "output_parsed", None) == Sails(sails=2, colour="red")
    assert house.bodies()[0]["text"]["format"]["strict"] is True


FAILURES: dict[str, tuple[str, type[openai.APIStatusError], int]] = {
    "rate limit": ("429_rate_limit", openai.RateLimitError, 429),
    "overload": ("503_overloaded", openai.InternalServerError, 529),
    "server error": ("500", openai.InternalServerError, 502),
    "overflow": ("400_context_length", openai.BadRequestError, 400),
    "no such model": ("404_model", openai.NotFoundError, 404),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_has_its_class_and_request_id(
    house: House, chatter: openai.OpenAI, name: str, stream: bool
) -> None:
    """B81, B84, B85: also a streamed request fails by its status, before any output."""
    preset, kind, status = FAILURES[name]
    house.scenario(rule(preset=preset))
    with pytest.raises(kind) as error:
        chatter.responses.create(**ASKED, stream=stream)
    assert error.value.status_code == status
    assert error.value.request_id


def test_a_wrong_key_and_a_wrong_field_are_told_apart(house: House, chatter: openai.OpenAI) -> None:
    """B80, B90."""
    with pytest.raises(openai.AuthenticationError):
        chatter.with_options(api_key="sk-drg-wrong").responses.create(**ASKED)
    with pytest.raises(openai.BadRequestError) as error:
        chatter.responses.create(**ASKED, previous_response_id="resp_unknown")
    assert error.value.param == "previous_response_id"
    assert house.bodies() == []


@pytest.mark.parametrize("terminal", [{"failed": {"code": "server_error", "message": "broke"}}, "none"])
def test_an_answer_that_breaks_never_ends_well(house: House, chatter: openai.OpenAI, terminal: Any) -> None:
    """B68, B69, B89: the stream tells of a failure, and nothing is tried again."""
    house.scenario(rule(say("So far so", chunks=3), terminal=terminal))
    heard, failed = "", False
    try:
        for event in chatter.responses.create(**ASKED, stream=True):
            if event.type == "response.output_text.delta":
                heard += event.delta
            failed = failed or event.type == "response.failed"
            assert event.type != "response.completed"
    except openai.APIError:
        failed = True
    assert heard == "So far so" and failed
    assert len(house.bodies()) == 1
    with pytest.raises((openai.APIError, RuntimeError)), chatter.responses.stream(**ASKED) as stream:
        stream.get_final_response()


async def test_the_async_client_streams_too(house: House) -> None:
    """B72."""
    house.scenario(rule(say("Ahoy, sailor.", chunks=3)))
    sdk = openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=house.key, max_retries=0)
    async with sdk as client, client.responses.stream(**ASKED) as stream:
        texts = [event.delta async for event in stream if event.type == "response.output_text.delta"]
    assert "".join(texts) == "Ahoy, sailor."
