"""Attempts are counted by name, and the memory of them is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragoman.web.admin.throttle import Throttle


def test_the_sixth_attempt_of_a_minute_waits_for_the_first_to_age() -> None:
    """reliability X7: five a minute."""
    throttle = Throttle()
    assert [throttle.take(("a",), at) for at in (0.0, 1.0, 2.0, 3.0, 4.0)] == [0.0] * 5
    assert throttle.take(("a",), 10.0) == 50.0
    assert throttle.take(("a",), 59.0) == 1.0
    assert throttle.take(("a",), 60.0) == 0.0
    assert throttle.take(("a",), 60.5) == 0.5


def test_an_attempt_counts_for_all_its_names_or_for_none() -> None:
    throttle = Throttle(most=2)
    for _ in range(2):
        assert throttle.take(("account", "here"), 0.0) == 0.0
    assert throttle.take(("account", "elsewhere"), 0.0) == 60.0
    assert throttle.take(("another", "here"), 0.0) == 60.0
    # Refused attempts did not count for the names that had room.
    assert [throttle.take(("another", "elsewhere"), 0.0) for _ in range(3)] == [0.0, 0.0, 60.0]


def test_a_good_attempt_is_given_back_and_those_before_it_are_not() -> None:
    throttle = Throttle(most=2)
    assert throttle.take(("a",), 0.0) == 0.0
    for _ in range(5):
        assert throttle.take(("a",), 1.0) == 0.0
        throttle.give_back(("a",))
    assert throttle.take(("a",), 2.0) == 0.0
    assert throttle.take(("a",), 2.0) == 58.0


def test_who_has_nothing_counted_is_not_remembered() -> None:
    throttle = Throttle()
    throttle.take(("a",), 0.0)
    throttle.give_back(("a", "unknown"))
    assert len(throttle) == 0


def test_of_too_many_names_the_longest_unseen_is_forgotten() -> None:
    throttle = Throttle(most=1, size=3)
    for name in "abc":
        throttle.take((name,), 0.0)
    assert throttle.take(("a",), 0.0) == 60.0
    throttle.take(("d",), 0.0)
    assert len(throttle) == 3
    assert throttle.take(("a",), 0.0) == 60.0
    assert throttle.take(("b",), 0.0) == 0.0


@given(st.lists(st.floats(0, 30), max_size=60))
def test_no_minute_holds_more_than_five_attempts(pauses: list[float]) -> None:
    throttle = Throttle()
    now, taken = 0.0, []
    for pause in pauses:
        now += pause
        if throttle.take(("a",), now) == 0.0:
            taken.append(now)
    for first in taken:
        assert sum(first <= at < first + 60 for at in taken) <= 5
