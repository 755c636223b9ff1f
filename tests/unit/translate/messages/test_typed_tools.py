"""Anthropic's client-side tools as functions."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dragoman.translate.messages.typed_tools import CLIENT_SIDE, client_side

# What the clients' own tool runners read, per type: an example of every command.
CALLS: dict[str, list[dict[str, Any]]] = {
    "bash_20250124": [{"command": "ls"}, {"restart": True}],
    "text_editor_20250728": [
        {"command": "view", "path": "/a", "view_range": [1, -1]},
        {"command": "insert", "path": "/a", "insert_line": 0, "insert_text": "x"},
    ],
    "text_editor_20241022": [{"command": "undo_edit", "path": "/a"}],
    "memory_20250818": [
        {"command": "view", "path": "/memories"},
        {"command": "rename", "old_path": "/memories/a", "new_path": "/memories/b"},
    ],
    "computer_20251124": [
        {"action": "scroll", "coordinate": [1, 2], "scroll_direction": "down", "scroll_amount": 3}
    ],
}


@pytest.mark.parametrize("kind", CLIENT_SIDE)
def test_every_typed_tool_has_a_real_schema(kind: str) -> None:
    """Never an empty one: the model must know what to send. B46, D10"""
    description, schema = CLIENT_SIDE[kind]({"type": kind, "display_width_px": 800, "display_height_px": 600})
    Draft202012Validator.check_schema(schema)
    assert description and schema["properties"]
    for call in CALLS.get(kind, []):
        Draft202012Validator(schema).validate(call)


def test_what_a_tool_says_of_itself_is_told() -> None:
    """B46"""
    size = {"display_width_px": 1024, "display_height_px": 768}
    assert "1024x768" in CLIENT_SIDE["computer_20241022"](size)[0]
    assert "9000" in CLIENT_SIDE["text_editor_20250728"]({"max_characters": 9000})[0]
    zoom = CLIENT_SIDE["computer_20251124"]({**size, "enable_zoom": True})[1]
    assert "zoom" in zoom["properties"]["action"]["enum"]
    assert (
        "zoom"
        not in CLIENT_SIDE["computer_20250124"]({**size, "enable_zoom": True})[1]["properties"]["action"][
            "enum"
        ]
    )


def test_a_later_date_is_taken_for_the_newest_known_one() -> None:
    """Clients run ahead of this table."""
    assert client_side("bash_20990101") is CLIENT_SIDE["bash_20250124"]
    assert client_side("computer_20990101") is CLIENT_SIDE["computer_20251124"]
    for kind in ("computer_toolset_20260801", "web_search_20250305", "hologram"):
        assert client_side(kind) is None
