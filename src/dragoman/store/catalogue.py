"""Vendors' list prices, from the table that genai-prices ships.

It decides which entry of that table a model's name means and how it becomes a price. It never uses the
network, and never guesses: a name that is not in the table has no price. Fees that are not per token of text
(searches, storage, sound, pictures) are not part of a price.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from dragoman.budget.pricing import TIERS, Price, Rates
from dragoman.budget.reading import bare

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

_DATED = re.compile(r"(?:[-@](?:\d{8}|\d{4}-\d{2}-\d{2})|-latest)$")
_NAME_LENGTH = 200
_ENTRIES = 1024
# Prices begin on days, and some vendors' change at half an hour.
_FRESH_SECONDS = 1800
# A model with such a price costs more than its tokens of input and output say.
_BEYOND = ("output_reasoning_mtok", "output_citation_mtok", "requests_kcount")


def _shipped() -> list[Provider]:
    # Late: pydantic, a second HTTP client and 1.6 MB of prices come along.
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot().providers


class Catalogue:
    """Looks models up, and remembers what it found for half an hour.

    `now` gives epoch seconds, `vendors` the table.
    """

    def __init__(
        self, now: Callable[[], float] = time.time, vendors: Callable[[], list[Provider]] = _shipped
    ) -> None:
        self._now = now
        self._vendors = vendors
        self._since = 0
        self._found: dict[tuple[str, str], Price | None] = {}

    def load(self) -> None:
        """Imports the table (50 to 140 ms, 7 MB), as the first look-up does otherwise; for a thread."""
        self._vendors()

    def price(self, model: str) -> Price | None:
        """An upstream model's price: OpenAI's, else of the vendor that claims the name.

        Else the price that all who sell it agree on. None where it is unknown.
        """
        return self._look_up("upstream", model, self._upstream)

    def anthropic(self, model: str) -> Price | None:
        """Anthropic's price of a requested Claude name, dated or with a suffix such as `[1m]` or not."""
        return self._look_up("anthropic", bare(model), self._claude)

    def _look_up(self, kind: str, model: str, look: Callable[[str, datetime], Price | None]) -> Price | None:
        now = self._now()
        if (since := int(now // _FRESH_SECONDS)) != self._since:
            self._since = since
            self._found.clear()
        key = (kind, model)
        if key in self._found:
            return self._found[key]
        if len(model) > _NAME_LENGTH:
            return None
        price = look(model.lower(), datetime.fromtimestamp(now, UTC))
        if len(self._found) >= _ENTRIES:
            self._found.clear()
        self._found[key] = price
        return price

    def _upstream(self, model: str, when: datetime) -> Price | None:
        offers = [
            (provider, info)
            for provider in self._vendors()
            if (info := provider.find_model(model)) is not None
        ]
        for provider, info in offers:
            if provider.id == "openai":
                return _price(info, when)
        for provider, info in offers:
            if provider.model_match is not None and provider.model_match.is_match(model):
                return self._claude(model, when) if provider.id == "anthropic" else _price(info, when)
        prices = [_price(info, when) for _, info in offers]
        return prices[0] if prices and all(price == prices[0] for price in prices) else None

    def _claude(self, model: str, when: datetime) -> Price | None:
        name = _DATED.sub("", model)
        vendor = next(provider for provider in self._vendors() if provider.id == "anthropic")
        info = vendor.find_model(name)
        # The table knows many names by how they begin: `claude-opus-4-10` is not 4-1. A name is in the table
        # when nothing shorter is the same model.
        if info is None or info.is_match(name[:-1]):
            return None
        return _price(info, when)


def _price(info: ModelInfo, when: datetime) -> Price | None:
    """What a model costs at a time; None where tokens of input and output alone do not say it.

    Of several steps for long requests the first is kept.
    """
    standard = info.get_prices(when)
    found = _rates(standard)
    if found is None:
        return None
    base, long, long_from = found
    tiers, long_tiers = {}, {}
    for tier in TIERS:
        prices = info.get_prices(when, {"service_tier": tier})
        if prices != standard and (found := _rates(prices)) is not None:
            tiers[tier], long_rates, step = found
            if long_rates is not None and step == long_from:
                long_tiers[tier] = long_rates
    return Price(base, long, long_from, tiers, long_tiers=long_tiers)


def _rates(prices: ModelPrice) -> tuple[Rates, Rates | None, int | None] | None:
    """Rates, those of long requests, and the tokens above which a request is long."""
    read, write = prices.input_mtok, prices.output_mtok
    if read is None or write is None or any(getattr(prices, key) is not None for key in _BEYOND):
        return None
    cached = prices.cache_read_mtok if prices.cache_read_mtok is not None else read
    written = prices.cache_write_mtok if prices.cache_write_mtok is not None else read
    four = (read, cached, written, write)
    base = Rates(*(_pico(price) for price in four))
    # An entry of zeros says that a host charges in another way, or nothing of this user.
    if not base.input and not base.output:
        return None
    steps = [price.tiers[0].start for price in four if not isinstance(price, Decimal) and price.tiers]
    if not steps:
        return base, None, None
    return base, Rates(*(_pico(price, long=True) for price in four)), min(steps)


def _pico(price: Decimal | TieredPrices, *, long: bool = False) -> int:
    """USD per million tokens as pico-USD per token."""
    if not isinstance(price, Decimal):
        price = price.tiers[0].price if long and price.tiers else price.base
    return int((price * 10**6).to_integral_value(ROUND_HALF_UP))
