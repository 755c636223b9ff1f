"""Speaks to the host that logs ChatGPT accounts in: browser with PKCE, device code, refresh.

Every answer is a value: tokens, a wait, or a Problem that says whether it is final, whether the request may
have been heard, and one sentence on what to do. It stores nothing, repeats nothing and follows no redirect;
clock and randomness are handed in. Refresh tokens are single use: where one may have been heard it must not
be sent again.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from dragoman.upstream.calls import CallFailed, Reply
from dragoman.wire.scrub import scrub

LOGIN_SCOPE = "openid profile email offline_access"
REFRESH_SCOPE = "openid profile email"
CALLBACK = "http://localhost:1455/auth/callback"
DEVICE_SECONDS = 900.0
DEVICE_INTERVAL = 5.0
_LONGEST_INTERVAL = 60.0

# After these the same credentials will never be taken again.
FINAL = frozenset(
    {
        "invalid_grant",
        "refresh_token_expired",
        "refresh_token_reused",
        "refresh_token_invalidated",
        "token_invalidated",
        "token_expired",
        "app_session_terminated",
        "account_session_expired",
        "account_auth_invalidated",
        "account_deactivated",
        "account_suspended",
        "account_deleted",
    }
)
_CODE = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_PENDING = frozenset({"authorization_pending", "slow_down", "pending"})
_ENDED = {
    "access_denied": "The device login was refused in the browser: start it again if that was a mistake.",
    "expired_token": "The device login has expired: start it again and enter the code in time.",
}


class Trouble(StrEnum):
    """What kind of problem it is.

    PERMANENT     the issuer will not take this again: log in again
    REFUSED       the issuer said no, for now or to this request; nothing was spent
    NOT_SENT      the request never reached the issuer and may be repeated
    DOUBTFUL      it may have been heard, and no answer tells: it must not be repeated
    WRONG_ISSUER  what answers there is no log-in host
    NOT_ENABLED   device login is not offered
    EXPIRED       the code or the device login ended
    HOPELESS      the upstream refuses tokens that the issuer has just given
    """

    PERMANENT = "permanent"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    DOUBTFUL = "doubtful"
    WRONG_ISSUER = "wrong_issuer"
    NOT_ENABLED = "not_enabled"
    EXPIRED = "expired"
    HOPELESS = "hopeless"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there are no tokens; `sentence` says what to do, `code` is the issuer's own, if it named one."""

    trouble: Trouble
    sentence: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """New tokens. The refresh token is None where the issuer gave none: then the old one stays."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Device:
    """A device login that was begun: show address and code, poll at the interval (seconds)."""

    url: str
    user_code: str
    device_id: str = field(repr=False)
    interval: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Wait:
    """The user has not finished; ask again after so many seconds."""

    seconds: float


class Asker(Protocol):
    """What calls the issuer; see upstream/calls."""

    async def post_json(
        self, url: str, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Reply: ...

    async def post_form(self, url: str, form: Mapping[str, str]) -> Reply: ...


def verifier(random: bytes) -> str:
    """A PKCE verifier out of at least 32 random bytes. Raises ValueError for fewer."""
    if len(random) < 32:
        raise ValueError("a PKCE verifier needs 32 random bytes")
    return _urlsafe(random[:96])


def challenge(of: str) -> str:
    """The S256 challenge of a verifier."""
    return _urlsafe(hashlib.sha256(of.encode()).digest())


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Issuer:
    """One log-in host. `now` gives epoch seconds."""

    def __init__(
        self,
        session: Asker,
        base_url: str,
        client_id: str,
        now: Callable[[], float],
        *,
        originator: str = "dragoman",
    ) -> None:
        self._session = session
        self._base = base_url.rstrip("/")
        self._client_id = client_id
        self._now = now
        self._originator = originator

    def authorize_url(self, state: str, challenge: str, redirect_uri: str = CALLBACK) -> str:
        """Where the user's browser goes."""
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": LOGIN_SCOPE,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "state": state,
            "id_token_add_organizations": "true",
            "codex_cli_simplified_flow": "true",
            "originator": self._originator,
        }
        return f"{self._base}/oauth/authorize?{urlencode(query, quote_via=quote)}"

    async def exchange(self, code: str, verifier: str, redirect_uri: str = CALLBACK) -> Granted | Problem:
        """The tokens for a code; it can be exchanged once."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self._client_id,
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        try:
            reply = await self._session.post_form(f"{self._base}/oauth/token", form)
        except CallFailed as failure:
            return self._unheard(failure, "Start the login again.")
        granted = self._tokens(reply, "Start the login again.")
        if isinstance(granted, Granted) and granted.refresh_token is None:
            return Problem(
                Trouble.WRONG_ISSUER, "The issuer gave no refresh token: check chatgpt.issuer and client_id."
            )
        if isinstance(granted, Problem) and granted.trouble is Trouble.PERMANENT:
            return Problem(
                Trouble.EXPIRED,
                "The issuer does not take this code: it was used, has expired, or belongs to another login. "
                "Start the login again.",
                granted.code,
            )
        return granted

    async def refresh(self, refresh_token: str) -> Granted | Problem:
        """New tokens for a refresh token, which is spent by that."""
        document = {
            "grant_type": "refresh_token",
            "client_id": self._client_id,
            "refresh_token": refresh_token,
            "scope": REFRESH_SCOPE,
        }
        try:
            reply = await self._session.post_json(f"{self._base}/oauth/token", document)
        except CallFailed as failure:
            return self._unheard(failure, "Log in to this account again if it stops working.")
        return self._tokens(reply, "Log in to this account again.")

    async def device_start(self) -> Device | Problem:
        """Begins a device login."""
        url = f"{self._base}/api/accounts/deviceauth/usercode"
        try:
            reply = await self._session.post_json(url, {"client_id": self._client_id})
        except CallFailed as failure:
            return self._unheard(failure, "Start the login again.")
        if reply.status == 404:
            return Problem(
                Trouble.NOT_ENABLED, "Device login is not enabled at this issuer: use the browser login."
            )
        document = reply.document
        if reply.status != 200 or not isinstance(document, dict):
            return self._refused(reply, "Start the login again.")
        user_code, device = _text(document.get("user_code")), _text(document.get("device_auth_id"))
        if user_code is None or device is None:
            return self._stranger()
        interval = _number(document.get("interval"))
        return Device(
            f"{self._base}/codex/device",
            user_code,
            device,
            min(max(interval if interval is not None else DEVICE_INTERVAL, 1.0), _LONGEST_INTERVAL),
            self._end_of(document),
        )

    async def device_poll(self, device: Device) -> Granted | Wait | Problem:
        """Asks once whether the user has finished; tokens when so."""
        if self._now() >= device.expires_at:
            return Problem(Trouble.EXPIRED, _ENDED["expired_token"])
        url = f"{self._base}/api/accounts/deviceauth/token"
        order = {"device_auth_id": device.device_id, "user_code": device.user_code}
        try:
            reply = await self._session.post_json(url, order)
        except CallFailed:
            return Wait(device.interval)  # asking is free: nothing is spent by it
        code = _code(reply.document)
        if code in _ENDED:
            trouble = Trouble.EXPIRED if code == "expired_token" else Trouble.REFUSED
            return Problem(trouble, _ENDED[code], code)
        if code == "slow_down":
            return Wait(min(device.interval + 5.0, _LONGEST_INTERVAL))
        if reply.status in (403, 404) or code in _PENDING or reply.status == 429 or reply.status >= 500:
            return Wait(device.interval)
        document = reply.document
        if reply.status != 200 or not isinstance(document, dict):
            return self._refused(reply, "Start the login again.")
        if _text(document.get("status")) in _PENDING:
            return Wait(device.interval)
        authorization, secret = (
            _text(document.get("authorization_code")),
            _text(document.get("code_verifier")),
        )
        if authorization is None or secret is None:
            return self._stranger()
        return await self.exchange(authorization, secret, f"{self._base}/deviceauth/callback")

    # -- reading answers -----------------------------------------------------------------------------

    def _tokens(self, reply: Reply, advice: str) -> Granted | Problem:
        document = reply.document
        if reply.status != 200:
            return self._refused(reply, advice)
        access = _text(document.get("access_token")) if isinstance(document, dict) else None
        if access is None:
            # Whatever said so, it took the request and told nothing of it.
            what = "without tokens" if isinstance(document, dict) else "with something that is no JSON"
            return Problem(
                Trouble.DOUBTFUL, f"The issuer answered {what}: check chatgpt.issuer. {advice}", "not_json"
            )
        return Granted(access, _text(document.get("refresh_token")), _text(document.get("id_token")))

    def _refused(self, reply: Reply, advice: str) -> Problem:
        code = _code(reply.document)
        if 300 <= reply.status < 400 or reply.status in (404, 405, 501):
            return self._stranger()
        if code in FINAL:
            return Problem(
                Trouble.PERMANENT, f"The issuer refuses this login for good ({code}). {advice}", code
            )
        if reply.status == 429 or reply.status >= 500:
            return Problem(
                Trouble.REFUSED,
                f"The issuer cannot answer now (status {reply.status}): try again later.",
                code,
            )
        if not isinstance(reply.document, dict):
            return Problem(
                Trouble.REFUSED,
                f"The issuer answered with status {reply.status} and no JSON: check chatgpt.issuer.",
                "not_json",
            )
        named = f" ({code})" if code else ""
        return Problem(
            Trouble.REFUSED, f"The issuer refused with status {reply.status}{named}. {advice}", code
        )

    def _stranger(self) -> Problem:
        return Problem(
            Trouble.WRONG_ISSUER,
            "What answers at chatgpt.issuer is no log-in host of ChatGPT accounts: correct the address.",
        )

    def _unheard(self, failure: CallFailed, advice: str) -> Problem:
        if failure.sent:
            return Problem(Trouble.DOUBTFUL, f"The issuer's answer was lost ({failure.reason}). {advice}")
        return Problem(
            Trouble.NOT_SENT,
            f"The issuer could not be reached ({failure.reason}): check the network and chatgpt.issuer.",
        )

    def _end_of(self, document: Mapping[str, Any]) -> float:
        seconds = _number(document.get("expires_in"))
        if seconds is None or seconds <= 0:
            until = document.get("expires_at")
            moment = _number(until)
            if moment is None and isinstance(until, str):
                moment = _moment(until)
            seconds = None if moment is None or moment <= self._now() else moment - self._now()
        return self._now() + min(seconds or DEVICE_SECONDS, 86_400.0)


def _code(document: Any) -> str | None:
    """The issuer's code of an error, in either of its dialects."""
    if not isinstance(document, dict):
        return None
    error = document.get("error")
    if isinstance(error, dict):
        found = _text(error.get("code")) or _text(error.get("type"))
    else:
        found = _text(error) or _text(document.get("error_code")) or _text(document.get("code"))
    return scrub(found) or None if found and _CODE.fullmatch(found) else None


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        value = int(value[:12]) if value.strip().isdecimal() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _moment(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
