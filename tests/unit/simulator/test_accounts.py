"""Accounts and who a bearer belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator import accounts as module
from dragoman.simulator.accounts import DEFAULT_KEY, Account, Accounts, describe
from dragoman.simulator.refusal import Answer, Refused
from dragoman.simulator.switches import Switches


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", **more}


def refused(accounts: Accounts, headers: dict[str, str], kind: Any = "api", now: float = 0.0) -> Answer:
    with pytest.raises(Refused) as caught:
        accounts.authenticate(kind, headers, now)
    return caught.value.answer


def test_the_default_key_has_an_account() -> None:
    assert Accounts(Switches()).authenticate("api", bearer(DEFAULT_KEY), 0).id == "default"


def test_any_bearer_is_an_account_of_its_own() -> None:
    accounts = Accounts(Switches())
    one = accounts.authenticate("api", bearer("sk-one"), 0)
    assert accounts.authenticate("api", bearer("sk-one"), 0) is one
    other = accounts.authenticate("api", bearer("sk-two"), 0)
    assert one.scope != other.scope


def test_strict_keys_refuse_unknown_bearers_without_showing_them() -> None:
    accounts = Accounts(Switches(strict_keys=True))
    answer = refused(accounts, bearer("sk-secret-secret-1234"))
    assert (answer.status, answer.body["error"]["code"], answer.breach) == (401, "invalid_api_key", "")
    assert "secret-secret" not in answer.message
    assert "***" in refused(accounts, bearer("short")).message
    assert refused(accounts, bearer("t"), "codex").body["error"]["code"] == "token_invalidated"


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic x"}, {"authorization": "Bearer "}])
def test_no_bearer_no_entry(headers: dict[str, str]) -> None:
    assert refused(Accounts(Switches()), headers).status == 401


def test_a_codex_account_is_known_by_its_header_until_it_has_tokens() -> None:
    accounts = Accounts(Switches())
    one = accounts.authenticate("codex", bearer("t1", **{"chatgpt-account-id": "acc"}), 0)
    assert accounts.authenticate("codex", bearer("t2", **{"chatgpt-account-id": "acc"}), 0) is one
    assert one.scope == "acc"
    accounts.put({"id": "acc", "kind": "codex", "access": "t3"})
    assert accounts.authenticate("codex", bearer("t3"), 0) is one
    assert accounts.authenticate("codex", bearer("t4"), 0).id.startswith("codex-")


@pytest.mark.parametrize(
    ("state", "kind", "status", "code"),
    [
        ({"deactivated": True}, "api", 403, "account_deactivated"),
        ({"revoked": True}, "api", 401, "invalid_api_key"),
        ({"revoked": True}, "codex", 401, "token_invalidated"),
        ({"expires": 10.0}, "codex", 401, "token_expired"),
    ],
)
def test_the_state_of_an_account_shows(state: dict[str, Any], kind: Any, status: int, code: str) -> None:
    accounts = Accounts(Switches())
    accounts.put({"id": "x", "kind": kind, "key": "k", "access": "k", **state})
    answer = refused(accounts, bearer("k"), kind, 10.0)
    assert (answer.status, answer.body["error"]["code"]) == (status, code)


def test_a_token_lives_until_it_expires() -> None:
    accounts = Accounts(Switches())
    accounts.put({"id": "x", "kind": "codex", "access": "k", "expires": 10.0})
    assert accounts.authenticate("codex", bearer("k"), 9.9).id == "x"


@pytest.mark.parametrize(
    "wanted",
    [{}, {"id": ""}, {"id": "a", "colour": "red"}, {"id": "a", "kind": "other"}, {"id": "a", "spent": {}}],
)
def test_wrong_accounts_are_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="account"):
        Accounts(Switches()).put(wanted)


def test_accounts_are_listed_and_described() -> None:
    accounts = Accounts(Switches())
    accounts.put({"id": "x", "kind": "codex", "refresh": "r", "plan": "pro"})
    assert [account.id for account in accounts] == ["default", "x"]
    shown = describe(accounts.put({"id": "x", "plan": "team"}))
    assert (shown["plan"], shown["spent"]["requests"]) == ("team", 0)
    assert "buckets" not in shown
    assert accounts.get("y") is None


def test_a_refresh_token_finds_its_account_also_after_use() -> None:
    accounts = Accounts(Switches())
    account = accounts.put({"id": "x", "kind": "codex", "refresh": "r2"})
    account.retired = ["r1"]
    assert accounts.by_refresh("r1") is accounts.by_refresh("r2") is account
    assert accounts.by_refresh("") is None


def test_an_api_account_without_organisation_is_its_own_scope() -> None:
    assert Account("a").scope == "a"
    assert Account("a", org="o").scope == "o"


def test_automatic_accounts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_AUTOMATIC", 5)
    accounts = Accounts(Switches())
    for number in range(20):
        accounts.authenticate("api", bearer(f"k{number}"), 0)
    assert len(list(accounts)) == 5
