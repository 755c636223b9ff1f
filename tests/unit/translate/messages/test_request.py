"""Laws of the request half over arbitrary conversations, and what fixtures cannot show."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.translate.messages.plan import Identity, Plan, UpstreamKind
from dragoman.translate.messages.request import translate, validate
from dragoman.wire import jsonio
from dragoman.wire.errors import Kind, Refused
from tests.support.openapi import contract_problem, schema_problem
from tests.support.requests import MODEL, conversations, policy, request, requests, spoilt, target, tool

KINDS: list[tuple[UpstreamKind, str]] = [
    ("openai", MODEL),
    ("openai", "gpt-5.6"),
    ("openai", "gpt-4.1"),
    ("responses", "gpt-oss-20b"),
    ("chatgpt", MODEL),
]
EXAMPLES = settings(max_examples=60, deadline=None)


def plan_of(body: dict[str, Any], kind: UpstreamKind = "openai", model: str = MODEL, **fields: Any) -> Plan:
    validate(body)
    return translate(body, target(kind, model), policy(), Identity("key"), {}, **fields)


def unmarked(items: list[dict[str, Any]]) -> list[bytes]:
    """Items as bytes, without cache breakpoints."""
    bare = copy.deepcopy(items)
    for item in bare:
        for field in ("content", "output"):
            if isinstance(parts := item.get(field), list):
                for part in parts:
                    part.pop("prompt_cache_breakpoint", None)
    return [jsonio.dump(item) for item in bare]


@given(st.data(), st.sampled_from(KINDS))
@EXAMPLES
def test_a_valid_request_keeps_the_upstreams_contract(data: st.DataObject, kind: Any) -> None:
    """Schema, pairs, order, ids and roles hold. B8, B15, B17, B18, B103, D28, behaviours C11"""
    body = data.draw(requests(kind[1]))
    sent = plan_of(body, *kind).body
    assert schema_problem(sent) == ""
    assert contract_problem(sent, *kind) == ""
    assert b'"cache_control"' not in jsonio.dump(sent)
    for item in sent["input"]:
        assert item.get("role", "developer") in ("user", "assistant", "developer")
        assert len(item.get("call_id", "")) <= 64


@given(requests(), st.sampled_from(KINDS))
@EXAMPLES
def test_translation_is_repeatable_and_leaves_its_input_alone(body: dict[str, Any], kind: Any) -> None:
    """A retry on another account translates the same request again. D23"""
    before = copy.deepcopy(body)
    first = plan_of(body, *kind)
    assert jsonio.dump(plan_of(body, *kind).body) == jsonio.dump(first.body)
    plan_of(body, *kind, without_reasoning=True)
    assert body == before


@given(st.data(), st.sampled_from(KINDS))
@EXAMPLES
def test_an_appended_turn_extends_what_was_sent(data: st.DataObject, kind: Any) -> None:
    """Instructions repeat; tools and input of an earlier turn are a byte-exact prefix. B7, B103, D24"""
    body = data.draw(requests(kind[1]))
    messages = body["messages"]
    whole = plan_of(body, *kind).body
    ends = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    for end in ends:
        turn = plan_of({**body, "messages": messages[:end]}, *kind).body
        assert turn.get("instructions") == whole.get("instructions")
        earlier = [item for item in unmarked(turn["input"]) if item != jsonio.dump(_NOTHING)]
        assert unmarked(whole["input"])[: len(earlier)] == earlier
        tools = [jsonio.dump(one) for one in turn.get("tools", ())]
        assert [jsonio.dump(one) for one in whole.get("tools", ())][: len(tools)] == tools


# What stands in for a conversation that says nothing at all.
_NOTHING = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": ""}]}


@given(spoilt(), st.sampled_from(KINDS), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_spoilt_request_is_translated_or_refused_by_its_path(
    body: dict[str, Any], kind: Any, lenient: bool
) -> None:
    """Never another exception; the message begins with the field. B38, B80, D26, D27"""
    try:
        validate(body, lenient=lenient)
        plan = translate(body, target(*kind), policy(lenient=lenient), Identity(), {})
        assert jsonio.dump(plan.body)
    except Refused as refusal:
        assert refusal.failure.kind is Kind.INVALID_REQUEST
        path, _, problem = refusal.failure.message.partition(": ")
        assert path.split(".")[0] in _TOP and problem


_TOP = {
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "temperature",
    "stop_sequences",
}


@given(conversations())
@EXAMPLES
def test_cosmetic_changes_give_the_same_bytes(messages: list[dict[str, Any]]) -> None:
    """A string or one text block, moved marks, is_error false or absent: the same. B2, B3, behaviours C14"""
    other = copy.deepcopy(messages)
    for message in other:
        content = message["content"]
        if isinstance(content, str):
            message["content"] = [{"type": "text", "text": content, "cache_control": None}]
        elif message["role"] == "user":
            for block in content:
                block.pop("cache_control", None)
                if block["type"] == "tool_result" and not block.get("is_error"):
                    block["is_error"] = False
    billing = {"type": "text", "text": "x-anthropic-billing-header: cch=1;"}
    one = plan_of(request(messages, system="Be brief.")).body
    two = plan_of(request(other, system=[billing, {"type": "text", "text": "Be brief."}])).body
    assert jsonio.dump(one) == jsonio.dump(two)


def test_a_removed_reminder_leaves_the_item_before_it() -> None:
    """The client adds reminders to its last message and takes them away a turn later."""
    asked = {"type": "text", "text": "Do it."}
    reminder = {"type": "text", "text": "<system-reminder>Soon.</system-reminder>"}
    before = plan_of(request([{"role": "user", "content": [asked, reminder]}])).body["input"]
    after = plan_of(
        request(
            [
                {"role": "user", "content": "Do it."},
                {"role": "assistant", "content": "Done."},
                {"role": "user", "content": "Thanks."},
            ]
        )
    ).body["input"]
    assert jsonio.dump(before[0]) == jsonio.dump(after[0])


def test_every_kind_gets_its_own_translation_of_one_request() -> None:
    """When another account takes over, nothing of the first attempt's form remains."""
    body = request(
        [
            {"role": "user", "content": "Hi."},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "Go."},
        ],
        system="Be brief.",
    )
    api, chatgpt = plan_of(body).body, plan_of(body, "chatgpt").body
    marked = plan_of(body, "openai", "gpt-5.6").body
    assert api["input"][1]["content"] == "Yes."
    assert chatgpt["input"][1]["content"] == [{"type": "output_text", "text": "Yes."}]
    assert marked["input"][0]["role"] == "developer" and "instructions" not in marked
    assert jsonio.dump(plan_of(body).body) == jsonio.dump(api)


