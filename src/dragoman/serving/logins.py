"""The ChatGPT accounts of a process that serves: their tokens, what renews them, the roads that use them.

Refreshed tokens are kept through a port; the login file of an account is read once and never written.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman import __version__
from dragoman.serving.kept import KeptTokens
from dragoman.serving.store import Store
from dragoman.settings import Settings
from dragoman.upstream.accounts import StaticAccount, road_of
from dragoman.upstream.calls import Calls
from dragoman.upstream.chatgpt import CATALOGUE_VERSION, Backend, Presented, dressing
from dragoman.upstream.memory import MemoryTokens
from dragoman.upstream.oauth import Granted, Issuer, Problem
from dragoman.upstream.refresh import TokenKeeper
from dragoman.upstream.roads import LiveRoads


class CountedIssuer:
    """The issuer as the keeper asks it, which counts what came of every refresh in `outcomes`."""

    def __init__(self, issuer: Issuer, outcomes: dict[str, int]) -> None:
        self._issuer = issuer
        self._outcomes = outcomes

    async def refresh(self, refresh_token: str) -> Granted | Problem:
        found = await self._issuer.refresh(refresh_token)
        outcome = str(found.trouble) if isinstance(found, Problem) else "renewed"
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1
        return found


@dataclass(slots=True)
class Logins:
    """What serves accounts whose credentials change. `refreshes` counts them by what came of them."""

    calls: Calls
    issuer: Issuer
    keeper: TokenKeeper
    roads: LiveRoads
    backend: Backend
    kept: KeptTokens | None = None
    refreshes: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """Begins to renew tokens ahead of time."""
        self.keeper.start()

    async def stop(self) -> None:
        """Waits for a refresh that is under way, and closes connections."""
        await self.keeper.stop()
        await self.calls.close()


def user_agent(settings: Settings) -> str:
    """As whom the gateway calls upstreams."""
    return settings.upstream.user_agent or f"dragoman/{__version__}"


async def logins(
    settings: Settings, accounts: Sequence[StaticAccount], tell: Callable[..., Any], store: Store | None
) -> Logins:
    """Puts them together inside the running loop; asks no upstream anything yet. Raises StoreError.

    `tell` writes a warning: an event, and fields without secrets. Without a store refreshed tokens end with
    the process.
    """
    chatgpt, ca_file = settings.chatgpt, settings.upstream.ca_file
    calls = Calls(user_agent=user_agent(settings), ca_file=None if ca_file is None else str(ca_file))
    issuer = Issuer(calls, chatgpt.issuer, chatgpt.client_id, time.time, originator=chatgpt.originator)
    kept = None if store is None else KeptTokens(store)
    memory = MemoryTokens()

    async def lost(account: str, problem: Problem) -> None:
        tell("account", account=account, state="needs_login", reason=problem.sentence)
        if kept is not None:
            await kept.lost(account, problem)

    refreshes: dict[str, int] = {}
    keeper = TokenKeeper(
        CountedIssuer(issuer, refreshes),
        kept or memory,
        now=time.time,
        monotonic=time.monotonic,
        jitter=random.SystemRandom().random,
        lost=lost,
    )
    presented = Presented(
        chatgpt.originator,
        chatgpt.client_version or __version__,
        chatgpt.client_version or CATALOGUE_VERSION,
    )
    roads = LiveRoads(keeper, dressing(presented))
    backend = Backend(calls, roads, presented, now=time.time)
    for row in accounts:
        if row.login is None:
            roads.put(row.name, road_of(row))
            continue
        memory.put(row.name, row.login)
        known = row.login if kept is None else await kept.take(row.name, row.base_url, row.login)
        roads.put_login(row.name, row.base_url, known)
    return Logins(calls, issuer, keeper, roads, backend, kept, refreshes)
