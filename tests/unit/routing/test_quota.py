"""What is left of an account, from readings of any age."""

from __future__ import annotations

import pytest

from dragoman.routing.quota import (
    MAIN,
    Credits,
    Quotas,
    Window,
    confidence,
    room,
    used,
)
from dragoman.routing.readings import Source

NOW = 1_795_780_800.0
HOURS5, WEEK = 18_000, 604_800


def window(
    share: float,
    *,
    seconds: int = HOURS5,
    resets: float | None = 9000,
    seen: float = NOW,
    meter: str = MAIN,
    source: Source = "header",
) -> Window:
    return Window(meter, seconds, share, None if resets is None else NOW + resets, seen, source)


def quotas(*windows: Window) -> Quotas:
    known = Quotas()
    known.learn(windows)
    return known


def test_the_newest_reading_wins_whatever_told_it() -> None:
    known = quotas(
        window(0.5, seen=NOW - 10, source="usage"), window(0.6, seen=NOW), window(0.4, seen=NOW - 20)
    )
    assert [row["used"] for row in known.rows(NOW)] == [0.6]


def test_a_usage_page_tells_which_windows_there_are() -> None:
    """A plan may have lost its 5-hour window; a meter that the page does not name stays."""
    known = quotas(window(1.0, seen=NOW - 60), window(0.2, meter="spark", seen=NOW - 60))
    known.learn([window(0.3, seconds=WEEK, source="usage")])
    assert {(row["meter"], row["window"]) for row in known.rows(NOW)} == {(MAIN, "7d"), ("spark", "5h")}
    assert known.exhausted(None, NOW) is None
    # An old page takes nothing away from what was read since.
    known.learn([window(0.3, seconds=WEEK, seen=NOW - 600, source="usage")])
    assert len(known.rows(NOW)) == 2


@pytest.mark.parametrize(
    ("windows", "until"),
    [
        ([], None),
        ([window(0.99)], None),
        ([window(1.0)], NOW + 9000),
        ([window(1.2), window(1.0, seconds=WEEK, resets=90_000)], NOW + 90_000),
        ([window(1.0, resets=None)], NOW + 120),
        ([window(1.0, resets=None, seen=NOW - 120)], None),
        ([window(1.0, resets=0)], None),
        # Nobody has looked for an hour: once more may be tried.
        ([window(1.0, seen=NOW - 3600)], None),
        ([window(1.0, meter="spark")], None),
        ([window(1.0, meter="tokens", seconds=60, resets=30)], None),
    ],
)
def test_spent_windows_block_until_all_are_free(windows: list[Window], until: float | None) -> None:
    assert quotas(*windows).exhausted(None, NOW) == until


def test_a_model_with_a_meter_of_its_own_is_judged_by_that_alone() -> None:
    known = quotas(window(1.0), window(0.1, meter="gpt-5.3-codex-spark"))
    assert known.exhausted("gpt-5.5", NOW) == NOW + 9000
    assert known.exhausted("GPT-5.3-Codex-Spark", NOW) is None
    assert known.metered("gpt-5.3-codex-spark")
    assert not known.metered("gpt-5.5") and not known.metered(None) and not known.metered("requests")
    assert known.headroom(NOW, "gpt-5.3-codex-spark") > 0.9
    assert known.headroom(NOW) == 0


@pytest.mark.parametrize(
    ("paid", "blocked", "headroom"),
    [
        (None, True, 0.0),
        (Credits(True, False, 4.0, NOW), False, 0.0),
        (Credits(True, False, 0.0, NOW), True, 0.0),
        (Credits(True, True, None, NOW), False, 1.0),
    ],
)
def test_credits_carry_on_where_windows_end(paid: Credits | None, blocked: bool, headroom: float) -> None:
    known = quotas(window(1.0))
    known.learn([], paid)
    assert (known.exhausted(None, NOW) is not None) is blocked
    assert known.headroom(NOW) == headroom