def test_what_is_sent_has_one_order_of_keys() -> None:
    """Equal meaning is equal bytes, whatever order the client wrote its fields in."""
    fields = {
        "system": "S",
        "tools": [tool("Bash")],
        "output_config": {"effort": "high"},
        "stream": True,
        "metadata": {"user_id": "u"},
    }
    forward = request(**fields)
    backward = dict(reversed(list(request(**fields).items())))
    assert jsonio.dump(plan_of(forward).body) == jsonio.dump(plan_of(backward).body)
    assert list(plan_of(forward).body) == [
        "model",
        "instructions",
        "input",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "include",
        "store",
        "stream",
        "max_output_tokens",
        "prompt_cache_key",
    ]


def test_counting_needs_no_output_limit() -> None:
    """count_tokens has no max_tokens: no limit goes upstream, nothing is capped. B78"""
    body = request()
    del body["max_tokens"]
    validate(body, counting=True)
    plan = translate(body, target(), policy(), Identity(), {})
    assert "max_output_tokens" not in plan.body and plan.visible_cap is None
    with pytest.raises(Refused, match=r"^max_tokens: is required$"):
        validate(body)


def test_a_limit_of_zero_is_valid() -> None:
    """It is answered without any generation; its translation is still well-formed. B38"""
    plan = plan_of(request(max_tokens=0))
    assert plan.visible_cap == 0
    assert schema_problem(plan.body) == ""


def test_nul_in_a_text_is_kept() -> None:
    """B50"""
    body = jsonio.parse(jsonio.dump(request("a\0b")))
    assert plan_of(body).body["input"][0]["content"][0]["text"] == "a\0b"
