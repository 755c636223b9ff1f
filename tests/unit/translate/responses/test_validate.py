"""What the fixtures do not show of the checks: bounds, and what is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.responses import validate
from dragoman.translate.responses.validate import MOST_ITEMS, read
from dragoman.wire.errors import Refused

USER = {"role": "user", "content": "Hello."}


def test_a_sound_request_is_served_as_it_is() -> None:
    """Nothing is copied where nothing has to change."""
    request = {
        "model": "m",
        "input": [USER, {"type": "reasoning", "summary": []}, {"type": "program", "output": ["as it is"]}][
            :2
        ],
        "reasoning": {"effort": " "},
        "tools": [{"type": "anything"}],
        "tool_choice": {"type": "auto"},
    }
    assert read(request) is request


def test_too_many_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "MOST_ITEMS", 2)
    with pytest.raises(Refused, match="at most 2 items"):
        read({"model": "m", "input": [USER] * 3})
    assert MOST_ITEMS > 1000


def test_a_stored_prompt_needs_no_input() -> None:
    request: dict[str, Any] = {"model": "m", "prompt": {"id": "pmpt_1"}}
    assert read(request) is request


@pytest.mark.parametrize("name", ["background", "conversation"])
def test_what_is_not_wanted_is_not_refused(name: str) -> None:
    """A client that says no to what is not offered means what everybody gets."""
    for nothing in (None, False) if name == "background" else (None, ""):
        assert read({"model": "m", "input": "x", name: nothing})


def test_parts_that_are_nobodys_stay_for_the_upstream() -> None:
    request = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}],
    }
    part = {"type": "image_url", "image_url": "https://example.org/a.png"}
    request["messages"] = [{"role": "user", "content": [part]}]
    assert read(request)["input"] == [{"role": "user", "content": [part]}]


def test_a_part_that_is_no_object_is_refused_by_its_place() -> None:
    with pytest.raises(Refused) as refused:
        read({"model": "m", "messages": [{"role": "user", "content": ["x"]}]})
    assert refused.value.failure.param == "input.0.content.0"


def test_what_is_only_counted_needs_no_input() -> None:
    assert read({"model": "m"}, needs_input=False) == {"model": "m"}
    with pytest.raises(Refused):
        read({"model": "m"})
