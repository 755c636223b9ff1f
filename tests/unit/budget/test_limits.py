"""Reserve, settle, release: one meter, all meters of a key, limits that change, and what is told of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dragoman.budget.limits import (
    Amounts,
    Limit,
    Measure,
    Meter,
    Meters,
    Period,
    Reservation,
    Spent,
    ends,
    ratelimit_headers,
)

NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
CALL = Amounts(1, 1000, 50, 37_000)


def taken(meters: Meters, estimate: Amounts = CALL, now: float = NOW, model: str = "m") -> Reservation:
    """A reservation that must be granted."""
    found = meters.reserve(model, estimate, now)
    assert isinstance(found, Reservation)
    return found


def refused(meters: Meters, estimate: Amounts = CALL, now: float = NOW, model: str = "m") -> Spent:
    """A refusal."""
    found = meters.reserve(model, estimate, now)
    assert isinstance(found, Spent)
    return found


def test_a_reservation_takes_what_is_wanted_or_all_that_remains() -> None:
    meter = Meter(Limit("tokens", "day", 1000))
    assert meter.reserve(600, NOW) == 600
    assert meter.reserve(600, NOW) == 400
    assert meter.held == 1000
    assert meter.remaining(NOW) == 0
    assert meter.reserve(1, NOW) is None
    assert meter.reserve(0, NOW) is None
    meter.release(400)
    assert meter.reserve(0, NOW) == 0
    assert meter.reserve(-5, NOW) == 0
    assert meter.remaining(NOW) == 400


def test_what_other_processes_hold_is_not_free_here() -> None:
    """Issue 5, 8: it is shown as held, and waited for like the own requests in flight."""
    meter = Meter(Limit("tokens", "day", 1000))
    meter.elsewhere = 700
    assert meter.remaining(NOW) == 300
    assert meter.line(NOW)[1:4] == (0, 700, 300)
    assert meter.reserve(600, NOW) == 300
    assert meter.line(NOW)[1:4] == (0, 1000, 0)
    assert meter.reserve(1, NOW) is None
    assert meter.retry_at(NOW) == (NOW + 1, True)
    meter.release(300)
    meter.elsewhere = 1200
    assert meter.remaining(NOW) == 0
    assert meter.reserve(1, NOW) is None
    meter.elsewhere = 0
    assert meter.remaining(NOW) == 1000


def test_a_sliding_window_that_others_fill_is_asked_again_in_a_moment() -> None:
    meter = Meter(Limit("requests", "minute", 3))
    meter.elsewhere = 3
    assert meter.resets_at(NOW) == NOW + 1
    meters = Meters([meter.limit])
    next(iter(meters)).elsewhere = 3
    assert refused(meters).wait_seconds == 1
    # Other limits with the same measure and window keep what was heard; it is told anew soon anyway.
    meters.replace([Limit("requests", "minute", 4)])
    assert taken(meters).parts[0][1] == 1


def test_a_request_counts_with_its_true_size_also_above_the_limit() -> None:
    """B93: 1,050 tokens of a limit of 1,000; the next request is refused."""
    meter = Meter(Limit("tokens", "day", 1000))
    kept = meter.reserve(9192, NOW)
    assert kept == 1000
    meter.settle(kept, 1050, NOW + 3)
    assert meter.used(NOW + 3) == 1050
    assert (meter.held, meter.remaining(NOW + 3)) == (0, 0)
    assert meter.reserve(1, NOW + 4) is None


def test_figures_below_zero_count_as_zero() -> None:
    meter = Meter(Limit("tokens", "day", 1000))
    meter.settle(500, -7, NOW)
    meter.load([(NOW, -100), (NOW, 5)])
    assert (meter.held, meter.used(NOW), meter.remaining(NOW)) == (0, 5, 995)


def test_a_reservation_that_outlives_its_window_settles_in_the_next() -> None:
    meter = Meter(Limit("tokens", "day", 1000))
    kept = meter.reserve(700, NOW)
    assert kept == 700
    assert meter.remaining(MIDNIGHT + 1) == 300
    meter.settle(kept, 650, MIDNIGHT + 1)
    assert meter.used(MIDNIGHT + 1) == 650


@pytest.mark.parametrize(
    ("per", "at"),
    [
        ("minute", NOW + 60),
        ("hour", NOW + 3600),
        ("5h", NOW + 18_000),
        ("day", MIDNIGHT),
        ("week", MIDNIGHT + 2 * 86_400),
        ("month", MIDNIGHT + 3 * 86_400),
        ("total", None),
    ],
)
def test_when_a_spent_limit_gives_something_free(per: Period, at: float | None) -> None:
    meter = Meter(Limit("tokens", per, 10))
    meter.add(12, NOW)
    assert meter.resets_at(NOW + 1) == at
    assert meter.retry_at(NOW + 1) == (at, False)


@pytest.mark.parametrize("per", ["minute", "hour", "5h"])
@pytest.mark.parametrize("later", [0.0, 0.04, 0.3, 0.99, 7.7])
def test_who_waits_as_long_as_was_told_is_let_in(per: Period, later: float) -> None:
    """B98: a told wait is never too short, and never longer than the window."""
    meters = Meters([Limit("requests", per, 1)])
    taken(meters, now=NOW + later).settle(CALL, NOW + later)
    spent = refused(meters, now=NOW + later + 0.01)
    assert spent.wait_seconds is not None and not spent.held
    assert spent.wait_seconds <= {"minute": 60, "hour": 3600, "5h": 18_000}[per]
    taken(meters, now=NOW + later + 0.01 + spent.wait_seconds)


def test_a_sliding_window_that_open_requests_alone_fill_is_asked_again_soon() -> None:
    meter = Meter(Limit("requests", "minute", 1))
    assert meter.resets_at(NOW) == NOW
    assert meter.reserve(1, NOW) == 1
    assert meter.resets_at(NOW) == NOW + 1
    assert meter.retry_at(NOW) == (NOW + 1, True)


def test_tokens_that_open_requests_hold_are_soon_given_back_but_requests_are_not() -> None:
    tokens, requests = Meter(Limit("tokens", "day", 10)), Meter(Limit("requests", "day", 10))
    for meter in (tokens, requests):
        assert meter.reserve(10, NOW) == 10
        assert meter.resets_at(NOW) == MIDNIGHT
    assert tokens.retry_at(NOW) == (NOW + 1, True)
    assert requests.retry_at(NOW) == (MIDNIGHT, False)


def test_the_last_second_of_a_spent_window_is_no_work_in_flight() -> None:
    meters = Meters([Limit("cost_usd", "day", 5)])
    meters.count("m", CALL, NOW)
    spent = refused(meters, now=MIDNIGHT - 0.5)
    assert (spent.wait_seconds, spent.held) == (0.5, False)


@pytest.mark.parametrize("per", ["minute", "day", "total"])
def test_a_limit_of_nothing_never_resets(per: Period) -> None:
    meter = Meter(Limit("tokens", per, 0))
    assert meter.reserve(0, NOW) is None
    assert meter.resets_at(NOW) is None
    assert meter.retry_at(NOW) == (None, False)


def test_the_time_told_is_never_past() -> None:
    """A clock set back within the day leaves the window's end where it is; set back far, a moment is told."""
    meter = Meter(Limit("tokens", "minute", 5))
    meter.add(5, NOW)
    for now in (NOW, NOW - 1, NOW - 1e6):
        at = meter.resets_at(now)
        assert at is not None and at >= now


