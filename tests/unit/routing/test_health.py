"""What failures mean for an account, how long it rests, and how it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.routing.health import LOOK_AGAIN_SECONDS, REMEDIES, Health
from dragoman.translate.messages.failure import ADVICE, Cause

NOW = 1_795_780_800.0
DAY = 86_400.0
MODEL = "gpt-5.5"
HARMLESS = [
    Cause.EMPTY,
    Cause.CONTEXT,
    Cause.SEALED,
    Cause.PARAMETER,
    Cause.POLICY,
    Cause.TOO_LARGE,
    Cause.REQUEST,
]
ROAD = [Cause.TRANSPORT, Cause.TIMEOUT, Cause.CUT, Cause.PROTOCOL, Cause.SERVER, Cause.OVERLOADED]


def resting(cause: Cause, *, retry_after: float | None = None, jitter: float = 0.0) -> Health:
    """An account that just went to rest for a cause."""
    health = Health()
    for _ in range(REMEDIES[cause].after):
        health.failed(cause, NOW, retry_after=retry_after, model=MODEL, jitter=jitter)
    return health


def wait(health: Health) -> float:
    """Seconds from NOW until it is worth asking again."""
    until = health.until(NOW, MODEL)
    assert until is not None
    return until - NOW


def test_every_cause_has_a_remedy() -> None:
    assert REMEDIES.keys() == set(Cause)
    # Who is blamed in the table of causes does not go unpunished here.
    assert not [cause for cause in HARMLESS if ADVICE[cause].blames_account]


@pytest.mark.parametrize("cause", HARMLESS)
def test_errors_of_the_request_punish_nobody(cause: Cause) -> None:
    """B87."""
    health = Health()
    for _ in range(20):
        health.failed(cause, NOW, model=MODEL, retry_after=60)
    assert health.state(NOW, MODEL) == "ok"
    assert health.until(NOW, MODEL) is None
    assert health.why(NOW, MODEL) == ("", "overload")


@pytest.mark.parametrize(
    ("cause", "named", "cautious"),
    [
        (Cause.SERVER, None, True),
        (Cause.OVERLOADED, None, True),
        (Cause.OVERLOADED, 30.0, False),
        (Cause.CREDENTIALS, None, True),
        (Cause.QUOTA, None, True),
        (Cause.QUOTA, 600.0, False),
        (Cause.RATE_LIMIT, None, False),
        (Cause.BURST, None, False),
        (Cause.LOGIN, None, False),
    ],
)
def test_whose_wish_a_rest_is(cause: Cause, named: float | None, cautious: bool) -> None:
    assert resting(cause, retry_after=named).cautious(NOW, MODEL) is cautious
    assert not Health().cautious(NOW, MODEL)


def test_beside_a_limit_our_caution_does_not_count() -> None:
    """When the limit is over the account may be asked: that is when to come back, and the reason."""
    health = resting(Cause.CREDENTIALS)
    health.failed(Cause.RATE_LIMIT, NOW, retry_after=2, model=MODEL)
    assert wait(health) == 2
    assert health.why(NOW, MODEL) == ("rate limit", "quota")
    assert not health.cautious(NOW, MODEL)
    assert health.cautious(NOW + 2, MODEL)


@pytest.mark.parametrize("cause", [Cause.SERVER, Cause.CREDENTIALS, Cause.QUOTA, Cause.MODEL])
def test_an_answer_against_our_caution_ends_it(cause: Cause) -> None:
    """A lone account is asked while it rests: whoever answers is well, without a way back."""
    health = resting(cause)
    health.succeeded(NOW + 0.5, MODEL, began=NOW - 1)
    assert health.state(NOW + 0.5, MODEL) == "cooling", "that call knew nothing of it"
    health.succeeded(NOW + 0.6, MODEL, began=NOW + 0.5)
    assert health.clean(MODEL)


@pytest.mark.parametrize("cause", ROAD)
def test_one_failure_on_the_road_is_none_two_in_a_row_are_a_rest(cause: Cause) -> None:
    health = Health()
    health.failed(cause, NOW, model=MODEL)
    assert health.state(NOW, MODEL) == "ok"
    health.failed(cause, NOW + 59, model=MODEL)
    assert health.state(NOW + 59, MODEL) == "cooling"
    assert health.until(NOW + 59, MODEL) == NOW + 60


@pytest.mark.parametrize("between", ["success", "time"])
def test_failures_far_apart_are_single_ones(between: str) -> None:
    health = Health()
    health.failed(Cause.SERVER, NOW, model=MODEL)
    if between == "success":
        health.succeeded(NOW + 1, MODEL)
    health.failed(Cause.SERVER, NOW + (2 if between == "success" else 60), model=MODEL)
    assert health.state(NOW + 61, MODEL) == "ok"


@pytest.mark.parametrize(
    ("cause", "jitter", "seconds"),
    [
        (Cause.SERVER, 0.0, 1.0),
        (Cause.SERVER, 1.0, 1.2),
        (Cause.BURST, 0.0, 2.5),
        (Cause.BURST, 1.0, 3.0),
        (Cause.RATE_LIMIT, 0.0, 5.0),
        (Cause.QUOTA, 0.0, 120.0),
        (Cause.QUOTA, 1.0, 130.0),
        (Cause.CREDENTIALS, 0.0, 60.0),
        (Cause.MODEL, 0.0, 600.0),
    ],
)
def test_rests_where_the_upstream_names_none(cause: Cause, jitter: float, seconds: float) -> None:
    health = resting(cause, jitter=jitter)
    assert wait(health) == pytest.approx(seconds, abs=1e-3)
    assert not health.may_start(NOW, MODEL)
    assert health.state(NOW + seconds - 0.01, MODEL) == "cooling"
    assert health.state(NOW + seconds + 0.01, MODEL) == "probing"
    assert health.until(NOW + seconds + 0.01, MODEL) is None


@pytest.mark.parametrize(
    ("retry_after", "resets_at", "told"),
    [
        (45.0, None, 45.0),
        (None, NOW + 45, 45.0),
        (45.0, NOW + 900, 45.0),
        (0.0, None, 1.0),
        (None, NOW - 500, 1.0),
        (None, (NOW + 45) * 1000, 45.0),
        (-5.0, None, 5.0),
        (float("nan"), None, 5.0),
        (None, 0.0, 5.0),
        (float("inf"), None, 8 * DAY),
        (None, NOW + 400 * DAY, 8 * DAY),
    ],
)
def test_the_upstreams_own_wait_is_obeyed_within_reason(
    retry_after: float | None, resets_at: float | None, told: float
) -> None:
    health = Health()
    health.failed(Cause.RATE_LIMIT, NOW, retry_after=retry_after, resets_at=resets_at, model=MODEL)
    assert wait(health) == pytest.approx(told, abs=1e-3)


def test_a_burst_is_brief_whatever_else_it_says() -> None:
    assert resting(Cause.BURST, retry_after=900).until(NOW, MODEL) == NOW + 2.5


def test_the_jitter_draws_out_a_named_wait_but_is_not_told() -> None:
    """B82: the client is told the upstream's own reset."""
    health = resting(Cause.QUOTA, retry_after=100, jitter=1.0)
    assert health.until(NOW, MODEL) == NOW + 100
    assert health.state(NOW + 105, MODEL) == "cooling"
    assert health.until(NOW + 105, MODEL) == NOW + 110


