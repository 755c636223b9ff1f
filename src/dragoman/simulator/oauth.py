"""Log-in of ChatGPT accounts: authorization code with PKCE, device code, refresh.

Refresh tokens are single use; using one again revokes the account, as the real issuer does. Tokens are
unsigned JWTs with the real claims. It asks nobody for consent: every request is granted.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dragoman.simulator.accounts import Account, Accounts
from dragoman.simulator.answer import Mint
from dragoman.simulator.refusal import Answer
from dragoman.wire import jsonio

ACCESS_SECONDS = 10 * 86_400
DEVICE_SECONDS = 900
_MAX_GRANTS = 1000
CLAIM = "https://api.openai.com/auth"


@dataclass(slots=True)
class Grant:
    """A code that may be exchanged for tokens once."""

    account: str
    challenge: str = ""
    redirect_uri: str = ""


@dataclass(slots=True)
class Device:
    """A device login in progress; `polls_left` answers before it is approved by itself."""

    user_code: str
    account: str
    expires: float
    polls_left: int
    denied: bool = False


class Grants:
    """Codes and device logins that are open."""

    def __init__(self, mint: Mint) -> None:
        self._mint = mint
        self._codes: OrderedDict[str, Grant] = OrderedDict()
        self._devices: OrderedDict[str, Device] = OrderedDict()

    def authorize(self, query: Mapping[str, str]) -> str | Answer:
        """The address to redirect the browser to, or a refusal."""
        redirect = query.get("redirect_uri", "")
        if query.get("response_type") != "code" or not redirect.startswith(("http://", "https://")):
            return _problem("invalid_request", "response_type=code and a redirect_uri are needed")
        if query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
            return _problem("invalid_request", "PKCE with S256 is needed")
        code = self._issue(Grant(query.get("account", "chatgpt"), query["code_challenge"], redirect))
        joint = "&" if "?" in redirect else "?"
        return f"{redirect}{joint}code={code}&state={query.get('state', '')}"

    def begin_device(self, client_id: str, now: float, *, account: str = "chatgpt", polls: int = 1) -> Answer:
        """Starts a device login."""
        if not client_id:
            return _problem("invalid_request", "client_id is needed")
        identity = self._mint.new("deviceauth", 16)
        user_code = hashlib.blake2b(identity.encode(), digest_size=4).hexdigest().upper()
        self._devices[identity] = Device(
            f"{user_code[:4]}-{user_code[4:]}", account, now + DEVICE_SECONDS, polls
        )
        _bound(self._devices)
        return Answer(
            200,
            {
                "device_auth_id": identity,
                "user_code": self._devices[identity].user_code,
                "interval": "1",
                "expires_in": DEVICE_SECONDS,
            },
        )

    def poll_device(self, body: Mapping[str, Any], now: float) -> Answer:
        """One poll: 403 while the user has not finished, then a code with its verifier."""
        device = self._devices.get(str(body.get("device_auth_id")))
        if device is None or device.user_code != body.get("user_code"):
            return _problem("invalid_request", "unknown device login", 404)
        if device.expires <= now:
            return _problem("expired_token", "the device login has expired")
        if device.denied:
            return _problem("access_denied", "the user refused")
        if device.polls_left > 0:
            device.polls_left -= 1
            return _problem("authorization_pending", "the user has not finished", 403)
        verifier = self._mint.new("verifier", 48)
        code = self._issue(Grant(device.account, _challenge(verifier)))
        del self._devices[str(body["device_auth_id"])]
        return Answer(200, {"authorization_code": code, "code_verifier": verifier})

    def token(self, body: Mapping[str, Any], accounts: Accounts, now: float) -> Answer:
        """`POST /oauth/token`, both grant types."""
        match body.get("grant_type"):
            case "authorization_code":
                return self._exchange(body, accounts, now)
            case "refresh_token":
                return self._refresh(body, accounts, now)
        return _problem("unsupported_grant_type", "authorization_code or refresh_token")

    def _exchange(self, body: Mapping[str, Any], accounts: Accounts, now: float) -> Answer:
        grant = self._codes.pop(str(body.get("code")), None)
        if grant is None:
            return _problem("invalid_grant", "the code is unknown or was used before")
        if _challenge(str(body.get("code_verifier", ""))) != grant.challenge:
            return _problem("invalid_grant", "the code_verifier does not match")
        if grant.redirect_uri and body.get("redirect_uri") != grant.redirect_uri:
            return _problem("invalid_grant", "the redirect_uri does not match")
        account = accounts.get(grant.account) or accounts.put({"id": grant.account, "kind": "codex"})
        return self._tokens(account, now)

    def _refresh(self, body: Mapping[str, Any], accounts: Accounts, now: float) -> Answer:
        token = str(body.get("refresh_token", ""))
        account = accounts.by_refresh(token)
        if account is None:
            return _problem("invalid_grant", "the refresh token is unknown")
        if account.refresh_fails:
            return _refused(account.refresh_fails)
        if token in account.retired:
            account.revoked = True
            account.refresh_fails = "refresh_token_invalidated"
            return _refused("refresh_token_reused")
        account.retired = [*account.retired[-99:], token]
        return self._tokens(account, now)

    def _tokens(self, account: Account, now: float) -> Answer:
        account.expires = now + ACCESS_SECONDS
        account.access = self._jwt(account, now)
        account.refresh = self._mint.new("rt", 40)
        account.email = account.email or f"{account.id}@example.com"
        return Answer(
            200,
            {
                "access_token": account.access,
                "refresh_token": account.refresh,
                "id_token": self._jwt(account, now),
                "token_type": "Bearer",
                "expires_in": ACCESS_SECONDS,
            },
        )

    def _jwt(self, account: Account, now: float) -> str:
        claims = {
            "iss": "https://auth.openai.com",
            "sub": f"auth0|{account.id}",
            "email": account.email or f"{account.id}@example.com",
            "iat": int(now),
            "exp": int(now + ACCESS_SECONDS),
            "jti": self._mint.new("jti", 16),
            CLAIM: {
                "chatgpt_account_id": account.id,
                "chatgpt_plan_type": account.plan,
                "chatgpt_user_id": f"user-{account.id}",
            },
        }
        parts = ({"alg": "none", "typ": "JWT"}, claims)
        encoded = [base64.urlsafe_b64encode(jsonio.dump(part)).decode().rstrip("=") for part in parts]
        return ".".join([*encoded, "simulated"])

    def _issue(self, grant: Grant) -> str:
        code = self._mint.new("ac", 40)
        self._codes[code] = grant
        _bound(self._codes)
        return code


def _bound(table: OrderedDict[str, Any]) -> None:
    while len(table) > _MAX_GRANTS:
        table.popitem(last=False)


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _problem(code: str, text: str, status: int = 400) -> Answer:
    return Answer(status, {"error": code, "error_description": text})


def _refused(code: str) -> Answer:
    text = {
        "refresh_token_reused": "Your refresh token has already been used to generate a new access token.",
    }.get(code, "Your refresh token is no longer valid. Please sign in again.")
    return Answer(
        401, {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": code}}
    )
