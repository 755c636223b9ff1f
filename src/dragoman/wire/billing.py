"""The billing line that Claude Code puts in front of its system prompt, or behind it.

It is addressed to Anthropic, and its bytes differ from request to request: left in place it would cost the
whole prompt cache and change every key that is derived from the prompt. A text that only quotes the line
somewhere inside is left alone.
"""

from __future__ import annotations

NAME = "x-anthropic-billing-header:"


def without_billing(text: str) -> str:
    """The text without a billing line at its very beginning or end."""
    if text.startswith(NAME):
        text = text.partition("\n")[2]
    head, _, last = text.rpartition("\n")
    return head if last.startswith(NAME) else text


def billing_line(text: str) -> str:
    """The billing line that a text begins with, else an empty string."""
    return text.partition("\n")[0] if text.startswith(NAME) else ""
