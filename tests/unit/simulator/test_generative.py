"""What the simulator says when nobody told it what to say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dragoman.simulator import generative
from dragoman.simulator.models import family
from dragoman.simulator.reading import read
from dragoman.simulator.steps import Step
from dragoman.simulator.switches import Switches
from tests.support.simulated import call, output, tool, user

BASH = tool("Bash", command="string")
READ = tool("Read", file_path="string")
GLOB = tool("Glob", pattern="string")
GREP = tool("Grep", pattern="string")
WRITE = tool("Write", file_path="string", content="string")
WEATHER = tool("get_weather", city="string")
SEARCH = {"type": "web_search"}
CLAUDE = [WRITE, BASH, READ, GLOB, GREP]


def composed(*items: dict[str, Any], model: str = "gpt-5.5", **more: Any) -> tuple[Step, ...]:
    switches = Switches(**more.pop("switches", {}))
    body = {"model": model, "input": list(items), **more}
    known = family(model)
    assert known is not None
    return generative.compose(body, read(body, list(items)), known, switches)


def spoken(steps: tuple[Step, ...]) -> str:
    assert steps[-1].kind == "message"
    return steps[-1].text()


def called(steps: tuple[Step, ...]) -> tuple[str, dict[str, Any]]:
    assert steps[-1].kind == "function_call"
    return steps[-1].args["name"], json.loads(steps[-1].text())


def test_a_plain_prompt_is_reflected() -> None:
    steps = composed(user("What is the capital of France?"))
    assert [step.kind for step in steps] == ["reasoning", "message"]
    assert "What is the capital of France?" in spoken(steps)
    assert steps[-1].args["phase"] == "final_answer"
    assert len(spoken(composed(user("word " * 500)))) < 300
    assert "(nothing)" in spoken(composed())


def test_the_same_request_gets_the_same_answer() -> None:
    assert composed(user("hello"), tools=CLAUDE) == composed(user("hello"), tools=CLAUDE)


def test_without_effort_or_ability_there_is_no_reasoning() -> None:
    assert [step.kind for step in composed(user("a"), reasoning={"effort": "none"})] == ["message"]
    steps = composed(user("a"), model="gpt-4.1")
    assert [step.kind for step in steps] == ["message"]
    assert "phase" not in steps[0].args


@pytest.mark.parametrize(
    ("words", "name", "arguments"),
    [
        ("Run the command `echo hello world`", "Bash", {"command": "echo hello world"}),
        ("please run echo hi there", "Bash", {"command": "echo hi there"}),
        ("list the files here", "Glob", {"pattern": "*"}),
        ("What is in this directory?", "Bash", {"command": "ls"}),
        ("run `rm -rf /` now", "Bash", {"command": "echo simulated"}),
        ("execute pwd", "Bash", {"command": "pwd"}),
        ("Read the file /tmp/notes.txt", "Read", {"file_path": "/tmp/notes.txt"}),
        ("show me src/main.py", "Read", {"file_path": "src/main.py"}),
        ("open the file please", "Read", {"file_path": "README.md"}),
        ("find all files matching '*.py'", "Glob", {"pattern": "*.py"}),
        ("search for 'needle' in the code", "Grep", {"pattern": "needle"}),
    ],
)
def test_a_task_for_a_tool_becomes_a_harmless_call(words: str, name: str, arguments: dict[str, Any]) -> None:
    assert called(composed(user(words), tools=CLAUDE)) == (name, arguments)


@pytest.mark.parametrize("words", ["Hello!", "Write a poem about the sea", "Explain recursion to me"])
def test_other_words_get_words(words: str) -> None:
    assert composed(user(words), tools=CLAUDE)[-1].kind == "message"


def test_a_tool_is_found_by_its_name_or_a_word_of_it() -> None:
    assert called(composed(user("What's the weather in Paris?"), tools=[WEATHER])) == (
        "get_weather",
        {"city": "Paris"},
    )
    assert called(composed(user("use get_weather"), tools=[WEATHER]))[0] == "get_weather"
    assert (
        composed(user("delete everything with delete_things"), tools=[tool("delete_things")])[-1].kind
        == "message"
    )
    assert composed(user("write it"), tools=[tool("WriteFile")])[-1].kind == "message"


def test_a_client_that_waits_for_structured_output_gets_it_once() -> None:
    wanted = tool("StructuredOutput", answer="string")
    assert called(composed(user("Hello"), tools=[*CLAUDE, wanted])) == (
        "StructuredOutput",
        {"answer": "Hello"},
    )
    after = composed(user("Hello"), call("c", "StructuredOutput"), output("c"), tools=[wanted])
    assert after[-1].kind == "message"


def test_after_the_tool_has_answered_the_turn_ends() -> None:
    steps = composed(user("run ls"), call("c", "Bash"), output("c", "a.txt\nb.txt"), tools=CLAUDE)
    assert spoken(steps) == "Done. The tool answered: a.txt b.txt"
    assert "(empty)" in spoken(composed(user("run ls"), call("c"), output("c", ""), tools=CLAUDE))


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ("none", "message"),
        ("required", "function_call"),
        ({"type": "function", "name": "Read"}, "function_call"),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "Glob"}]},
            "function_call",
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "Glob"}]},
            "message",
        ),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, "message"),
    ],
)
def test_a_tool_choice_is_obeyed(choice: Any, kind: str) -> None:
    steps = composed(user("Hello there"), tools=CLAUDE, tool_choice=choice)
    assert steps[-1].kind == kind
    if isinstance(choice, dict) and kind == "function_call":
        named = choice.get("name") or choice["tools"][0]["name"]
        assert called(steps)[0] == named


def test_arguments_fit_the_schema_of_the_tool() -> None:
    schema = {
        "type": "object",
        "properties": {
            "command": {"type": "array", "items": {"type": "string"}},
            "path": {"type": "string", "enum": ["a", "b"]},
            "count": {"type": "integer", "minimum": 4},
            "query": {"type": "string"},
            "note": {"type": "string"},
        },
        "required": ["command", "path", "count", "query"],
    }
    shell = {"type": "function", "name": "shell", "parameters": schema, "strict": False}
    name, arguments = called(composed(user('run "ls -la" in the shell'), tools=[shell]))
    Draft202012Validator(schema).validate(arguments)
    assert (name, arguments["command"], arguments["path"]) == ("shell", ["ls", "-la"], "a")
    empty = {"type": "function", "name": "current_time", "parameters": None, "strict": False}
    assert called(composed(user("what time is it"), tools=[empty])) == ("current_time", {})


def test_custom_tools_and_namespaces() -> None:
    custom = {"type": "custom", "name": "calculator"}
    steps = composed(user("use the calculator"), tools=[custom])
    assert (steps[-1].kind, steps[-1].args["name"]) == ("custom_tool_call", "calculator")
    space = {"type": "namespace", "name": "geo", "description": "", "tools": [WEATHER]}
    assert composed(user("the weather?"), tools=[space])[-1].args["namespace"] == "geo"


def test_the_probability_of_a_call_can_be_set() -> None:
    plain = [user(f"thought number {number}") for number in range(60)]
    for probability, least, most in ((0.0, 0, 0), (0.5, 10, 50), (1.0, 60, 60)):
        switches = {"tool_probability": probability}
        kinds = [composed(item, tools=[WRITE, BASH], switches=switches)[-1].kind for item in plain]
        assert least <= kinds.count("function_call") <= most
    only_write = composed(plain[0], tools=[WRITE], switches={"tool_probability": 1.0})
    assert only_write[-1].kind == "message"


def test_the_length_of_a_reply_can_be_set() -> None:
    lengths = {
        len(spoken(composed(user(f"go {n}"), switches={"reply_words": 50})).split()) for n in range(30)
    }
    assert len(lengths) > 5
    assert max(lengths) <= 50
    assert spoken(composed(user("!"), switches={"reply_words": 5})).startswith("word")


@pytest.mark.parametrize(
    ("words", "more", "searches"),
    [
        ("hello", {"tools": [SEARCH]}, True),
        ("what is the latest news", {"tools": [SEARCH, BASH]}, True),
        ("hello", {"tools": [SEARCH, BASH]}, False),
        ("hello", {"tools": [SEARCH, BASH], "tool_choice": {"type": "web_search_preview"}}, True),
        ("hello", {"tools": [SEARCH], "tool_choice": "none"}, False),
        ("hello", {"tools": [SEARCH], "tool_choice": "required"}, True),
    ],
)
def test_a_web_search_where_it_is_asked_for(words: str, more: dict[str, Any], searches: bool) -> None:
    steps = composed(user(words), **more)
    assert ("web_search" in [step.kind for step in steps]) is searches
    if searches:
        note = steps[-1].args["annotations"][0]
        assert note["text"] in steps[-1].text()
        assert note["url"] in steps[-2].args["sources"]


def test_a_web_search_of_a_model_that_does_not_reason_has_no_phase() -> None:
    assert "phase" not in composed(user("news"), model="gpt-4.1", tools=[SEARCH])[-1].args


def test_formats_are_satisfied() -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}, "isNew": {"type": "boolean"}}}
    shape = {"type": "json_schema", "name": "output", "schema": schema}
    title = json.loads(spoken(composed(user("Fix the login page"), text={"format": shape})))
    assert title == {"title": "Fix the login page", "isNew": False}
    assert json.loads(spoken(composed(user("x"), text={"format": {"type": "json_object"}}))) == {
        "answer": "x"
    }


def test_a_request_for_a_summary_gets_one_and_no_call() -> None:
    words = (
        "Please create a detailed summary of the conversation so far. "
        + "Mind every file that was read. " * 20
    )
    steps = composed(user(words), tools=CLAUDE)
    assert "<summary>" in spoken(steps)


def test_a_compaction_trigger_is_answered_with_a_compaction() -> None:
    assert composed(user("a"), {"type": "compaction_trigger"})[0].kind == "compaction"