def test_a_key_without_limits_is_never_refused() -> None:
    meters = Meters()
    open_one = taken(meters)
    assert open_one.parts == []
    open_one.settle(CALL, NOW)
    assert meters.lines(NOW) == []


def test_every_limit_that_matches_counts_its_own_measure() -> None:
    measures: list[Measure] = ["tokens", "input_tokens", "output_tokens", "requests", "cost_usd"]
    meters = Meters(Limit(measure, "day", 10**6) for measure in measures)
    open_one = taken(meters)
    assert [held for _, held in open_one.parts] == [1050, 1000, 50, 1, 37_000]
    open_one.settle(Amounts(1, 10, 5, 9), NOW)
    assert [(line.used, line.held) for line in meters.lines(NOW)] == [
        (15, 0),
        (10, 0),
        (5, 0),
        (1, 0),
        (9, 0),
    ]


def test_a_limit_for_some_models_neither_counts_nor_stops_others() -> None:
    meters = Meters([Limit("requests", "day", 1, "claude-opus-*"), Limit("requests", "day", 5)])
    taken(meters, model="claude-opus-4-6").settle(CALL, NOW)
    assert refused(meters, model="claude-opus-4-6[1m]").limit.models == "claude-opus-*"
    taken(meters, model="claude-sonnet-4-6").settle(CALL, NOW)
    assert [line.used for line in meters.lines(NOW)] == [1, 2]
    assert [line.limit.max for line in meters.lines(NOW, "claude-sonnet-4-6")] == [5]


