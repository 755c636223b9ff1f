"""What an account is made of, once its key or login is at hand: its tag, its road, its place in the pool.

It reads no file and no store, and keeps nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from dragoman.gateway.ports import Account
from dragoman.routing.pool import Member
from dragoman.translate.messages.plan import UpstreamKind
from dragoman.upstream.authfile import Login
from dragoman.upstream.roads import Road


@dataclass(frozen=True, slots=True)
class StaticAccount:
    """One account as it was put down, in the file or in the store, with its key or login resolved."""

    name: str
    kind: UpstreamKind
    base_url: str
    api_key: str = field(default="", repr=False)
    organization: str | None = None
    project: str | None = None
    models: tuple[str, ...] | None = None
    simulated: bool = False
    login: Login | None = None
    weight: float = 1.0
    priority: int = 0
    group: str = ""
    concurrency: int | None = None


def account_of(account: StaticAccount, salt: bytes) -> Account:
    """An account as the gateway sees it; `salt` keys its tag."""
    # Sealed reasoning belongs to the organisation; where that is not named, to the key or the login.
    owner = account.organization or account.api_key
    if account.login is not None:
        owner = account.login.identity
    tag = hmac.digest(salt, f"{account.base_url}\n{owner}".encode(), hashlib.sha256).hex()[:16]
    models = None if account.models is None else frozenset(account.models)
    return Account(account.name, account.kind, tag, models, account.simulated)


def member_of(of: StaticAccount, account: Account) -> Member:
    """An account as the pool keeps it."""
    plan = None if of.login is None else of.login.claims.plan
    return Member(
        account.name,
        account.kind,
        account.tag,
        account.models,
        plan,
        of.group,
        of.weight,
        of.priority,
        of.concurrency,
    )


def road_of(account: StaticAccount) -> Road:
    """How an account with a key is reached."""
    headers = {}
    if account.api_key:
        headers["authorization"] = f"Bearer {account.api_key}"
    if account.organization:
        headers["openai-organization"] = account.organization
    if account.project:
        headers["openai-project"] = account.project
    return Road(account.base_url, headers, pool=account.kind)
