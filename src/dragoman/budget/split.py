"""How a request's cost is made up, what the prompt cache saved of it, and what a miss added.

It takes a price and the tokens that were used, and says nothing of which price was in force when. Money is
whole pico-USD, so that the parts add up to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dragoman.budget.pricing import Consumption, Price, rates_of

PartName = Literal["fresh", "cached", "written", "output", "reasoning"]


@dataclass(frozen=True, slots=True)
class Part:
    """So many tokens at one rate in pico-USD per token."""

    tokens: int
    rate: int

    @property
    def pico(self) -> int:
        return self.tokens * self.rate


@dataclass(frozen=True, slots=True)
class Split:
    """The parts of a cost: input read anew, from the cache, and stored in it; answer and reasoning."""

    fresh: Part
    cached: Part
    written: Part
    output: Part
    reasoning: Part

    @property
    def parts(self) -> dict[PartName, Part]:
        """By name, in the order of a bill."""
        return {
            "fresh": self.fresh,
            "cached": self.cached,
            "written": self.written,
            "output": self.output,
            "reasoning": self.reasoning,
        }

    @property
    def saved(self) -> int:
        """What the cache took off in pico-USD; below zero where storing cost more than reading saved."""
        read = self.cached.tokens * (self.fresh.rate - self.cached.rate)
        return read - self.written.tokens * (self.written.rate - self.fresh.rate)

    def miss(self, tokens: int) -> int:
        """What so many tokens cost more than they would have, read from the cache, in pico-USD.

        Those that were stored come first: what is missing is stored anew.
        """
        stored = min(max(0, tokens), self.written.tokens)
        anew = min(max(0, tokens) - stored, self.fresh.tokens)
        return stored * (self.written.rate - self.cached.rate) + anew * (self.fresh.rate - self.cached.rate)


def split(price: Price, used: Consumption, reasoning_tokens: int = 0, tier: str | None = None) -> Split:
    """The parts that `pricing.cost` adds up. Figures that contradict each other are cut as there."""
    total = max(0, used.input_tokens)
    cached = min(total, max(0, used.cached_tokens))
    written = min(total - cached, max(0, used.written_tokens))
    output = max(0, used.output_tokens)
    reasoning = min(output, max(0, reasoning_tokens))
    rates = rates_of(price, total, tier)
    return Split(
        Part(total - cached - written, rates.input),
        Part(cached, rates.cached),
        Part(written, rates.written),
        Part(output - reasoning, rates.output),
        Part(reasoning, rates.output),
    )
