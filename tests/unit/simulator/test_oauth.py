"""Log-in: codes, devices, refresh."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dragoman.simulator import oauth as module
from dragoman.simulator.accounts import Accounts
from dragoman.simulator.answer import Mint
from dragoman.simulator.oauth import CLAIM, Grants
from dragoman.simulator.refusal import Answer
from dragoman.simulator.switches import Switches

VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
QUERY = {
    "response_type": "code",
    "client_id": "app",
    "redirect_uri": "http://localhost:1455/auth/callback",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "xyz",
}


class Desk:
    def __init__(self) -> None:
        self.accounts = Accounts(Switches())
        self.grants = Grants(Mint(1))

    def code(self, **more: str) -> str:
        address = self.grants.authorize({**QUERY, **more})
        assert isinstance(address, str)
        found = parse_qs(urlsplit(address).query)
        assert found["state"] == ["xyz"]
        return found["code"][0]

    def token(self, now: float = 0.0, /, **body: Any) -> Answer:
        return self.grants.token(body, self.accounts, now)

    def exchanged(self, now: float = 0.0, **more: str) -> dict[str, Any]:
        answer = self.token(
            now,
            grant_type="authorization_code",
            code=self.code(**more),
            code_verifier=VERIFIER,
            redirect_uri=QUERY["redirect_uri"],
        )
        assert answer.status == 200
        return answer.body


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_a_code_becomes_tokens_once() -> None:
    desk = Desk()
    tokens = desk.exchanged(100.0, account="mine")
    inside = claims(tokens["id_token"])
    assert inside["exp"] == 100 + module.ACCESS_SECONDS
    assert inside[CLAIM]["chatgpt_account_id"] == "mine"
    account = desk.accounts.get("mine")
    assert account is not None
    assert (account.access, account.refresh) == (tokens["access_token"], tokens["refresh_token"])
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    assert desk.accounts.authenticate("codex", headers, 100.0) is account


def test_a_code_is_refused_twice_and_with_another_verifier_or_address() -> None:
    desk = Desk()
    code = desk.code()
    good = {
        "grant_type": "authorization_code",
        "code_verifier": VERIFIER,
        "redirect_uri": QUERY["redirect_uri"],
    }
    for wrong in ({"code_verifier": "w"}, {"redirect_uri": "http://localhost/other"}, {"code": "none"}):
        answer = desk.token(**{**good, "code": desk.code(), **wrong})
        assert (answer.status, answer.body["error"]) == (400, "invalid_grant")
    assert desk.token(**good, code=code).status == 200
    assert desk.token(**good, code=code).status == 400


@pytest.mark.parametrize(
    "change",
    [
        {"response_type": "token"},
        {"redirect_uri": "javascript:x"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
    ],
)
def test_a_login_page_wants_code_and_pkce(change: dict[str, str]) -> None:
    assert isinstance(Desk().grants.authorize({**QUERY, **change}), Answer)


def test_an_address_with_a_query_keeps_it() -> None:
    address = Desk().grants.authorize({**QUERY, "redirect_uri": "http://localhost/cb?a=1"})
    assert isinstance(address, str) and address.startswith("http://localhost/cb?a=1&code=")


def test_a_refresh_token_is_single_use_and_reuse_revokes_the_family() -> None:
    desk = Desk()
    first = desk.exchanged()["refresh_token"]
    second = desk.token(10.0, grant_type="refresh_token", refresh_token=first)
    assert second.status == 200
    assert second.body["refresh_token"] != first
    reused = desk.token(grant_type="refresh_token", refresh_token=first)
    assert (reused.status, reused.body["error"]["code"]) == (401, "refresh_token_reused")
    after = desk.token(grant_type="refresh_token", refresh_token=second.body["refresh_token"])
    assert after.body["error"]["code"] == "refresh_token_invalidated"
    account = desk.accounts.get("chatgpt")
    assert account is not None and account.revoked


def test_unknown_grants_are_refused() -> None:
    desk = Desk()
    assert desk.token(grant_type="refresh_token", refresh_token="none").body["error"] == "invalid_grant"
    assert desk.token(grant_type="password").body["error"] == "unsupported_grant_type"


def test_a_device_login_waits_then_gives_a_code_with_its_verifier() -> None:
    desk = Desk()
    begun = desk.grants.begin_device("app", 0.0, polls=2).body
    poll = {"device_auth_id": begun["device_auth_id"], "user_code": begun["user_code"]}
    for _ in range(2):
        waiting = desk.grants.poll_device(poll, 1.0)
        assert (waiting.status, waiting.body["error"]) == (403, "authorization_pending")
    granted = desk.grants.poll_device(poll, 2.0)
    assert granted.status == 200
    answer = desk.token(
        grant_type="authorization_code",
        code=granted.body["authorization_code"],
        code_verifier=granted.body["code_verifier"],
        redirect_uri="anything",
    )
    assert answer.status == 200
    assert desk.grants.poll_device(poll, 3.0).status == 404


def test_device_logins_fail_in_known_ways() -> None:
    grants = Desk().grants
    assert grants.begin_device("", 0.0).status == 400
    begun = grants.begin_device("app", 0.0).body
    poll = {"device_auth_id": begun["device_auth_id"], "user_code": begun["user_code"]}
    assert grants.poll_device({**poll, "user_code": "X"}, 0.0).status == 404
    assert grants.poll_device(poll, 900.0).body["error"] == "expired_token"
    grants._devices[begun["device_auth_id"]].denied = True
    assert grants.poll_device(poll, 0.0).body["error"] == "access_denied"


def test_open_grants_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_GRANTS", 2)
    desk = Desk()
    for _ in range(5):
        desk.code()
    assert len(desk.grants._codes) == 2
