"""The `auth.json` of a Codex client, and what its tokens say of themselves: read, judged, written again.

A token's payload is read without checking its signature: it names an account, it proves nothing here. Nothing
touches a file, a clock or the network; nothing secret stands in an error or a repr.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dragoman.wire import jsonio

CLAIM = "https://api.openai.com/auth"
# More is no login of one account.
MOST_BYTES = 1024 * 1024
# What separates several seats or workspaces of one account id, in this order.
_WORKSPACES = ("workspace_id", "chatgpt_workspace_id", "organization_id", "org_id", "tenant_id")
_USERS = ("chatgpt_user_id", "user_id", "chatgpt_account_user_id")
_SENDABLE = re.compile(r"[!-~]+")


class AuthFileError(ValueError):
    """The file is no login that can be used; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself; every field may be missing. `expires_at` in epoch seconds."""

    email: str | None = None
    subject: str | None = None
    expires_at: float | None = None
    account_id: str | None = None
    plan: str | None = None
    user_id: str | None = None
    workspace: str | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """Tokens of one ChatGPT account. `account_id` is None where none is known: then no header names one.

    `identity` is the same for the same account and seat, however often it is seen; times in epoch seconds.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    account_id: str | None = None
    api_key: str | None = field(default=None, repr=False)
    last_refresh: float | None = None
    expires_at: float | None = None
    claims: Claims = field(default_factory=Claims)

    @property
    def identity(self) -> str:
        """Account id and a hash of workspace or e-mail; something stable also where there is no id."""
        return identity(self.account_id, self.claims)


def identity(account_id: str | None, claims: Claims) -> str:
    """The unique name of an account's seat. Two logins with one identity are one account."""
    email = claims.email.casefold() if claims.email else None
    seat = claims.workspace or email or claims.user_id or claims.subject
    if account_id is None:
        if seat is None:
            raise AuthFileError("The tokens name no account: log in with `dragoman account login` instead.")
        return f"seat:{_short(seat)}"
    return f"{account_id}:{_short(seat)}" if seat else account_id


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def login_of(
    access_token: str,
    refresh_token: str | None,
    id_token: str | None,
    *,
    account_id: str | None = None,
    api_key: str | None = None,
    last_refresh: float | None = None,
) -> Login:
    """Tokens with what they say of themselves; where the id token is silent the access token is asked."""
    told = _merged(claims_of(id_token), claims_of(access_token))
    return Login(
        access_token,
        refresh_token,
        id_token,
        account_id or told.account_id,
        api_key,
        last_refresh,
        claims_of(access_token).expires_at,
        told,
    )


def claims_of(token: str | None) -> Claims:
    """The claims of a JWT, unsigned; all None for anything else (an opaque token is none to complain of)."""
    payload = _payload(token)
    inner = payload.get(CLAIM)
    auth: Mapping[str, Any] = inner if isinstance(inner, dict) else {}
    return Claims(
        email=_text(payload.get("email")),
        subject=_text(payload.get("sub")),
        expires_at=_moment(payload.get("exp")),
        account_id=_header(_first(auth, payload, ("chatgpt_account_id",))),
        plan=_first(auth, payload, ("chatgpt_plan_type",)),
        user_id=_first(auth, payload, _USERS),
        workspace=_first(auth, payload, _WORKSPACES),
    )


