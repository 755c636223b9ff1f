"""Accounts: who a request belongs to, and what state that account is in.

Two kinds: `api` (a bearer key, an organisation) and `codex` (access and refresh tokens, a plan). Unless
`strict_keys` is on, an unknown bearer becomes an account of its own, so that a test needs no set-up.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from dragoman.simulator.refusal import denied
from dragoman.simulator.switches import Switches

Kind = Literal["api", "codex"]
_MAX_AUTOMATIC = 10_000
DEFAULT_KEY = "sk-sim-default"


@dataclass(slots=True)
class Spent:
    """What an account has been charged with."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class Account:
    """One account. Times are virtual epoch seconds; quotas in tokens; 0 means unlimited."""

    id: str
    kind: Kind = "api"
    key: str = ""
    org: str = ""
    plan: str = "plus"
    email: str = ""
    access: str = ""
    refresh: str = ""
    expires: float | None = None
    rpm: int = 0
    tpm: int = 0
    primary_minutes: int = 300
    primary_quota: int = 0
    secondary_minutes: int = 10_080
    secondary_quota: int = 0
    credits: float | None = None
    verified: bool = True
    revoked: bool = False
    deactivated: bool = False
    refresh_fails: str = ""
    models: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)  # refresh tokens already used once
    spent: Spent = field(default_factory=Spent)
    buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    windows: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        """What caches and seals are bound to: the organisation, or the ChatGPT account."""
        return self.org or self.id if self.kind == "api" else self.id


_SETTABLE = frozenset(entry.name for entry in fields(Account)) - {"spent", "buckets", "windows", "retired"}


class Accounts:
    """All accounts, found by bearer."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._by_id: OrderedDict[str, Account] = OrderedDict()
        self.put({"id": "default", "kind": "api", "key": DEFAULT_KEY, "org": "org-default"})

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_id.values())

    def get(self, identity: str) -> Account | None:
        return self._by_id.get(identity)

    def put(self, wanted: Mapping[str, Any]) -> Account:
        """Creates or changes an account. Raises ValueError for an unknown field or a wrong kind."""
        identity = wanted.get("id")
        if not isinstance(identity, str) or not identity:
            raise ValueError("an account needs an 'id'")
        if unknown := sorted(set(wanted) - _SETTABLE):
            raise ValueError(
                f"an account has no field {unknown[0]!r}; there are: {', '.join(sorted(_SETTABLE))}"
            )
        if wanted.get("kind", "api") not in ("api", "codex"):
            raise ValueError("an account's kind is 'api' or 'codex'")
        account = self._by_id.setdefault(identity, Account(identity))
        for name, value in wanted.items():
            setattr(account, name, value)
        return account

    def by_refresh(self, token: str) -> Account | None:
        """The account of a refresh token, whether it is current or was used before."""
        for account in self:
            if token and (account.refresh == token or token in account.retired):
                return account
        return None

    def authenticate(self, kind: Kind, headers: Mapping[str, str], now: float) -> Account:
        """The account of a request. Raises Refused with the flavour's 401."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        bearer = bearer.strip()
        if scheme.lower() != "bearer" or not bearer:
            raise denied(401, "Missing bearer authentication in header", code="missing_credentials")
        account = self._known(kind, bearer)
        if account is None:
            if self._switches.strict_keys:
                raise _wrong_key(kind, bearer)
            account = self._automatic(kind, bearer, headers.get("chatgpt-account-id"))
        _check_state(account, now)
        return account

    def _known(self, kind: Kind, bearer: str) -> Account | None:
        for account in self:
            if account.kind == kind and bearer == (account.key if kind == "api" else account.access):
                return account
        return None

    def _automatic(self, kind: Kind, bearer: str, named: str | None) -> Account:
        tag = hashlib.blake2b(bearer.encode(), digest_size=6).hexdigest()
        if kind == "codex":
            identity = named or f"codex-{tag}"
            # A named account may come back with another token: the token is then not its identity.
            existing = self._by_id.get(identity)
            if existing is not None and not existing.access:
                return existing
            account = Account(identity, "codex", email=f"{tag}@example.com")
        else:
            account = Account(f"api-{tag}", "api", key=bearer, org=f"org-{tag}")
        self._by_id[account.id] = account
        while len(self._by_id) > _MAX_AUTOMATIC:
            self._by_id.popitem(last=False)
        return account


def describe(account: Account) -> dict[str, Any]:
    """The account as JSON, for the admin interface."""
    shown = asdict(account)
    del shown["buckets"], shown["windows"]
    return shown


def _wrong_key(kind: Kind, bearer: str) -> Exception:
    if kind == "codex":
        return denied(401, "Could not parse your authentication token.", None, code="token_invalidated")
    shown = f"{bearer[:6]}***{bearer[-4:]}" if len(bearer) > 12 else "***"
    return denied(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key")


def _check_state(account: Account, now: float) -> None:
    if account.deactivated:
        raise denied(403, "This account has been deactivated.", code="account_deactivated")
    if account.revoked:
        message = "Your authentication token has been invalidated. Please try signing in again."
        raise denied(401, message, code="token_invalidated" if account.kind == "codex" else "invalid_api_key")
    if account.expires is not None and account.expires <= now:
        message = "Provided authentication token is expired. Please try signing in again."
        raise denied(401, message, code="token_expired")
