from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.translate.messages import usage
from dragoman.translate.messages.usage import Usage


def upstream(
    total: Any, cached: Any = None, written: Any = None, output: Any = 0, reasoning: Any = None
) -> Any:
    return {
        "input_tokens": total,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reasoning},
    }


def test_each_token_is_in_exactly_one_bucket() -> None:
    """B74, D4, behaviours T7."""
    found = usage.measured(upstream(15603, 15104, 0, 50))
    assert found is not None
    final = usage.final(found, 0, None)
    assert final["input_tokens"] == 499
    assert final["cache_read_input_tokens"] == 15104
    assert final["cache_creation_input_tokens"] == 0
    assert final["output_tokens"] == 50


_ANY = st.one_of(st.integers(-5, 2**60), st.booleans(), st.floats(), st.text(max_size=2), st.none())


@given(_ANY, _ANY, _ANY, _ANY, _ANY)
def test_the_buckets_always_add_up_whatever_the_upstream_says(
    total: Any, cached: Any, written: Any, output: Any, reasoning: Any
) -> None:
    """B74, behaviours T7."""
    found = usage.measured(upstream(total, cached, written, output, reasoning))
    assert found is not None
    final = usage.final(found, 0, None)
    parts = [final[f"{kind}input_tokens"] for kind in ("", "cache_creation_", "cache_read_")]
    assert sum(parts) == found.total_input
    assert min(*parts, final["output_tokens"]) >= 0
    assert 0 <= final["output_tokens_details"]["thinking_tokens"] <= final["output_tokens"]


@pytest.mark.parametrize("nothing", [None, [], "x", {}, {"total_tokens": 5}])
def test_no_figures_are_no_usage(nothing: Any) -> None:
    """behaviours T8: nothing is made up."""
    assert usage.measured(nothing) is None


def test_missing_details_are_zero() -> None:
    """behaviours T8."""
    assert usage.measured({"input_tokens": 10, "output_tokens": 2.0}) == Usage(10, 0, 0, 2, 0, "measured")
    assert usage.measured({"output_tokens": 2, "input_tokens_details": None}) == Usage(
        output=2, source="measured"
    )


def test_an_estimate_says_that_it_is_one() -> None:
    assert usage.estimated(100, 9) == Usage(100, output=3, source="estimated")
    assert usage.estimated(100, 0).output == 0
    assert usage.NONE.source == "none"


def test_message_start_has_a_provisional_estimate() -> None:
    """B75, behaviours T1."""
    assert usage.provisional(1234, None) == {
        "input_tokens": 1234,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": None,
        "server_tool_use": None,
        "service_tier": "standard",
    }


def test_searches_are_counted_where_there_were_any() -> None:
    """B66."""
    assert usage.final(usage.NONE, 0, None)["server_tool_use"] is None
    assert usage.final(usage.NONE, 2, None)["server_tool_use"] == {
        "web_search_requests": 2,
        "web_fetch_requests": 0,
    }


@pytest.mark.parametrize(
    ("tier", "word"),
    [
        ("priority", "priority"),
        ("fast", "priority"),
        ("default", "standard"),
        ("flex", "standard"),
        (None, "standard"),
    ],
)
def test_the_tier_in_anthropics_words(tier: str | None, word: str) -> None:
    assert usage.service_tier(tier) == word
