"""The growing conversation, and the verdict on what was read from the cache."""

from __future__ import annotations

import pytest

from dragoman.cli.doctor.caching import Conversation, Turn, judge, turn_of

ANSWER = {"id": "msg_1", "content": [{"type": "text", "text": "One."}]}


def test_each_turn_extends_the_one_before() -> None:
    conversation = Conversation("claude-x", "session", "nonce")
    first = conversation.body()
    conversation.go_on(ANSWER)
    second = conversation.body()
    conversation.go_on({"id": 3, "content": []})
    third = conversation.body()
    assert second["messages"][:1] == first["messages"]
    assert third["messages"][:3] == second["messages"]
    assert [body["system"] == first["system"] for body in (second, third)] == [True, True]
    assert [body["diagnostics"]["previous_message_id"] for body in (first, second, third)] == [
        None,
        "msg_1",
        None,
    ]
    assert third["messages"][3]["content"], "an empty answer is no message"
    assert len(first["system"].split()) > 1300
    assert first["system"] != Conversation("claude-x", "session", "other").body()["system"]


def test_the_figures_of_an_answer() -> None:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 1500, "cache_creation_input_tokens": 5}
    told = {"usage": usage, "diagnostics": {"cache_miss_reason": {"type": "unavailable"}}}
    assert turn_of(told) == Turn(1515, 1500, "unavailable")
    assert turn_of({"usage": None, "diagnostics": None}) == Turn(0, 0, None)


@pytest.mark.parametrize(
    ("turns", "level", "told"),
    [
        (
            [Turn(2000, 0, None), Turn(2020, 1920, None), Turn(2040, 1920, None)],
            "ok",
            "turn 3 read 1920 of 2040",
        ),
        (
            [Turn(2000, 0, None), Turn(2020, 0, "unavailable"), Turn(2040, 1920, None)],
            "warn",
            "not hit every time",
        ),
        ([Turn(2000, 0, None), Turn(2020, 0, "unavailable"), Turn(2040, 0, None)], "warn", "(unavailable)"),
        ([Turn(900, 0, None), Turn(920, 0, None), Turn(940, 0, None)], "warn", "too few"),
    ],
)
def test_the_verdict(turns: list[Turn], level: str, told: str) -> None:
    finding = judge(turns)
    assert (finding.id, finding.level) == ("cache", level)
    assert told in finding.sentence
