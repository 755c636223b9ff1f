"""Edges of windows, what counts inside of them, and clocks that run back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.budget.windows import PARTS, Period, Window, ends, start, window

NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC).timestamp()
WIDTHS: dict[Period, float] = {"minute": 0.1, "hour": 6, "5h": 30}
SLIDING: list[Period] = ["minute", "hour", "5h"]
CALENDAR: list[Period] = ["day", "week", "month"]


def epoch(text: str) -> float:
    """Epoch seconds of an ISO time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("per", "now", "first", "following"),
    [
        ("day", "2026-11-27T12:34:56", "2026-11-27", "2026-11-28"),
        ("day", "2026-11-27", "2026-11-27", "2026-11-28"),
        ("day", "2026-11-27T23:59:59.999999", "2026-11-27", "2026-11-28"),
        ("day", "2028-02-29T00:00:01", "2028-02-29", "2028-03-01"),
        ("day", "2026-12-31T23:00:00", "2026-12-31", "2027-01-01"),
        # The clocks of Europe go back on this day; UTC does not care.
        ("day", "2026-10-25T02:30:00", "2026-10-25", "2026-10-26"),
        ("week", "2026-11-23", "2026-11-23", "2026-11-30"),
        ("week", "2026-11-22T23:59:59.999999", "2026-11-16", "2026-11-23"),
        ("week", "2026-11-29T12:00:00", "2026-11-23", "2026-11-30"),
        ("week", "2027-01-01T12:00:00", "2026-12-28", "2027-01-04"),
        ("week", "2028-02-29T12:00:00", "2028-02-28", "2028-03-06"),
        ("week", "1970-01-01", "1969-12-29", "1970-01-05"),
        ("month", "2026-11-27T12:00:00", "2026-11-01", "2026-12-01"),
        ("month", "2026-12-31T23:59:59.999999", "2026-12-01", "2027-01-01"),
        ("month", "2027-01-01", "2027-01-01", "2027-02-01"),
        ("month", "2028-02-29T23:59:59", "2028-02-01", "2028-03-01"),
        ("month", "2027-02-28T23:59:59", "2027-02-01", "2027-03-01"),
        ("month", "2100-02-28T23:59:59", "2100-02-01", "2100-03-01"),
        ("month", "2000-02-29T12:00:00", "2000-02-01", "2000-03-01"),
        ("month", "2026-01-31T12:00:00", "2026-01-01", "2026-02-01"),
    ],
)
def test_edges_of_calendar_windows(per: Period, now: str, first: str, following: str) -> None:
    assert start(per, epoch(now)) == epoch(first)
    assert ends(per, epoch(now)) == epoch(following)


def test_the_last_moment_of_a_month_is_in_that_month() -> None:
    """A float of a tenth of a microsecond before midnight, which datetime would round up to midnight."""
    last = epoch("2026-12-01") - 2e-7
    assert last < epoch("2026-12-01")
    assert ends("month", last) == epoch("2026-12-01")


@settings(deadline=None)
@given(st.sampled_from(CALENDAR), st.floats(0, 4e9))
def test_a_time_lies_in_its_window_and_windows_follow_each_other(per: Period, now: float) -> None:
    first, following = start(per, now), ends(per, now)
    assert first is not None and following is not None
    assert first <= now < following
    assert start(per, following) == following
    assert start(per, first) == first


def test_sliding_windows_have_no_end_and_total_has_no_beginning() -> None:
    assert [ends(per, NOW) for per in (*SLIDING, "total")] == [None] * 4
    assert start("total", NOW) is None
    # From the first part that is inside of it with all that it holds.
    assert [start(per, NOW + 0.05) for per in SLIDING] == [NOW - 59.9, NOW - 3594, NOW - 17_970]
    assert start("hour", NOW + 5.9) == NOW - 3594
    assert start("hour", NOW + 6) == NOW - 3588


