"""Upstream bodies of a conversation with tools, one per turn; every later one extends the one before."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def tool(name: str, **fields: Any) -> dict[str, Any]:
    """A function tool."""
    schema = {"type": "object", "properties": {"path": {"type": "string", "description": "Where."}}}
    return {"type": "function", "name": name, "parameters": schema, "strict": False, **fields}


def user(text: str, **part: Any) -> dict[str, Any]:
    """A user message of one text."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text, **part}]}


def developer(text: str) -> dict[str, Any]:
    """A developer message of one text."""
    return {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": text}]}


def reasoning(number: int) -> dict[str, Any]:
    """A sealed reasoning item."""
    return {"type": "reasoning", "summary": [], "encrypted_content": f"seal{number}" * 30}


def step(number: int, *, sealed: bool = True) -> list[dict[str, Any]]:
    """What one turn adds: reasoning, a call and its output."""
    call = {"type": "function_call", "call_id": f"c{number}", "name": "Read", "arguments": '{"path":"/f"}'}
    output = {"type": "function_call_output", "call_id": f"c{number}", "output": f"line {number}\n" * 60}
    return [*([reasoning(number)] if sealed else []), call, output]


def body(turn: int, *, sealed: bool = True, **fields: Any) -> dict[str, Any]:
    """The whole body of a turn."""
    items = [user("Mend the gate. " * 40)]
    for number in range(turn):
        items += step(number, sealed=sealed)
    return {
        "model": "gpt-5.5",
        "instructions": "Be brief. " * 300,
        "input": items,
        "tools": [tool("Bash"), tool("Read"), tool("Write")],
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "key",
        **fields,
    }


def png(width: int, height: int, *, padding: int = 0) -> bytes:
    """A real PNG of one colour; `padding` adds that many bytes of an ignored chunk."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = zlib.compress(b"".join(b"\0" + b"\x7f" * width for _ in range(height)))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + (chunk(b"prVt", b"\x55" * padding) if padding else b"")
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


def data_url(content: bytes, kind: str = "image/png") -> str:
    """Bytes as a base64 data URL."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture(content: bytes, **fields: Any) -> dict[str, Any]:
    """An image part."""
    return {"type": "input_image", "image_url": data_url(content), "detail": "auto", **fields}
