"""The laws of Chat Completions, over arbitrary requests, answers and cuts of their bytes."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman.translate.chat.fold import ChatFold
from dragoman.translate.chat.request import translate, validate
from dragoman.translate.messages.plan import Identity, UpstreamKind
from dragoman.wire import jsonio, sse
from dragoman.wire.errors import Refused
from tests.support.chats import Answer, check, context, request, requests, run, run_bytes, spoilt, talks, tool
from tests.support.openapi import contract_problem, schema_problem
from tests.support.requests import policy, target
from tests.support.spoilt import texts
from tests.support.streams import Event, answers, garbage

relaxed = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
KINDS: st.SearchStrategy[UpstreamKind] = st.sampled_from(["openai", "chatgpt", "responses"])
MODELS = st.sampled_from(["gpt-5.5", "gpt-5.6", "gpt-4.1"])
PLANS = st.sampled_from(
    [
        {},
        {"include_usage": True},
        {"thinking": "shown", "include_usage": True},
        {"stop_sequences": ["END", "b"], "include_usage": True},
        {"stop_sequences": ["aEND", "NDab", "\n"], "visible_cap": 5},
        {"visible_cap": 2, "logprobs": True},
        {"structured": True, "logprobs": True},
        {"legacy": True, "include_usage": True},
    ]
)


# -- requests --------------------------------------------------------------------------------------------


@relaxed
@given(requests(), KINDS, MODELS)
def test_a_valid_chat_request_keeps_the_upstreams_contract(
    made: Event, kind: UpstreamKind, model: str
) -> None:
    """B95: the same bytes twice, and the client's request is left alone."""
    before = copy.deepcopy(made)
    validate(made)
    plan = translate(made, target(kind, model), policy(), Identity("key"))
    assert made == before
    assert schema_problem(plan.body) == ""
    assert contract_problem(plan.body, kind, model) == ""
    again = translate(made, target(kind, model), policy(), Identity("key"))
    assert jsonio.dump(again.body) == jsonio.dump(plan.body)


def _unmarked(items: list[Event]) -> list[Event]:
    """Items without cache breakpoints, which say where to store and are no part of the prompt."""
    bare = copy.deepcopy(items)
    for item in bare:
        for name in ("content", "output"):
            if isinstance(parts := item.get(name), list):
                for part in parts:
                    part.pop("prompt_cache_breakpoint", None)
    return bare


@relaxed
@given(talks(), KINDS, MODELS)
def test_an_appended_turn_extends_what_was_sent(
    turns: list[list[Event]], kind: UpstreamKind, model: str
) -> None:
    """B103: byte for byte, instructions and tools included."""
    before: Event | None = None
    for number in range(1, len(turns) + 1):
        messages = [message for turn in turns[:number] for message in turn]
        made = request(messages, tools=[tool("bash"), tool("files.read:v2")])
        validate(made)
        body = translate(made, target(kind, model), policy(), Identity("key")).body
        if before is not None:
            head = len(before["input"])
            assert jsonio.dump(_unmarked(body["input"][:head])) == jsonio.dump(_unmarked(before["input"]))
            for name in ("instructions", "tools", "tool_choice"):
                assert body.get(name) == before.get(name)
        before = body


@relaxed
@given(spoilt(), KINDS)
def test_a_spoilt_chat_request_is_refused_by_its_path_or_translated(made: Event, kind: UpstreamKind) -> None:
    """B79, D27: never an error of ours."""
    try:
        validate(made)
        translate(made, target(kind), policy(), Identity())
    except Refused as refusal:
        told = refusal.failure.openai()["error"]
        assert refusal.failure.status == 400
        assert told["param"] is None or told["message"].startswith(f"{told['param']}: ")


# -- answers ---------------------------------------------------------------------------------------------


@relaxed
@given(st.one_of(answers(), answers(texts())), PLANS, st.booleans())
def test_a_chat_answer_has_one_start_and_one_end(
    events: list[Event], plan: dict[str, Any], started: bool
) -> None:
    answer = run(events, context(plan=plan), started=started)
    check(answer, started=started)
    assert answer.automaton.finished
    if not answer.finish:
        assert answer.automaton.failure is not None
        return
    completion = answer.completion
    [choice] = completion["choices"]
    message = choice["message"]
    assert choice["finish_reason"] == answer.finish[0] == answer.automaton.outcome.stop_reason
    assert (completion["usage"] is not None) == answer.automaton.context.plan.include_usage
    for stop in plan.get("stop_sequences", ()):
        assert stop not in (message["content"] or "")
    if choice["finish_reason"] in ("tool_calls", "function_call"):
        calls = message.get("tool_calls") or [{"function": message["function_call"]}]
        for call in calls:
            assert isinstance(json.loads(call["function"]["arguments"]), dict)


@relaxed
@given(answers(), PLANS, st.lists(st.integers(1, 400), max_size=12))
def test_a_chat_answer_does_not_depend_on_the_cut_of_its_bytes(
    events: list[Event], plan: dict[str, Any], cuts: list[int]
) -> None:
    data = sse.encode_all(events)
    whole = run_bytes([data], context(plan=plan))
    at, chunks = 0, []
    for size in cuts:
        chunks.append(data[at : at + size])
        at += size
    assert run_bytes([*chunks, data[at:]], context(plan=plan)).chunks == whole.chunks
    if whole.finish:  # what travelled folds to what was folded at home
        fold = ChatFold()
        for event in sse.Decoder().feed(whole.sse):
            fold.add(jsonio.parse(event.data))
        assert fold.completion() == whole.completion


@relaxed
@given(garbage(), PLANS)
def test_a_chat_answer_survives_any_garbage(events: list[Event], plan: dict[str, Any]) -> None:
    answer = Answer(run([], context(plan=plan), close=False).automaton)
    for event in events:
        answer.chunks += answer.automaton.feed(event)
    answer.chunks += answer.automaton.close()
    check(answer)
    assert answer.automaton.finished
    assert answer.automaton.feed({"type": "response.completed", "response": {}}) == []
    assert answer.automaton.close() == []