@pytest.mark.parametrize("per", SLIDING)
def test_an_amount_leaves_a_sliding_window_at_most_a_part_early_and_never_late(per: Period) -> None:
    span = WIDTHS[per] * PARTS
    used = window(per)
    used.add(7, NOW + 0.05)
    assert used.frees_at(10, NOW + 1) == NOW + span
    assert used.total(NOW + span - 0.01) == 7
    assert used.total(NOW + span) == 0
    assert used.frees_at(10, NOW + 2 * span) is None


@pytest.mark.parametrize("per", SLIDING)
def test_the_time_that_was_told_is_not_a_moment_too_early(per: Period) -> None:
    """Whatever the fractions: at that very time something is free."""
    for step in range(0, 6000, 7):
        used = window(per)
        at = NOW + step / 100 + 0.003
        used.add(1, at)
        frees = used.frees_at(1, at)
        assert frees is not None and at < frees <= at + WIDTHS[per] * PARTS
        assert used.total(frees) == 0


def test_amounts_of_one_part_are_one_entry_and_nothing_is_none() -> None:
    used = window("minute")
    for amount in (1, 0, 2):
        used.add(amount, NOW)
    used.add(4, NOW + 30)
    used.add(0, NOW + 59)
    assert used.total(NOW + 59) == 7
    assert used.total(NOW + 60) == 4
    assert used.total(NOW + 90) == 0


def test_when_a_full_sliding_window_falls_below_its_limit() -> None:
    """After an overrun the oldest part is not enough."""
    used = window("minute")
    used.add(5, NOW)
    used.add(20, NOW + 10)
    used.add(1, NOW + 20)
    assert used.frees_at(100, NOW + 30) == NOW + 60
    assert used.frees_at(22, NOW + 30) == NOW + 60
    assert used.frees_at(10, NOW + 30) == NOW + 70
    assert used.frees_at(1, NOW + 30) == NOW + 80


@pytest.mark.parametrize("per", CALENDAR)
def test_a_calendar_window_begins_anew(per: Period) -> None:
    used = window(per)
    end = ends(per, NOW)
    assert end is not None
    used.add(7, NOW)
    assert used.frees_at(1, NOW) == end
    assert used.total(end - 0.001) == 7
    assert used.total(end) == 0
    used.add(2, end + 5)
    assert used.total(end + 6) == 2
    assert used.frees_at(1, end + 6) == ends(per, end)


def test_total_is_for_ever() -> None:
    used = window("total")
    used.load([(NOW - 1e9, 3), (NOW, 4)])
    used.add(5, NOW)
    assert used.total(NOW + 1e9) == 12
    assert used.frees_at(1, NOW) is None


@pytest.mark.parametrize("per", [*SLIDING, *CALENDAR])
def test_what_was_settled_before_the_process_began_counts_while_its_window_lasts(per: Period) -> None:
    begun = start(per, NOW)
    assert begun is not None
    used = window(per)
    used.load([(NOW, 1), (begun - 1, 100), (begun, 10), (NOW - 0.5, 2)])
    assert used.total(NOW) == 13
    used.load([])
    assert used.total(NOW) == 13
    used.load([(begun + 1, 4), (begun - 1, 100), (NOW, 0)])
    assert used.total(NOW) == 17
    used.add(1, NOW)
    assert used.total(NOW) == 18


@pytest.mark.parametrize("per", CALENDAR)
def test_loading_an_older_window_late_changes_nothing(per: Period) -> None:
    begun = start(per, NOW)
    assert begun is not None
    used = window(per)
    used.add(5, NOW)
    used.load([(begun - 10, 100)])
    assert used.total(NOW) == 5


def test_a_newer_window_that_is_loaded_takes_the_place_of_the_old() -> None:
    used = window("day")
    used.add(5, NOW)
    used.load([(NOW + 86_400, 3), (NOW, 7)])
    assert used.total(NOW + 86_400) == 3


