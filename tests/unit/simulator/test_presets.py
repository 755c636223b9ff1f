"""Presets: every name gives an answer, with the right status and discriminator."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator.accounts import Account
from dragoman.simulator.presets import NAMES, Ending, Page, Use, strike
from dragoman.simulator.refusal import Answer


def struck(name: str, account: Account | None = None, **args: Any) -> Any:
    return strike(Use(name, args), account or Account("a", "codex", access="t"), "gpt-5.5", 1000.0)


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_gives_an_effect(name: str) -> None:
    for kind in ("api", "codex"):
        effect = struck(name, Account("a", kind))
        assert isinstance(effect, Answer | Ending | Page)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("401_expired", 401, "token_expired"),
        ("401_revoked", 401, "token_invalidated"),
        ("402_deactivated", 402, "account_deactivated"),
        ("403_deactivated", 403, "account_deactivated"),
        ("429_rate_limit", 429, "rate_limit_exceeded"),
        ("429_insufficient_quota", 429, "insufficient_quota"),
        ("429_usage_not_included", 429, None),
        ("429_message_only", 429, None),
        ("400_context_length", 400, "context_length_exceeded"),
        ("400_invalid_encrypted_content", 400, "invalid_encrypted_content"),
        ("400_cyber_policy", 400, "cyber_policy"),
        ("400_invalid_image", 400, "invalid_image_format"),
        ("400_invalid_pdf", 400, "invalid_value"),
        ("404_model", 404, "model_not_found"),
        ("500", 500, "server_error"),
        ("503_overloaded", 503, "server_is_overloaded"),
        ("503_slow_down", 503, "slow_down"),
        ("529", 529, None),
    ],
)
def test_statuses_and_codes(name: str, status: int, code: str | None) -> None:
    answer = struck(name)
    assert (answer.status, answer.body["error"]["code"], answer.breach) == (status, code, "")


def test_an_expired_token_stays_expired_until_refreshed() -> None:
    account = Account("a", "codex", access="t")
    struck("401_expired", account)
    assert account.expires == 1000.0
    keyed = Account("k", "api", key="k")
    struck("401_expired", keyed)
    assert keyed.expires is None


def test_presets_that_change_the_account() -> None:
    account = Account("a", "codex")
    struck("401_revoked", account)
    assert (account.revoked, account.refresh_fails) == (True, "refresh_token_invalidated")
    account = Account("a", "codex")
    struck("refresh_token_reused", account)
    assert account.refresh_fails == "refresh_token_reused"
    struck("403_deactivated", account)
    assert account.deactivated


def test_a_rate_limit_says_when_to_come_back() -> None:
    answer = struck("429_rate_limit", retry_after=2.5)
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["retry-after-ms"] == "2500"
    assert "Please try again in 2.5s." in answer.message
    assert "1.2s" in struck("429_rate_limit").message


def test_a_usage_limit_has_its_discriminator_in_the_type() -> None:
    answer = struck("429_usage_limit_reached", resets_in_seconds=60)
    error = answer.body["error"]
    assert (error["type"], error["resets_at"], error["resets_in_seconds"]) == (
        "usage_limit_reached",
        1060,
        60,
    )
    assert "code" not in error
    assert answer.headers["x-codex-primary-reset-after-seconds"] == "60"


def test_dialects_differ_by_flavour() -> None:
    codex, api = Account("c", "codex"), Account("a", "api")
    assert "not supported when using Codex" in struck("403_model", codex).body["detail"]
    assert struck("403_model", api).status == 403
    assert struck("400_unsupported_parameter", codex, param="x").body == {
        "detail": "Unsupported parameter: x"
    }
    assert struck("400_unsupported_parameter", api, param="x").body["error"]["param"] == "x"
    assert struck("401_revoked", api).body["error"]["code"] == "invalid_api_key"
    assert struck("400_invalid_encrypted_content", api, code=None).body["error"]["code"] is None


def test_some_strike_inside_the_stream_and_one_is_a_page() -> None:
    ending = struck("failed_midstream_server_error")
    assert (ending.kind, ending.code) == ("failed", "server_error")
    page = struck("502_html")
    assert (page.status, page.content_type.startswith("text/html")) == (502, True)
    assert page.text.startswith("<!DOCTYPE html>")
