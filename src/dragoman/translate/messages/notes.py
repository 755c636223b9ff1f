"""Blocks that have no counterpart upstream, told in words.

Results of tools that another server ran, uploaded files, calls of MCP servers: the model should know of
them, and no client should be stranded by a block that its next version adds. The words depend on the block
alone. Sealed and binary members are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.wire import jsonio

# Block types that are accepted and told as a note, by the roles in which they may stand.
USER_NOTES = frozenset({"container_upload"})
ASSISTANT_NOTES = frozenset(
    {
        "server_tool_use",
        "mcp_tool_use",
        "mcp_tool_result",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "advisor_tool_result",
        "container_upload",
    }
)
RESULT_NOTES = frozenset({"browser_state"})
# Accepted and not shown to the model: they only speak to Anthropic's own servers.
SILENT = frozenset({"fallback", "mcp_tool_listing"})

_HIDDEN = frozenset(
    {"type", "id", "tool_use_id", "cache_control", "caller", "citations", "signature", "data"}
    | {"encrypted_content", "encrypted_index", "encrypted_stdout"}
)


def note(block: Mapping[str, Any]) -> str:
    """A block in words: its type, then what it holds; "" where nothing of it can be shown."""
    told = _shown(block)
    if not told:
        return ""
    if list(told) == ["content"] and isinstance(told["content"], str):
        return f"[{block['type']}]\n{told['content']}"
    if list(told) == ["text"]:
        return str(told["text"])
    return f"[{block['type']}] {jsonio.dump_text(told)}"


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _shown(inner) for name, inner in value.items() if name not in _HIDDEN and inner}
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    return value