@pytest.mark.parametrize("per", CALENDAR)
def test_a_clock_set_back_over_midnight_does_not_open_the_old_window(per: Period) -> None:
    begun = start(per, NOW)
    assert begun is not None
    used = window(per)
    used.add(5, begun + 1)
    assert used.total(begun - 2) == 5
    used.add(1, begun - 1)
    assert used.total(begun + 2) == 6
    assert used.frees_at(1, begun - 1) == ends(per, begun)


def test_a_clock_that_was_years_ahead_does_not_keep_a_window_open_for_years() -> None:
    used = window("day")
    used.add(5, NOW + 1e8)
    assert used.total(NOW) == 5
    assert used.frees_at(1, NOW) == ends("day", NOW)
    assert used.total(NOW + 86_400) == 0


@pytest.mark.parametrize("per", SLIDING)
def test_time_goes_on_in_a_sliding_window_when_the_clock_is_set_back(per: Period) -> None:
    width = WIDTHS[per]
    span = width * PARTS
    used = window(per)
    used.add(5, NOW)
    back = NOW - 1e7
    assert used.total(back) == 5
    used.add(2, back)
    frees = used.frees_at(100, back)
    assert frees is not None and back + span - width <= frees <= back + span + width
    assert used.total(back + span / 2) == 7
    used.add(1, back + span / 2)
    assert used.total(back + span + 2 * width) == 1
    assert used.total(back + 2 * span) == 0
    # The clock is right again later on.
    used.add(3, NOW)
    assert used.total(NOW) == 3
    assert used.total(NOW + span + width) == 0


def test_a_caller_who_looked_at_the_clock_before_does_not_hasten_time() -> None:
    used = window("minute")
    used.add(5, NOW)
    for second in range(60):
        assert used.total(NOW + second) == 5
        # A moment ago, and long ago.
        assert used.total(NOW + second - 1) == 5
        assert used.total(NOW + second - 20) == 5
    assert used.total(NOW + 60) == 0


steps = st.lists(st.tuples(st.floats(-100, 100), st.integers(0, 50)), max_size=60)


@settings(deadline=None)
@given(st.sampled_from(["minute", "hour"]), steps)
def test_a_sliding_window_forgets_at_most_a_part_early_and_always_forgets(
    per: Period, moves: list[tuple[float, int]]
) -> None:
    """Against a list of all amounts, with a clock that only goes forward."""
    width = WIDTHS[per]
    span = width * PARTS
    used, now, all_of_them = window(per), NOW, list[tuple[float, int]]()
    for move, amount in moves:
        now += abs(move) * width
        used.add(amount, now)
        all_of_them.append((now, amount))
        total = used.total(now)
        assert total >= sum(amount for at, amount in all_of_them if at > now - span + width)
        assert total <= sum(amount for at, amount in all_of_them if at > now - span)
    assert used.total(now + span) == 0


@settings(deadline=None)
@given(st.sampled_from([*SLIDING, *CALENDAR, "total"]), steps)
def test_no_clock_makes_a_total_negative_or_wrong(per: Period, moves: list[tuple[float, int]]) -> None:
    """Whatever the clock does, nothing is counted that was not added, and what was added now counts."""
    used: Window = window(per)
    now, added = NOW, 0
    for move, amount in moves:
        now += move * 1000
        before = used.total(now)
        used.add(amount, now)
        added += amount
        assert used.total(now) == before + amount
        assert 0 <= before <= added
        frees = used.frees_at(1, now)
        assert frees is None or frees > now - 3600


@settings(deadline=None)
@given(st.sampled_from([*SLIDING, *CALENDAR, "total"]), steps)
def test_loading_is_the_same_as_having_counted(per: Period, moves: list[tuple[float, int]]) -> None:
    now, parts = NOW, list[tuple[float, int]]()
    counted, loaded = window(per), window(per)
    for move, amount in moves:
        now += abs(move) * 30
        parts.append((now, amount))
        counted.add(amount, now)
    loaded.load(reversed(parts))
    assert loaded.total(now) == counted.total(now)
    assert loaded.frees_at(1, now) == counted.frees_at(1, now)
