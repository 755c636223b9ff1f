"""What a limit says, in tables and in words, and whose requests fall under it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.budget.terms import MEASURES, PERIODS, Amounts, Limit, Measure, limit_table, parse_limit

AMOUNTS = Amounts(1, 1000, 50, 7)


@pytest.mark.parametrize(
    ("measure", "amount"),
    [("tokens", 1050), ("input_tokens", 1000), ("output_tokens", 50), ("requests", 1), ("cost_usd", 7)],
)
def test_amounts_are_asked_by_measure(measure: Measure, amount: int) -> None:
    assert AMOUNTS.of(measure) == amount


@pytest.mark.parametrize(
    ("models", "requested", "falls_under"),
    [
        (None, "anything", True),
        ("claude-opus-*", "claude-opus-4-6", True),
        ("claude-opus-*", "claude-opus-4-6[1m]", True),
        ("claude-opus-*", "claude-sonnet-4-6", False),
        ("claude-opus-*", "Claude-Opus-4-6", False),
        # A suffix or a space is no way around a limit of one model.
        ("claude-opus-4-6", "claude-opus-4-6[1m]", True),
        ("claude-opus-4-6", " claude-opus-4-6 ", True),
        ("claude-opus-4-6[1m]", "claude-opus-4-6[1m]", True),
        ("claude-opus-4-6[1m]", "claude-opus-4-6", False),
    ],
)
def test_a_requested_name_falls_under_a_limit(models: str | None, requested: str, falls_under: bool) -> None:
    assert Limit("tokens", "day", 1, models).matches(requested) is falls_under


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Limit("tokens", "day", 1000, "claude-opus-*"), "1,000 tokens a day for claude-opus-*"),
        (Limit("requests", "minute", 1), "1 request a minute"),
        (Limit("requests", "hour", 0), "0 requests an hour"),
        (Limit("input_tokens", "5h", 2_000_000), "2,000,000 input tokens in 5 hours"),
        (Limit("output_tokens", "week", 1), "1 output token a week"),
        (Limit("cost_usd", "month", 5 * 10**9), "$5.00 a month"),
        (Limit("cost_usd", "total", 1_234_500_000_000, "gpt-*"), "$1,234.50 in all for gpt-*"),
        (Limit("cost_usd", "day", 1), "$0.000000001 a day"),
        (Limit("cost_usd", "day", 125 * 10**6), "$0.125 a day"),
    ],
)
def test_a_limit_in_words(limit: Limit, words: str) -> None:
    assert limit.describe() == words


def test_a_limit_is_read_from_its_table() -> None:
    assert parse_limit("p", {"measure": "tokens", "per": "day", "max": 1000}) == Limit("tokens", "day", 1000)
    assert parse_limit(
        "p", {"measure": "requests", "per": "5h", "max": 0, "models": " claude-opus-* "}
    ) == Limit("requests", "5h", 0, "claude-opus-*")


@pytest.mark.parametrize(
    ("usd", "nano"), [(0, 0), (5, 5 * 10**9), (0.1, 10**8), (12.345678, 12_345_678_000), (1e-06, 1000)]
)
def test_a_maximum_of_money_is_given_in_usd(usd: float, nano: int) -> None:
    assert parse_limit("p", {"measure": "cost_usd", "per": "month", "max": usd}).max == nano


limits = st.builds(
    lambda measure, per, most, models: Limit(
        measure, per, most * 1000 if measure == "cost_usd" else most, models
    ),
    st.sampled_from(MEASURES),
    st.sampled_from(PERIODS),
    st.integers(0, 10**15),
    st.sampled_from([None, "claude-opus-*", "gpt-5.5", "claude-x[1m]"]),
)


@settings(deadline=None)
@given(limits)
def test_the_table_of_a_limit_reads_as_the_same_limit(limit: Limit) -> None:
    table = limit_table(limit)
    assert parse_limit("p", table) == limit
    assert ("models" in table) is (limit.models is not None)


GOOD = {"measure": "tokens", "per": "day", "max": 1000}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max": -1}, ".max: must be a whole number of tokens, 0 or more"),
        ({"max": 1.5}, ".max: must be a whole number of tokens, 0 or more"),
        ({"max": True}, ".max: must be a whole number of tokens, 0 or more"),
        ({"max": float("nan")}, ".max: must be a whole number of tokens, 0 or more"),
        ({"max": 10**16}, ".max: must be a whole number of tokens, at most 1,000,000,000,000,000"),
        ({"max": None}, ".max: is missing"),
        ({"measure": "requests", "max": -1}, ".max: must be a whole number of requests, 0 or more"),
        ({"measure": "cost_usd", "max": -0.01}, ".max: must be a number of USD, 0 or more"),
        ({"measure": "cost_usd", "max": float("nan")}, ".max: must be a number of USD, 0 or more"),
        ({"measure": "cost_usd", "max": "5"}, ".max: must be a number of USD, 0 or more"),
        ({"measure": "cost_usd", "max": False}, ".max: must be a number of USD, 0 or more"),
        ({"measure": "cost_usd", "max": 1e-7}, ".max: must be a number of USD, with at most 6 decimals"),
        ({"measure": "cost_usd", "max": 10**10}, ".max: must be a number of USD, at most 1,000,000,000"),
        ({"measure": "token"}, ".measure: 'token' is not known, did you mean tokens?"),
        (
            {"measure": ["tokens"]},
            ".measure: must be one of tokens, input_tokens, output_tokens, requests, cost_usd",
        ),
        ({"measure": None}, ".measure: is missing"),
        ({"per": "days"}, ".per: 'days' is not known, did you mean day?"),
        ({"per": "zzzz"}, ".per: 'zzzz' is not known (known: minute, hour, 5h, day, week, month, total)"),
        ({"per": 5}, ".per: must be one of minute, hour, 5h, day, week, month, total"),
        ({"models": ""}, ".models: must be a model's name or a glob such as claude-opus-*"),
        ({"models": "a\nb"}, ".models: must be a model's name or a glob such as claude-opus-*"),
        ({"models": ["a"]}, ".models: must be a model's name or a glob such as claude-opus-*"),
        ({"model": "a"}, ".model: unknown key, did you mean models?"),
    ],
)
def test_a_mistake_is_told_with_its_path(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"^keys\.laptop\.limits\.0") as refused:
        parse_limit("keys.laptop.limits.0", GOOD | change)
    assert str(refused.value) == "keys.laptop.limits.0" + said
