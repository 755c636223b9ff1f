"""Admission: what a key may have, what it holds meanwhile, and what it is told when it may not."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.budget.limits import Limit, Meters
from dragoman.budget.pricing import Price, Prices, Rates
from dragoman.gateway.admission import Admission, Pass
from dragoman.gateway.ports import Principal, Row
from dragoman.wire.errors import Failure, Kind, Refused

NOON = 1_770_552_000.0  # 2026-02-08T12:00:00Z


class Catalogue:
    """Knows one upstream model and one of Anthropic's."""

    def price(self, model: str) -> Price | None:
        fast = {"priority": Rates(2_000_000, 200_000, 2_000_000, 8_000_000)}
        base = Rates(1_000_000, 100_000, 1_000_000, 4_000_000)
        return Price(base, tiers=fast) if model == "gpt-5.5" else None

    def anthropic(self, model: str) -> Price | None:
        return Price(Rates(2_000_000, 200_000, 2_000_000, 8_000_000)) if model == "claude-x" else None


class Gate:
    """An admission at noon with one key's limits."""

    def __init__(self, *limits: Limit) -> None:
        self.now = NOON
        self.admission = Admission(Prices(Catalogue()), lambda: self.now)
        self.admission.adopt({"laptop": Meters(limits)} if limits else {})

    def enter(
        self, tokens: int = 100, max_tokens: int | None = 50, model: str = "gpt-5.5", **key: Any
    ) -> tuple[Pass, Row]:
        row = Row("req", NOON, requested_model="claude-x", upstream_model=model)
        principal = Principal("laptop", "t", **key)
        return self.admission.enter(principal, "claude-x", model, tokens, max_tokens), row

    def refusal(self, **more: Any) -> Failure:
        with pytest.raises(Refused) as caught:
            self.enter(**more)
        return caught.value.failure

    def state(self) -> list[tuple[int, int]]:
        return [(line.used, line.held) for line in self.admission.keys["laptop"].lines(self.now)]


def used(row: Row, total: int, output: int, source: str = "measured") -> Row:
    row.input_tokens, row.output_tokens, row.usage_source = total, output, source
    return row


def test_a_reservation_is_the_estimate_and_settles_to_the_truth() -> None:
    gate = Gate(Limit("tokens", "day", 10_000), Limit("requests", "day", 10))
    one, row = gate.enter()
    assert gate.state() == [(0, 150), (0, 1)]
    one.settle(used(row, 700, 30), NOON)
    one.settle(used(row, 700, 30), NOON)
    assert gate.state() == [(730, 0), (1, 0)], "settled once"


@pytest.mark.parametrize(("max_tokens", "held"), [(None, 8_292), (100_000, 8_292), (10, 110)])
def test_output_is_reserved_up_to_a_bound(max_tokens: int | None, held: int) -> None:
    gate = Gate(Limit("tokens", "day", 1_000_000))
    gate.enter(max_tokens=max_tokens)
    assert gate.state() == [(0, held)]


def test_what_used_nothing_gives_back() -> None:
    """B96"""
    gate = Gate(Limit("tokens", "day", 10_000), Limit("requests", "day", 10))
    one, row = gate.enter()
    one.settle(used(row, 0, 0, "none"), NOON)
    assert gate.state() == [(0, 0), (0, 0)]


def test_spent_tokens_are_told_with_their_reset() -> None:
    """B98: too long to wait for is not to be tried again."""
    gate = Gate(Limit("tokens", "day", 100))
    one, row = gate.enter()
    one.settle(used(row, 100, 0), NOON)
    failure = gate.refusal()
    assert failure.kind is Kind.RATE_LIMIT
    assert failure.message.endswith("It resets at 2026-02-09T00:00:00Z.")
    assert failure.headers() == {
        "anthropic-ratelimit-tokens-limit": "100",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2026-02-09T00:00:00Z",
        "retry-after": "43200",
        "x-should-retry": "false",
    }


def test_a_short_wait_is_the_clients_to_decide() -> None:
    gate = Gate(Limit("requests", "minute", 1))
    one, row = gate.enter()
    one.settle(used(row, 1, 1), NOON)
    failure = gate.refusal()
    assert failure.should_retry is None
    assert failure.retry_after is not None
    assert 0 < failure.retry_after <= 61


def test_spent_money_is_a_bill() -> None:
    gate = Gate(Limit("cost_usd", "month", 100_000))
    one, row = gate.enter()
    used(row, 100, 0)
    gate.admission.price(row)
    one.settle(row, NOON)
    failure = gate.refusal()
    assert (failure.kind, failure.should_retry) == (Kind.BILLING, False)
    assert "2026-03-01T00:00:00Z" in failure.message


def test_money_that_requests_in_flight_hold_is_no_bill_yet() -> None:
    gate = Gate(Limit("cost_usd", "month", 1))
    gate.enter()
    failure = gate.refusal()
    assert (failure.kind, failure.retry_after, failure.should_retry) == (Kind.RATE_LIMIT, 1.0, None)
    assert failure.message.startswith("Requests in flight hold")


