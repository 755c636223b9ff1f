"""The official Python SDK: counting, models, credentials, errors and what it retries."""

from __future__ import annotations

import time
from typing import Any

import anthropic
import httpx2
import pytest

from tests.support.house import rule, say
from tests.support.threaded import House

ASKED: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "Any wind?"}],
}


def sdk(house: House, **more: Any) -> anthropic.Anthropic:
    """A client of its own making."""
    return anthropic.Anthropic(base_url=house.url, **{"max_retries": 0, "timeout": 60, **more})


def test_count_tokens_never_generates(house: House, client: anthropic.Anthropic) -> None:
    """B78, behaviours T4, T5: a figure, and no generation upstream."""
    tools: list[Any] = [{"name": "look", "description": "Look out.", "input_schema": {"type": "object"}}]
    small = client.messages.count_tokens(model=ASKED["model"], messages=ASKED["messages"])
    large = client.messages.count_tokens(
        model=ASKED["model"], messages=ASKED["messages"], system="Long. " * 500, tools=tools
    )
    assert 0 < small.input_tokens < large.input_tokens
    assert house.bodies() == []


def test_count_tokens_refuses_what_messages_refuses(house: House, client: anthropic.Anthropic) -> None:
    """B78, B80: the same error with the same path."""
    broken: list[Any] = [{"role": "user", "content": [{"type": "text", "text": 7}]}]
    with pytest.raises(anthropic.BadRequestError) as count:
        client.messages.count_tokens(model=ASKED["model"], messages=broken)
    with pytest.raises(anthropic.BadRequestError) as create:
        client.messages.create(**{**ASKED, "messages": broken})
    told = [error.value.body for error in (count, create)]
    messages = [body["error"]["message"] for body in told if isinstance(body, dict)]
    assert len(set(messages)) == 1 and messages[0].startswith("messages.0.content.0.text")
    assert house.bodies() == []


def test_models_are_listed_and_found(house: House, client: anthropic.Anthropic) -> None:
    """B116, behaviours E7: in Anthropic's shape, each id can be fetched alone."""
    listed = list(client.models.list(limit=1000))
    assert listed and all(model.display_name for model in listed)
    assert any("claude" in model.id for model in listed)
    for model in listed:
        assert client.models.retrieve(model.id).id == model.id


def test_an_unknown_model_id_is_not_found(house: House, client: anthropic.Anthropic) -> None:
    """B88."""
    with pytest.raises(anthropic.NotFoundError) as error:
        client.models.retrieve("no-such-model")
    assert error.value.type == "not_found_error"
    assert error.value.request_id


def test_both_ways_to_show_a_key_work(house: House) -> None:
    """B90, behaviours E9."""
    house.scenario(rule(say("Ahoy.")))
    for name in ("api_key", "auth_token"):
        with sdk(house, **{name: house.key}) as client:
            assert client.messages.create(**ASKED).stop_reason == "end_turn"
        with (
            sdk(house, **{name: "sk-drg-wrong"}) as client,
            pytest.raises(anthropic.AuthenticationError) as error,
        ):
            client.messages.create(**ASKED)
        assert error.value.type == "authentication_error"


FAILURES: dict[str, tuple[dict[str, Any], type[anthropic.APIStatusError], int, str]] = {
    "rate limit": ({"preset": "429_rate_limit"}, anthropic.RateLimitError, 429, "rate_limit_error"),
    "quota": ({"preset": "429_insufficient_quota"}, anthropic.RateLimitError, 429, "rate_limit_error"),
    "overload": ({"preset": "503_overloaded"}, anthropic.InternalServerError, 529, "overloaded_error"),
    "server error": ({"preset": "500"}, anthropic.InternalServerError, 502, "api_error"),
    "a proxy's page": ({"preset": "502_html"}, anthropic.InternalServerError, 502, "api_error"),
    "overflow": ({"preset": "400_context_length"}, anthropic.BadRequestError, 400, "invalid_request_error"),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_has_its_class_type_and_request_id(
    house: House, client: anthropic.Anthropic, name: str, stream: bool
) -> None:
    """B81, B84, B85, behaviours E11, E14: also a streamed request fails by its status, before any output."""
    fault, kind, status, typed = FAILURES[name]
    house.scenario(rule(**fault))
    with pytest.raises(kind) as error:
        if stream:
            with client.messages.stream(**ASKED) as opened:
                opened.get_final_message()
        else:
            client.messages.create(**ASKED)
    assert (error.value.status_code, error.value.type) == (status, typed)
    assert error.value.request_id
    assert isinstance(error.value.body, dict) and error.value.body["request_id"] == error.value.request_id
    if name == "overflow":
        assert "prompt is too long: " in error.value.message


def test_the_sdk_retries_a_short_limit_by_itself(house: House) -> None:
    """Behaviours E1, E3: two refusals with retry-after, then the answer; one call for the application."""
    house.scenario(rule(say("At last."), match={"nth": 5}), rule(preset="429_rate_limit"))
    with sdk(house, api_key=house.key, max_retries=5) as client:
        assert client.messages.create(**ASKED).stop_reason == "end_turn"


def test_the_sdk_does_not_retry_what_cannot_pass(house: House) -> None:
    """B82: a spent quota says x-should-retry: false, so that a client with retries asks once."""
    house.scenario(rule(preset="429_insufficient_quota"))
    with sdk(house, api_key=house.key, max_retries=5) as client, pytest.raises(anthropic.RateLimitError):
        client.messages.create(**ASKED)
    asked = len(house.bodies())
    assert 1 <= asked <= 2  # the gateway itself may try its account twice


def test_an_error_inside_a_stream_reaches_the_application(house: House, client: anthropic.Anthropic) -> None:
    """B68, B69, B89: after the first text there is an error, never a silent end and never a second try."""
    house.scenario(rule(say("So far so"), terminal={"failed": {"code": "server_error", "message": "broke"}}))
    with client.messages.stream(**ASKED) as stream, pytest.raises(anthropic.APIStatusError) as error:
        for _ in stream:
            pass
    assert error.value.type == "api_error"
    assert len(house.bodies()) == 1


def test_a_cut_upstream_is_an_error_not_an_end(house: House, client: anthropic.Anthropic) -> None:
    """B69, behaviours S10."""
    house.scenario(rule(say("So far so", chunks=4), terminal="none"))
    with client.messages.stream(**ASKED) as stream, pytest.raises(anthropic.APIStatusError):
        for _ in stream:
            pass


def test_pings_keep_a_silent_stream_alive(house: House) -> None:
    """B61, behaviours S14: a client that gives up after two silent seconds sits through six."""
    silence = {"sleep_ms": {"ms": 3000}}
    house.scenario(rule(say("Wait"), silence, silence, say(" for it.")))
    with sdk(house, api_key=house.key, timeout=httpx2.Timeout(60, read=2)) as client:
        with client.messages.stream(**ASKED) as stream:
            text = "".join(stream.text_stream)
        assert text == "Wait for it."


def test_a_client_that_gives_up_frees_the_upstream(house: House) -> None:
    """B94: a whole answer cannot be kept alive; when the client leaves, nothing runs on behind it."""
    house.scenario(rule(say("Too"), {"sleep_ms": {"ms": 60_000}}, say(" late.")))
    with sdk(house, api_key=house.key, timeout=1) as client, pytest.raises(anthropic.APITimeoutError):
        client.messages.create(**ASKED)
    end = time.monotonic() + 30
    while house.sim.report()["active"] and time.monotonic() < end:
        time.sleep(0.05)
    assert house.sim.report()["active"] == 0
    assert house.sim.requests()[-1]["ended"] == "client_gone"
