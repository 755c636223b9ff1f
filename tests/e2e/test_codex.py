"""The real Codex CLI through the gateway: its daily work, its bad weather, and what the ledger says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.claude import Claude
from tests.support.codex import Codex, Open
from tests.support.house import (
    KEY,
    House,
    assert_extends,
    call,
    half_a_message,
    once,
    rule,
    say,
    think,
)
from tests.support.house import house as started

PATCH = "*** Begin Patch\n*** Add File: hello.txt\n+hello\n*** End Patch\n"
both_kinds = pytest.mark.parametrize("flavour", ["api", "chatgpt"])
FIRST_THREE = {"nth": {"from": 1, "to": 3}}


@pytest.fixture
def flavour() -> str:
    """The kind of account behind the gateway; tests parametrize it where both matter."""
    return "api"


@pytest.fixture
def house(tmp_path: Path, flavour: str) -> Iterator[House]:
    with started(tmp_path / "house", flavour=flavour) as running:
        yield running


@pytest.fixture
def codex(house: House, tmp_path: Path) -> Open:
    def make(**more: Any) -> Codex:
        return Codex(f"{house.url}/v1", KEY, tmp_path / "codex", **more)

    return make


# -- daily work ------------------------------------------------------------------------------------------


@both_kinds
def test_a_session_with_a_tool_and_its_resumption(house: House, codex: Open) -> None:
    """exec, a shell call, resume: one prompt that grows, one identity, and the cache is read."""
    house.scenario(
        once(think("I should look."), call("exec_command", cmd="echo calm > sea.txt; cat sea.txt")),
        once(say("The sea is calm.")),
        once(say("Still calm.")),
    )
    client = codex()
    done = client.run("How is the sea?")
    assert (done.code, done.text) == (0, "The sea is calm."), (done.problems, done.err)
    assert (client.work / "sea.txt").read_text() == "calm\n"
    done = client.resume("And now?")
    assert (done.code, done.text) == (0, "Still calm."), (done.problems, done.err)
    bodies = house.bodies()
    assert_extends([_nameless(body) for body in bodies])
    assert len({body["prompt_cache_key"] for body in bodies}) == 1
    house.verify()
    rows = house.rows()
    assert [row["cache_verdict"] for row in rows] == ["first_turn", "hit", "hit"]
    assert all(row["route"] == "responses" and row["lane"] == "main" for row in rows)
    assert all(row["cached_tokens"] > 10_000 and row["cost_usd"] > 0 for row in rows[1:])
    assert rows[0]["reasoning_tokens"] > 0
    assert len({row["conversation_hash"] for row in rows}) == 1


def _nameless(body: dict[str, Any]) -> dict[str, Any]:
    """The body without the ids of its items: on resumption the client may name them anew."""
    items = [{k: v for k, v in item.items() if k not in ("id", "status")} for item in body["input"]]
    return {**body, "input": items}


@both_kinds
def test_what_names_the_client_stays_here(house: House, codex: Open) -> None:
    """No header and no key of the client reaches the upstream, nor does what names its installation."""
    house.scenario(rule(say("Hello.")))
    assert codex().run("Hello?").code == 0
    (asked,) = [one for one in house.sim.requests() if one["path"].endswith("/responses")]
    names = {name.lower() for name, _ in asked["headers"]}
    assert not [name for name in names if name.startswith("x-codex-") or name.startswith("x-openai-")]
    body = house.bodies()[0]
    assert "client_metadata" not in body
    house.verify()


@both_kinds
def test_apply_patch(house: House, codex: Open) -> None:
    """A custom tool with a grammar goes both ways as it is."""
    house.scenario(
        once({"custom_tool_call": {"name": "apply_patch", "input": PATCH}}), rule(say("It is written."))
    )
    client = codex()
    done = client.run("Write it down.")
    assert (done.code, done.text) == (0, "It is written."), (done.problems, done.err)
    assert (client.work / "hello.txt").read_text() == "hello\n"
    house.verify()


@both_kinds
def test_parallel_calls(house: House, codex: Open) -> None:
    """Two calls of one answer, each is run once and answered."""
    house.scenario(
        once(
            call("exec_command", cmd="echo 1 >> one.txt"),
            call("exec_command", cmd="echo 2 >> two.txt"),
        ),
        rule(say("Both.")),
    )
    client = codex()
    done = client.run("Do both.")
    assert (done.code, done.text) == (0, "Both."), (done.problems, done.err)
    assert {file.name: file.read_text() for file in client.work.iterdir()} == {
        "one.txt": "1\n",
        "two.txt": "2\n",
    }
    house.verify()


@both_kinds
def test_compaction(house: House, codex: Open) -> None:
    """A session over its limit asks for a summary and goes on with it."""
    house.scenario(
        once(say("First.")), once(say("What was said so far.")), once(say("Second.")), rule(say("More."))
    )
    client = codex(settings="model_auto_compact_token_limit = 12000")
    assert client.run("One").text == "First."
    done = client.resume("Two")
    assert (done.code, done.text) == (0, "Second."), (done.problems, done.err)
    asked = house.bodies()
    assert asked[1]["tools"] == []  # the compaction
    assert "What was said so far." in json.dumps(asked[2]["input"])
    assert house.breaches() == [] and house.gate.faults() == []


def test_an_alias_with_its_effort_serves_codex_too(house: House, codex: Open) -> None:
    """The requested name is what access and limits are judged on; the alias names model and effort."""
    house.scenario(rule(say("Aye.")))
    done = codex(model="claude-opus-9").run("Hello?")
    assert (done.code, done.text) == (0, "Aye."), (done.problems, done.err)
    assert house.bodies()[0]["model"] == "gpt-5.5"
    (row,) = house.rows()
    assert (row["requested_model"], row["upstream_model"]) == ("claude-opus-9", "gpt-5.5")


def test_websockets_are_declined_at_once(house: House, codex: Open) -> None:
    """Codex asks once for a WebSocket and goes on over HTTP: no retries, no message."""
    house.scenario(rule(say("Plain.")))
    done = codex(provider="supports_websockets = true").run("Hello?")
    assert (done.code, done.text, done.problems) == (0, "Plain.", ""), done.err
    assert len(house.bodies()) == 1
    house.verify()


def test_the_backends_own_paths(house: House, tmp_path: Path) -> None:
    """A client that was told that this is the ChatGPT backend finds everything it asks for."""
    house.scenario(rule(say("Aye.")))
    done = Codex(f"{house.url}/backend-api/codex", KEY, tmp_path / "codex").run("Hello?")
    assert (done.code, done.text) == (0, "Aye."), (done.problems, done.err)
    house.verify()


# -- bad weather -----------------------------------------------------------------------------------------


def test_a_short_limit_is_waited_out(house: House, codex: Open) -> None:
    """429 with retry-after: the client waits and succeeds."""
    house.scenario(rule(preset="429_rate_limit", match=FIRST_THREE), rule(say("At last.")))
    done = codex().run("Go.")
    assert (done.code, done.text) == (0, "At last."), (done.problems, done.err)
    house.verify()


@both_kinds
def test_a_spent_quota_ends_at_once(house: House, codex: Open) -> None:
    """No storm and no sleep until the reset; the user is told when it is."""
    house.scenario(rule(preset="429_usage_limit_reached"))
    done = codex().run("Go.")
    assert done.code == 1 and "usage limit" in done.problems and "Try again at" in done.problems
    assert len(house.bodies()) == 1
    assert "plan" not in done.problems
    assert house.breaches() == [] and house.gate.faults() == []


@pytest.mark.parametrize("preset", ["500", "502_html", "503_overloaded"])
def test_a_server_error_is_survived(house: House, codex: Open, preset: str) -> None:
    """Whatever fails before the first word is tried again, by the gateway and by the client."""
    house.scenario(rule(preset=preset, match=FIRST_THREE), rule(say("Better.")))
    done = codex().run("Go.")
    assert (done.code, done.text) == (0, "Better."), (done.problems, done.err)
    house.verify()


@pytest.mark.parametrize(
    "broken",
    [
        {
            "fault": {"kind": "disconnect", "after_events": 9},
            "steps": [say("Half an answer. " * 8, chunks=16)],
        },
        {"fault": {"kind": "end", "after_events": 9}, "steps": [say("Half an answer. " * 8, chunks=16)]},
        {
            "steps": half_a_message("Half an ans"),
            "terminal": {"failed": {"code": "server_error", "message": "It failed."}},
        },
        {
            "steps": half_a_message("Half an ans"),
            "terminal": {"failed": {"code": "server_is_overloaded", "message": "At capacity."}},
        },
        {
            "steps": half_a_message("Half an ans"),
            "terminal": {"error_event": {"code": "server_error", "message": "It failed."}},
        },
    ],
    ids=["cut", "end", "failed", "overloaded", "error event"],
)
@both_kinds
def test_a_failure_inside_the_answer(house: House, codex: Open, broken: dict[str, Any]) -> None:
    """After some text the client is told, connects again, and no command runs twice."""
    house.scenario(
        once(call("exec_command", cmd="echo one >> done.txt")), once(**broken), rule(say("The whole answer."))
    )
    client = codex()
    done = client.run("Go.")
    assert (done.code, done.text) == (0, "The whole answer."), (done.problems, done.err)
    assert (client.work / "done.txt").read_text() == "one\n"
    rows = house.rows()
    assert [row["outcome"] for row in rows] == ["ok", "upstream_error", "ok"]
    assert rows[1]["usage_source"] == "estimated" and rows[1]["output_tokens"] > 0
    house.verify()


@pytest.mark.parametrize("preset", ["400_context_length", "failed_midstream_context_length"])
def test_an_overflow_is_understood(house: House, codex: Open, preset: str) -> None:
    """As a status and inside the stream: no retry, and the user is told what to do."""
    house.scenario(rule(preset=preset))
    done = codex().run("Go.")
    assert done.code == 1 and "ran out of room" in done.problems, done.err
    assert len(house.bodies()) == 1


@both_kinds
def test_a_quota_that_is_spent_inside_the_answer(house: House, codex: Open) -> None:
    """The code that ends the turn: no five reconnects, and no word of the account's plan."""
    spent = {"code": "usage_limit_reached", "message": "The Plus plan is used up."}
    house.scenario(rule(*half_a_message("Half an ans"), terminal={"failed": spent}))
    done = codex().run("Go.")
    assert done.code == 1 and "Quota exceeded" in done.problems, (done.problems, done.err)
    assert "Plus" not in done.problems and "Reconnecting" not in done.problems
    assert len(house.bodies()) == 1


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        ({"code": "context_length_exceeded", "message": "Too long."}, "ran out of room"),
        ({"code": "usage_limit_reached", "message": "The Plus plan is used up."}, "Quota exceeded"),
        ({"code": "invalid_prompt", "message": "Not this."}, "Not this."),
    ],
    ids=["overflow", "quota", "prompt"],
)
def test_a_failure_behind_a_head_that_is_out(tmp_path: Path, failed: dict[str, Any], said: str) -> None:
    """After a long silence the status is spent: the failure is an event, and Codex understands it."""
    with started(tmp_path / "house", server="hold_seconds = 0.2") as slow:
        slow.scenario(rule({"sleep_ms": 3000}, terminal={"failed": failed}))
        done = Codex(f"{slow.url}/v1", KEY, tmp_path / "codex").run("Go.")
        assert done.code == 1 and said in done.problems, (done.problems, done.err)
        assert "Plus" not in done.problems and "Reconnecting" not in done.problems
        assert len(slow.bodies()) == 1