def test_where_one_limit_refuses_nothing_is_kept_of_the_others() -> None:
    limits = [Limit("tokens", "day", 10**6), Limit("requests", "day", 1), Limit("cost_usd", "day", 10**12)]
    meters = Meters(limits)
    taken(meters).settle(CALL, NOW)
    before = meters.lines(NOW)
    found = refused(meters)
    assert found == Spent(limits[1], 0, MIDNIGHT, MIDNIGHT - NOW)
    assert meters.lines(NOW) == before


def test_the_refusal_that_takes_longest_is_told() -> None:
    meters = Meters(
        [
            Limit("requests", "minute", 1),
            Limit("requests", "day", 1),
            Limit("cost_usd", "total", 37_000),
            Limit("requests", "month", 100),
        ]
    )
    taken(meters).settle(CALL, NOW)
    spent = refused(meters)
    assert (spent.limit.per, spent.resets_at, spent.wait_seconds) == ("total", None, None)
    meters = Meters([Limit("requests", "minute", 1), Limit("requests", "day", 1)])
    taken(meters).settle(CALL, NOW)
    assert refused(meters).limit.per == "day"


def test_a_reservation_is_settled_or_released_once() -> None:
    meters = Meters([Limit("tokens", "day", 10_000)])
    settled, released = taken(meters), taken(meters)
    assert not settled.done
    settled.settle(CALL, NOW)
    settled.settle(CALL, NOW)
    settled.release()
    assert settled.done
    released.release()
    released.release()
    released.settle(CALL, NOW)
    assert [(line.used, line.held) for line in meters.lines(NOW)] == [(1050, 0)]


def test_fifty_requests_at_once_against_a_limit_of_ten() -> None:
    """B98."""
    meters = Meters([Limit("requests", "hour", 10)])
    asked = [meters.reserve("m", CALL, NOW) for _ in range(50)]
    granted = [one for one in asked if isinstance(one, Reservation)]
    turned_away = [one for one in asked if isinstance(one, Spent)]
    assert (len(granted), len(turned_away)) == (10, 40)
    assert all(one.wait_seconds == 1 and one.held for one in turned_away)
    for one in granted:
        one.settle(CALL, NOW + 2)
    (line,) = meters.lines(NOW + 3)
    assert (line.used, line.held, line.remaining) == (10, 0, 0)
    assert refused(meters, now=NOW + 3).resets_at == NOW + 3600


def test_a_changed_maximum_keeps_what_was_counted() -> None:
    meters = Meters([Limit("tokens", "day", 1000, id="1"), Limit("requests", "day", 5, id="2")])
    open_one = taken(meters, Amounts(1, 200, 0, 0))
    taken(meters, Amounts(1, 200, 0, 0)).settle(Amounts(1, 300, 0, 0), NOW)
    raised = Limit("tokens", "day", 5000, id="3")
    assert meters.replace([raised, Limit("requests", "day", 5, id="2")]) == []
    line = meters.lines(NOW)[0]
    assert line == (raised, 300, 200, 4500, MIDNIGHT)
    open_one.settle(Amounts(1, 250, 0, 0), NOW)
    assert [(line.used, line.held) for line in meters.lines(NOW)] == [(550, 0), (2, 0)]
    meters.replace([Limit("tokens", "day", 500)])
    assert refused(meters, now=NOW + 1).limit.max == 500


