"""Blocks of other servers in words."""

from __future__ import annotations

from dragoman.translate.messages.notes import note


def test_a_note_tells_what_can_be_read() -> None:
    """behaviours C6"""
    assert note({"type": "server_tool_use", "id": "s", "name": "code_execution", "input": {"code": "1"}}) == (
        '[server_tool_use] {"name":"code_execution","input":{"code":"1"}}'
    )
    assert note({"type": "mcp_tool_result", "tool_use_id": "m", "content": "hi"}) == "[mcp_tool_result]\nhi"
    assert note({"type": "hologram", "text": "A shape."}) == "A shape."


def test_sealed_and_binary_members_are_left_out() -> None:
    told = note(
        {
            "type": "web_fetch_tool_result",
            "content": [{"source": {"data": "QUFB", "media_type": "x"}, "encrypted_content": "zzz"}, "plain"],
        }
    )
    assert told == '[web_fetch_tool_result] {"content":[{"source":{"media_type":"x"}},"plain"]}'
    assert note({"type": "pulse", "data": "QUFB", "id": "x"}) == ""
