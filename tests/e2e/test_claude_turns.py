"""The real Claude Code does its daily work through the gateway: text, tools, files, pictures, turns."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.claude import NEWEST, OLDER, VERSIONS, Open
from tests.support.house import House, assert_extends, call, once, rule, say, think

both_versions = pytest.mark.parametrize("version", VERSIONS)
both_contracts = pytest.mark.parametrize("contract", ["A", "B"])

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def outputs(body: dict[str, Any]) -> list[Any]:
    """The tool outputs of a request to the upstream, in order."""
    return [item["output"] for item in body["input"] if item.get("type") == "function_call_output"]


@both_versions
def test_plain_text(house: House, claude: Open, version: str) -> None:
    """B51: the words come out, the run ends well."""
    house.scenario(once(say("The harbour is open.")))
    done = claude(version).run("Is it open?")
    assert (done.code, done.text) == (0, "The harbour is open."), done.err
    assert len(house.bodies()) == 1
    house.verify()


def test_unicode_survives_every_cut(house: House, claude: Open) -> None:
    """B70, behaviours S17: characters of every width, in chunks that end inside a character."""
    words = "Ægir \u00a0 海の神 🌊🏴‍☠️ e\u0301 \u2028 ende"
    house.scenario(once(say(words, chunks=9), fault=["split_utf8", {"kind": "slice", "bytes": 5}]))
    done = claude().run("Grüße, 船長 🧭?")
    assert (done.code, done.text) == (0, words), done.err
    assert "Grüße, 船長 🧭?" in json.dumps(house.bodies()[0]["input"], ensure_ascii=False)
    house.verify()


def test_a_long_stream_arrives_whole(house: House, claude: Open) -> None:
    """B70: some thousand deltas, nothing lost, nothing twice."""
    words = " ".join(f"wave {number}" for number in range(6000))
    house.scenario(once(say(words)))
    done = claude().run("Count the waves.")
    assert (done.code, done.text) == (0, words), done.err
    house.verify()


@both_versions
@both_contracts
def test_a_tool_loop_with_reasoning(house: House, claude: Open, version: str) -> None:
    """B26, B52, B102, B103: thinking, a call, its result, the answer; each request extends the last."""
    house.scenario(
        once(think("I should look."), say("I will look."), call("Read", file_path="log.txt")),
        once(think("Now I know."), call("Bash", command="echo to port", description="Answer the helm")),
        once(say("All is well.")),
    )
    client = claude(version)
    (client.work / "log.txt").write_text("wind from the west\n")
    done = client.run("How is it going?")
    assert (done.code, done.text) == (0, "All is well."), done.err
    first, second, third = house.bodies()
    assert "wind from the west" in outputs(second)[0]
    assert "to port" in outputs(third)[1]
    assert_extends([first, second, third])
    assert [item["type"] for item in third["input"]].count("reasoning") == 2
    assert len({body["prompt_cache_key"] for body in (first, second, third)}) == 1
    house.verify()


@both_versions
@pytest.mark.parametrize("interleaved", [False, True])
def test_parallel_tools(house: House, claude: Open, version: str, interleaved: bool) -> None:
    """B16, B53, behaviours S3: three calls in one turn, also when the upstream mixes their deltas."""
    calls = [call("Bash", command=f"echo answer {n}", description="Echo") for n in (1, 2, 3)]
    steps = [{"interleave": calls}] if interleaved else calls
    house.scenario(once(*steps), once(say("Three answers.")))
    done = claude(version).run("Ask three times.")
    assert (done.code, done.text) == (0, "Three answers."), done.err
    found = sorted(outputs(house.bodies()[1]))
    assert [f"answer {n}" in text for n, text in zip((1, 2, 3), found, strict=True)] == [True] * 3
    house.verify()


@both_versions
def test_a_failing_tool_is_told_to_the_model(house: House, claude: Open, version: str) -> None:
    """B13: the marker line stands in front, the loop goes on."""
    house.scenario(
        once(call("Read", file_path="/nowhere/at/all.txt")),
        once(call("Bash", command="echo lost; exit 3", description="Fail")),
        once(say("Both failed.")),
    )
    done = claude(version).run("Try it.")
    assert (done.code, done.text) == (0, "Both failed."), done.err
    failed = outputs(house.bodies()[2])
    assert all(text.startswith("[tool error]\n") for text in failed), failed
    assert "lost" in failed[1]
    house.verify()


def test_arguments_arrive_exactly(house: House, claude: Open) -> None:
    """B9, B52, behaviours S5: a file is written as the model spelt it, and its own spelling goes back."""
    content = 'line "one"\n\tline \\ two\n\u2028 ünï 🚢 \x7f\n'
    spelt = json.dumps({"file_path": "ship.txt", "content": content}, indent=1)
    write = {"function_call": {"name": "Write", "arguments": spelt, "split": [3, 17, 40, 41, 60]}}
    house.scenario(once(write), once(say("Written.")))
    client = claude()
    client.environment["HOME"] = str(client.home)
    done = client.run(f"Write ship.txt in {client.work}.")
    assert (done.code, done.text) == (0, "Written."), done.err
    assert (client.work / "ship.txt").read_text() == content
    sent = next(item for item in house.bodies()[1]["input"] if item["type"] == "function_call")
    assert sent["arguments"] == spelt
    house.verify()


def test_empty_optional_arguments_do_not_break_read(house: House, claude: Open) -> None:
    """Behaviours C9: models fill optional fields with empty strings; the file is read all the same."""
    house.scenario(once(call("Read", file_path="log.txt", pages="")), once(say("Read.")))
    client = claude()
    (client.work / "log.txt").write_text("calm\n")
    done = client.run("Read it.")
    assert (done.code, done.text) == (0, "Read."), done.err
    assert "calm" in outputs(house.bodies()[1])[0]
    house.verify()


@both_versions
def test_reading_a_picture(house: House, claude: Open, version: str) -> None:
    """B12, behaviours C10: the picture is in the tool's output, as a picture."""
    house.scenario(once(call("Read", file_path="dot.png")), once(say("A dot.")))
    client = claude(version)
    (client.work / "dot.png").write_bytes(PNG)
    done = client.run("What is on it?")
    assert (done.code, done.text) == (0, "A dot."), done.err
    body = house.bodies()[1]
    parts = [part for output in outputs(body) if isinstance(output, list) for part in output]
    later = [
        part for item in body["input"] if isinstance(item.get("content"), list) for part in item["content"]
    ]
    pictures = [part for part in parts + later if part["type"] == "input_image"]
    assert len(pictures) == 1 and pictures[0]["image_url"].startswith("data:image/")
    house.verify()


