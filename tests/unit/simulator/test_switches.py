"""The switches."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator.switches import NAMES, InvalidSwitch, Switches, change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("speed", 0),
        ("speed", 2.5),
        ("strict_keys", True),
        ("machines", 3),
        ("floor", "none"),
        ("max_tool_name", 128),
        ("machine_down", [1, 2]),
        ("session_header", ["session-id"]),
        ("windows", {"gpt-5.5": 1000}),
    ],
)
def test_takes_values_of_the_right_kind(name: str, value: Any) -> None:
    switches = Switches()
    change(switches, {name: value})
    assert getattr(switches, name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("speed", -1),
        ("speed", True),
        ("speed", "fast"),
        ("strict_keys", 1),
        ("machines", 1.5),
        ("machines", -1),
        ("floor", "roof"),
        ("max_tool_name", 65),
        ("max_tool_name", True),
        ("machine_down", [True]),
        ("machine_down", 3),
        ("session_header", [1]),
        ("windows", {"gpt-5.5": "big"}),
        ("windows", []),
    ],
)
def test_refuses_other_values_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidSwitch, match=name):
        change(Switches(), {name: value})


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidSwitch, match="speed"):
        change(Switches(), {"sped": 1})


def test_all_or_nothing() -> None:
    switches = Switches()
    with pytest.raises(InvalidSwitch):
        change(switches, {"speed": 0, "floor": "roof"})
    assert switches == Switches()


def test_every_switch_is_documented() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in page] == []
