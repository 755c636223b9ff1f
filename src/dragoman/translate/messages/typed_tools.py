"""The client-side tools that Anthropic defines by type: bash, text editor, memory, computer.

The client executes them, so for the upstream they are functions; the schemas are those that Anthropic
publishes for each dated type, in our own words. Tools that a server would have to execute are not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Tool = Mapping[str, Any]


def _schema(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _integers(description: str, count: int) -> dict[str, Any]:
    items = {"type": "integer"}
    return {
        "type": "array",
        "items": items,
        "minItems": count,
        "maxItems": count,
        "description": description,
    }


def _bash(tool: Tool) -> tuple[str, dict[str, Any]]:
    restart = {"type": "boolean", "description": "Start the session afresh instead of running a command."}
    return (
        "Run a command in a bash session that keeps its state between calls.",
        _schema({"command": _text("The command to run."), "restart": restart}),
    )


def _editor(commands: list[str], inserted: str) -> Callable[[Tool], tuple[str, dict[str, Any]]]:
    properties: dict[str, Any] = {
        "command": {"type": "string", "enum": commands, "description": "What to do."},
        "path": _text("Absolute path of the file or directory."),
        "file_text": _text("For create: the whole content of the new file."),
        "old_str": _text("For str_replace: the text to replace; it must occur exactly once."),
        "new_str": _text("For str_replace: the text to put in its place."),
        "insert_line": {
            "type": "integer",
            "description": "For insert: the line after which to insert, 0 for the top.",
        },
        "view_range": _integers("For view of a file: first and last line, counted from 1; -1 is the end.", 2),
    }
    if inserted != "new_str":
        properties[inserted] = _text("For insert: the text to insert.")
    else:
        properties["new_str"] = _text("For str_replace and insert: the new text.")
    schema = _schema(properties, "command", "path")

    def describe(tool: Tool) -> tuple[str, dict[str, Any]]:
        limit = tool.get("max_characters")
        told = f" Long files are shown up to {limit} characters." if isinstance(limit, int) else ""
        return f"View, create and edit text files.{told}", schema

    return describe


def _memory(tool: Tool) -> tuple[str, dict[str, Any]]:
    commands = ["view", "create", "str_replace", "insert", "delete", "rename"]
    return (
        "Keep notes in files under /memories that outlast this conversation. View the directory first.",
        _schema(
            {
                "command": {"type": "string", "enum": commands, "description": "What to do."},
                "path": _text("Path under /memories; for rename use old_path and new_path."),
                "view_range": _integers("For view of a file: first and last line, counted from 1.", 2),
                "file_text": _text("For create: the whole content of the file."),
                "old_str": _text("For str_replace: the text to replace; it must occur exactly once."),
                "new_str": _text("For str_replace: the text to put in its place."),
                "insert_line": {"type": "integer", "description": "For insert: the line after which."},
                "insert_text": _text("For insert: the text to insert."),
                "old_path": _text("For rename: the present path."),
                "new_path": _text("For rename: the future path."),
            },
            "command",
        ),
    )


_ACTIONS = ["key", "type", "mouse_move", "left_click", "left_click_drag", "right_click", "middle_click"]
_ACTIONS += ["double_click", "screenshot", "cursor_position"]
_MORE_ACTIONS = ["left_mouse_down", "left_mouse_up", "scroll", "hold_key", "wait", "triple_click"]


def _computer(version: int) -> Callable[[Tool], tuple[str, dict[str, Any]]]:
    def describe(tool: Tool) -> tuple[str, dict[str, Any]]:
        zoom = version >= 3 and tool.get("enable_zoom") is True
        actions = [*_ACTIONS, *(_MORE_ACTIONS if version >= 2 else []), *(["zoom"] if zoom else [])]
        properties: dict[str, Any] = {
            "action": {"type": "string", "enum": actions, "description": "What to do."},
            "text": _text("For type: the text. For key and hold_key: the keys, as in ctrl+s."),
            "coordinate": _integers("Pixels from the left and from the top.", 2),
        }
        if version >= 2:
            directions = ["up", "down", "left", "right"]
            properties["start_coordinate"] = _integers("For left_click_drag: where the drag begins.", 2)
            properties["scroll_direction"] = {"type": "string", "enum": directions}
            properties["scroll_amount"] = {"type": "integer", "description": "Clicks of the wheel."}
            properties["duration"] = {"type": "number", "description": "For hold_key and wait: seconds."}
        if zoom:
            properties["region"] = _integers("For zoom: left, top, right and bottom in pixels.", 4)
        size = f"{tool.get('display_width_px')}x{tool.get('display_height_px')}"
        told = f"Use a computer with a {size} pixel screen: look at screenshots, move the mouse, type."
        return told, _schema(properties, "action")

    return describe


_VIEWS = ["view", "create", "str_replace", "insert"]

# Dated type -> (description, schema) for one tool entry.
CLIENT_SIDE: dict[str, Callable[[Tool], tuple[str, dict[str, Any]]]] = {
    "bash_20241022": _bash,
    "bash_20250124": _bash,
    "text_editor_20241022": _editor([*_VIEWS, "undo_edit"], "new_str"),
    "text_editor_20250124": _editor([*_VIEWS, "undo_edit"], "new_str"),
    "text_editor_20250429": _editor(_VIEWS, "new_str"),
    "text_editor_20250728": _editor(_VIEWS, "insert_text"),
    "memory_20250818": _memory,
    "computer_20241022": _computer(1),
    "computer_20250124": _computer(2),
    "computer_20251124": _computer(3),
}

_NEWEST = {
    "bash_": "bash_20250124",
    "text_editor_": "text_editor_20250728",
    "memory_": "memory_20250818",
    "computer_2": "computer_20251124",
}


def client_side(kind: str) -> Callable[[Tool], tuple[str, dict[str, Any]]] | None:
    """The description of a typed tool; a newer date of a known family is taken for the newest known one."""
    found = CLIENT_SIDE.get(kind)
    if found is None:
        for prefix, newest in _NEWEST.items():
            if kind.startswith(prefix):
                return CLIENT_SIDE[newest]
    return found
