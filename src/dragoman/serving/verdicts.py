"""What upstreams say of accounts for good, written into the store: closed, or no longer logged in.

The pool learns it from answers; here it is made to last and known to every process, the list of accounts and
doctor. It looks now and then, beside the requests, and decides nothing: a new login or an operator's word
makes the account active again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dragoman.gateway.beside import Beside
from dragoman.routing.pool import Pool
from dragoman.serving.fleet import Fleet
from dragoman.serving.kept import KeptTokens
from dragoman.store.accounts import Accounts, Status
from dragoman.store.engine import StoreError
from dragoman.upstream.oauth import Problem, Trouble

SECONDS = 2.0
_SAID: dict[Status, Problem] = {
    "needs_login": Problem(Trouble.PERMANENT, "The upstream does not take this login any more."),
    "dead": Problem(Trouble.PERMANENT, "The upstream says that this account is closed.", "account_deleted"),
}


class Verdicts(Beside):
    """Follows one pool. `steady` gives epoch seconds that never jump."""

    def __init__(
        self,
        pool: Pool,
        fleet: Fleet,
        accounts: Accounts,
        kept: KeptTokens,
        steady: Callable[[], float],
        seconds: float = SECONDS,
    ) -> None:
        self._pool = pool
        self._fleet = fleet
        self._accounts = accounts
        self._kept = kept
        self._steady = steady
        self._seconds = seconds

    async def look(self) -> None:
        """Writes what is new. Raises StoreError."""
        active = {one.name for one in self._fleet.members if one.status == "active"}
        for row in self._pool.describe(self._steady()):
            problem = _SAID.get(row["state"])
            if problem is None or row["name"] not in active:
                continue
            if row["kind"] == "chatgpt":
                # Only while the tokens are still those that were refused.
                await self._kept.lost(row["name"], problem)
            elif not (known := self._fleet.stored_id(row["name"])).startswith("config:"):
                await self._accounts.set_status(known, row["state"], problem.sentence)

    async def _loop(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self.look()
            except StoreError:
                continue  # it is looked at again; the account is not asked meanwhile
