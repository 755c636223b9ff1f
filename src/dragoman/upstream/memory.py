"""Tokens kept in this process alone, as a store for them: for accounts that no database knows, and for tests.

Several keepers may share one, as several processes share a database. What it holds ends with the process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dragoman.upstream.authfile import Login


class MemoryTokens:
    """Implements refresh.TokenStore."""

    def __init__(self) -> None:
        self._logins: dict[str, Login] = {}
        self._claimed: set[str] = set()

    def put(self, account: str, login: Login) -> None:
        """Takes a login in, whatever was there."""
        self._logins[account] = login

    async def reload(self, account: str) -> Login | None:
        return self._logins.get(account)

    async def save(self, account: str, login: Login, *, instead_of: str | None) -> bool:
        stored = self._logins.get(account)
        if stored is not None and stored.refresh_token != instead_of:
            return False
        self._logins[account] = login
        return True

    @asynccontextmanager
    async def claim(self, name: str) -> AsyncIterator[bool]:
        mine = name not in self._claimed
        self._claimed.add(name)
        try:
            yield mine
        finally:
            if mine:
                self._claimed.discard(name)
