"""Tokens into money, prices as users write them, and which price counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.budget.pricing import (
    Consumption,
    Price,
    Prices,
    Rates,
    cost,
    find,
    parse_price,
    price_table,
)

BASE = Rates(5_000_000, 500_000, 6_250_000, 30_000_000)
LONG = Rates(10_000_000, 1_000_000, 12_500_000, 45_000_000)
FLEX = Rates(2_500_000, 250_000, 3_125_000, 15_000_000)
FLEX_LONG = Rates(5_000_000, 500_000, 6_250_000, 22_500_000)
FAST = Rates(12_500_000, 1_250_000, 15_625_000, 75_000_000)
FULL = Price(BASE, LONG, 272_000, {"flex": FLEX, "priority": FAST}, "config", long_tiers={"flex": FLEX_LONG})

counts = st.integers(-(10**9), 10**9)
rates = st.builds(Rates, *[st.integers(0, 10**12)] * 4)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    """Any price that a table can say."""
    long = draw(st.none() | rates)
    tiers = draw(st.dictionaries(st.sampled_from(["flex", "priority"]), rates))
    if long is None:
        return Price(draw(rates), tiers=tiers, source="config")
    long_tiers = {tier: draw(rates) for tier in tiers if draw(st.booleans())}
    return Price(draw(rates), long, draw(st.integers(0, 10**9)), tiers, "config", long_tiers)


@pytest.mark.parametrize(
    ("used", "tier", "nano"),
    [
        # 499 plain, 15,104 cached and 900 output tokens of a model at 5, 0.5 and 30 USD per million.
        (Consumption(15_603, 15_104, 0, 900), None, 37_047_000),
        (Consumption(0, 0, 0, 0), None, 0),
        (Consumption(1000, 0, 1000, 0), None, 6_250_000),
        (Consumption(1000, 400, 500, 10), None, 500_000 + 200_000 + 3_125_000 + 300_000),
        # A request is long above the step, and then as a whole.
        (Consumption(272_000, 0, 0, 1), None, 272_000 * 5000 + 30_000),
        (Consumption(272_001, 0, 0, 1), None, 272_001 * 10_000 + 45_000),
        (Consumption(272_001, 272_001, 0, 0), None, 272_001 * 1000),
        # Tiers: known, long, long without rates of its own, under another name, unknown.
        (Consumption(1000, 0, 0, 100), "flex", 2_500_000 + 1_500_000),
        (Consumption(300_000, 0, 0, 0), "flex", 300_000 * 5000),
        (Consumption(300_000, 0, 0, 0), "priority", 300_000 * 12_500),
        (Consumption(1000, 0, 0, 0), "fast", 12_500_000),
        (Consumption(1000, 0, 0, 0), "default", 5_000_000),
        (Consumption(300_000, 0, 0, 0), "scale", 300_000 * 10_000),
        # Figures that cannot be: parts above the whole, below zero.
        (Consumption(100, 900, 900, 0), None, 100 * 500),
        (Consumption(100, 40, 900, 0), None, 40 * 500 + 60 * 6250),
        (Consumption(-5, -6, -7, -8), None, 0),
        (Consumption(10, -6, -7, -8), None, 50_000),
    ],
)
def test_what_a_request_costs(used: Consumption, tier: str | None, nano: int) -> None:
    assert cost(FULL, used, tier) == nano


def test_a_price_without_steps_or_tiers_is_the_same_at_any_length_and_tier() -> None:
    plain = Price(BASE)
    assert cost(plain, Consumption(10**6, 0, 0, 0), "flex") == 5 * 10**9
    assert cost(Price(BASE, long_from=10), Consumption(10**6, 0, 0, 0)) == 5 * 10**9


@pytest.mark.parametrize(("rate", "nano"), [(499, 0), (500, 1), (1499, 1), (1500, 2)])
def test_half_a_nano_is_rounded_up(rate: int, nano: int) -> None:
    assert cost(Price(Rates(rate, 0, 0, 0)), Consumption(1, 0, 0, 0)) == nano


@settings(deadline=None)
@given(prices(), st.builds(Consumption, counts, counts, counts, counts), st.sampled_from([None, "flex", "x"]))
def test_a_cost_is_never_negative(price: Price, used: Consumption, tier: str | None) -> None:
    assert cost(price, used, tier) >= 0


def test_a_price_is_read_from_usd_per_million_tokens() -> None:
    table = {"input": 1.25, "cached": 0.125, "written": 1.5, "output": 10}
    assert parse_price("gpt-x", table) == Price(
        Rates(1_250_000, 125_000, 1_500_000, 10_000_000), source="config"
    )


def test_cached_and_written_cost_as_plain_input_unless_said() -> None:
    table = {"input": 1, "output": 2, "long_from": 10, "long_input": 3, "long_output": 4, "long_cached": 0.5}
    price = parse_price("m", table, source="database")
    assert price.base == Rates(1_000_000, 1_000_000, 1_000_000, 2_000_000)
    assert price.long == Rates(3_000_000, 500_000, 3_000_000, 4_000_000)
    assert (price.long_from, price.source) == (10, "database")


def test_a_price_can_be_nothing() -> None:
    assert parse_price("local", {"input": 0, "output": 0}).base == Rates(0, 0, 0, 0)


@settings(deadline=None)
@given(prices())
def test_the_table_of_a_price_reads_as_the_same_price(price: Price) -> None:
    assert parse_price("m", price_table(price)) == price


def test_the_table_of_a_price_spells_every_rate_out() -> None:
    table = price_table(parse_price("m", {"input": 1.25, "output": 10, "flex_input": 0.5, "flex_output": 5}))
    assert table == {
        "input": 1.25,
        "cached": 1.25,
        "written": 1.25,
        "output": 10.0,
        "flex_input": 0.5,
        "flex_cached": 0.5,
        "flex_written": 0.5,
        "flex_output": 5.0,
    }
    assert price_table(Price(BASE, long_from=3))["long_from"] == 3


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"output": 1}, "prices.gpt-x.input: is missing"),
        ({"input": 1, "output": None}, "prices.gpt-x.output: is missing"),
        (
            {"input": "1", "output": 1},
            "prices.gpt-x.input: must be a number of USD per million tokens, 0 or more",
        ),
        (
            {"input": 1, "output": -1},
            "prices.gpt-x.output: must be a number of USD per million tokens, 0 or more",
        ),
        (
            {"input": 1, "output": 1, "flex_input": float("nan"), "flex_output": 1},
            "prices.gpt-x.flex_input: must be a number of USD per million tokens, 0 or more",
        ),
        ({"input": 1, "output": 1, "inptu": 1}, "prices.gpt-x.inptu: unknown key, did you mean input?"),
        ({"input": 1, "output": 1, "flex_cached": 1}, "prices.gpt-x.flex_input: is missing"),
        (
            {"input": 1, "output": 1, "long_input": 1, "long_output": 1},
            "prices.gpt-x.long_from: is missing",
        ),
        ({"input": 1, "output": 1, "long_from": 272_000}, "prices.gpt-x.long_input: is missing"),
        (
            {"input": 1, "output": 1, "long_from": 0.5, "long_input": 1, "long_output": 1},
            "prices.gpt-x.long_from: must be a whole number of tokens, 0 or more",
        ),
        (
            {"input": 1, "output": 1, "flex_long_input": 1, "flex_long_output": 1},
            "prices.gpt-x.long_from: is missing",
        ),
        (
            {
                "input": 1,
                "output": 1,
                "long_from": 5,
                "long_input": 1,
                "long_output": 1,
                "flex_long_input": 1,
                "flex_long_output": 1,
            },
            "prices.gpt-x.flex_input: is missing",
        ),
    ],
)
def test_a_mistake_is_told_with_its_path(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"^prices\.gpt-x\.") as refused:
        parse_price("gpt-x", table)
    assert str(refused.value) == said


def test_what_is_no_table_is_refused() -> None:
    nonsense: Any = 1.25
    with pytest.raises(ValueError, match=r"^prices\.m: must be a table with the keys long_from, input, "):
        parse_price("m", nonsense)


def at(usd: int) -> Price:
    return Price(Rates(usd * 10**6, 0, 0, 0), source="config")


def test_the_own_name_is_found_before_the_first_glob() -> None:
    table = {"gpt-*": at(1), "*": at(2), "gpt-5.5": at(3)}
    assert find(table, "gpt-5.5") == at(3)
    assert find(table, "gpt-5.4") == at(1)
    assert find(table, "GPT-5.4") == at(2)
    assert find({"gpt-*": at(1)}, "o3") is None


class Listed:
    """A catalogue of one upstream model and one of Anthropic's."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def price(self, model: str) -> Price | None:
        self.asked.append(model)
        return at(50) if model == "gpt-5.5" else None

    def anthropic(self, model: str) -> Price | None:
        self.asked.append(model)
        return at(60) if model == "claude-opus-4-6" else None


