"""What doctor asks to see an answer arrive, and how the demo's simulator answers it. Constants only."""

from __future__ import annotations

from typing import Any

QUESTION = "dragoman doctor: count from 1 to 80, one number a line, and say nothing else."
# The demo's simulator answers in no time; at this question it takes its time, so that a proxy shows.
DEMO_RULES: list[dict[str, Any]] = [
    {
        "name": "doctor",
        "match": {"user": "^dragoman doctor: count"},
        "steps": [{"message": {"text": "\n".join(map(str, range(1, 81))), "chunks": 20}}],
        "pace": {"per_chunk_ms": 50},
    }
]
