"""What is tried again before the first content event, and on whom."""

from __future__ import annotations

import pytest

from dragoman.gateway.attempts import BACKOFF_SECONDS, LEARNT_SECONDS, Attempts, Learnt
from dragoman.gateway.ports import Account
from dragoman.translate.messages.failure import Cause, UpstreamFailure

ONE = Account("one", "openai", "t1")
TWO = Account("two", "openai", "t2")


def attempts(*accounts: Account) -> Attempts:
    made = Attempts(lambda: 0.5)
    made.offer(accounts)
    return made


def anybody(account: Account) -> bool:
    return True


def nobody(account: Account) -> bool:
    return False


def names(tries: Attempts, failure: UpstreamFailure) -> list[str]:
    """Who is asked when everyone fails alike."""
    asked: list[str] = []
    while (step := tries.next(anybody)) is not None:
        asked.append(step.account.name)
        tries.failed(failure)
    return asked


def test_a_road_failure_is_tried_three_times_in_the_order_offered() -> None:
    """reliability R7: two more calls at most, whoever is left."""
    tries = attempts(ONE, TWO)
    assert names(tries, UpstreamFailure(Cause.SERVER)) == ["one", "two", "one"]
    assert tries.over


def test_failures_of_accounts_are_not_counted_as_the_roads() -> None:
    accounts = [Account(f"a{number}", "openai", "t") for number in range(6)]
    tries = attempts(*accounts)
    assert names(tries, UpstreamFailure(Cause.QUOTA)) == [account.name for account in accounts]
    assert not tries.over
    assert tries.tried == {account.name for account in accounts}


def test_who_may_not_be_asked_now_is_passed_over() -> None:
    tries = attempts(ONE, TWO)
    assert tries.next(nobody) is not None, "the pool has just offered the first one"
    tries.failed(UpstreamFailure(Cause.SERVER))
    assert tries.next(nobody) is None
    assert tries.tried == frozenset()


def test_a_new_offer_begins_with_its_first_after_a_moment_where_it_was_tried() -> None:
    tries = attempts(ONE)
    tries.next(anybody)
    tries.failed(UpstreamFailure(Cause.BURST))
    tries.offer([ONE, TWO])
    again = tries.next(nobody)
    assert again is not None
    assert (again.account, again.pause) == (ONE, BACKOFF_SECONDS * 1.5)
    tries.failed(UpstreamFailure(Cause.BURST))
    assert tries.tried == {"one"}
    other = tries.next(anybody)
    assert other is not None
    assert (other.account, other.pause) == (TWO, 0.0)


def test_the_second_round_waits_a_moment() -> None:
    tries = attempts(ONE)
    first = tries.next(anybody)
    assert first is not None
    assert first.pause == 0
    tries.failed(UpstreamFailure(Cause.OVERLOADED))
    second = tries.next(anybody)
    assert second is not None
    assert second.pause == BACKOFF_SECONDS * 1.5
    tries.failed(UpstreamFailure(Cause.OVERLOADED))
    assert tries.next(anybody) is None


@pytest.mark.parametrize("cause", [Cause.QUOTA, Cause.CREDENTIALS, Cause.MODEL, Cause.TIMEOUT])
def test_an_account_failure_is_not_repeated_on_the_same_account(cause: Cause) -> None:
    assert names(attempts(ONE, TWO), UpstreamFailure(cause)) == ["one", "two"]


@pytest.mark.parametrize("cause", [Cause.REQUEST, Cause.CONTEXT, Cause.POLICY, Cause.TOO_LARGE])
def test_a_request_shaped_failure_ends_it_at_once(cause: Cause) -> None:
    """D35, behaviours E2: the request is at fault, no account."""
    assert names(attempts(ONE, TWO), UpstreamFailure(cause)) == ["one"]


def test_sealed_reasoning_is_stripped_once_on_the_same_account() -> None:
    """behaviours C19."""
    tries = attempts(ONE, TWO)
    first = tries.next(anybody)
    assert first is not None
    assert not first.without_reasoning
    tries.failed(UpstreamFailure(Cause.SEALED))
    second = tries.next(anybody)
    assert second is not None
    assert (second.account, second.pause, second.without_reasoning) == (ONE, 0.0, True)
    tries.failed(UpstreamFailure(Cause.SEALED))
    assert tries.next(anybody) is None


