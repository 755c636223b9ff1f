"""A conversation shaped as Claude Code sends it, turn by turn: what is cosmetic changes, what is said stays.

The cache mark moves to the newest message, the message that carried it flips from a list to a string, and
the billing line differs in every request. All texts are invented.
"""

from __future__ import annotations

from typing import Any

SESSION = "0b6f2a0e-58a3-4f0b-9c55-4a3f2a6f1c01"
OTHER_SESSION = "7d1e4c52-0f7b-4c1d-8a49-11b2c3d4e5f6"
MARK = {"cache_control": {"type": "ephemeral"}}
TOOLS = [
    {"name": name, "description": f"{name} things.", "input_schema": {"type": "object", "properties": {}}}
    for name in ("Bash", "Read", "Write")
]
SEARCH = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}]


def headers(session: str = SESSION, agent: str | None = None) -> dict[str, str]:
    """Request headers of the client."""
    sent = {"x-claude-code-session-id": session, "user-agent": "claude-cli/2.1.330 (external, cli)"}
    return sent if agent is None else sent | {"x-claude-code-agent-id": agent}


def user_id(session: str = SESSION) -> str:
    """`metadata.user_id` as newer clients write it."""
    return f'{{"device_id":"{"d" * 64}","account_uuid":"","session_id":"{session}"}}'


def system(turn: int, *, subagent: bool = False) -> list[dict[str, Any]]:
    """The system blocks: billing line, who is asked, and the long text."""
    flag = " cc_is_subagent=true;" if subagent else ""
    billing = f"x-anthropic-billing-header: cc_version=2.1.330.{turn:03x};{flag} cch={turn:05x};"
    return [
        {"type": "text", "text": billing},
        {"type": "text", "text": "You help with code.", **MARK},
        {"type": "text", "text": "Be brief. " * 200, **MARK},
    ]


def said(turn: int) -> list[dict[str, Any]]:
    """What turn `turn` adds: the model's call and its result, or the first prompt."""
    if turn == 0:
        reminder = {"type": "text", "text": "<system-reminder>Mind the house rules.</system-reminder>"}
        return [{"role": "user", "content": [reminder, {"type": "text", "text": "Mend the gate."}]}]
    call = {"type": "tool_use", "id": f"call_{turn}", "name": "Read", "input": {"file_path": f"/f{turn}"}}
    result = {"type": "tool_result", "tool_use_id": f"call_{turn}", "content": f"line {turn}\n" * 40}
    more = [{"role": "system", "content": "A note from the client."}] if turn % 3 == 0 else []
    return [
        {"role": "assistant", "content": [{"type": "text", "text": f"Looking at {turn}."}, call]},
        {"role": "user", "content": [result]},
        *more,
    ]


def request(turn: int, **fields: Any) -> dict[str, Any]:
    """The whole request of a turn, the newest message marked and every older one spelled without mark."""
    messages = [message for number in range(turn + 1) for message in said(number)]
    *older, newest = messages
    content = newest["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    blocks[-1] = {**blocks[-1], **MARK}
    return {
        "model": "claude-opus-5-5",
        "messages": [*older, {**newest, "content": blocks}],
        "system": system(turn),
        "tools": TOOLS,
        "metadata": {"user_id": user_id()},
        "max_tokens": 32000,
        "stream": True,
        **fields,
    }