def test_older_credits_are_passed_over() -> None:
    known = Quotas()
    known.learn([], Credits(False, False, None, NOW))
    known.learn([], Credits(True, True, None, NOW - 1))
    assert known.credits == Credits(False, False, None, NOW)


@pytest.mark.parametrize(
    ("remaining", "ahead", "expected"),
    [
        (1.0, 1.0, 1.0),
        (0.5, 1.0, 0.5),
        (0.5, 0.5, 0.71),
        (0.5, 0.1, 0.93),
        (0.1, 1.0, 0.1),
        (0.1, 0.5, 0.32),
        (0.1, 0.1, 0.79),
        (0.0, 0.1, 0.0),
    ],
)
def test_room_is_the_table_of_its_docstring(remaining: float, ahead: float, expected: float) -> None:
    assert room(window(1 - remaining, resets=ahead * HOURS5), NOW) == pytest.approx(expected, abs=0.006)


def test_room_without_a_reset_counts_the_whole_window_ahead() -> None:
    assert room(window(0.5, resets=None), NOW) == 0.5
    # A monthly window's reset is told no later than eight days away, a short one's may be beyond its length.
    assert room(window(0.5, resets=HOURS5 * 3), NOW) == 0.5


def test_headroom_is_the_least_of_the_windows_that_count() -> None:
    assert Quotas().headroom(NOW) == 1.0
    known = quotas(
        window(0.1, resets=None), window(0.7, seconds=WEEK, resets=None), window(1.0, meter="spark")
    )
    assert known.headroom(NOW) == pytest.approx(0.3)
    known.learn([window(0.9, seconds=60, resets=None, meter="tokens")])
    assert known.headroom(NOW) == pytest.approx(0.1)


def test_a_window_past_its_reset_counts_as_unused_until_it_is_seen_again() -> None:
    spent = window(1.0, resets=60)
    assert used(spent, NOW + 59) == 1.0
    assert used(spent, NOW + 60) == 0.0
    assert quotas(spent).headroom(NOW + 60) == 1.0
    untold = window(1.0, resets=None)
    assert used(untold, NOW + HOURS5) == 0.0


@pytest.mark.parametrize(
    ("age", "resets", "word"),
    [(0, 9000, "fresh"), (300, 9000, "fresh"), (301, 9000, "aging"), (3601, 9000, "stale"), (10, 5, "stale")],
)
def test_confidence_in_words(age: float, resets: float, word: str) -> None:
    assert confidence(window(0.5, resets=resets), NOW + age) == word


def test_rows_for_the_operator() -> None:
    known = quotas(
        window(0.25, seconds=WEEK, resets=30),
        window(1.1, resets=900, source="event"),
        window(0.5, seconds=5400, meter="spark"),
        window(0.5, seconds=45, meter="spark", resets=None),
    )
    rows = known.rows(NOW + 60)
    assert [(row["meter"], row["window"]) for row in rows] == [
        (MAIN, "5h"),
        (MAIN, "7d"),
        ("spark", "45s"),
        ("spark", "90m"),
    ]
    assert rows[0] == {
        "meter": MAIN,
        "window": "5h",
        "seconds": HOURS5,
        "used": 1.1,
        "remaining": 0.0,
        "resets_at": NOW + 900,
        "confidence": "fresh",
        "age": 60.0,
        "source": "event",
    }
    assert (rows[1]["used"], rows[1]["resets_at"], rows[1]["confidence"]) == (0.0, None, "stale")


def test_readings_since_a_moment() -> None:
    known = quotas(window(0.5), window(0.5, seconds=WEEK, seen=NOW - 100))
    assert known.seen_since(NOW - 100, None)
    assert not known.seen_since(NOW, None)
    assert not Quotas().seen_since(NOW, None)


def test_the_memory_is_bounded() -> None:
    known = quotas(*(window(0.5, seconds=n + 1) for n in range(200)))
    assert len(known.rows(NOW)) == 64
