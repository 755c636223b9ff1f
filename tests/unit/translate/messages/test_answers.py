"""Replayed arguments: the model's own spelling where it means the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.translate.messages.answers import same
from dragoman.translate.messages.plan import Identity
from dragoman.translate.messages.reasoning import Seal, seal_item
from dragoman.translate.messages.request import translate
from dragoman.wire import jsonio
from tests.support import streams
from tests.support.requests import policy, request, target

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text("aé\n", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def arguments(given_input: dict[str, Any], raw: str | None, name: str = "Bash") -> str:
    """The arguments of a replayed call whose raw string was remembered."""
    use = {"type": "tool_use", "id": "c", "name": name, "input": given_input}
    result = {"type": "tool_result", "tool_use_id": "c"}
    body = request([{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}])
    recall = {} if raw is None else {"c": raw}
    sent = translate(body, target(), policy(), Identity(), recall).body["input"][0]["arguments"]
    assert isinstance(sent, str)
    return sent


@pytest.mark.parametrize(
    ("given_input", "raw", "sent"),
    [
        ({"b": 1, "a": 2}, None, '{"b":1,"a":2}'),
        ({"b": 1, "a": 2}, '{ "a": 2, "b": 1 }', '{ "a": 2, "b": 1 }'),
        ({"a": 1}, '{"a": 1.0}', '{"a": 1.0}'),
        ({"a": 1}, '{"a": true}', '{"a":1}'),
        ({"a": True}, '{"a": true}', '{"a": true}'),
        ({"a": [False]}, '{"a": [0]}', '{"a":[false]}'),
        ({"a": 1}, '{"a": 2}', '{"a":1}'),
        ({"a": 1}, '{"a": 1', '{"a":1}'),
        ({"a": "false"}, '{"a": "false"}', '{"a": "false"}'),
        ({}, "", "{}"),
        ({}, " \n", "{}"),
        ({"e": "é"}, '{"e": "\\u00e9"}', '{"e": "\\u00e9"}'),
    ],
)
def test_the_raw_string_is_replayed_where_it_means_the_same(
    given_input: dict[str, Any], raw: str | None, sent: str
) -> None:
    """B9, D23"""
    assert arguments(given_input, raw) == sent


def test_what_was_cut_for_the_client_is_still_in_the_replay() -> None:
    """An empty optional argument never reached the client; the model's own string has it. behaviours C9"""
    raw = '{"file_path": "/a", "pages": ""}'
    assert arguments({"file_path": "/a"}, raw, "Read") == raw
    assert arguments({"file_path": "/a"}, raw, "Bash") == '{"file_path":"/a"}'


@given(JSON, JSON)
def test_same_is_equality_of_what_json_says(one: Any, other: Any) -> None:
    assert same(one, one)
    assert same(one, other) == same(other, one)
    assert same(one, other) == (jsonio.dump(_sorted(one)) == jsonio.dump(_sorted(other)))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(inner) for inner in value] if isinstance(value, list) else value


def test_thoughts_of_a_server_that_numbers_every_response_alike_are_all_replayed() -> None:
    """B26: the same id with another content is another item; the very same one stands once."""
    seal = Seal(policy().seal_key, target().account_tag, target().model)

    def turn(**content: Any) -> dict[str, Any]:
        signature = seal_item({"type": "reasoning", "id": "rs_1", "summary": [], **content}, seal)
        thought = {"type": "thinking", "thinking": "", "signature": signature}
        return {"role": "assistant", "content": [thought, {"type": "text", "text": "Done."}]}

    raw = [{"type": "reasoning_text", "text": "Hm."}]
    turns = [turn(encrypted_content="one"), turn(encrypted_content="two"), turn(content=raw)]
    body = request([*turns, *turns, {"role": "user", "content": "More."}])
    items = translate(body, target(), policy(), Identity(), {}).body["input"]
    thoughts = [item for item in items if item["type"] == "reasoning"]
    assert [thought.get("encrypted_content") for thought in thoughts] == ["one", "two", None]
    assert {thought["id"] for thought in thoughts} == {"rs_1"}
    assert thoughts[2]["content"] == raw


def test_an_answer_goes_back_in_the_order_in_which_the_upstream_made_it() -> None:
    """B30, B103: also where a search was answered behind the text that cites."""
    note = streams.citation("https://a.example", 0, 5)
    made = [
        *streams.reasoning_events(0, "rs_0", "Where?"),
        *streams.search_events(1, "ws_1"),
        *streams.reasoning_events(2, "rs_2", "There."),
        *streams.cited_events(3, "msg_3", "Found.", note),
        *streams.search_events(4, "ws_4", "https://b.example"),
        *streams.call_events(5, 5, "Bash", '{"a": 1}'),
    ]
    frame = streams.context(seal=Seal(policy().seal_key, target().account_tag, target().model))
    answer = streams.run([streams.created(), *made, streams.completed()], frame).checked()
    kinds = [block["type"] for block in answer.content]
    assert kinds[3:6] == ["text", "web_search_tool_result", "server_tool_use"]
    asked = {"role": "user", "content": "Where?"}
    result = {"type": "tool_result", "tool_use_id": "call_5", "content": "ok"}
    turns = [asked, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    body = request([*turns, {"role": "user", "content": "More."}])
    items = translate(body, target(), policy(), Identity(), answer.automaton.outcome.arguments).body["input"]
    upstream = [event["item"] for event in made if event["type"] == "response.output_item.done"]
    back = items[1 : 1 + len(upstream)]
    assert [item["type"] for item in back] == [item["type"] for item in upstream]
    assert [item["id"] for item in back if "id" in item] == ["rs_0", "ws_1", "rs_2", "ws_4"]
    assert (back[1]["action"], back[5]["arguments"]) == (upstream[1]["action"], '{"a": 1}')
