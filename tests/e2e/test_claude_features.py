"""What Claude Code does beside the main loop: agents, deferred tools, search, titles, discovery, counting."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.support.claude import MCP_SERVER, OLDER, VERSIONS, Open
from tests.support.house import House, call, once, rule, say, think

both_versions = pytest.mark.parametrize("version", VERSIONS)
both_contracts = pytest.mark.parametrize("contract", ["A", "B"])


def names(body: dict[str, Any]) -> list[str]:
    """The function names a request offers, wherever they stand."""
    offered = list(body.get("tools", []))
    offered += [tool for item in body["input"] for tool in item.get("tools", []) if isinstance(tool, dict)]
    return [tool.get("name", tool["type"]) for tool in offered]


@both_versions
@both_contracts
def test_sub_agents_have_lanes_of_their_own(house: House, claude: Open, version: str) -> None:
    """B106, behaviours E4: two agents beside the main loop, each with a prefix of its own, one cache key."""
    agents = [
        call("Agent", description=f"Look {where}", prompt=f"LANE-{where}", subagent_type="general-purpose")
        for where in ("north", "south")
    ]
    lanes = []
    for where in ("north", "south"):
        user = f"LANE-{where}"
        lanes += [
            rule(
                think(f"Looking {where}."),
                call("Bash", command=f"echo seen-{where}", description="Look"),
                match={"user": user, "after_tool": False},
            ),
            rule(say(f"Clear in the {where}."), match={"tool_output": f"seen-{where}"}),
        ]
    house.scenario(
        once(think("Two ways."), *agents, match={"user": "Look both ways", "after_tool": False}),
        *lanes,
        rule(say("Both are clear.")),
    )
    done = claude(version).run("Look both ways.")
    assert done.code == 0 and "Both are clear." in done.text, (done.out, done.err)
    assert len({body["prompt_cache_key"] for body in house.bodies()}) == 1
    house.verify(conversations=3)


@both_versions
@both_contracts
def test_a_tool_loaded_late_does_not_move_the_prefix(house: House, claude: Open, version: str) -> None:
    """Behaviours C3, C4, C5: the client loads a deferred tool; what was sent stays where it was."""
    house.scenario(
        once(call("ToolSearch", query="select:NotebookEdit,WebFetch", max_results=3)),
        once(call("Bash", command="echo loaded", description="Echo")),
        once(say("Found.")),
    )
    done = claude(version, ENABLE_TOOL_SEARCH="true").run("Find a tool.")
    assert (done.code, done.text) == (0, "Found."), done.err
    first, second, third = house.bodies()
    assert "WebFetch" not in names(first)
    assert "WebFetch" in names(second) and "WebFetch" in names(third)
    assert all("DeferredToolPlaceholder" not in names(body) for body in (first, second, third))
    house.verify()


@both_versions
@pytest.mark.parametrize("named", [True, False], ids=["with sources", "without sources"])
def test_web_search_is_done_by_the_upstream(house: House, claude: Open, version: str, named: bool) -> None:
    """B43, B66, behaviours C7, C8: the side call gets results with addresses, the main loop goes on.

    A server that names no sources has them in its citations.
    """
    source = {"url": "https://ships.example/brig", "title": "Brigs"}
    found = "A brig has two masts."
    rules = [
        rule(
            {"web_search": {"queries": ["brig"], "sources": [source] if named else []}},
            say(found, annotations=[{**source, "text": found}]),
            match={"tools": "web_search"},
        )
    ]
    if version != OLDER:
        rules.append(once(call("ToolSearch", query="select:WebSearch", max_results=1)))
    rules += [once(call("WebSearch", query="what is a brig")), once(say("Two masts."))]
    house.scenario(*rules)
    done = claude(version).run("What is a brig?")
    assert (done.code, done.text) == (0, "Two masts."), done.err
    asked = [body for body in house.bodies() if "web_search" in names(body)]
    assert len(asked) == 1
    last = json.dumps(house.bodies()[-1]["input"])
    assert source["url"] in last and found in last
    assert "No links found" not in last and (named or source["title"] in last)
    house.verify(conversations=2)


@both_versions
def test_structured_output(house: House, claude: Open, version: str) -> None:
    """B40: `--json-schema` gives the object."""
    schema = {
        "type": "object",
        "properties": {"masts": {"type": "integer"}},
        "required": ["masts"],
        "additionalProperties": False,
    }
    house.scenario(once(call("StructuredOutput", masts=2)), rule(say("Done.")))
    done = claude(version).run("Count.", "--output-format", "json", "--json-schema", json.dumps(schema))
    assert done.code == 0, done.err
    assert done.result()["structured_output"] == {"masts": 2}
    house.verify()


def test_usage_reaches_the_client(house: House, claude: Open) -> None:
    """B74, D4: what the client bills and shows is what the upstream counted."""
    house.scenario(once(call("Bash", command="true", description="Nothing")), once(say("Done.")))
    done = claude().run("Work.", "--output-format", "json")
    usage = done.result()["usage"]
    row = house.sim.report()["conversations"][0]
    told = usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
    assert told == row["input_tokens"]
    assert usage["cache_read_input_tokens"] == row["cached_tokens"] > 0
    house.verify()


def test_model_discovery(house: House, claude: Open) -> None:
    """B116, behaviours E7: the client asks for the models and keeps what contains claude."""
    house.scenario(rule(say("Ahoy.")))
    client = claude(CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY="1").with_nonessential_traffic()
    assert client.run("Hello.").text == "Ahoy."
    kept = "".join(path.read_text() for path in client.home.rglob("*.json") if path.is_file())
    assert "claude-gpt-5.5" in kept
    house.verify()


@both_versions
def test_context_counts_without_generating(house: House, claude: Open, version: str) -> None:
    """B78, behaviours T3, T4, T5: `/context` asks for dozens of figures at once, never the model."""
    house.scenario(rule(say("Never.")))
    done = claude(version).run("/context")
    assert done.code == 0, done.err
    assert house.bodies() == []
    house.verify(conversations=0)


@both_versions
def test_an_interactive_session_with_its_title(house: House, claude: Open, version: str) -> None:
    """B107, B117: the title call has a lane of its own and structured output; the main loop stays warm."""
    main = {"tools": "Bash"}
    house.scenario(
        once(call("Bash", command="echo gull", description="Look"), match={**main, "user": "first word"}),
        rule(say("A gull it is."), match={**main, "user": "first word"}),
        rule(say("And another."), match={**main, "user": "second word"}),
        rule(say('{"title":"About gulls"}')),
    )
    client = claude(version).with_nonessential_traffic()
    with client.screen() as screen:
        screen.type("the first word is gull")
        screen.await_text("A gull it is.")
        screen.type("the second word is gull too")
        screen.await_text("And another.")
    titles = [
        body for body in house.bodies() if body.get("text", {}).get("format", {}).get("type") == "json_schema"
    ]
    assert len(titles) == 1 and not titles[0].get("tools")
    house.verify(conversations=2)


@pytest.mark.parametrize("verdict", ["no", "yes"])
def test_the_permission_classifier_is_heard(house: House, claude: Open, verdict: str) -> None:
    """B36, behaviours C21: in auto mode the older client asks a side question and stops it by a sequence."""
    main = {"tools": "Bash"}
    house.scenario(
        once(
            call("Bash", command="rm -rf /tmp/not-there-1f9c && touch made.txt", description="Tidy"),
            match=main,
        ),
        rule(say("Tidied."), match=main),
        rule(say(f"<block>{verdict}</block> and so much more to say about it")),
    )
    client = claude(OLDER)
    done = client.run("Tidy up.", "--permission-mode", "auto", tools="")
    assert (client.work / "made.txt").exists() is (verdict == "no"), (done.out, done.err)
    # A "yes" is asked about once more, in another way.
    house.verify(conversations=2 if verdict == "no" else 3)


PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj
trailer<</Root 1 0 R/Size 4>>
%%EOF
"""


