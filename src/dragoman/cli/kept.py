"""Tokens of configured logins, kept in the store: they outlive the process, the file is never written.

It joins what the upstream room asks for (refresh.TokenStore) with the store's accounts and claims, which do
not know each other. A login that was put into the file anew counts more than what was kept.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dragoman.cli.store import Store
from dragoman.store.accounts import Accounts, AccountSpec, Credentials
from dragoman.store.claims import claim
from dragoman.upstream.authfile import Login, login_of
from dragoman.upstream.oauth import Problem

# Longer than any refresh takes; a process that dies while it refreshes blocks the others for so long.
CLAIM_SECONDS = 30.0


class KeptTokens:
    """Implements refresh.TokenStore for the configured accounts of one process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._accounts = Accounts(store.database, store.ring, store.facts.pepper)
        self._ids: dict[str, str] = {}
        self._refresh: dict[str, str] = {}

    async def take(self, name: str, base_url: str, login: Login) -> Login:
        """What an account is used with: the file's login, or what was refreshed of it. Raises StoreError."""
        spec = AccountSpec(name, "chatgpt", base_url, email=login.claims.email, plan=login.claims.plan)
        added = await self._accounts.upsert_shadow(
            spec,
            _credentials(login),
            time.time(),
            expires_at=login.expires_at,
            last_refresh=login.last_refresh,
        )
        self._ids[name] = added.account.id
        return await self.reload(name) or login

    async def reload(self, account: str) -> Login | None:
        if (known := self._ids.get(account)) is None:
            return None
        kept = await self._accounts.credentials(known)
        if kept.access_token is None:
            return None
        found = (await self._accounts.get(account)).last_refresh
        login = login_of(
            kept.access_token,
            kept.refresh_token,
            kept.id_token,
            account_id=kept.account_id,
            api_key=kept.api_key,
            last_refresh=found,
        )
        self._refresh[account] = login.refresh_token or ""
        return login

    async def save(self, account: str, login: Login, *, instead_of: str | None) -> bool:
        done = await self._accounts.save_tokens(
            self._ids[account],
            _credentials(login),
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
        holder = f"{self._store.journal.boot}-{secrets.token_hex(4)}"
        async with claim(self._store.database, name, holder, CLAIM_SECONDS) as got:
            yield bool(got)

    async def lost(self, account: str, problem: Problem) -> None:
        """Only a new login helps: said of the account, while the token that failed is still its token."""
        if (known := self._ids.get(account)) is not None:
            failed = self._accounts.mark(self._refresh.get(account, ""))
            await self._accounts.set_status(known, "needs_login", problem.sentence, failed_refresh=failed)


def _credentials(login: Login) -> Credentials:
    return Credentials(
        api_key=login.api_key,
        access_token=login.access_token,
        refresh_token=login.refresh_token,
        id_token=login.id_token,
        account_id=login.account_id,
    )
