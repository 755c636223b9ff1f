from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.chat.plan import ChatPlan
from dragoman.translate.chat.request import translate, validate
from dragoman.translate.messages.plan import Identity, UpstreamKind
from dragoman.wire import jsonio
from tests.support.chats import request, tool
from tests.support.requests import policy, target


def translated(made: dict[str, Any], kind: UpstreamKind = "openai", model: str = "gpt-5.5") -> ChatPlan:
    validate(made)
    return translate(made, target(kind, model), policy(), Identity("key"))


def body(made: dict[str, Any], **fields: Any) -> bytes:
    return jsonio.dump(translated(made, **fields).body)


def test_two_spellings_of_one_chat_are_the_same_bytes() -> None:
    """A string and a list of one text, a null and nothing, a string and a list of one stop."""
    call = {"id": "call_1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
    one = request(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Go."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "a"},
        ],
        tools=[tool("bash")],
    )
    other = request(
        [
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": [{"type": "text", "text": "Go."}]},
            {"role": "assistant", "content": "", "refusal": None, "tool_calls": [call], "audio": None},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "a"}]},
        ],
        tools=[tool("bash", description=None, strict=None)],
        tool_choice=None,
        temperature=None,
        parallel_tool_calls=True,
        response_format={"type": "text"},
    )
    assert body(one) == body(other)


@pytest.mark.parametrize(
    ("ceiling", "asked", "sent"),
    [("low", "high", "low"), ("high", "low", "low"), ("low", None, "low"), ("high", None, "medium")],
)
def test_the_effort_has_a_ceiling(ceiling: str, asked: str | None, sent: str) -> None:
    """What a key may ask for at most bounds the model's own choice too."""
    made = request() if asked is None else request(reasoning_effort=asked)
    plan = translate(made, target(), policy(max_effort=ceiling), Identity())
    assert plan.body["reasoning"]["effort"] == sent


@pytest.mark.parametrize("stream", [True, False])
def test_the_upstream_always_streams(stream: bool) -> None:
    plan = translated(request(stream=stream))
    assert plan.body["stream"] is True
    assert plan.include_usage is not stream


def test_what_names_a_person_never_goes_upstream() -> None:
    """B2: no raw identity, whatever carried it."""
    sent = body(
        request(
            user="ann@example.com",
            metadata={"who": "ann@example.com"},
            safety_identifier="ann@example.com",
            prompt_cache_key="ann@example.com",
        )
    )
    assert b"ann@" not in sent


def test_members_that_nobody_knows_do_not_reach_the_upstream() -> None:
    marked = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    made = request([{"role": "user", "content": [marked], "extra": 1}], tools=[tool("a", extra=1)])
    assert b"extra" not in body(made)
    assert b"cache_control" not in body(made)


def test_an_old_result_belongs_to_the_latest_call_of_its_name() -> None:
    def called() -> dict[str, Any]:
        return {"role": "assistant", "content": None, "function_call": {"name": "a", "arguments": "{}"}}

    result = {"role": "function", "name": "a", "content": "1"}
    items = translated(request([{"role": "user", "content": "x"}, called(), result, called(), result])).body[
        "input"
    ]
    assert [item.get("call_id") for item in items] == [None, "call_1", "call_1", "call_3", "call_3"]
