"""Token figures: the upstream's usage in Anthropic's buckets, each token in exactly one.

Measured figures come from the upstream's own terminal event and from nowhere else; everything else is an
estimate and says so in `source`. Cache figures are never inferred. Missing details count as zero, because
older servers leave them out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Source = Literal["measured", "estimated", "none"]

# Bytes of text to one token, for estimates where no usage came.
BYTES_PER_TOKEN = 4

_TIERS = {"priority": "priority", "fast": "priority", "ultrafast": "priority", "scale": "priority"}


@dataclass(frozen=True, slots=True)
class Usage:
    """Totals of one answer: `total_input` includes cached and written, `output` includes reasoning.

    `writes_told`: the upstream told of what it wrote, be it 0.
    """

    total_input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    reasoning: int = 0
    source: Source = "none"
    writes_told: bool = field(default=False, compare=False)

    @property
    def fresh(self) -> int:
        """Input tokens that were neither read from nor written to the cache."""
        return self.total_input - self.cached - self.written


NONE = Usage()


def measured(usage: Any) -> Usage | None:
    """The upstream's usage object, or None where it has none. Parts never exceed their total."""
    if not isinstance(usage, dict) or not ({"input_tokens", "output_tokens"} & usage.keys()):
        return None
    total = _count(usage, "input_tokens")
    details = usage.get("input_tokens_details")
    cached = min(_count(details, "cached_tokens"), total)
    written = min(_count(details, "cache_write_tokens"), total - cached)
    writes_told = isinstance(details, dict) and "cache_write_tokens" in details
    output = _count(usage, "output_tokens")
    reasoning = min(_count(usage.get("output_tokens_details"), "reasoning_tokens"), output)
    return Usage(total, cached, written, output, reasoning, "measured", writes_told)


def estimated(total_input: int, output_bytes: int) -> Usage:
    """What an answer cost that ended without usage: the prompt's estimate and the bytes that were seen."""
    return Usage(total_input, output=-(-output_bytes // BYTES_PER_TOKEN), source="estimated")


def provisional(estimate: int, tier: str | None) -> dict[str, Any]:
    """`message_start.message.usage`: an estimate of the prompt; the truth follows in `message_delta`."""
    return {
        "input_tokens": estimate,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": None,
        "server_tool_use": None,
        "service_tier": service_tier(tier),
    }


def final(usage: Usage, web_searches: int, tier: str | None) -> dict[str, Any]:
    """`message_delta.usage`: every figure, cumulative."""
    return {
        "input_tokens": usage.fresh,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "server_tool_use": {"web_search_requests": web_searches, "web_fetch_requests": 0}
        if web_searches
        else None,
        "service_tier": service_tier(tier),
    }


def service_tier(tier: str | None) -> str:
    """Anthropic's word for the tier that served the request."""
    return _TIERS.get(tier or "", "standard")


def _count(parent: Any, key: str) -> int:
    value = parent.get(key) if isinstance(parent, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return 0
    return int(value)
