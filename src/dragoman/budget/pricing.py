"""Prices (placeholder until the room's own branch lands)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Price(NamedTuple):
    input: int


class Consumption(NamedTuple):
    input_tokens: int
    cached_tokens: int
    written_tokens: int
    output_tokens: int


def cost(price: Price, used: Consumption, tier: str | None = None) -> int:
    return 0


def parse_price(name: str, table: Mapping[str, Any]) -> Price:
    return Price(0)


def price_table(price: Price) -> dict[str, Any]:
    return {}
