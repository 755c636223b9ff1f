"""The system prompt: which of its blocks are sent, and how.

Clients put a billing line in front of it (or behind it) whose bytes change from turn to turn; it is meant
for Anthropic and would cost the whole prompt cache, so it is dropped. A text that only quotes the line is
left alone. Where the system prompt goes is the capability's choice, and the same for every turn.
"""

from __future__ import annotations

from typing import Any

from dragoman.wire.billing import without_billing


def system_texts(system: Any) -> list[str]:
    """The texts of a system prompt in order, without the billing line and without empty ones."""
    if not system:
        return []
    texts = [system] if isinstance(system, str) else [block["text"] for block in system]
    return [text for text in map(without_billing, texts) if text]