def parse(content: bytes) -> Login:
    """The login in a file's bytes. Raises AuthFileError.

    Takes `{OPENAI_API_KEY, tokens: {id_token, access_token, refresh_token, account_id}, last_refresh}`, and
    the same in camel case; other fields are passed over.
    """
    document = _document(content)
    tokens = document.get("tokens")
    if not isinstance(tokens, dict):
        if _named(document, "OPENAI_API_KEY", "openai_api_key", "openaiApiKey"):
            raise AuthFileError(
                "The file holds an API key and no tokens: add it as an account of kind openai instead."
            )
        raise AuthFileError(
            "The file has no object `tokens`: run `codex login` and take the auth.json that it writes."
        )
    access = _token(tokens, "access_token", "accessToken")
    refresh = _token(tokens, "refresh_token", "refreshToken")
    if refresh is None:
        raise AuthFileError(
            "tokens.refresh_token is missing, so the login would end with its first token: "
            "run `codex login` again and take the new auth.json."
        )
    if access is None:
        raise AuthFileError("tokens.access_token is missing: run `codex login` and take the new auth.json.")
    account = _named(tokens, "account_id", "accountId")
    if account is not None and _header(account) is None:
        raise AuthFileError("tokens.account_id holds characters that no account id has: export it anew.")
    login = login_of(
        access,
        refresh,
        _token(tokens, "id_token", "idToken"),
        account_id=account,
        api_key=_named(document, "OPENAI_API_KEY", "openai_api_key", "openaiApiKey"),
        last_refresh=_date(
            next(
                (
                    document[key]
                    for key in ("last_refresh", "lastRefresh", "lastRefreshAt")
                    if key in document
                ),
                None,
            )
        ),
    )
    identity(login.account_id, login.claims)
    return login


def export(login: Login) -> bytes:
    """The same login as the bytes of an `auth.json`, in Codex's own spelling."""
    refreshed = login.last_refresh
    document = {
        "OPENAI_API_KEY": login.api_key,
        "tokens": {
            "id_token": login.id_token,
            "access_token": login.access_token,
            "refresh_token": login.refresh_token,
            "account_id": login.account_id,
        },
        "last_refresh": None if refreshed is None else _written(refreshed),
    }
    return jsonio.dump(document) + b"\n"


def _document(content: bytes) -> Mapping[str, Any]:
    if len(content) > MOST_BYTES:
        raise AuthFileError("The file is too large for an auth.json: name the one that `codex login` writes.")
    text = content.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise AuthFileError("The file is empty: run `codex login` and take the auth.json that it writes.")
    try:
        document = jsonio.parse(text)
    except jsonio.InvalidJson:
        raise AuthFileError(
            "The file is no JSON: name the auth.json that `codex login` writes, whole and unchanged."
        ) from None
    if not isinstance(document, dict):
        raise AuthFileError("The file is no JSON object: name the auth.json that `codex login` writes.")
    return document


def _named(fields: Mapping[str, Any], *spellings: str) -> str | None:
    """The first spelling that holds text; the snake case one comes first."""
    return next((text for name in spellings if (text := _text(fields.get(name))) is not None), None)


def _token(tokens: Mapping[str, Any], *spellings: str) -> str | None:
    text = _named(tokens, *spellings)
    if text is not None and not _SENDABLE.fullmatch(text):
        raise AuthFileError(
            f"tokens.{spellings[0]} holds characters that no token has: take an unchanged auth.json."
        )
    return text


def _payload(token: str | None) -> Mapping[str, Any]:
    parts = (token or "").split(".")
    if len(parts) < 2:
        return {}
    try:
        raw = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        found = jsonio.parse(raw)
    except (binascii.Error, ValueError):  # a payload that is no JSON is one of these
        return {}
    return found if isinstance(found, dict) else {}


def _merged(first: Claims, second: Claims) -> Claims:
    return Claims(
        first.email or second.email,
        first.subject or second.subject,
        first.expires_at if first.expires_at is not None else second.expires_at,
        first.account_id or second.account_id,
        first.plan or second.plan,
        first.user_id or second.user_id,
        first.workspace or second.workspace,
    )


def _first(auth: Mapping[str, Any], payload: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return _named(auth, *names) or _named(payload, *names)


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _header(value: str | None) -> str | None:
    """The value, where a header can carry it."""
    return value if value is not None and len(value) <= 256 and _SENDABLE.fullmatch(value) else None


def _moment(value: Any) -> float | None:
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:15])
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        return None
    return float(value)


def _date(value: Any) -> float | None:
    """`last_refresh` as epoch seconds, from a date in ISO 8601 or a number; None for anything else."""
    if not isinstance(value, str):
        return _moment(value)
    try:
        # Codex writes nanoseconds, which not every Python reads.
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.strip()))
    except ValueError:
        return _moment(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