@both_versions
@both_contracts
def test_continue_goes_on_where_it_stopped(house: House, claude: Open, version: str) -> None:
    """B102, B103: three processes, one conversation, one cache key, the prefix read each time."""
    house.scenario(
        once(think("A reef."), call("Read", file_path="chart.txt"), match={"user": "ONE"}),
        once(say("First."), match={"user": "ONE"}),
        once(think("Still a reef."), say("Second."), match={"user": "TWO"}),
        once(call("Bash", command="echo sound", description="Sound"), match={"user": "THREE"}),
        once(say("Third."), match={"user": "THREE"}),
    )
    client = claude(version)
    (client.work / "chart.txt").write_text("a reef\n" * 50)
    said = [client.run("ONE, please.").text]
    said += [client.run(f"{word}, please.", "--continue").text for word in ("TWO", "THREE")]
    assert said == ["First.", "Second.", "Third."]
    assert len({body["prompt_cache_key"] for body in house.bodies()}) == 1
    house.verify()


@both_contracts
@pytest.mark.parametrize("version", VERSIONS)
def test_ten_turns_with_tools(house: House, claude: Open, version: str) -> None:
    """B102, B103, B107: ten turns of thirty requests: no breach, every warm turn reads its prefix."""
    rules = []
    for turn in range(1, 11):
        rules += [
            rule(
                think(f"Turn {turn}: what is there?", tokens=200),
                say("I will look.", phase="commentary"),
                call("Bash", command=f"seq {turn} {turn + 40}; echo first-{turn}", description="Count"),
                match={"user": f"turn-{turn}\\b", "after_tool": False},
            ),
            rule(
                think(f"Turn {turn}: and the log?"),
                call("Read", file_path="log.txt", offset=turn, limit=5),
                call("Bash", command=f"echo second-{turn}", description="Echo"),
                match={"tool_output": f"first-{turn}\\b"},
            ),
            rule(
                think(f"Turn {turn}: done."),
                say(f"Turn {turn} is done. " * 20, phase="final_answer"),
                match={"user": f"turn-{turn}\\b", "after_tool": True},
            ),
        ]
    house.scenario(*rules)
    client = claude(version)
    (client.work / "log.txt").write_text("".join(f"entry {n}: calm sea\n" for n in range(200)))
    with client.conversation() as talk:
        for turn in range(1, 11):
            result = talk.ask(f"turn-{turn}, please.")
            assert not result["is_error"] and f"Turn {turn} is done." in result["result"], result
    bodies = house.bodies()
    assert len(bodies) == 30
    assert len({body["prompt_cache_key"] for body in bodies}) == 1
    assert_extends(bodies)
    house.verify()
    share = house.sim.report()["conversations"][0]["warm_share"]
    assert share >= 0.95


def test_the_two_versions_are_two(claude: Open) -> None:
    """The older client is not the newer one under another name."""
    for version in (NEWEST, OLDER):
        done = claude(version).run("", "--version")
        assert version in done.out
