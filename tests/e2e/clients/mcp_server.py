"""A tool server on standard input and output: one tool with a very long name that repeats what it is told."""

from __future__ import annotations

import json
import sys
from typing import Any

NAME = "repeat_to_the_whole_crew_on_deck_what_the_captain_said_this_morning"
TOOL = {
    "name": NAME,
    "description": "Repeats a word.",
    "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of one call."""
    match method:
        case "initialize":
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "crew", "version": "1"},
            }
        case "tools/list":
            return {"tools": [TOOL]}
        case "tools/call":
            return {"content": [{"type": "text", "text": f"The crew heard {params['arguments']['word']}."}]}
    return {}


def main() -> None:
    """Answers until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            result = answer(asked["method"], asked.get("params", {}))
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)


if __name__ == "__main__":
    main()
