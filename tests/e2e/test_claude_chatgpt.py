"""The real Claude Code on an account of a ChatGPT plan: the backend's own rules, its tokens, its shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.claude import Open
from tests.support.house import WARM, House, assert_extends, call, fetch, once, say, think
from tests.support.house import house as started

LANE = ("session-id", "thread-id", "x-client-request-id")


@pytest.fixture
def house(tmp_path: Path, contract: str) -> Iterator[House]:
    with started(tmp_path / "house", contract, flavour="chatgpt") as running:
        # Nothing but the account's own tokens is taken, and no ids are.
        running.sim.switch(strict_keys=True, codex_item_ids="reject", rate_limits_event=True)
        yield running


def lanes(house: House) -> set[tuple[str | None, ...]]:
    """The values of the lane headers of all turns."""
    found = []
    for record in house.sim.requests():
        if not record["path"].endswith("/responses"):
            continue  # pages that the gateway asks for by itself
        sent = {str(name).lower(): str(value) for name, value in record["headers"]}
        found.append(tuple(sent.get(name) for name in LANE))
    return set(found)


@pytest.mark.parametrize("contract", ["A", "B"])
def test_a_tool_loop_and_a_continued_session(house: House, claude: Open) -> None:
    """B26, B102, B103: thinking, calls, results, the next morning: one lane, nothing refused, all warm."""
    house.scenario(
        once(think("I should look."), say("I will look."), call("Read", file_path="log.txt")),
        once(think("Now I know."), call("Bash", command="echo to port", description="Answer the helm")),
        once(say("All is well.")),
        once(say("Still well.")),
    )
    client = claude()
    (client.work / "log.txt").write_text("wind from the west\n")
    done = client.run("How is it going?")
    assert (done.code, done.text) == (0, "All is well."), done.err
    again = client.run("And now?", "--continue")
    assert (again.code, again.text) == (0, "Still well."), again.err
    bodies: list[dict[str, Any]] = house.bodies()
    assert_extends(bodies)
    assert all(body["instructions"] and body["store"] is False for body in bodies)
    assert [item["type"] for item in bodies[2]["input"]].count("reasoning") == 2
    assert len(lanes(house)) == 1
    assert len(set(lanes(house).pop())) == 1
    if house.contract == "A":
        house.verify()
        return
    # Contract B keeps what ends with the user's words or a tool's output, and there are no marks here: the
    # note behind the first words is read from the third turn on.
    assert house.breaches() == []
    assert house.gate.faults() == []
    rows = [row for one in house.sim.report()["conversations"] for row in one["rows"]]
    assert [row["diverged"] for row in rows] == [None] * 4
    assert all(row["read"] >= WARM * row["cacheable"] for row in rows[2:]), rows


def test_a_token_ends_in_the_middle_of_a_session(house: House, claude: Open) -> None:
    """The client sees nothing of it: one refresh, the turn goes on, no login is asked for."""
    house.scenario(
        once(call("Bash", command="echo one", description="Echo")),
        once(preset="401_expired"),
        once(say("Done.")),
    )
    done = claude().run("Do it.")
    assert (done.code, done.text) == (0, "Done."), done.err
    account = next(one for one in fetch(f"{house.sim.url}/__sim/accounts") if one["id"] == "simulated")
    assert account["retired"] == ["rt-simulated"]
    house.verify()