def test_a_limit_that_comes_while_a_request_runs_counts_it_and_one_that_goes_does_not() -> None:
    meters = Meters([Limit("tokens", "day", 10_000)])
    open_one = taken(meters)
    gone = next(iter(meters))
    (fresh,) = meters.replace([Limit("tokens", "day", 10_000, "m"), Limit("tokens", "day", 10, "other")])[:1]
    fresh.load([(NOW - 5, 400), (NOW - 86_400, 10**6)])
    open_one.settle(CALL, NOW + 1)
    assert [(line.used, line.held) for line in meters.lines(NOW + 1)] == [(1450, 0), (0, 0)]
    assert (gone.used(NOW + 1), gone.held) == (0, 0)


def test_two_limits_of_one_kind_keep_their_order() -> None:
    pair = [Limit("tokens", "day", 10), Limit("tokens", "day", 20)]
    meters = Meters(pair)
    first, second = meters
    assert len(meters.replace([*pair, Limit("tokens", "day", 30)])) == 1
    assert list(meters)[:2] == [first, second]


def test_a_price_must_be_known_only_where_money_is_counted() -> None:
    meters = Meters([Limit("cost_usd", "day", 10**9, "claude-*"), Limit("tokens", "day", 10)])
    assert meters.counts_money("claude-opus-4-6")
    assert not meters.counts_money("gpt-5.5")


def test_names_that_clients_make_up_do_not_fill_memory() -> None:
    meters = Meters([Limit("requests", "day", 10**6, "claude-*")])
    for number in range(2000):
        taken(meters, model=f"claude-{number}").settle(CALL, NOW)
        taken(meters, model=f"claude-{'x' * 1000}{number}").settle(CALL, NOW)
    assert meters.lines(NOW)[0].used == 4000
    assert len(meters._matching) <= 256


def test_headers_tell_each_measure_with_its_reset() -> None:
    meters = Meters(
        [
            Limit("requests", "minute", 10),
            Limit("tokens", "day", 10_000),
            Limit("input_tokens", "total", 5000),
            Limit("output_tokens", "month", 0),
            Limit("cost_usd", "day", 10**9),
        ]
    )
    for meter, amount in zip(meters, (1, 1050, 1000, 50, 37_000), strict=True):
        meter.add(amount, NOW + 0.5)
    assert ratelimit_headers(meters.lines(NOW + 1), NOW + 1) == {
        "anthropic-ratelimit-requests-limit": "10",
        "anthropic-ratelimit-requests-remaining": "9",
        "anthropic-ratelimit-requests-reset": "2026-11-27T12:01:01Z",
        "anthropic-ratelimit-tokens-limit": "10000",
        "anthropic-ratelimit-tokens-remaining": "8950",
        "anthropic-ratelimit-tokens-reset": "2026-11-28T00:00:00Z",
        "anthropic-ratelimit-input-tokens-limit": "5000",
        "anthropic-ratelimit-input-tokens-remaining": "4000",
        "anthropic-ratelimit-output-tokens-limit": "0",
        "anthropic-ratelimit-output-tokens-remaining": "0",
    }


def test_of_several_limits_of_a_measure_the_tightest_is_told() -> None:
    meters = Meters(
        [Limit("tokens", "month", 100_000), Limit("tokens", "day", 2000), Limit("tokens", "hour", 9000)]
    )
    taken(meters).settle(CALL, NOW)
    assert ratelimit_headers(meters.lines(NOW), NOW)["anthropic-ratelimit-tokens-limit"] == "2000"


def test_a_reset_is_told_in_whole_seconds_and_never_before_now() -> None:
    (line,) = Meters([Limit("tokens", "day", 10)]).lines(NOW)
    told = ratelimit_headers([line._replace(resets_at=NOW - 5)], NOW + 0.2)
    assert told["anthropic-ratelimit-tokens-reset"] == "2026-11-27T12:00:01Z"
    assert ratelimit_headers([], NOW) == {}


def test_the_windows_are_known_here_too() -> None:
    assert ends("day", NOW) == MIDNIGHT
