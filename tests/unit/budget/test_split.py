"""How a cost is made up: its parts are the cost, the cache's saving, what a miss adds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.budget.pricing import Consumption, Price, Rates, cost
from dragoman.budget.split import split
from tests.unit.budget.test_pricing import FULL, counts, prices

PRICE = Price(Rates(5_000_000, 500_000, 6_250_000, 30_000_000))


def test_a_bill_names_each_part_with_its_rate() -> None:
    found = split(PRICE, Consumption(1000, 400, 500, 10), 4)
    assert {name: (part.tokens, part.rate) for name, part in found.parts.items()} == {
        "fresh": (100, 5_000_000),
        "cached": (400, 500_000),
        "written": (500, 6_250_000),
        "output": (6, 30_000_000),
        "reasoning": (4, 30_000_000),
    }


@given(
    price=prices(),
    used=st.builds(Consumption, counts, counts, counts, counts),
    reasoning=counts,
    tier=st.sampled_from([None, "flex", "priority", "fast", "other"]),
)
def test_the_parts_add_up_to_the_cost(
    price: Price, used: Consumption, reasoning: int, tier: str | None
) -> None:
    parts = split(price, used, reasoning, tier).parts.values()
    assert all(part.tokens >= 0 for part in parts)
    assert (sum(part.pico for part in parts) + 500) // 1000 == cost(price, used, tier)


def test_long_requests_and_tiers_have_their_rates() -> None:
    assert FULL.long is not None
    assert split(FULL, Consumption(300_000, 0, 0, 1)).fresh.rate == FULL.long.input
    assert split(FULL, Consumption(1000, 0, 0, 1), tier="flex").fresh.rate == FULL.tiers["flex"].input


def test_the_cache_saves_what_reading_takes_off_and_storing_adds() -> None:
    assert split(PRICE, Consumption(1000, 400, 0, 0)).saved == 400 * 4_500_000
    assert split(PRICE, Consumption(1000, 0, 1000, 0)).saved == -1000 * 1_250_000


@pytest.mark.parametrize(
    ("used", "tokens", "pico"),
    [
        (Consumption(1000, 0, 0, 0), 600, 600 * 4_500_000),
        # What was stored anew is what was missing.
        (Consumption(1000, 0, 700, 0), 600, 600 * 5_750_000),
        (Consumption(1000, 0, 400, 0), 600, 400 * 5_750_000 + 200 * 4_500_000),
        # Never more than there was.
        (Consumption(1000, 900, 0, 0), 600, 100 * 4_500_000),
        (Consumption(1000, 0, 0, 0), 0, 0),
        (Consumption(1000, 0, 100, 0), -5, 0),
    ],
)
def test_a_miss_costs_the_difference_to_reading(used: Consumption, tokens: int, pico: int) -> None:
    assert split(PRICE, used).miss(tokens) == pico
