"""Rate buckets, usage windows and their headers."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator import limits
from dragoman.simulator.accounts import Account
from dragoman.simulator.envelope import usage
from dragoman.simulator.refusal import Answer, Refused
from dragoman.simulator.steps import Cost


def refused(account: Account, tokens: int = 10, now: float = 0.0) -> Answer:
    with pytest.raises(Refused) as caught:
        limits.admit(account, "gpt-5.5", tokens, now)
    return caught.value.answer


def codex(**more: Any) -> Account:
    return Account("c", "codex", **more)


def test_requests_run_out_and_come_back() -> None:
    account = Account("a", rpm=2)
    for _ in range(2):
        limits.admit(account, "gpt-5.5", 10, 0)
    answer = refused(account)
    assert (answer.status, answer.body["error"]["type"]) == (429, "requests")
    assert answer.body["error"]["code"] == "rate_limit_exceeded"
    assert answer.headers["retry-after"] == "30"
    assert "Please try again in 30s." in answer.message
    limits.admit(account, "gpt-5.5", 10, 30)


def test_tokens_run_out_too_and_a_refused_request_costs_nothing() -> None:
    account = Account("a", rpm=10, tpm=100)
    limits.admit(account, "gpt-5.5", 90, 0)
    answer = refused(account, 20)
    assert answer.body["error"]["type"] == "tokens"
    assert "TPM" in answer.message
    assert limits.headers(account, 0)["x-ratelimit-remaining-requests"] == "9"


def test_public_headers_stand_on_every_answer() -> None:
    fields = limits.headers(Account("a", tpm=1000), 0)
    assert fields["x-ratelimit-limit-tokens"] == "1000"
    assert fields["x-ratelimit-reset-tokens"] == "0ms"
    assert int(fields["x-ratelimit-limit-requests"]) > 1000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.12, "120ms"), (1, "1s"), (59.2, "1m0s"), (360, "6m0s"), (61.5, "1m2s")],
)
def test_durations_look_like_go(seconds: float, text: str) -> None:
    assert limits.duration(seconds) == text


def test_settling_adds_up() -> None:
    account = codex(primary_quota=1000)
    limits.settle(account, usage(600, 500, 40, Cost(50, 20)), 0)
    spent = account.spent
    assert (spent.requests, spent.input_tokens, spent.cached_tokens, spent.output_tokens) == (1, 600, 500, 50)
    assert limits.used_percent(account, "primary", 0) == pytest.approx(20.0)
    assert limits.used_percent(account, "secondary", 0) == 0.0


def test_a_window_fills_refuses_and_resets() -> None:
    account = codex(primary_quota=100)
    limits.admit(account, "gpt-5.5", 10, 0)
    limits.settle(account, usage(200, 0, 0, Cost()), 0)
    answer = refused(account, now=100)
    error = answer.body["error"]
    assert (answer.status, error["type"], error["resets_in_seconds"]) == (429, "usage_limit_reached", 17_900)
    assert limits.headers(account, 100)["x-codex-primary-used-percent"] == "100.0"
    limits.admit(account, "gpt-5.5", 10, 18_000)


def test_credits_carry_on_over_a_full_window() -> None:
    account = codex(primary_quota=1, credits=5.0)
    limits.settle(account, usage(200, 0, 0, Cost()), 0)
    limits.admit(account, "gpt-5.5", 10, 0)
    assert limits.headers(account, 0)["x-codex-credits-has-credits"] == "True"
    assert limits.headers(account, 0)["x-codex-credits-balance"] == "5.0"


def test_a_plan_may_have_one_window_only() -> None:
    account = codex(primary_minutes=0)
    assert set(limits.windows(account, 0)) == {"secondary"}
    page = limits.usage_page(account, 0)
    assert set(page["rate_limit"]) == {"secondary_window"}
    assert page["rate_limit"]["secondary_window"]["limit_window_seconds"] == 604_800
    event = limits.rate_limits_event(account, 0)
    assert event["type"] == "codex.rate_limits"
    assert event["rate_limits"]["primary"] is None
