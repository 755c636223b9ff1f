"""Aliases and prices as the store keeps them, read.

What this version cannot read (another one wrote it) is left out, and the rest counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from dragoman.budget.pricing import Price, parse_price
from dragoman.translate.models import Alias, parse_aliases
from dragoman.wire.errors import Refused

STORE = "store"


def aliases(rows: Mapping[str, str]) -> tuple[Alias, ...]:
    """The aliases of `name -> model[@effort]`, in that order."""
    found: list[Alias] = []
    for name, target in rows.items():
        try:
            found += parse_aliases({name: target})
        except Refused:
            continue
    return tuple(found)


def prices(rows: Mapping[str, Mapping[str, object]]) -> dict[str, Price]:
    """The prices of `model -> rates`, marked as the store's."""
    found: dict[str, Price] = {}
    for model, rates in rows.items():
        try:
            found[model] = parse_price(model, rates, STORE)
        except ValueError:
            continue
    return found
