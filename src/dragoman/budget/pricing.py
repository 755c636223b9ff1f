"""What a request costs: rates per token, long requests, service tiers, and prices that users set.

It decides how a price is written in the configuration and the database, and how tokens become money. It never
guesses: a model without a price costs an unknown amount, which is None and never zero. The catalogue of
vendors' prices comes in as a port.

Money is whole nano-USD, a rate whole pico-USD per token, which is USD per million tokens times 10**6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Protocol

from dragoman.budget.reading import bare, needed, present, scaled, whole

TIERS = ("flex", "priority")
# Other words of upstreams for a tier.
_SPELLED = {"fast": "priority"}
_RATES = ("input", "cached", "written", "output")
_GROUPS = ("", "long_", *(f"{tier}_{long}" for tier in TIERS for long in ("", "long_")))
_KEYS = ("long_from", *(f"{group}{rate}" for group in _GROUPS for rate in _RATES))
_RATE_DIGITS = 6
_MOST_USD = 1_000_000
_MOST_TOKENS = 10**12


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-USD per token: of plain input, input read from the cache, input written to it, and output."""

    input: int
    cached: int
    written: int
    output: int


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs.

    long        rates of the whole request when its total input is more than `long_from` tokens
    tiers       rates per service tier
    source      where the price is from: `catalogue`, `config`, `database`
    long_tiers  rates per tier of a long request; a tier without costs the same at any length
    """

    base: Rates
    long: Rates | None = None
    long_from: int | None = None
    tiers: Mapping[str, Rates] = field(default_factory=dict, hash=False)
    source: str = "catalogue"
    long_tiers: Mapping[str, Rates] = field(default_factory=dict, hash=False)


class Consumption(NamedTuple):
    """Tokens of one request. Input is all of it, cached and written included; output has the reasoning."""

    input_tokens: int
    cached_tokens: int
    written_tokens: int
    output_tokens: int


class PriceList(Protocol):
    """A catalogue of vendors' prices; None for a model that it does not know."""

    def price(self, model: str) -> Price | None:
        """The price of an upstream model."""

    def anthropic(self, model: str) -> Price | None:
        """The price of a model of Anthropic's."""


def cost(price: Price, used: Consumption, tier: str | None = None) -> int:
    """Nano-USD, half a one rounded up. A tier that the price does not know costs like none.

    Figures that contradict each other are cut to what can be: the parts of the input never exceed it.
    """
    total = max(0, used.input_tokens)
    cached = min(total, max(0, used.cached_tokens))
    written = min(total - cached, max(0, used.written_tokens))
    rates = rates_of(price, total, tier)
    pico = (total - cached - written) * rates.input + cached * rates.cached + written * rates.written
    return (pico + max(0, used.output_tokens) * rates.output + 500) // 1000


def rates_of(price: Price, total: int, tier: str | None = None) -> Rates:
    """The rates that count for a request with so much input at a service tier."""
    long = price.long_from is not None and total > price.long_from
    if tier is not None:
        tier = _SPELLED.get(tier, tier)
        chosen = price.long_tiers.get(tier) if long else None
        chosen = chosen or price.tiers.get(tier)
        if chosen is not None:
            return chosen
    return price.long if long and price.long is not None else price.base


def parse_price(name: str, table: Mapping[str, Any], source: str = "config") -> Price:
    """Reads a price in USD per million tokens; `name` is the model's, a glob perhaps.

    Keys: `input`, `cached`, `written`, `output`, the same after `long_`, `flex_`, `flex_long_`, `priority_`
    and `priority_long_`, and `long_from` in tokens. `cached` and `written` default to their group's `input`.
    Raises ValueError with the path, `prices.<name>.<key>: …`.
    """
    path = f"prices.{name}"
    table = present(path, table, _KEYS)
    groups = {
        group: _group(path, table, group)
        for group in _GROUPS
        if not group or any(f"{group}{rate}" in table for rate in _RATES)
    }
    long_from = None
    if any(group.endswith("long_") for group in groups):
        needed(path, table, ("long_from",))
    if "long_from" in table:
        needed(path, table, ("long_input", "long_output"))
        long_from = whole(f"{path}.long_from", table["long_from"], " of tokens", _MOST_TOKENS)
    tiers, long_tiers = {}, {}
    for tier in TIERS:
        if (rates := groups.get(f"{tier}_")) is not None:
            tiers[tier] = rates
        if (rates := groups.get(f"{tier}_long_")) is not None:
            needed(path, table, (f"{tier}_input", f"{tier}_output"))
            long_tiers[tier] = rates
    return Price(groups[""], groups.get("long_"), long_from, tiers, source, long_tiers)


def _group(path: str, table: Mapping[str, Any], group: str) -> Rates:
    """The four rates whose keys begin with `group`."""
    needed(path, table, (f"{group}input", f"{group}output"))
    read = {rate: _rate(path, table, f"{group}{rate}") for rate in _RATES if f"{group}{rate}" in table}
    return Rates(**({"cached": read["input"], "written": read["input"]} | read))


def _rate(path: str, table: Mapping[str, Any], key: str) -> int:
    return scaled(f"{path}.{key}", table[key], " of USD per million tokens", _MOST_USD, _RATE_DIGITS)


def price_table(price: Price) -> dict[str, Any]:
    """The form that `parse_price` reads, with every rate spelled out."""
    table = _spelled("", price.base)
    if price.long_from is not None:
        table["long_from"] = price.long_from
    if price.long is not None:
        table |= _spelled("long_", price.long)
    for tier, rates in price.tiers.items():
        table |= _spelled(f"{tier}_", rates)
    for tier, rates in price.long_tiers.items():
        table |= _spelled(f"{tier}_long_", rates)
    return table


def _spelled(group: str, rates: Rates) -> dict[str, Any]:
    return {f"{group}{rate}": getattr(rates, rate) / 10**_RATE_DIGITS for rate in _RATES}


def find(prices: Mapping[str, Price], model: str) -> Price | None:
    """The price under a model's own name, else under the first key that matches it as a glob."""
    if (exact := prices.get(model)) is not None:
        return exact
    return next((price for key, price in prices.items() if fnmatchcase(model, key)), None)


class Prices:
    """Prices that users set, the first table first, before those of the catalogue."""

    def __init__(self, catalogue: PriceList, *overrides: Mapping[str, Price]) -> None:
        self._catalogue = catalogue
        self.replace(*overrides)

    def replace(self, *overrides: Mapping[str, Price]) -> None:
        """Takes other overrides instead."""
        self._overrides = [dict(table) for table in overrides if table]
        # `*` or `gpt-*` is a price of what is called here; what Anthropic asks must be said by its names.
        self._claude = [
            claude
            for table in overrides
            if (claude := {key: price for key, price in table.items() if key.startswith("claude")})
        ]

    def upstream(self, model: str) -> Price | None:
        """What an upstream model costs, None where that is unknown."""
        for table in self._overrides:
            if (price := find(table, model)) is not None:
                return price
        return self._catalogue.price(model)

    def anthropic(self, requested: str) -> Price | None:
        """What a requested Claude model costs at Anthropic; None for other names and unknown models."""
        model = bare(requested)
        if not model.startswith("claude"):
            return None
        for table in self._claude:
            if (price := find(table, model)) is not None:
                return price
        return self._catalogue.anthropic(model)
