"""Sessions around one another: several at once, across a restart, left in the middle, under other names."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.claude import NEWEST, VERSIONS, Claude, Open, binary
from tests.support.house import House, assert_extends, call, once, rule, say, think
from tests.support.house import house as started
from tests.support.loopback import alone

both_versions = pytest.mark.parametrize("version", VERSIONS)
both_contracts = pytest.mark.parametrize("contract", ["A", "B"])


@both_contracts
@pytest.mark.parametrize("model", ["claude-opus-4-8", "claude-haiku-4-5-20251001", "gpt-5.5", "gpt-5.6-sol"])
def test_every_dialect_of_the_client(house: House, claude: Open, model: str) -> None:
    """B31, B32, behaviours C15, C17, E7: the name decides how the client speaks; the work is the same."""
    house.scenario(
        once(think("Hm."), call("Bash", command="echo aye", description="Say aye")), rule(say("Aye."))
    )
    done = claude().run("Say aye.", model=model)
    assert (done.code, done.text) == (0, "Aye."), done.err
    bodies = house.bodies()
    assert {body["model"] for body in bodies} == {model if model.startswith("gpt") else bodies[0]["model"]}
    assert_extends(bodies)
    house.verify()


def test_a_key_in_the_other_header(house: House, tmp_path: Path) -> None:
    """B90, behaviours E9: `ANTHROPIC_API_KEY` is sent as x-api-key."""
    house.scenario(rule(say("Aye.")))
    client = Claude(house.url, "", tmp_path / "client", ANTHROPIC_API_KEY=house.key)
    del client.environment["ANTHROPIC_AUTH_TOKEN"]
    done = client.run("Aye?")
    assert (done.code, done.text) == (0, "Aye."), (done.out, done.err)
    house.verify()


@both_contracts
def test_sessions_do_not_meet(house: House, tmp_path: Path) -> None:
    """B105: three at once, each with its own cache key, each warm in its own prefix."""
    house.scenario(
        rule(think("One."), call("Bash", command="echo one", description="One"), match={"after_tool": False}),
        rule(call("Bash", command="echo two", description="Two"), match={"tool_output": "one"}),
        rule(say("Done.")),
    )
    clients = [Claude(house.url, house.key, tmp_path / name) for name in ("ann", "ben", "cy")]
    with ThreadPoolExecutor(len(clients)) as pool:
        results = list(pool.map(lambda client: client.run(f"Work in {client.work.parent.name}."), clients))
    assert [done.text for done in results] == ["Done."] * 3
    assert len({body["prompt_cache_key"] for body in house.bodies()}) == 3
    house.verify(conversations=3)


@both_versions
@both_contracts
def test_a_restart_between_two_turns(house: House, claude: Open, version: str) -> None:
    """B111: a new gateway process opens the old seals, keeps the cache key and sends the same prefix."""
    house.scenario(
        once(think("A reef."), say("Look:"), call("Bash", command="echo reef", description="Look")),
        once(think("There."), say("First.")),
        once(think("Again."), say("Second.")),
    )
    assert claude(version).run("Look out.").text == "First."
    house.restart()
    assert claude(version).run("And now?", "--continue").text == "Second."
    bodies = house.bodies()
    assert_extends(bodies)
    assert [item["type"] for item in bodies[-1]["input"]].count("reasoning") == 2
    assert len({body["prompt_cache_key"] for body in bodies}) == 1
    house.verify()


def test_a_killed_client_frees_the_upstream(house: House, claude: Open) -> None:
    """B94: nothing runs on for somebody who is gone."""
    house.scenario(rule(say("Once upon"), {"sleep_ms": {"ms": 90_000}}, say(" a time.")))
    client = claude()
    process = subprocess.Popen(
        [str(binary(f"claude-{NEWEST}")), "-p", "Tell me."],
        env=client.environment | {"ANTHROPIC_MODEL": "claude-sonnet-5-5"},
        cwd=client.work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: house.sim.report()["active"] == 1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    until(lambda: house.sim.report()["active"] == 0)
    assert [one["ended"] for one in house.sim.requests()] == ["client_gone"]
    assert house.breaches() == [] and house.gate.faults() == []


def until(true: Callable[[], bool], patience: float = 60.0) -> None:
    """Waits for something to come true."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


@both_versions
def test_a_client_that_may_say_everything(tmp_path: Path, version: str) -> None:
    """B117, behaviours E10: probes and other traffic at the start are answered and are no errors.

    Runs without any proxy, in a network of its own, because only then the client probes.
    """

    def work() -> None:
        with started(tmp_path / "house") as house:
            house.scenario(rule(say("Aye.")))
            client = Claude(house.url, house.key, tmp_path / "client", version).with_nonessential_traffic()
            for name in ("HTTPS_PROXY", "HTTP_PROXY", "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING"):
                del client.environment[name]
            done = client.run("Aye?")
            assert (done.code, done.text) == (0, "Aye."), done.err
            assert '"level":"warning"' not in house.gate.run.complained()
            house.verify()

    try:
        alone(work)
    except PermissionError as error:
        pytest.skip(f"this user may not make a network namespace: {error}")
