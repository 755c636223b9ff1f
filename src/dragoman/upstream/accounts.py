"""The accounts of the configuration file, in the order listed, and what an account is made of.

Implements the gateway's Accounts port, and knows address and credentials of its accounts: the roads of those
with a key, the logins of the others.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
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


class StaticAccounts:
    """Who may serve a model, as listed."""

    def __init__(self, accounts: Sequence[StaticAccount], salt: bytes) -> None:
        self.rows = tuple(accounts)
        self._accounts = [account_of(account, salt) for account in accounts]
        self.roads = {account.name: road_of(account) for account in accounts if account.login is None}
        self.logins = {
            account.name: (account.base_url, account.login)
            for account in accounts
            if account.login is not None
        }
        self._listed = _listed(self._accounts)
        self.members = [member_of(of, account) for of, account in zip(accounts, self._accounts, strict=True)]
        self._by_name = {account.name: account for account in self._accounts}

    def get(self, name: str) -> Account | None:
        """The account of a name."""
        return self._by_name.get(name)

    def candidates(self, model: str) -> Sequence[Account]:
        """Accounts that list the model, or that publish no list."""
        return [account for account in self._accounts if account.models is None or model in account.models]

    def listed(self) -> frozenset[str] | None:
        """Every model that some account lists; None where an account publishes no list."""
        return self._listed

    @property
    def all(self) -> Sequence[Account]:
        return self._accounts


def _listed(accounts: Sequence[Account]) -> frozenset[str] | None:
    lists = [account.models for account in accounts if account.models is not None]
    names = frozenset[str]().union(*lists)
    return None if len(lists) < len(accounts) and not names else names


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
