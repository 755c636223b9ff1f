"""Calls that the upstream made to the client's MCP servers, as Anthropic's blocks.

Only servers that this very request named are shown; a call of any other is counted and hidden. The call
and its result come together, when the upstream has both. The client runs nothing of it.
"""

from __future__ import annotations

from typing import Any

from dragoman.translate.messages.items import Whole
from dragoman.translate.messages.outcome import tally
from dragoman.wire import jsonio


class ServerCall(Whole):
    """A call of an MCP server that the upstream made, and its result."""

    kind = "mcp_call"
    __slots__ = ()

    def close(self) -> None:
        item = self.item
        if item is not None:
            label, called = item.get("server_label"), item.get("name")
            server = self.context.plan.mcp_servers.get(label) if isinstance(label, str) else None
            if server is None or not isinstance(called, str):
                tally(self.outcome.hidden, self.kind)
            else:
                self._write(server, called, item)
        super().close()

    def _write(self, server: str, called: str, item: dict[str, Any]) -> None:
        outcome = self.outcome
        outcome.server_calls += 1
        anchor = "".join(filter(str.isalnum, self.context.message_id))[-40:]
        call_id = f"mcptoolu_{anchor}_{outcome.server_calls}"
        start = {"type": "mcp_tool_use", "id": call_id, "name": called, "server_name": server, "input": {}}
        self.blocks.start(start)
        self.blocks.delta({"type": "input_json_delta", "partial_json": _arguments(item.get("arguments"))})
        self.blocks.stop()
        fault = _fault(item)
        text = fault if fault is not None else item.get("output")
        content = [{"type": "text", "text": text}] if isinstance(text, str) and text else []
        result = {"type": "mcp_tool_result", "tool_use_id": call_id, "is_error": fault is not None}
        self.blocks.start({**result, "content": content})
        self.blocks.stop()
        outcome.spoke = True


def _arguments(raw: Any) -> str:
    """The arguments as a JSON object; what is none would break the client's own parsing."""
    if isinstance(raw, str):
        try:
            if isinstance(jsonio.parse(raw.encode("utf-8", "surrogatepass")), dict):
                return raw
        except jsonio.InvalidJson:
            pass
    return "{}"


def _fault(item: dict[str, Any]) -> str | None:
    """Why a call failed, in words; None for one that did not."""
    error = item.get("error")
    if isinstance(error, str) and error:
        return error
    if isinstance(error, dict):
        message = error.get("message") or error.get("content")
        return message if isinstance(message, str) else jsonio.dump_text(error)
    return "The call failed." if item.get("status") in ("failed", "incomplete") else None