def test_a_long_rest_is_interrupted_by_one_test_call() -> None:
    """reliability, public incidents: a stale far-future reset blocks a recovered account."""
    health = resting(Cause.QUOTA, retry_after=4 * DAY)
    assert health.until(NOW, MODEL) == NOW + 4 * DAY
    assert health.state(NOW + LOOK_AGAIN_SECONDS - 1) == "cooling"
    later = NOW + LOOK_AGAIN_SECONDS
    assert health.state(later) == "probing"
    assert health.may_start(later)
    health.started(later)
    assert not health.may_start(later)
    health.failed(Cause.QUOTA, later, retry_after=4 * DAY - LOOK_AGAIN_SECONDS, began=later)
    assert health.state(later) == "cooling"
    assert health.until(later) == NOW + 4 * DAY


@pytest.mark.parametrize(
    ("cause", "state", "why"),
    [
        (Cause.LOGIN, "needs_login", ("login needed", "login")),
        (Cause.DEAD, "dead", ("account closed", "login")),
    ],
)
def test_what_only_a_person_can_mend(cause: Cause, state: str, why: tuple[str, str]) -> None:
    health = resting(cause)
    for after in (0.0, 400 * DAY):
        assert health.state(NOW + after, MODEL) == state
        assert health.until(NOW + after) is None
        assert not health.may_start(NOW + after)
        assert health.why(NOW + after) == why
    # A stream that ends well, or a late 429, changes nothing.
    health.succeeded(NOW + 1, MODEL)
    health.failed(Cause.QUOTA, NOW + 1, retry_after=5)
    health.recovered(NOW + 2)
    assert health.state(NOW + 3) == state
    health.revive()
    assert health.state(NOW + 3) == "ok"