def test_a_total_that_is_spent_never_comes_back() -> None:
    gate = Gate(Limit("requests", "total", 1))
    one, row = gate.enter()
    one.settle(used(row, 1, 1), NOON)
    failure = gate.refusal()
    assert (failure.retry_after, failure.should_retry) == (None, False)
    assert "resets" not in failure.message


def test_the_sentence_tells_the_reset_that_the_headers_tell() -> None:
    """Part of a second is no whole one yet: who asks at the time that is told is let in."""
    gate = Gate(Limit("requests", "minute", 1))
    gate.now = NOON + 0.25
    one, row = gate.enter()
    one.settle(used(row, 1, 1), gate.now)
    failure = gate.refusal()
    told = failure.headers()["anthropic-ratelimit-requests-reset"]
    assert told == "2026-02-08T12:01:01Z"
    assert failure.message.endswith(f"It resets at {told}.")
    gate.now = NOON + 61
    gate.enter()


def test_an_unknown_price_is_refused_under_a_money_limit_only() -> None:
    assert Gate(Limit("cost_usd", "day", 10)).refusal(model="made-up").kind is Kind.PERMISSION
    Gate(Limit("cost_usd", "day", 10, "claude-opus-*")).enter(model="made-up")
    Gate(Limit("tokens", "day", 10)).enter(model="made-up")


def test_places_of_a_key_are_given_back_once() -> None:
    gate = Gate(Limit("requests", "day", 10))
    first, row = gate.enter(concurrency=2)
    second, _ = gate.enter(concurrency=2)
    failure = gate.refusal(concurrency=2)
    assert (failure.kind, failure.retry_after) == (Kind.RATE_LIMIT, 1.0)
    assert gate.state() == [(0, 2)], "the refused one holds nothing"
    first.settle(used(row, 1, 1), NOON)
    first.settle(used(row, 1, 1), NOON)
    third, _ = gate.enter(concurrency=2)
    assert gate.refusal(concurrency=2).kind is Kind.RATE_LIMIT
    for one in (second, third):
        one.settle(Row("req", NOON), NOON)
    gate.enter(concurrency=1)
    assert gate.refusal(concurrency=1).message == "This key may have 1 request in flight at a time."


def test_a_key_without_limits_holds_nothing() -> None:
    gate = Gate()
    one, row = gate.enter()
    assert one.headers(NOON) == {}
    one.settle(used(row, 5, 5), NOON)


def test_headers_tell_of_the_limits_that_bear_on_the_request() -> None:
    gate = Gate(Limit("tokens", "day", 1_000, "claude-x"), Limit("tokens", "day", 5, "claude-other"))
    one, _ = gate.enter()
    assert one.headers(NOON)["anthropic-ratelimit-tokens-limit"] == "1000"


def test_both_prices_are_filled_in_where_they_are_known() -> None:
    """B99, D32"""
    gate = Gate()
    _, row = gate.enter()
    gate.admission.price(row)
    assert _costs(row) == (None, None), "nothing was used"
    gate.admission.price(used(row, 1000, 10))
    assert _costs(row) == (1_040_000, 2_080_000)
    _, other = gate.enter(model="made-up")
    other.requested_model = "gpt-made-up"
    gate.admission.price(used(other, 1000, 10))
    assert _costs(other) == (None, None)


def test_the_tier_that_served_decides_the_price() -> None:
    gate = Gate()
    _, row = gate.enter()
    used(row, 1000, 10).service_tier = "priority"
    gate.admission.price(row)
    assert row.cost_nano == 2_080_000


def _costs(row: Row) -> tuple[int | None, int | None]:
    return row.cost_nano, row.anthropic_cost_nano


def test_a_first_limit_counts_what_was_in_flight_when_it_came() -> None:
    """decisions: a new limit is effective at once, and for what ends after it too."""
    gate = Gate()
    one, row = gate.enter()
    two, nothing = gate.enter()
    gate.admission.adopt({"laptop": Meters([Limit("tokens", "day", 1_000), Limit("requests", "day", 10)])})
    one.settle(used(row, 700, 30), NOON)
    one.settle(used(row, 700, 30), NOON)
    two.settle(used(nothing, 0, 0, "none"), NOON)
    assert gate.state() == [(730, 0), (1, 0)], "once, and not what used nothing"


def test_limits_that_were_cleared_and_set_anew_count_what_is_in_flight_once() -> None:
    gate = Gate(Limit("tokens", "day", 1_000))
    one, row = gate.enter()
    gate.admission.adopt({})
    gate.admission.adopt({"laptop": Meters([Limit("tokens", "day", 2_000)])})
    one.settle(used(row, 700, 30), NOON)
    assert gate.state() == [(730, 0)]
