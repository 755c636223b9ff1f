"""What travels to clients of OpenAI's Chat Completions, where a type helps: the usage.

Follows OpenAI's public description. Requests are not modelled: what is read is checked.
"""

from __future__ import annotations

from typing import TypedDict


class Usage(TypedDict):
    """Prompt tokens include cached ones, completion tokens include reasoning."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int]
    completion_tokens_details: dict[str, int]