def test_a_closed_account_is_worse_than_one_without_a_login() -> None:
    health = resting(Cause.LOGIN)
    health.failed(Cause.DEAD, NOW + 1)
    assert health.state(NOW + 1) == "dead"


@pytest.mark.parametrize("cause", [Cause.MODEL, Cause.OVERLOADED, Cause.RATE_LIMIT])
def test_what_is_a_models_leaves_the_account_alone(cause: Cause) -> None:
    health = resting(cause)
    assert health.state(NOW, MODEL) == "cooling"
    assert health.state(NOW, "gpt-5.4-mini") == "ok"
    assert health.state(NOW) == "ok"
    assert list(health.resting(NOW)) == [MODEL]
    assert health.resting(NOW + 4000) == {}


def test_without_a_model_an_overload_is_the_accounts_and_a_missing_entitlement_nobodys() -> None:
    health = Health()
    health.failed(Cause.MODEL, NOW)
    assert health.state(NOW) == "ok"
    health.failed(Cause.RATE_LIMIT, NOW)
    assert health.state(NOW) == "cooling"


def test_a_spent_meter_of_a_model_concerns_that_model_alone() -> None:
    health = Health()
    health.failed(Cause.QUOTA, NOW, model="spark", metered=True, retry_after=500)
    assert (health.state(NOW), health.state(NOW, "spark")) == ("ok", "cooling")
    assert health.spent_since() == [("spark", NOW)]
    health.recovered(NOW + 60, "spark")
    assert health.state(NOW + 60, "spark") == "probing"
    health.recovered(NOW + 60, "unknown")


def test_the_rest_doubles_with_every_failed_test_up_to_what_a_request_waits() -> None:
    health, now, seconds = resting(Cause.SERVER), NOW, []
    for _ in range(9):
        until = health.until(now)
        assert until is not None
        seconds.append(until - now)
        now = until
        health.started(now, MODEL)
        health.failed(Cause.SERVER, now, model=MODEL, began=now)
    assert seconds == [1, 2, 4, 8, 8, 8, 8, 8, 8]


def test_calls_that_were_under_way_tell_the_same_only_once() -> None:
    health = resting(Cause.SERVER)
    for after in (0.1, 0.5, 0.9, 5.0):
        health.failed(Cause.SERVER, NOW + after, model=MODEL, began=NOW - 10)
    assert health.state(NOW + 5) == "probing"
    # Something longer or graver counts all the same.
    health.failed(Cause.QUOTA, NOW + 5, retry_after=600, began=NOW - 10)
    assert health.until(NOW + 5) == NOW + 605
    health.failed(Cause.QUOTA, NOW + 6, retry_after=10, began=NOW - 10)
    assert health.until(NOW + 6) == NOW + 605
    health.failed(Cause.QUOTA, NOW + 6, retry_after=700, began=NOW - 10)
    assert health.until(NOW + 6) == NOW + 706
    health.failed(Cause.LOGIN, NOW + 7, began=NOW - 10)
    assert health.state(NOW + 7) == "needs_login"


def test_successes_that_began_before_the_rest_was_over_say_nothing() -> None:
    health = resting(Cause.QUOTA, retry_after=60)
    for _ in range(20):
        health.succeeded(NOW + 61, MODEL, began=NOW - 30)
    assert health.state(NOW + 61) == "probing"


def test_the_way_back_is_one_then_two_then_four_then_all() -> None:
    """reliability R8."""
    health = resting(Cause.RATE_LIMIT)
    now, widths = NOW + 10, []
    for _ in range(3):
        width = 0
        while health.may_start(now, MODEL) and width < 10:
            health.started(now, MODEL)
            width += 1
        widths.append(width)
        assert health.state(now, MODEL) == "probing"
        assert health.why(now, MODEL) == ("probing", "quota")
        assert health.until(now, MODEL) == now + 1
        for _ in range(width):
            health.succeeded(now, MODEL, began=now)
        now += 2
    assert widths == [1, 2, 4]
    assert health.state(now, MODEL) == "ok"
    assert all(health.may_start(now, MODEL) for _ in range(50))


