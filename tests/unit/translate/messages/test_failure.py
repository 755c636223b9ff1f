from __future__ import annotations

import pytest

from dragoman.translate.messages.failure import ADVICE, TOLD, Cause, UpstreamFailure, to_client
from dragoman.wire.errors import Kind

# reliability E5 and the page "errors and endings": what a client is told, by cause.
STATUS = {
    Cause.TRANSPORT: 502,
    Cause.TIMEOUT: 504,
    Cause.CUT: 502,
    Cause.PROTOCOL: 502,
    Cause.EMPTY: 502,
    Cause.SERVER: 502,
    Cause.OVERLOADED: 529,
    Cause.BURST: 429,
    Cause.RATE_LIMIT: 429,
    Cause.QUOTA: 429,
    Cause.CREDENTIALS: 502,
    Cause.LOGIN: 502,
    Cause.DEAD: 502,
    Cause.MODEL: 404,
    Cause.CONTEXT: 400,
    Cause.SEALED: 400,
    Cause.PARAMETER: 400,
    Cause.POLICY: 400,
    Cause.TOO_LARGE: 413,
    Cause.IMAGE: 400,
    Cause.DOCUMENT: 400,
    Cause.REQUEST: 400,
    Cause.UNFIT: 400,
}


def test_every_cause_has_advice_and_an_answer() -> None:
    assert set(ADVICE) == set(TOLD) == set(STATUS) == set(Cause)


@pytest.mark.parametrize("cause", Cause)
def test_the_status_of_every_cause(cause: Cause) -> None:
    """B81, B82, B84, B85, B88, D12, D14, D15, behaviours E11, behaviours E12."""
    client = to_client(UpstreamFailure(cause), tokens=1, window=2)
    assert client.status == STATUS[cause]
    assert client.message


@pytest.mark.parametrize(
    "cause",
    [Cause.CONTEXT, Cause.POLICY, Cause.TOO_LARGE, Cause.REQUEST, Cause.PARAMETER, Cause.SEALED, Cause.MODEL],
)
def test_a_request_that_is_refused_for_itself_blames_no_account(cause: Cause) -> None:
    """B87, D35, behaviours E2."""
    assert not ADVICE[cause].blames_account
    assert not ADVICE[cause].same_account


@pytest.mark.parametrize(
    "cause",
    [
        Cause.RATE_LIMIT,
        Cause.QUOTA,
        Cause.CREDENTIALS,
        Cause.LOGIN,
        Cause.DEAD,
        Cause.SERVER,
        Cause.OVERLOADED,
        Cause.MODEL,
    ],
)
def test_where_another_account_may_succeed(cause: Cause) -> None:
    """B83, D12."""
    assert ADVICE[cause].another_account


def test_a_cut_is_nobodys_fault() -> None:
    assert ADVICE[Cause.CUT] == ADVICE[Cause.TRANSPORT] == ADVICE[Cause.EMPTY]
    assert not ADVICE[Cause.CUT].blames_account


@pytest.mark.parametrize(
    ("cause", "wait", "headers"),
    [
        (Cause.QUOTA, 3600.0, {"retry-after": "3600", "x-should-retry": "false"}),
        (Cause.QUOTA, 60.0, {"retry-after": "60"}),
        (Cause.QUOTA, None, {"x-should-retry": "false"}),
        (Cause.RATE_LIMIT, None, {"retry-after": "10"}),
        (Cause.RATE_LIMIT, 61.0, {"retry-after": "61", "x-should-retry": "false"}),
        (Cause.BURST, None, {"retry-after": "3"}),
        (Cause.OVERLOADED, None, {"retry-after": "5"}),
        (Cause.OVERLOADED, 0.0, {"retry-after": "1"}),
        (Cause.SERVER, 30.0, {}),
        (Cause.CREDENTIALS, 30.0, {"x-should-retry": "false"}),
        (Cause.EMPTY, None, {"x-should-retry": "false"}),
    ],
)
def test_waits_and_whether_to_wait_at_all(cause: Cause, wait: float | None, headers: dict[str, str]) -> None:
    """B82, behaviours E1: above a minute a client should say so instead of sitting there."""
    failure = UpstreamFailure(cause, retry_after=wait)
    assert to_client(failure, tokens=None, window=None).headers() == headers


def test_the_upstreams_words_are_passed_on_where_they_help() -> None:
    """B68, D16."""
    failure = UpstreamFailure(Cause.RATE_LIMIT, "slow")
    assert to_client(failure, tokens=None, window=None).message == "slow"


@pytest.mark.parametrize("cause", [cause for cause in Cause if not TOLD[cause].quotes])
def test_the_upstreams_words_are_kept_back_where_they_mislead(cause: Cause) -> None:
    failure = UpstreamFailure(cause, "Log in again at example.com")
    assert "example" not in to_client(failure, tokens=1, window=2).message


@pytest.mark.parametrize(
    ("text", "tokens", "window", "message"),
    [
        ("", 300000, 272000, "prompt is too long: 300000 tokens > 272000 maximum"),
        ("", 1000, 272000, "prompt is too long: 272001 tokens > 272000 maximum"),
        ("", None, 272000, "prompt is too long: 272001 tokens > 272000 maximum"),
        ("", 300000, None, "prompt is too long: it exceeds the context window of the model"),
        ("limit 272000", None, None, "prompt is too long: 272001 tokens > 272000 maximum"),
        ("limit 128000", 150000, 272000, "prompt is too long: 272001 tokens > 272000 maximum"),
        ("at most 272000, got 301234.", 1, 2, "prompt is too long: 301234 tokens > 272000 maximum"),
        ("at most 272,000, got 301,234", 1, 2, "prompt is too long: 301234 tokens > 272000 maximum"),
        (
            "gpt-4o-2024-08-06 takes 128000",
            130000,
            None,
            "prompt is too long: 130000 tokens > 128000 maximum",
        ),
        ("5000 and 5000", 7000, 6000, "prompt is too long: 7000 tokens > 6000 maximum"),
        ("error 400: 12 messages", 7000, 6000, "prompt is too long: 7000 tokens > 6000 maximum"),
    ],
)
def test_the_wording_of_an_overflow_is_a_contract(
    text: str, tokens: int | None, window: int | None, message: str
) -> None:
    """B85, D14, behaviours T9, behaviours T10, behaviours T11: clients compact on exactly this sentence."""
    failure = UpstreamFailure(Cause.CONTEXT, text)
    client = to_client(failure, tokens=tokens, window=window)
    assert (client.kind, client.message) == (Kind.CONTEXT_OVERFLOW, message)
