"""Bad weather: limits, failures, cuts, silence and overflow, and how the real client comes through."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.claude import NEWEST, VERSIONS, Open
from tests.support.house import House, assert_extends, call, half_a_message, once, rule, say, think
from tests.support.simulated import PNG_1X1

PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
)

both_versions = pytest.mark.parametrize("version", VERSIONS)
both_contracts = pytest.mark.parametrize("contract", ["A", "B"])


@both_versions
def test_a_short_limit_is_waited_out(house: House, claude: Open, version: str) -> None:
    """B82, behaviours E1, E3: 429 with retry-after; the client waits and succeeds."""
    house.scenario(rule(preset="429_rate_limit", match={"nth": {"from": 1, "to": 3}}), rule(say("At last.")))
    done = claude(version).run("Go.")
    assert (done.code, done.text) == (0, "At last."), done.err
    house.verify()


def test_a_spent_quota_ends_at_once(house: House, claude: Open) -> None:
    """B82: no storm of retries, and the reason is shown."""
    house.scenario(rule(preset="429_insufficient_quota"))
    done = claude().run("Go.")
    assert done.code != 0 and "usage limit" in done.out + done.err, (done.out, done.err)
    assert len(house.bodies()) <= 2
    house.verify(conversations=0)


@both_versions
@pytest.mark.parametrize("preset", ["500", "502_html", "503_overloaded", "529"])
def test_a_server_error_is_survived(house: House, claude: Open, version: str, preset: str) -> None:
    """B84, behaviours S16: whatever fails before the first word is tried again."""
    house.scenario(rule(preset=preset, match={"nth": {"from": 1, "to": 3}}), rule(say("Better.")))
    done = claude(version).run("Go.")
    assert (done.code, done.text) == (0, "Better."), done.err
    house.verify()


@both_versions
@both_contracts
@pytest.mark.parametrize(
    "ending",
    [
        {"terminal": {"failed": {"code": "server_error", "message": "The server had an error."}}},
        {"terminal": {"error_event": {"code": "server_error", "message": "The server had an error."}}},
    ],
    ids=["failed", "error event"],
)
def test_a_failure_inside_the_answer(
    house: House, claude: Open, version: str, ending: dict[str, Any]
) -> None:
    """B68, B89: after some text there is an error; the client asks again, nothing shows twice."""
    house.scenario(
        once(call("Bash", command="echo one", description="Echo")),
        once(*half_a_message("Half an ans"), **ending),
        rule(say("The whole answer.")),
    )
    done = claude(version).run("Go.")
    assert (done.code, done.text) == (0, "The whole answer."), done.err
    house.verify()


@both_versions
@pytest.mark.parametrize("cut", ["disconnect", "rst", "end"])
def test_a_cut_connection(house: House, claude: Open, version: str, cut: str) -> None:
    """B69, behaviours S10: a cut is told as an error, so that the client repeats instead of believing it."""
    house.scenario(
        once(say("Half an answer. " * 8, chunks=16), fault={"kind": cut, "after_events": 9}),
        rule(say("The whole answer.")),
    )
    done = claude(version).run("Go.")
    assert (done.code, done.text) == (0, "The whole answer."), done.err
    house.verify()


@both_versions
@pytest.mark.parametrize(
    ("name", "preset", "part"),
    [("dot.png", "400_invalid_image", "input_image"), ("page.pdf", "400_invalid_pdf", "input_file")],
)
def test_a_picture_that_is_refused_strands_no_session(
    house: House, claude: Open, version: str, name: str, preset: str, part: str
) -> None:
    """Behaviours T9: the client leaves out what was refused and goes on, now and in the next turn."""
    house.scenario(once(call("Read", file_path=name)), once(preset=preset), rule(say("Without it.")))
    client = claude(version)
    (client.work / name).write_bytes(PNG_1X1 if name.endswith("png") else PDF)
    done = client.run("What is on it?")
    assert (done.code, done.text) == (0, "Without it."), done.err
    done = client.run("And now?", "--continue")
    assert (done.code, done.text) == (0, "Without it."), done.err
    told = [part in str(body["input"]) for body in house.bodies()]
    assert told[:3] == [False, True, False] and not any(told[3:])


def test_a_cut_inside_a_tool_call_runs_no_tool(house: House, claude: Open) -> None:
    """B69, D20: half a command must never be run."""
    house.scenario(
        once(
            call("Bash", command="touch should-not-be-there; " + "true; " * 60, description="Touch"),
            fault={"kind": "disconnect", "after_events": 8},
        ),
        rule(say("Never mind.")),
    )
    client = claude()
    done = client.run("Go.")
    assert (done.code, done.text) == (0, "Never mind."), done.err
    assert list(client.work.iterdir()) == []
    house.verify()


def test_twenty_seconds_of_silence(house: House, claude: Open) -> None:
    """B61, behaviours S14: before the first word and inside the answer, with the settings everybody has."""
    silence = {"sleep_ms": {"ms": 20_000}}
    house.scenario(once(silence, think("A long thought."), silence, say("Patience pays.")))
    done = claude().run("Go.")
    assert (done.code, done.text) == (0, "Patience pays."), (done.out, done.err)
    assert len(house.bodies()) == 1
    house.verify()


# What a working upstream may do that is odd and no fault: by name, more of a rule or steps in front.
ODDITIES: dict[str, dict[str, Any]] = {
    "CRLF": {"fault": {"kind": "crlf"}},
    "small pieces": {"fault": [{"kind": "slice", "bytes": 7}, "split_utf8"]},
    "two terminals": {"fault": "duplicate_terminal"},
    "no item is finished": {"fault": "no_done_item"},
    "an empty terminal": {"fault": {"kind": "omit_output_in_completed", "value": True}},
    "an own content type": {"fault": {"kind": "content_type", "value": "application/octet-stream"}},
    "compressed": {"fault": "gzip"},
    "late headers": {"fault": {"kind": "slow_headers", "seconds": 1}},
    "dripping": {"fault": {"kind": "slow_drip", "bytes_per_s": 50_000}},
    "no usage details": {"usage": {}},
}


@both_versions
@both_contracts
def test_odd_upstreams_are_no_fault(house: House, claude: Open, version: str) -> None:
    """B54, B65, B70, B71, behaviours S6, S11, S18: one loop, one oddity a turn; each command runs once."""
    words = "Ünï 🚢"
    rules = [
        once(
            {"comment": {"text": "a comment"}},
            {"keepalive": {}},
            {"raw_event": {"event": {"type": "response.something.new", "value": 1}}},
            think(f"About {name}."),
            say(f"{words} {number}."),
            call("Bash", command=f"echo '{words} {number}' >> done.txt", description="Note"),
            **odd,
        )
        for number, (name, odd) in enumerate(ODDITIES.items())
    ]
    house.scenario(*rules, rule(say("All odd.")))
    client = claude(version)
    done = client.run("Work.")
    assert (done.code, done.text) == (0, "All odd."), (done.out, done.err)
    noted = (client.work / "done.txt").read_text().splitlines()
    assert noted == [f"{words} {number}" for number in range(len(ODDITIES))]
    assert_extends(house.bodies())
    house.verify()


# What breaks an attempt; each is followed by a sound answer.
BREAKDOWNS: dict[str, dict[str, Any]] = {
    "garbage": {"fault": {"kind": "garbage_event", "after_events": 5}},
    "nothing at all": {"steps": [], "terminal": "none"},
    "nothing said": {"steps": []},
    "no listener": {"fault": {"kind": "connect_refused", "seconds": 1}},
    "a page": {"preset": "502_html"},
    "a reset": {"fault": {"kind": "rst", "after_bytes": 700}},
    "half an event": {"fault": {"kind": "disconnect", "mid_event": 6}},
}


@both_versions
@pytest.mark.parametrize("name", BREAKDOWNS)
def test_breakdowns_are_survived(house: House, claude: Open, version: str, name: str) -> None:
    """B69, B84, behaviours S10, S12: the client comes through, and no command runs twice."""
    house.scenario(
        once(call("Bash", command="echo one >> done.txt", description="Note")),
        once(**{"steps": [say("Half an answer, and more of it.", chunks=6)], **BREAKDOWNS[name]}),
        once(call("Bash", command="echo two >> done.txt", description="Note")),
        rule(say("Safe.")),
    )
    client = claude(version)
    done = client.run("Work.")
    assert (done.code, done.text) == (0, "Safe."), (done.out, done.err)
    assert (client.work / "done.txt").read_text() == "one\ntwo\n"
    house.verify()


@both_versions
def test_an_answer_that_ran_out_of_tokens_is_continued(house: House, claude: Open, version: str) -> None:
    """B63, behaviours S19: the client learns that it is half an answer and asks for the rest."""
    half = {"incomplete": "max_output_tokens"}
    house.scenario(once(say("The first half"), terminal=half), rule(say("and the second.")))
    done = claude(version).run("Go.")
    assert done.code == 0 and done.text.endswith("and the second."), (done.out, done.err)
    assert len(house.bodies()) == 2
    house.verify()


@both_versions
@pytest.mark.parametrize("way", ["refusal", "filter"])
def test_a_refusal_is_shown_as_one(house: House, claude: Open, version: str, way: str) -> None:
    """B62, B64, D21: never as an ordinary end."""
    if way == "refusal":
        house.scenario(rule({"refusal": "I would rather not."}))
    else:
        house.scenario(rule(say("Well,"), terminal={"incomplete": "content_filter"}))
    result = claude(version).run("Go.", "--output-format", "json").result()
    assert result["stop_reason"] == "refusal", result
    house.verify()


OVERFLOWS: dict[str, dict[str, Any]] = {
    "status": {"preset": "400_context_length"},
    "event": {
        "steps": [],
        "terminal": {"failed": {"code": "context_length_exceeded", "message": "Your input is too long."}},
    },
}


@both_versions
@both_contracts
@pytest.mark.parametrize("told", OVERFLOWS)
def test_an_overflow_is_compacted_and_recovered(house: House, claude: Open, version: str, told: str) -> None:
    """B85, behaviours T9, T10, T11: the client compacts by itself, goes on, and stays warm afterwards."""
    house.scenario(
        once(think("Look."), call("Read", file_path="log.txt")),
        once(call("Bash", command="echo one", description="Echo")),
        once(call("Bash", command="echo two", description="Echo")),
        once(**OVERFLOWS[told]),
        once(say("<summary>We looked at the log.</summary>")),
        once(call("Bash", command="echo three", description="Echo")),
        rule(say("Recovered.")),
    )
    client = claude(version)
    (client.work / "log.txt").write_text("calm\n" * 100)
    done = client.run("Work.")
    assert (done.code, done.text) == (0, "Recovered."), (done.out, done.err)
    assert len(house.bodies()) == 7
    # The newer version leaves out the end of the conversation when it asks for the summary.
    house.verify(conversations=2, broken=1 if version == NEWEST else 0)


def test_an_overflow_inside_the_answer(house: House, claude: Open) -> None:
    """B85, B89: after some text it can only be an error; asked again, the client learns what is wrong."""
    house.scenario(
        once(call("Bash", command="echo one", description="Echo")),
        once(call("Bash", command="echo two", description="Echo")),
        once(*half_a_message("Half an ans"), terminal=OVERFLOWS["event"]["terminal"]),
        once(preset="400_context_length"),
        once(say("<summary>We said one and two.</summary>")),
        rule(say("Recovered.")),
    )
    done = claude().run("Work.")
    assert (done.code, done.text) == (0, "Recovered."), (done.out, done.err)
    house.verify(conversations=2, broken=1)


@pytest.mark.parametrize("ending", ["failure", "nothing more"])
def test_a_turn_that_breaks_off_after_a_whole_block(house: House, claude: Open, ending: str) -> None:
    """B68: a finished text and a failure, or thoughts and no word; the newer client asks again."""
    failed = {"failed": {"code": "server_error", "message": "The server had an error."}}
    broken = once(say("A block."), terminal=failed) if ending == "failure" else once(think("Hm."))
    house.scenario(broken, rule(say("The whole answer.")))
    done = claude().run("Go.")
    assert (done.code, done.text) == (0, "The whole answer."), done.err
    house.verify()


@both_versions
@pytest.mark.parametrize(
    "ending",
    [
        {"terminal": {"failed": {"code": "server_error", "message": "The server had an error."}}},
        {"terminal": "none"},
        {},
    ],
    ids=["failed", "cut", "nothing more"],
)
def test_a_turn_that_breaks_off_behind_its_thoughts(
    house: House, claude: Open, version: str, ending: dict[str, Any]
) -> None:
    """B68, B69: the older version gives up behind a finished block, so a thought is not finished by then."""
    house.scenario(once(think("Hm."), **ending), rule(say("The whole answer.")))
    done = claude(version).run("Go.")
    assert (done.code, done.text) == (0, "The whole answer."), (done.out, done.err)
    house.verify()
