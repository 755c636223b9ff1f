"""The real opencode on the chat door: a tool loop, a continued session, limits, failures and a cut stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.house import House, assert_extends, call, rule, say, think
from tests.support.opencode import Opencode

# The loop itself offers its tools; the title of a session is asked for without any.
LOOP: dict[str, Any] = {"tools": ["bash"]}
TITLE = rule(say("A gull"))
LOOK = call("bash", command="cat a.txt", description="Shows a.txt")


@pytest.fixture
def opencode(house: House, tmp_path: Path) -> Opencode:
    made = Opencode(house.url, house.key, tmp_path / "client")
    (made.work / "a.txt").write_text("gull\n")
    return made


def loops(house: House) -> list[dict[str, Any]]:
    """What the upstream was asked by the loop, without the titles."""
    return [body for body in house.bodies() if body.get("tools")]


@pytest.mark.parametrize("contract", ["A", "B"])
def test_a_tool_loop_and_a_continued_session(house: House, opencode: Opencode) -> None:
    """B102, B103: every turn extends the last one, under one key; the title has a lane of its own."""
    house.scenario(
        rule(say("It says gull."), match={**LOOP, "tool_output": "gull", "user": "What"}),
        rule(think("I look."), LOOK, match={**LOOP, "user": "What"}),
        rule(say("Still a gull."), match={**LOOP, "user": "And now"}),
        TITLE,
    )
    first = opencode.run("What does a.txt say?")
    assert (first.code, first.text) == (0, "It says gull."), first.err
    second = opencode.run("And now?", "--continue")
    assert (second.code, second.text) == (0, "Still a gull."), second.err
    asked = loops(house)
    assert len(asked) == 3
    assert_extends(asked)
    assert len({body["prompt_cache_key"] for body in asked}) == 1
    rows = house.rows()
    assert {row["route"] for row in rows} == {"chat"}
    main = [row for row in rows if row["lane"] == "main"]
    assert [row["cache_verdict"] for row in main] == ["first_turn", "hit", "hit"]
    assert {row["lane"] for row in rows if row not in main} == {"plain"}
    assert len({row["conversation_hash"] for row in main}) == 1
    assert len({row["session_hash"] for row in rows}) == 1
    assert all(row["client"].startswith("opencode/") for row in rows)
    house.verify(conversations=2)


def test_two_calls_at_once(house: House, opencode: Opencode) -> None:
    """B16: both run, and both results go back to their calls."""
    (opencode.work / "b.txt").write_text("tern\n")
    other = call("bash", command="cat b.txt", description="Shows b.txt")
    house.scenario(
        rule(say("A gull and a tern."), match={**LOOP, "after_tool": True}),
        rule(say("I look at both."), LOOK, other, match=LOOP),
        TITLE,
    )
    done = opencode.run("What do they say?")
    assert done.code == 0 and "A gull and a tern." in done.text, done.err
    outputs = [item["output"] for item in loops(house)[-1]["input"] if item["type"] == "function_call_output"]
    assert ["gull" in output for output in outputs] == [True, False]
    assert ["tern" in output for output in outputs] == [False, True]
    house.verify(conversations=2)


def test_a_short_limit_and_a_failure_are_sat_out(house: House, opencode: Opencode) -> None:
    """Behaviours E1, E3: the client waits as it is told, and the person sees the answer alone."""
    limited = {"name": "429_rate_limit", "retry_after": 1}
    house.scenario(
        rule(preset=limited, match=LOOP, times=3),
        rule(say("At last."), match=LOOP),
        TITLE,
    )
    done = opencode.run("Any wind?")
    assert (done.code, done.text) == (0, "At last."), done.err


def test_a_stream_that_breaks_is_no_answer(house: House, opencode: Opencode) -> None:
    """B69, B89: what was said before the cut is not taken for the whole; the client asks again or says so."""
    house.scenario(
        rule(say("So far so", chunks=3), terminal="none", match=LOOP, times=1),
        rule(say("So far so good."), match=LOOP),
        TITLE,
    )
    done = opencode.run("How is it going?")
    told = done.text + done.err
    assert "So far so good." in done.text or (done.code != 0 or "broke off" in told), told
    rows = [row for row in house.rows() if row["lane"] == "main"]
    assert rows[0]["outcome"] == "upstream_error"


def test_what_cannot_be_had_is_told_to_the_person(house: House, opencode: Opencode) -> None:
    """B88: the gateway's sentence reaches the person, and the client asks once."""
    house.scenario(rule(preset="404_model", match=LOOP), TITLE)
    done = opencode.run("Any wind?")
    assert "does not exist" in done.text + done.err, done
    assert len(loops(house)) <= 2


def test_the_same_over_responses(house: House, tmp_path: Path) -> None:
    """With OpenAI's own provider the client speaks Responses: one growing prompt, read from the cache."""
    house.sim.switch(api_item_ids="accept")  # it replays items without ids, which the service takes
    opencode = Opencode(house.url, house.key, tmp_path / "client", package="@ai-sdk/openai")
    (opencode.work / "a.txt").write_text("gull\n")
    house.scenario(
        rule(say("It says gull."), match={**LOOP, "tool_output": "gull", "user": "What"}),
        rule(think("I look."), LOOK, match={**LOOP, "user": "What"}),
        rule(say("Still a gull."), match={**LOOP, "user": "And now"}),
        TITLE,
    )
    first = opencode.run("What does a.txt say?")
    assert (first.code, first.text) == (0, "It says gull."), first.err
    second = opencode.run("And now?", "--continue")
    assert (second.code, second.text) == (0, "Still a gull."), second.err
    assert len(loops(house)) == 3
    rows = house.rows()
    assert {row["route"] for row in rows} == {"responses"}
    main = [row for row in rows if row["lane"] == "main"]
    assert [row["cache_verdict"] for row in main] == ["first_turn", "hit", "hit"]
    assert {row["lane"] for row in rows if row not in main} == {"plain"}
    assert house.breaches() == [] and house.gate.faults() == []
