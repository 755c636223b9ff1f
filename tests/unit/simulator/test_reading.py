"""Reading a request the way a model would."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator.reading import part_texts, read, tool_names
from tests.support.simulated import assistant, call, output, tool, user

REMINDER = "<system-reminder>\nnotes\n</system-reminder>"


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([user("hello ")], "hello"),
        ([user("first"), assistant("a"), user("second")], "second"),
        (
            [{"role": "user", "content": [*user(REMINDER)["content"], *user("the prompt")["content"]]}],
            "the prompt",
        ),
        ([user("the prompt"), user(REMINDER)], "the prompt"),
        ([user("the prompt"), {"role": "developer", "content": "news"}], "the prompt"),
        ([user("the prompt"), call("c"), output("c")], "the prompt"),
        ([{"role": "user", "content": "plain"}], "plain"),
        ([{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}], ""),
        ([user(REMINDER)], ""),
        ([], ""),
    ],
)
def test_what_the_user_last_said(items: list[dict[str, Any]], said: str) -> None:
    assert read({}, items).user == said


@pytest.mark.parametrize(
    ("items", "outputs"),
    [
        ([user("a"), call("c"), output("c", "one")], ["one"]),
        ([call("c"), call("d"), output("d", "two"), output("c", "one"), user(REMINDER)], ["two", "one"]),
        ([call("c"), output("c", [{"type": "input_text", "text": "x"}, {"type": "input_image"}])], ["x"]),
        ([call("c"), output("c"), assistant("done"), user("next")], []),
        ([user("a")], []),
    ],
)
def test_tool_outputs_since_the_model_last_spoke(items: list[dict[str, Any]], outputs: list[str]) -> None:
    found = read({}, items)
    assert found.outputs == outputs
    assert found.after_tool is bool(outputs)


def test_tools_on_offer_also_those_added_later() -> None:
    added = {"type": "additional_tools", "role": "developer", "tools": [tool("Late")]}
    space = {"type": "namespace", "name": "ns", "description": "", "tools": [tool("Inner")]}
    found = read({"tools": [tool("Early"), {"type": "web_search"}, space]}, [user("a"), added])
    assert tool_names(found) == {"Early", "Late", "Inner", "web_search", "namespace"}


def test_a_compaction_trigger_is_seen() -> None:
    assert read({}, [user("a"), {"type": "compaction_trigger"}]).compaction
    assert not read({}, []).compaction


def test_texts_of_odd_contents() -> None:
    assert part_texts(None) == []
    assert part_texts([{"type": "input_text", "text": "a"}, "b"]) == ["a"]
