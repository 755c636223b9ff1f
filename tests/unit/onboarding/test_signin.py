"""A sign-in from its beginning to a login, and the sentence where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dragoman.onboarding import signin
from dragoman.onboarding.signin import SignInFailed
from dragoman.upstream.calls import Reply
from dragoman.upstream.oauth import Issuer, Wait, challenge
from dragoman.wire import jsonio
from tests.support.logins import jwt

NOW = 1_800_000_000.0
WHOLE = {"access_token": jwt(auth={"chatgpt_account_id": "acct"}), "refresh_token": "rt"}


class Asked:
    """Answers each call with the next reply."""

    def __init__(self, *replies: tuple[int, Any]) -> None:
        self.replies = list(replies)
        self.seen: list[Mapping[str, Any]] = []

    async def post_json(
        self, url: str, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Reply:
        return self._next(document)

    async def post_form(self, url: str, form: Mapping[str, str]) -> Reply:
        return self._next(form)

    def _next(self, said: Mapping[str, Any]) -> Reply:
        self.seen.append(said)
        status, document = self.replies.pop(0)
        return Reply(status, {}, jsonio.dump(document), document)


def issuer(*replies: tuple[int, Any]) -> tuple[Issuer, Asked]:
    asked = Asked(*replies)
    return Issuer(asked, "https://issuer.test", "app", lambda: NOW), asked


async def test_a_browser_sign_in_has_secrets_of_its_own() -> None:
    service, asked = issuer((200, WHOLE))
    one, other = signin.browser(service), signin.browser(service)
    assert one.state != other.state and one.secret != other.secret
    query = {name: values[0] for name, values in parse_qs(urlsplit(one.url).query).items()}
    assert query["state"] == one.state
    assert query["code_challenge"] == challenge(one.secret)
    assert one.state not in repr(one) and one.secret not in repr(one)
    login = await one.pasted(f"http://localhost:1455/auth/callback?code=abc&state={one.state}", NOW)
    assert (login.account_id, login.last_refresh) == ("acct", NOW)
    assert (asked.seen[0]["code"], asked.seen[0]["code_verifier"]) == ("abc", one.secret)


async def test_an_address_of_another_sign_in_is_asked_for_again() -> None:
    service, asked = issuer()
    begun = signin.browser(service)
    with pytest.raises(SignInFailed, match="another log-in") as failed:
        await begun.pasted("http://localhost:1455/auth/callback?code=abc&state=other", NOW)
    assert not failed.value.over
    assert asked.seen == [], "a code that is not ours is shown to nobody"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((400, {"error": "invalid_grant"}), "used, has expired"),
        ((404, {}), "no log-in host"),
        ((200, {**WHOLE, "refresh_token": None}), "no refresh token"),
        ((200, {**WHOLE, "access_token": "opaque"}), "name no account"),
        ((200, {**WHOLE, "access_token": jwt(email="a@b.test")}), "names no ChatGPT account"),
    ],
)
async def test_no_login_is_a_sentence(reply: tuple[int, Any], said: str) -> None:
    service, _ = issuer(reply)
    with pytest.raises(SignInFailed, match=said) as failed:
        await signin.browser(service).code("abc", NOW)
    assert failed.value.over


async def test_a_device_sign_in_is_polled_to_its_end() -> None:
    begun = {"user_code": "AB-CD", "device_auth_id": "d", "interval": 2}
    code = {"authorization_code": "abc", "code_verifier": "v"}
    service, _ = issuer((200, begun), (403, {}), (200, code), (200, WHOLE))
    device = await signin.device(service)
    assert (device.user_code, device.url) == ("AB-CD", "https://issuer.test/codex/device")
    assert device.expires_at > NOW
    assert await device.poll(NOW) == Wait(2.0)
    login = await device.poll(NOW)
    assert not isinstance(login, Wait) and login.account_id == "acct"


async def test_a_refused_device_sign_in_is_over() -> None:
    begun = {"user_code": "AB-CD", "device_auth_id": "d"}
    service, _ = issuer((200, begun), (400, {"error": "access_denied"}))
    device = await signin.device(service)
    with pytest.raises(SignInFailed, match="refused in the browser"):
        await device.poll(NOW)
    service, _ = issuer((404, {}))
    with pytest.raises(SignInFailed, match="not enabled"):
        await signin.device(service)
