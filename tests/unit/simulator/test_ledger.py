"""The ledger: which conversation, where it departs, what it could have read."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator import ledger as module
from dragoman.simulator.state import State
from tests.support.simulated import assistant, call, opened, output, played, request, text_of_tokens, user

LONG = text_of_tokens(2000)


def turn(state: State, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Plays one turn; the cache facts the simulator would show."""
    body = request(*items, prompt_cache_key=more.pop("key", "k"), **{"model": "gpt-5.6", **more})
    exchange = opened(state, body)
    played(exchange)
    assert exchange.record.cache is not None
    return exchange.record.cache


def conversations(state: State) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = state.report()["conversations"]
    return rows


def test_an_appended_turn_reads_all_it_can() -> None:
    state = State()
    assert turn(state, user(LONG))["miss_reason"] == "first_turn"
    facts = turn(state, user(LONG), assistant("a"), user("b"))
    assert (facts["miss_reason"], facts["first_divergent_segment"]) == (None, None)
    [row] = conversations(state)
    assert (row["turns"], row["warm_turns"], row["warm_share"], row["worst_warm_share"]) == (2, 1, 1.0, 1.0)
    assert row["rows"][1]["share"] == 1.0
    assert {one["account"] for one in row["rows"]} == {opened(state, request(user("x"))).account.id}
    assert state.report()["worst_warm_share"] == 1.0


def test_a_changed_item_is_named() -> None:
    state = State()
    turn(state, user(LONG), call("c"), output("c"), user("x"))
    facts = turn(state, user(LONG), call("c"), output("c", "other"), user("x"))
    assert facts["first_divergent_segment"] == "input[2]"
    assert facts["miss_reason"] == "diverged:input[2]"
    [row] = conversations(state)
    assert row["first_divergence"] == "input[2]"
    assert row["warm_turns"] == 0


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({"reasoning": {"effort": "high"}}, "settings"),
        ({"instructions": "other"}, "instructions"),
        ({"model": "gpt-5.6-luna"}, "settings"),
    ],
)
def test_a_changed_head_is_named(change: dict[str, Any], label: str) -> None:
    state = State()
    items = (user(LONG), assistant("a"), user("b"))
    turn(state, *items, instructions="one")
    assert turn(state, *items, **{"instructions": "one", **change})["first_divergent_segment"] == label


def test_a_conversation_that_lost_its_end_is_seen() -> None:
    state = State()
    turn(state, user(LONG), call("c"), output("c"))
    assert turn(state, user(LONG), call("c"), output("c"), assistant("a"))["first_divergent_segment"] is None
    assert turn(state, user(LONG), call("c"), output("c"))["first_divergent_segment"] == "input[3]"


def test_lanes_under_one_key_are_kept_apart() -> None:
    state = State()
    reminder = user("<system-reminder>same everywhere</system-reminder>")
    turn(state, reminder, user(LONG))
    turn(state, reminder, user("sub agent " + LONG))
    turn(state, reminder, user(LONG), call("c"), output("c"))
    turn(state, reminder, user("sub agent " + LONG), call("d", "Grep"), output("d", "e"))
    turn(state, reminder, user(LONG), call("c"), output("c"), assistant("done"), user("next"))
    rows = conversations(state)
    assert sorted(row["turns"] for row in rows) == [2, 3]
    assert all(row["first_divergence"] is None for row in rows)
    assert state.report()["warm_turns"] == 3


def test_a_restart_after_compaction_is_a_new_conversation() -> None:
    state = State()
    turn(state, user(LONG), assistant("a"), user("b"))
    assert turn(state, user("summary: " + LONG))["miss_reason"] == "first_turn"
    assert len(conversations(state)) == 2


def test_another_spelling_is_reported_though_it_renders_the_same() -> None:
    state = State()
    turn(state, user(LONG))
    turn(state, {"role": "user", "content": LONG}, assistant("a"), user("b"))
    [row] = conversations(state)
    assert [entry["respelled"] for entry in row["rows"]] == [None, "input[0]"]
    assert row["rows"][1]["diverged"] is None


def test_reasons_for_misses() -> None:
    state = State({"machines": 64}, frozen=True)
    assert turn(state, user("short"))["miss_reason"] == "too_short"
    assert turn(state, user(LONG), prompt_cache_options={"mode": "explicit"})["miss_reason"] == "no_marks"
    turn(state, user(LONG))
    state.switches.miss_every = 1
    assert turn(state, user(LONG))["miss_reason"] == "forced"
    state.switches.miss_every = 0
    state.cache.evict()
    assert turn(state, user(LONG))["miss_reason"] == "no_entry"
    state.clock.advance(4000)
    assert turn(state, user(LONG))["miss_reason"] == "expired"
    state.switches.machine_down = [turn(state, user(LONG))["machine"]]
    assert turn(state, user(LONG))["miss_reason"] == "other_machine"


def test_an_expired_turn_is_not_counted_as_warm() -> None:
    state = State(frozen=True)
    turn(state, user(LONG))
    state.clock.advance(4000)
    turn(state, user(LONG))
    [row] = conversations(state)
    assert (row["warm_turns"], row["rows"][1]["share"]) == (0, None)


def test_a_known_head_makes_a_first_turn_a_hit() -> None:
    state = State()
    turn(state, user("one"), instructions=LONG)
    assert turn(state, user("two"), instructions=LONG)["miss_reason"] is None


def test_dropped_reasoning_of_older_models_is_no_divergence() -> None:
    state = State()
    exchange = opened(state, request(user(LONG), prompt_cache_key="k"))
    played(exchange)
    first = exchange.final["output"]
    exchange = opened(state, request(user(LONG), *first, call("c"), output("c"), prompt_cache_key="k"))
    played(exchange)
    second = opened(
        state,
        request(user(LONG), *first, call("c"), output("c"), assistant("z"), user("b"), prompt_cache_key="k"),
    )
    assert second.record.cache is not None
    assert second.record.cache["first_divergent_segment"] is None


def test_contract_a_counts_whole_blocks() -> None:
    state = State()
    turn(state, user(LONG), model="gpt-5.5")
    facts = turn(state, user(LONG), assistant("a"), user("b"), model="gpt-5.5")
    assert facts["read"] == 1920
    [row] = conversations(state)
    assert (row["rows"][1]["cacheable"], row["rows"][1]["share"]) == (1920, 1.0)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_THREADS", 3)
    state = State()
    for number in range(6):
        turn(state, user(f"{number} " + LONG), key=f"k{number}")
    assert len(conversations(state)) == 3


def test_a_conversation_forgotten_meanwhile_is_entered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_THREADS", 1)
    state = State()
    turn(state, user(LONG))
    waiting = opened(state, request(user(LONG), user("b"), model="gpt-5.6", prompt_cache_key="k"))
    turn(state, user("other " + LONG), key="other")
    played(waiting)
    assert [row["turns"] for row in conversations(state)] == [1]
