"""OpenAI's official Python SDK on Chat Completions: credentials, its exception classes, what it retries."""

from __future__ import annotations

import time
from typing import Any

import httpx2
import openai
import pytest

from tests.support.house import half_a_message, rule, say
from tests.support.threaded import House

ASKED: dict[str, Any] = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Any wind?"}]}


def sdk(house: House, **more: Any) -> openai.OpenAI:
    """A client of its own making."""
    return openai.OpenAI(
        base_url=f"{house.url}/v1", **{"api_key": house.key, "max_retries": 0, "timeout": 60, **more}
    )


def test_a_key_is_asked_for(house: House) -> None:
    """B90: the SDK's bearer is the client key; a wrong one is its AuthenticationError."""
    house.scenario(rule(say("Ahoy.")))
    with sdk(house) as client:
        assert client.chat.completions.create(**ASKED).choices[0].message.content == "Ahoy."
    with sdk(house, api_key="sk-drg-wrong") as client, pytest.raises(openai.AuthenticationError) as error:
        client.chat.completions.create(**ASKED)
    assert (error.value.code, error.value.type) == ("invalid_api_key", "invalid_request_error")
    assert error.value.request_id


FAILURES: dict[str, tuple[dict[str, Any], type[openai.APIStatusError], int, str | None]] = {
    "rate limit": ({"preset": "429_rate_limit"}, openai.RateLimitError, 429, "rate_limit_exceeded"),
    "quota": ({"preset": "429_insufficient_quota"}, openai.RateLimitError, 429, "rate_limit_exceeded"),
    "overload": ({"preset": "503_overloaded"}, openai.InternalServerError, 529, "overloaded"),
    "server error": ({"preset": "500"}, openai.InternalServerError, 502, "upstream_error"),
    "a proxy's page": ({"preset": "502_html"}, openai.InternalServerError, 502, "upstream_error"),
    "overflow": ({"preset": "400_context_length"}, openai.BadRequestError, 400, "context_length_exceeded"),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_has_its_class_code_and_request_id(
    house: House, chatter: openai.OpenAI, name: str, stream: bool
) -> None:
    """B81, B84, B85, behaviours E11, E14: also a streamed request fails by its status, before any output."""
    fault, kind, status, code = FAILURES[name]
    house.scenario(rule(**fault))
    with pytest.raises(kind) as error:
        chatter.chat.completions.create(**ASKED, stream=stream)
    assert (error.value.status_code, error.value.code) == (status, code)
    assert error.value.request_id and error.value.message
    assert "sk-simulated" not in str(error.value)


def test_an_unknown_model_is_not_found(house: House, chatter: openai.OpenAI) -> None:
    """B88."""
    house.scenario(rule(preset="404_model"))
    with pytest.raises(openai.NotFoundError) as error:
        chatter.chat.completions.create(**ASKED)
    assert error.value.code == "model_not_found"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "n": ({"n": 2}, "n"),
    "audio": ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
    "modalities": ({"modalities": ["text", "audio"]}, "modalities.1"),
    "no messages": ({"messages": []}, "messages"),
    "a part": ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
    "spoken": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}],
                }
            ]
        },
        "messages.0.content.0.type",
    ),
    "a tool": ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0.type"),
    "stop": ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    "temperature": ({"temperature": 3}, "temperature"),
    "top_logprobs": ({"top_logprobs": 3}, "top_logprobs"),
    "effort": ({"reasoning_effort": "boundless"}, "reasoning_effort"),
    "limit": ({"max_completion_tokens": 0}, "max_completion_tokens"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_honoured_is_refused_by_its_name(
    house: House, chatter: openai.OpenAI, name: str
) -> None:
    """B38, B80, D27: the SDK's BadRequestError carries the path as `param`; nothing goes upstream."""
    fields, param = BAD[name]
    with pytest.raises(openai.BadRequestError) as error:
        chatter.chat.completions.create(**{**ASKED, **fields})
    assert error.value.param == param
    assert error.value.type == "invalid_request_error"
    assert isinstance(error.value.body, dict) and error.value.body["message"].startswith(f"{param}: ")
    assert house.bodies() == []


def test_the_sdk_retries_a_short_limit_by_itself(house: House) -> None:
    """Behaviours E1, E3: two refusals with retry-after, then the answer; one call for the application."""
    short = {"name": "429_rate_limit", "retry_after": 1}
    house.scenario(rule(say("At last."), match={"nth": {"from": 3}}), rule(preset=short))
    with sdk(house, max_retries=5) as client:
        assert client.chat.completions.create(**ASKED).choices[0].message.content == "At last."


def test_the_sdk_does_not_retry_what_cannot_pass(house: House) -> None:
    """B82: a spent quota says x-should-retry: false, so that a client with retries asks once."""
    house.scenario(rule(preset="429_insufficient_quota"))
    with sdk(house, max_retries=5) as client, pytest.raises(openai.RateLimitError):
        client.chat.completions.create(**ASKED)
    assert 1 <= len(house.bodies()) <= 2  # the gateway itself may try its account twice


@pytest.mark.parametrize("terminal", [{"failed": {"code": "server_error", "message": "broke"}}, "none"])
def test_an_answer_that_breaks_reaches_the_application(
    house: House, chatter: openai.OpenAI, terminal: Any
) -> None:
    """B68, B69, B89: after the first text there is an error, never a silent end and never a second try."""
    house.scenario(rule(say("So far so", chunks=3), terminal=terminal))
    heard: list[str] = []
    with pytest.raises(openai.APIError) as error:
        for chunk in chatter.chat.completions.create(**ASKED, stream=True):
            heard += [choice.delta.content or "" for choice in chunk.choices]
    assert "".join(heard) == "So far so"
    assert (error.value.type, error.value.code) == ("server_error", "upstream_error")
    assert len(house.bodies()) == 1
    with pytest.raises(openai.APIError), chatter.chat.completions.stream(**ASKED) as stream:
        stream.get_final_completion()


def test_half_an_answer_is_an_error_too(house: House, chatter: openai.OpenAI) -> None:
    """B69, behaviours S10: the connection goes inside a message."""
    house.scenario(rule(*half_a_message("So far"), terminal="none"))
    with pytest.raises(openai.APIError), chatter.chat.completions.stream(**ASKED) as stream:
        stream.get_final_completion()


def test_comments_keep_a_silent_stream_alive(house: House) -> None:
    """B61, behaviours S14: a client that gives up after two silent seconds sits through six."""
    silence = {"sleep_ms": {"ms": 3000}}
    house.scenario(rule(say("Wait"), silence, silence, say(" for it.")))
    timeout = httpx2.Timeout(60, read=2)
    with sdk(house, timeout=timeout) as client, client.chat.completions.stream(**ASKED) as stream:
        completion = stream.get_final_completion()
    content = completion.choices[0].message.content
    assert content is not None and content.replace("\n", "") == "Wait for it."


def test_a_client_that_gives_up_frees_the_upstream(house: House) -> None:
    """B94: a whole answer cannot be kept alive; when the client leaves, nothing runs on behind it."""
    house.scenario(rule(say("Too"), {"sleep_ms": {"ms": 60_000}}, say(" late.")))
    with sdk(house, timeout=1) as client, pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**ASKED)
    end = time.monotonic() + 30
    while house.sim.report()["active"] and time.monotonic() < end:
        time.sleep(0.05)
    assert house.sim.report()["active"] == 0
    assert house.sim.requests()[-1]["ended"] == "client_gone"
