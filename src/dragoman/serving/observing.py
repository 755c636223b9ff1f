"""What upstreams tell of an account's limits, passed on to the pool as it comes.

ChatGPT accounts tell their quotas with every answer, and every answer counts. The public API tells its
buckets per minute, which move little between two answers: those are looked at now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.gateway.ports import Account
from dragoman.routing.pool import Pool

# Reading all header fields costs as much as choosing an account.
SELDOM_SECONDS = 1.0


class Observing:
    """Implements upstream/client.Observer. `steady` gives epoch seconds that never jump."""

    def __init__(self, pool: Pool, steady: Callable[[], float]) -> None:
        self._pool = pool
        self._steady = steady
        self._looked: dict[str, float] = {}

    def headers(self, account: Account, status: int, headers: Mapping[str, str]) -> None:
        now = self._steady()
        if account.kind != "chatgpt" and status == 200:
            if now - self._looked.get(account.name, 0.0) < SELDOM_SECONDS:
                return
            self._looked[account.name] = now
        self._pool.told(account.name, now, headers=headers)

    def event(self, account: Account, event: Mapping[str, Any]) -> None:
        self._pool.told(account.name, self._steady(), event=event)