def test_two_calls_at_most_in_the_first_second() -> None:
    """reliability R8."""
    health, calls = resting(Cause.QUOTA, retry_after=30), 0
    for tick in range(100):
        now = NOW + 30 + tick / 100
        while health.may_start(now):
            health.started(now)
            health.succeeded(now, began=now)
            calls += 1
    assert calls == 2
    assert health.may_start(NOW + 31)


def test_a_test_call_that_tells_nothing_makes_room_for_the_next() -> None:
    health = resting(Cause.SERVER)
    now = NOW + 1
    health.started(now, MODEL)
    assert not health.may_start(now + 1)
    health.ended(MODEL, now)
    assert health.may_start(now + 1)
    # So does one that was never given back, after two minutes.
    health.started(now + 1)
    assert not health.may_start(now + 100)
    assert health.may_start(now + 121)


def test_a_call_that_starts_during_the_rest_is_no_test_call() -> None:
    health = resting(Cause.SERVER)
    health.started(NOW + 0.5)
    assert health.may_start(NOW + 1)


def test_another_failure_in_a_test_call_begins_its_own_count() -> None:
    health = resting(Cause.BURST)
    now = NOW + 3
    health.started(now)
    health.failed(Cause.SERVER, now, began=now)
    assert health.state(now) == "probing"
    assert health.may_start(now)


def test_a_reading_with_room_ends_a_rest_for_spent_quota_but_not_the_test_calls() -> None:
    health = resting(Cause.QUOTA, retry_after=4 * DAY)
    assert health.spent_since() == [(None, NOW)]
    health.recovered(NOW + 60)
    assert health.state(NOW + 60) == "probing"
    health.recovered(NOW + 61)
    assert health.until(NOW + 61) is None
    assert resting(Cause.SERVER).spent_since() == []


def test_a_model_that_is_well_again_is_forgotten() -> None:
    health = Health()
    health.failed(Cause.OVERLOADED, NOW, model=MODEL)
    health.succeeded(NOW + 1, MODEL)
    assert health._models == {}
    health.failed(Cause.OVERLOADED, NOW + 2, model=MODEL)
    health.succeeded(NOW + 3, MODEL, began=NOW)
    assert list(health._models) == [MODEL]


def test_the_memory_of_models_is_bounded() -> None:
    health = Health()
    for number in range(200):
        health.failed(Cause.MODEL, NOW, model=f"m{number}")
    assert len(health.resting(NOW)) == 64
    assert health.state(NOW, "m199") == "cooling"
    health = Health()
    health.failed(Cause.MODEL, NOW, model=MODEL)
    for number in range(200):
        health.failed(Cause.OVERLOADED, NOW, model=f"m{number}")
    assert health.state(NOW, MODEL) == "cooling"


CALLS = st.lists(
    st.tuples(
        st.sampled_from([cause for cause in Cause if cause not in (Cause.LOGIN, Cause.DEAD)]) | st.none(),
        st.none() | st.floats(allow_nan=True, allow_infinity=True),
        st.none() | st.floats(allow_nan=True, allow_infinity=True),
        st.sampled_from([None, "a", "b"]),
        st.floats(0, 1),
        st.floats(0, 4000),
        st.booleans(),
    ),
    max_size=30,
)


@given(CALLS)
def test_every_rest_ends(
    calls: list[tuple[Cause | None, float | None, float | None, str | None, float, float, bool]],
) -> None:
    """Whatever happens: an hour after the last failure a test call may go, and seven good ones end it."""
    health, now = Health(), NOW
    for cause, retry_after, resets_at, model, jitter, step, early in calls:
        now += step
        began = now - 5 if early else now
        if health.may_start(began, model):
            health.started(began, model)
        if cause is None:
            health.succeeded(now, model, began=began)
        else:
            health.failed(
                cause,
                now,
                retry_after=retry_after,
                resets_at=resets_at,
                model=model,
                began=began,
                jitter=jitter,
            )
        for asked in (None, "a", "b"):
            until = health.until(now, asked)
            assert until is None or now < until <= now + 8 * DAY + 10
    now += LOOK_AGAIN_SECONDS + 1
    for asked in ("a", "b"):
        for turn in range(16):
            assert health.may_start(now + 200 * turn, asked)
            health.started(now + 200 * turn, asked)
            health.succeeded(now + 200 * turn, asked)
        assert health.state(now + 3200, asked) == "ok"
        now += 3200
