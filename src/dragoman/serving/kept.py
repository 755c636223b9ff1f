"""Tokens of ChatGPT accounts, kept in the store: they outlive the process, a login file is never written.

It joins what the upstream room asks for (refresh.TokenStore) with the store's accounts and claims, which do
not know each other. Of a configured account the file's login counts more than what was kept, once it was put
there anew; an account of the store has no other place.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dragoman.onboarding.intake import credentials_of, login_from
from dragoman.serving.store import Store
from dragoman.store.accounts import AccountSpec, Status, StoredAccount
from dragoman.store.claims import claim
from dragoman.upstream.authfile import Login
from dragoman.upstream.oauth import Problem

# Longer than any refresh takes; a process that dies while it refreshes blocks the others for so long.
CLAIM_SECONDS = 30.0
# What the issuer says of an account that nobody can log in to any more.
_CLOSED = frozenset({"account_deactivated", "account_suspended", "account_deleted"})


class KeptTokens:
    """Implements refresh.TokenStore for the accounts of one process, by their names."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._accounts = store.accounts
        self._ids: dict[str, str] = {}
        self._refresh: dict[str, str] = {}

    async def take(self, name: str, base_url: str, login: Login) -> Login:
        """What a configured account is used with: the file's login, or what was refreshed of it.

        Raises StoreError.
        """
        spec = AccountSpec(name, "chatgpt", base_url, email=login.claims.email, plan=login.claims.plan)
        added = await self._accounts.upsert_shadow(
            spec,
            credentials_of(login),
            time.time(),
            expires_at=login.expires_at,
            last_refresh=login.last_refresh,
        )
        return self.know(added.account) or login

    def know(self, account: StoredAccount) -> Login | None:
        """Takes in an account as it was read; its login, where it has one. Raises StoreError."""
        login = login_from(self._accounts.opened(account), account.last_refresh)
        if login is not None:
            self._ids[account.name] = account.id
            self._refresh[account.name] = login.refresh_token or ""
        return login

    def forget(self, name: str) -> None:
        """The account is gone."""
        self._ids.pop(name, None)
        self._refresh.pop(name, None)

    async def reload(self, account: str) -> Login | None:
        if (known := self._ids.get(account)) is None:
            return None
        return self.know(await self._accounts.by_id(known))

    async def save(self, account: str, login: Login, *, instead_of: str | None) -> bool:
        done = await self._accounts.save_tokens(
            self._ids[account],
            credentials_of(login),
            expires_at=login.expires_at,
            last_refresh=login.last_refresh or time.time(),
            expected_refresh=self._accounts.mark(instead_of or ""),
            plan=login.claims.plan,
        )
        if done:
            self._refresh[account] = login.refresh_token or ""
        return done

    @asynccontextmanager
    async def claim(self, name: str) -> AsyncIterator[bool]:
        # By id: a name may be another account's by the time the claim is released.
        kind, _, account = name.partition(":")
        holder = f"{self._store.journal.boot}-{secrets.token_hex(4)}"
        asked = f"{kind}:{self._ids.get(account, account)}"
        async with claim(self._store.database, asked, holder, CLAIM_SECONDS) as got:
            yield bool(got)

    async def lost(self, account: str, problem: Problem) -> None:
        """Only a new login helps: said of the account, while the token that failed is still its token."""
        if (known := self._ids.get(account)) is not None:
            failed = self._accounts.mark(self._refresh.get(account, ""))
            status: Status = "dead" if problem.code in _CLOSED else "needs_login"
            await self._accounts.set_status(known, status, problem.sentence, failed_refresh=failed)
