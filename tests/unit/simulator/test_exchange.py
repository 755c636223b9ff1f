"""An exchange: its stream, its usage, its final response."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator.state import State
from tests.support.simulated import (
    assistant,
    call,
    check_event,
    codex_request,
    opened,
    oracle,
    output,
    played,
    request,
    text_of_tokens,
    tool,
    user,
)

THINK = {"effort": "low", "summary": "auto"}


def rules(*listed: dict[str, Any]) -> State:
    return State(rules=list(listed))


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.5", "gpt-5.6"])
def test_every_event_of_a_generated_stream_fits_its_schema(model: str) -> None:
    state = State()
    bodies = [
        request(user("hello"), model=model),
        request(user("run `ls`"), model=model, tools=[tool("Bash", command="string")]),
        request(user("latest news"), model=model, tools=[{"type": "web_search"}]),
    ]
    for body in bodies:
        events = played(opened(state, body))
        for number, event in enumerate(events):
            assert event["sequence_number"] == number
            check_event(event)
        assert types(events)[:2] == ["created", "in_progress"]
        assert types(events)[-1] == "completed"
        oracle("Response").validate(events[-1]["response"])


def test_usage_adds_up() -> None:
    script = [{"reasoning": {"summary": ["s"], "tokens": 40}}, {"message": "two words"}]
    exchange = opened(rules({"steps": script}), request(user(text_of_tokens(1500))))
    played(exchange)
    used = exchange.final["usage"]
    assert used["input_tokens"] == 1504
    assert used["output_tokens"] == 44
    assert used["output_tokens_details"]["reasoning_tokens"] == 40
    assert used["total_tokens"] == 1548
    assert exchange.account.spent.requests == 1
    assert exchange.state.report()["output_tokens"] == 44


def test_summaries_only_where_asked_for() -> None:
    script = {"steps": [{"reasoning": {"summary": ["s"]}}, {"message": "x"}]}
    asked = opened(rules(script), request(reasoning=THINK))
    played(asked)
    unasked = opened(rules(script), request())
    played(unasked)
    assert asked.final["output"][0]["summary"] == [{"type": "summary_text", "text": "s"}]
    assert unasked.final["output"][0]["summary"] == []


def test_generated_reasoning_can_be_replayed() -> None:
    state = State()
    items = [user("run `ls`")]
    tools = [tool("Bash", command="string")]
    first = opened(state, request(*items, tools=tools))
    played(first)
    made = first.final["output"]
    assert [item["type"] for item in made] == ["reasoning", "function_call"]
    second = opened(state, request(*items, *made, output(made[1]["call_id"]), tools=tools))
    played(second)
    assert second.final["output"][-1]["content"][0]["text"].startswith("Done.")
    assert state.report()["breaches"] == 0
    dropped = opened(state, request(*items, made[1], output(made[1]["call_id"]), tools=tools))
    assert second.prompt.tokens - dropped.prompt.tokens == 64 + 4


def test_the_output_limit_ends_an_answer_as_incomplete() -> None:
    state = rules({"steps": [{"reasoning": {"tokens": 20}}, {"message": text_of_tokens(100)}]})
    exchange = opened(state, request(max_output_tokens=30))
    events = played(exchange)
    assert types(events)[-1] == "incomplete"
    final = exchange.final
    assert final["incomplete_details"] == {"reason": "max_output_tokens"}
    assert final["usage"]["output_tokens"] == 30
    assert final["output"][1]["status"] == "incomplete"
    for event in events:
        check_event(event)


@pytest.mark.parametrize(
    ("terminal", "last"),
    [
        ("completed", "completed"),
        ({"incomplete": "content_filter"}, "incomplete"),
        ({"failed": {"code": "server_error", "message": "boom"}}, "failed"),
        ("error_event", "error"),
        ("none", "output_item.done"),
        ("rst", "output_item.done"),
    ],
)
def test_terminals(terminal: Any, last: str) -> None:
    exchange = opened(rules({"steps": [{"message": "x"}], "terminal": terminal}), request())
    events = played(exchange)
    assert types(events)[-1] == last
    for event in events:
        check_event(event)


def test_a_wrapped_error_event() -> None:
    terminal = {"error_event": {"code": "server_error", "message": "boom", "wrapped": True}}
    events = played(opened(rules({"steps": [], "terminal": terminal}), request()))
    assert events[-1]["error"] == {"code": "server_error", "message": "boom", "param": None}


@pytest.mark.parametrize(("after", "sent"), [(0, 2), (3, 5), ("half", 2 + 6 // 2)])
def test_a_failure_can_strike_in_the_middle(after: Any, sent: int) -> None:
    terminal = {"failed": {"code": "server_error", "after_events": after}}
    events = played(opened(rules({"steps": [{"message": "x"}], "terminal": terminal}), request()))
    assert len(events) == sent + 1
    assert types(events)[-1] == "failed"


def test_a_midstream_preset_fails_after_half() -> None:
    exchange = opened(
        rules({"steps": [{"message": "x"}], "preset": "failed_midstream_rate_limit"}), request()
    )
    events = played(exchange)
    assert 3 < len(events) < 9
    assert events[-1]["response"]["error"]["code"] == "rate_limit_exceeded"


def test_the_codex_flavour_completes_without_output() -> None:
    exchange = opened(State(), codex_request(user("hello")), "codex")
    events = played(exchange)
    assert set(events[-1]["response"]) == {"id", "usage", "end_turn"}
    assert exchange.final["output"][-1]["type"] == "message"
    for event in events[:-1]:
        check_event(event)


@pytest.mark.parametrize(
    ("switch", "fault", "bare"),
    [
        ("never", None, False),
        ("always", None, True),
        ("codex", None, False),
        ("never", {"kind": "omit_output_in_completed"}, True),
        ("always", {"kind": "omit_output_in_completed", "value": False}, False),
    ],
)
def test_bare_completions_are_a_switch_and_a_fault(switch: str, fault: Any, bare: bool) -> None:
    state = State({"omit_output_in_completed": switch}, rules=[{"fault": fault}])
    event = played(opened(state, request()))[-1]
    assert ("output" not in event["response"]) is bare


def test_sealed_content_on_codex_only_where_included() -> None:
    with_it = opened(State(), codex_request(user("hello")), "codex")
    without = opened(State(), codex_request(user("hello"), include=[]), "codex")
    for exchange, expected in ((with_it, True), (without, False)):
        played(exchange)
        assert ("encrypted_content" in exchange.final["output"][0]) is expected


def test_the_first_codex_event_may_be_about_limits() -> None:
    events = played(opened(State({"rate_limits_event": True}), codex_request(), "codex"))
    assert events[0]["type"] == "codex.rate_limits"
    assert "sequence_number" not in events[0]
    assert events[1]["sequence_number"] == 0


def test_headers_by_flavour() -> None:
    public = opened(State(), request()).headers()
    assert public["openai-version"]
    assert public["x-ratelimit-limit-tokens"]
    assert '"machine"' in public["x-sim-cache"]
    codex = opened(State(), codex_request(), "codex").headers()
    assert codex["x-codex-plan-type"] == "plus"
    assert codex["openai-model"] == "gpt-5.5"
    assert codex["x-codex-turn-state"].startswith("ts_")
    assert opened(rules({"headers": {"x-mine": "1"}}), request()).headers()["x-mine"] == "1"


def test_turn_state_picks_the_machine_where_switched_on() -> None:
    state = State({"turn_state_affinity": True, "machines": 64})
    first = opened(state, codex_request(), "codex")
    pin = {"x-codex-turn-state": first.headers()["x-codex-turn-state"]}
    for _ in range(5):
        assert opened(state, codex_request(), "codex", pin).found.machine == first.found.machine
    state.switches.turn_state_affinity = False
    machines = {opened(state, codex_request(), "codex", pin).found.machine for _ in range(5)}
    assert len(machines) > 1


def test_a_new_entry_is_readable_from_the_first_token_or_from_the_end() -> None:
    body = request(user(text_of_tokens(2000)), prompt_cache_key="k")
    for when, read in (("first_token", 1920), ("end", 0)):
        state = State({"visible_after": when})
        running = opened(state, body)
        running.begin()
        assert opened(state, body).found.read == read
        list(running.frames())
        assert opened(state, body).found.read == 1920


def test_usage_can_be_scripted_wrong_or_partial() -> None:
    exchange = opened(rules({"usage": {"input_tokens": 7, "cached_tokens": 3}}), request())
    played(exchange)
    shown = exchange.final["usage"]
    assert (shown["input_tokens"], shown["input_tokens_details"]["cached_tokens"]) == (7, 3)
    without = opened(rules({"usage": {"omit_details": 1}}), request())
    assert "input_tokens_details" not in played(without)[-1]["response"]["usage"]
    none = opened(rules({"usage": {"omit": 1}}), request())
    assert "usage" not in played(none)[-1]["response"]


def test_background_streams_are_queued_first() -> None:
    events = played(opened(State(), request(background=True, store=True)))
    assert types(events)[:3] == ["created", "queued", "in_progress"]


def test_sources_and_obfuscation_as_asked() -> None:
    body = request(user("news"), tools=[{"type": "web_search"}])
    bare = played(opened(State(), {**body, "stream_options": {"include_obfuscation": False}}))
    assert not any("obfuscation" in event for event in bare)
    assert "sources" not in bare[-1]["response"]["output"][1]["action"]
    full = played(opened(State(), {**body, "include": ["web_search_call.action.sources"]}))
    assert full[-1]["response"]["output"][1]["action"]["sources"]
    assert any("obfuscation" in event for event in full)
    assert not any("obfuscation" in event for event in played(opened(State({"obfuscation": False}), body)))


def test_a_compaction_can_be_replayed() -> None:
    state = State()
    exchange = opened(state, request(user("a"), {"type": "compaction_trigger"}))
    played(exchange)
    [compaction] = exchange.final["output"]
    oracle("CompactionBody").validate(compaction)
    again = opened(state, request(compaction, user("b")))
    assert again.prompt.tokens == 504 + 5


def test_a_conversation_stored_by_the_server_continues_by_id() -> None:
    state = State()
    first = opened(state, request(user("hello"), store=True))
    played(first)
    body = request(user("more"), store=True, previous_response_id=first.final["id"])
    second = opened(state, body)
    assert [item.get("type") for item in second.merged] == ["message", "reasoning", "message", "message"]
    assert played(second)[-1]["response"]["previous_response_id"] == first.final["id"]


def test_interrupted_requests_are_not_settled() -> None:
    exchange = opened(State(), request(user("a"), assistant("b"), call("c"), output("c")))
    exchange.begin()
    next(iter(exchange.frames()))
    assert exchange.state.report()["answered"] == 0