@both_versions
def test_reading_a_document(house: House, claude: Open, version: str) -> None:
    """B22, behaviours C10: a PDF that a tool read reaches the model as a file."""
    house.scenario(once(call("Read", file_path="chart.pdf")), rule(say("An empty page.")))
    client = claude(version)
    (client.work / "chart.pdf").write_bytes(PDF)
    done = client.run("What is in it?")
    assert (done.code, done.text) == (0, "An empty page."), done.err
    assert '"input_file"' in json.dumps(house.bodies()[1]["input"])
    house.verify()


@both_versions
@both_contracts
def test_a_tool_with_a_very_long_name(house: House, claude: Open, version: str) -> None:
    """B42, behaviours C1: the upstream sees a short name, the client gets its own back."""
    servers = {"crew": {"command": sys.executable, "args": [str(MCP_SERVER)]}}
    client = claude(version, ENABLE_TOOL_SEARCH="0")
    (client.home / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    flags = ["--mcp-config", str(client.home / "mcp.json"), "--strict-mcp-config"]
    # What the upstream is offered under a name that it takes; learnt from a first, idle turn.
    house.scenario(rule(say("Ready.")))
    assert client.run("Ready?", *flags, tools="mcp__crew").text == "Ready."
    offered = [name for name in names(house.bodies()[0]) if "crew" in name]
    assert len(offered) == 1 and len(offered[0]) <= 64
    house.start_over()
    house.scenario(once(call(offered[0], word="ahoy")), rule(say("They heard.")))
    done = client.run("Tell them.", *flags, "--continue", tools="mcp__crew")
    assert (done.code, done.text) == (0, "They heard."), done.err
    assert "The crew heard ahoy." in json.dumps(house.bodies()[1]["input"])
    house.verify()