def test_without_sealed_reasoning_there_is_nothing_to_strip() -> None:
    tries = attempts(ONE, TWO)
    assert tries.next(anybody) is not None
    tries.failed(UpstreamFailure(Cause.SEALED), sealed=False)
    assert tries.next(anybody) is None


def test_a_refused_parameter_is_learnt_once_per_account() -> None:
    tries = attempts(ONE)
    refusal = UpstreamFailure(Cause.PARAMETER, param="temperature")
    tries.next(anybody)
    assert tries.failed(refusal) == "temperature"
    again = tries.next(anybody)
    assert again is not None
    assert again.account is ONE
    assert tries.failed(refusal) is None
    assert tries.next(anybody) is None


def test_a_parameter_that_cannot_be_left_out_is_the_clients_affair() -> None:
    tries = attempts(ONE, TWO)
    tries.next(anybody)
    assert tries.failed(UpstreamFailure(Cause.PARAMETER, param="input")) is None
    assert tries.next(anybody) is None


def test_the_client_hears_what_tells_it_most() -> None:
    tries = attempts(ONE, TWO)
    tries.next(anybody)
    quota = UpstreamFailure(Cause.QUOTA, retry_after=30)
    tries.failed(quota)
    tries.next(anybody)
    tries.failed(UpstreamFailure(Cause.CREDENTIALS))
    assert tries.next(anybody) is None
    assert tries.verdict() is quota
    assert [row["cause"] for row in tries.told()] == ["quota", "credentials"]


def test_of_several_waits_the_shortest_is_told() -> None:
    tries = attempts(ONE, TWO)
    for wait in (500.0, 40.0):
        tries.next(anybody)
        tries.failed(UpstreamFailure(Cause.QUOTA, retry_after=wait))
    assert tries.verdict().retry_after == 40.0


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ((UpstreamFailure(Cause.QUOTA, retry_after=7200), UpstreamFailure(Cause.OVERLOADED)), 1),
        ((UpstreamFailure(Cause.OVERLOADED), UpstreamFailure(Cause.QUOTA)), 0),
        ((UpstreamFailure(Cause.OVERLOADED, retry_after=30), UpstreamFailure(Cause.RATE_LIMIT)), 1),
        ((UpstreamFailure(Cause.OVERLOADED), UpstreamFailure(Cause.QUOTA, retry_after=5)), 1),
        # A road that failed once may be free in a moment.
        ((UpstreamFailure(Cause.QUOTA, retry_after=7200), UpstreamFailure(Cause.SERVER)), 1),
        ((UpstreamFailure(Cause.TIMEOUT), UpstreamFailure(Cause.QUOTA)), 0),
        ((UpstreamFailure(Cause.CUT), UpstreamFailure(Cause.RATE_LIMIT, retry_after=20)), 1),
    ],
)
def test_of_several_limits_the_one_that_passes_first_is_told(
    failures: tuple[UpstreamFailure, ...], told: int
) -> None:
    """A client that may come back in seconds is not sent away for hours."""
    tries = attempts(ONE, TWO)
    for failure in failures:
        tries.next(anybody)
        tries.failed(failure)
    assert tries.verdict() is failures[told]


def test_a_request_failure_is_told_even_after_a_limit() -> None:
    tries = attempts(ONE, TWO)
    tries.next(anybody)
    tries.failed(UpstreamFailure(Cause.QUOTA, retry_after=30))
    tries.next(anybody)
    tries.failed(UpstreamFailure(Cause.CONTEXT))
    assert tries.verdict().cause is Cause.CONTEXT


def test_nobody_to_ask() -> None:
    assert attempts().next(anybody) is None


def test_judging_before_asking_is_a_fault() -> None:
    with pytest.raises(RuntimeError):
        attempts(ONE).failed(UpstreamFailure(Cause.SERVER))


def test_what_was_learnt_expires() -> None:
    learnt = Learnt()
    assert learnt.of("one", "gpt", 0.0) == frozenset()
    learnt.add("one", "gpt", "temperature", 100.0)
    learnt.add("one", "gpt", "top_p", 200.0)
    assert learnt.of("one", "gpt", 150.0) == {"temperature", "top_p"}
    assert learnt.of("two", "gpt", 150.0) == frozenset()
    assert learnt.of("one", "gpt", 100.0 + LEARNT_SECONDS) == {"top_p"}