def test_overrides_come_before_the_catalogue_and_the_first_table_first() -> None:
    prices = Prices(Listed(), {"gpt-6": at(1)}, {"gpt-6": at(2), "gpt-*-mini": at(3)})
    assert prices.upstream("gpt-6") == at(1)
    assert prices.upstream("gpt-7-mini") == at(3)
    assert prices.upstream("gpt-5.5") == at(50)
    assert prices.upstream("mystery") is None


def test_overrides_can_be_replaced() -> None:
    prices = Prices(Listed(), {"gpt-5.5": at(1)})
    prices.replace({"claude-opus-4-6": at(2)})
    assert prices.upstream("gpt-5.5") == at(50)
    assert prices.anthropic("claude-opus-4-6") == at(2)


def test_what_anthropic_asks_is_looked_up_by_the_bare_requested_name() -> None:
    prices = Prices(Listed(), {"claude-sonnet-9*": at(4)})
    assert prices.anthropic("claude-opus-4-6[1m]") == at(60)
    assert prices.anthropic("claude-sonnet-9-20300101") == at(4)
    assert prices.anthropic("claude-unknown") is None


def test_a_price_for_everything_here_says_nothing_about_anthropic() -> None:
    """A local server's `*` at no cost must not make Claude free; other names have no price there."""
    listed = Listed()
    prices = Prices(listed, {"*": at(0), "gpt-*": at(0)})
    assert prices.anthropic("claude-opus-4-6") == at(60)
    assert prices.anthropic("gpt-5.5") is None
    assert listed.asked == ["claude-opus-4-6"]