def test_the_pools_credentials_are_nobodys_business(house: House, codex: Open) -> None:
    """A refused account is a fault of the gateway's side, never a 401 that the client takes for its own."""
    house.scenario(rule(preset="401_revoked"))
    done = codex(provider="request_max_retries = 1\nstream_max_retries = 1").run("Go.")
    assert done.code == 1 and "502" in done.problems and "401" not in done.problems
    assert "operator" in done.problems


# -- everybody together ------------------------------------------------------------------------------------


def test_codex_and_claude_code_share_one_house(house: House, codex: Open, tmp_path: Path) -> None:
    """Two clients of two languages, one account, one key, one ledger."""
    house.scenario(
        rule(say("To Claude."), match={"user": "Claude"}),
        rule(say("To Codex."), match={"user": "Codex"}),
    )
    claude = Claude(house.url, house.key, tmp_path / "claude")
    one, other = claude.run("Hello from Claude"), codex().run("Hello from Codex")
    assert (one.code, one.text) == (0, "To Claude."), one.err
    assert (other.code, other.text) == (0, "To Codex."), (other.problems, other.err)
    assert [row["route"] for row in house.rows()] == ["messages", "responses"]
    house.verify(conversations=2)


def test_both_clients_work_at_the_same_time_on_one_pool(tmp_path: Path) -> None:
    """B102, B109: three plans, six sessions of two clients at once; each session stays where it began."""

    def claude(pool: House, number: int) -> list[int]:
        one = Claude(pool.url, pool.key, tmp_path / f"claude-{number}")
        first, second = one.run(f"Begin {number}."), one.run("Go on.", "--continue")
        return [first.code, second.code]

    def codex(pool: House, number: int) -> list[int]:
        one = Codex(f"{pool.url}/v1", pool.key, tmp_path / f"codex-{number}")
        first, second = one.run(f"Begin {number}."), one.resume("Go on.")
        return [first.code, second.code]

    with (
        started(tmp_path / "house", flavour="chatgpt", accounts=("one", "two", "three")) as pool,
        ThreadPoolExecutor(6) as crowd,
    ):
        pool.scenario(rule(say("Done.")))
        running = [crowd.submit(work, pool, number) for number in range(3) for work in (claude, codex)]
        assert [future.result() for future in running] == [[0, 0]] * 6
        rows = pool.rows()
        assert sorted(row["route"] for row in rows) == ["messages"] * 6 + ["responses"] * 6
        homes: dict[str, set[str]] = {}
        for row in rows:
            homes.setdefault(row["session_hash"], set()).add(row["account"])
        assert len(homes) == 6
        assert all(len(accounts) == 1 for accounts in homes.values()), homes
        assert {row["account"] for row in rows} == {"one", "two", "three"}
        pool.verify(conversations=6)
