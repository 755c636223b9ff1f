"""The budget of extra attempts, and the last moment for one."""

from __future__ import annotations

import math
import random

import pytest

from dragoman.routing.retries import (
    FLOOR,
    LATELY,
    SHARE,
    TOTAL_SECONDS,
    WINDOW_SECONDS,
    RetryBudget,
    deadline,
)


def outage(budget: RetryBudget, requests: int, parallel: int, seconds: float, accounts: int = 3) -> int:
    """How many calls an upstream gets that fails every one, with so many requests under way at a time."""
    calls, now, dice = 0, 100.0, random.Random(7)
    under_way: list[list[int]] = []  # attempts made, and whether the present one is an extra attempt
    left = requests
    while left or under_way:
        while left and len(under_way) < parallel:
            budget.asked(now)
            under_way.append([1, 0])
            calls += 1
            left -= 1
        now += seconds / requests
        request = under_way.pop(dice.randrange(len(under_way)))
        attempts, extra = request
        if extra:
            budget.gave_back(answered=False)
        if attempts < accounts and budget.may_retry(len(under_way) + 1, now):
            budget.took(now)
            under_way.append([attempts + 1, 1])
            calls += 1
    assert budget.under_way == 0
    return calls


@pytest.mark.parametrize("parallel", [1, 10, 50, 500])
def test_an_upstream_that_fails_everything_is_asked_a_quarter_more_at_most(parallel: int) -> None:
    """reliability R7: 500 requests, 500 to everything: upstream calls ≤ 1.25 × requests."""
    calls = outage(RetryBudget(), 500, parallel, seconds=5.0)
    assert 500 < calls <= 1.25 * 500


@pytest.mark.parametrize("seconds", [0.5, 20.0, 60.0])
def test_however_long_it_takes(seconds: float) -> None:
    """reliability R7."""
    assert outage(RetryBudget(), 500, 20, seconds) <= 1.25 * 500


def test_a_quiet_gateway_may_fail_over() -> None:
    budget = RetryBudget()
    budget.asked(0.0)
    for _ in range(FLOOR):
        assert budget.may_retry(1, 0.1)
        budget.took(0.1)
    assert not budget.may_retry(1, 0.2)
    for _ in range(LATELY - FLOOR):
        budget.gave_back(answered=False)
        assert budget.may_retry(1, 0.3)
        budget.took(0.3)
    budget.gave_back(answered=False)
    assert not budget.may_retry(1, 0.4)
    assert budget.may_retry(1, 0.3 + WINDOW_SECONDS)


def test_at_once_it_is_a_share_of_the_live_work() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.asked(0.0)
    taken = 0
    while budget.may_retry(100, 0.5):
        budget.took(0.5)
        taken += 1
    assert taken == SHARE * 100 + FLOOR
    budget.gave_back(answered=False)
    assert budget.may_retry(100, 0.6)


def test_an_attempt_that_is_answered_costs_nothing() -> None:
    """One account is down, another answers: everybody is taken over, a few at a time."""
    budget = RetryBudget()
    for number in range(200):
        now = number / 1000
        budget.asked(now)
        assert budget.may_retry(1, now)
        budget.took(now)
        budget.gave_back(answered=True)
    assert budget.under_way == 0


def test_an_answer_that_comes_after_the_window_gives_nothing_more_back() -> None:
    budget = RetryBudget()
    budget.asked(0.0)
    budget.took(0.0)
    later = 2 * WINDOW_SECONDS
    budget.asked(later)
    budget.gave_back(answered=True)
    for _ in range(LATELY):
        assert budget.may_retry(0, later)
        budget.took(later)
        budget.gave_back(answered=False)
    assert not budget.may_retry(0, later)


def test_what_was_asked_long_ago_counts_no_more() -> None:
    budget = RetryBudget(share=1.0, floor=0, lately=0)
    budget.asked(0.0)
    assert budget.may_retry(1, WINDOW_SECONDS - 0.01)
    assert not budget.may_retry(0, WINDOW_SECONDS)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (None, TOTAL_SECONDS),
        ("600", TOTAL_SECONDS),
        ("30", 30.0),
        ("0.5", 0.5),
        ("6000", TOTAL_SECONDS),
        ("0", TOTAL_SECONDS),
        ("-3", TOTAL_SECONDS),
        ("soon", TOTAL_SECONDS),
        ("nan", TOTAL_SECONDS),
        ("inf", TOTAL_SECONDS),
    ],
)
def test_the_clients_patience_counts_where_it_is_shorter(told: str | None, seconds: float) -> None:
    """reliability R7: the total deadline is the client's own or ten minutes."""
    assert math.isclose(deadline(told, 1000.0) - 1000.0, seconds)
