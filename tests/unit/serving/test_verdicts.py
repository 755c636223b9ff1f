"""What an upstream said for good is written once, for the accounts that the store has."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from dragoman.routing.pool import Member, Outcome, Pool
from dragoman.serving.fleet import Fleet
from dragoman.serving.kept import KeptTokens
from dragoman.serving.verdicts import Verdicts
from dragoman.store.accounts import Accounts
from dragoman.store.engine import StoreDown
from dragoman.translate.messages.causes import Cause, UpstreamFailure
from dragoman.upstream.oauth import Problem

NOW = 1_800_000_000.0


class Place:
    """A pool of three accounts, and who is told what of them."""

    def __init__(self) -> None:
        self.members = [
            Member("plan", "chatgpt"),
            Member("paid", "openai"),
            Member("fixed", "openai"),
            Member("known", "openai", status="dead"),
        ]
        self.pool = Pool(self.members)
        self.said: list[tuple[Any, ...]] = []
        self.down = False
        here = cast(Any, self)
        self.verdicts = Verdicts(
            self.pool, cast(Fleet, here), cast(Accounts, here), cast(KeptTokens, here), lambda: NOW, 0.001
        )

    def stored_id(self, name: str) -> str:
        return "config:fixed" if name == "fixed" else f"id-{name}"

    async def set_status(self, account: str, status: str, note: str) -> None:
        if self.down:
            raise StoreDown("locked")
        self.said.append((account, status))

    async def lost(self, account: str, problem: Problem) -> None:
        self.said.append((account, problem.code))

    def failed(self, name: str, cause: Cause) -> None:
        lease = self.pool.started(name, NOW, model="m")
        self.pool.report(lease, Outcome(UpstreamFailure(cause)), NOW)
        self.pool.ended(lease)


async def test_what_lasts_is_told_and_nothing_else() -> None:
    place = Place()
    await place.verdicts.look()
    for name, cause in (("plan", Cause.DEAD), ("paid", Cause.LOGIN), ("fixed", Cause.DEAD)):
        place.failed(name, cause)
    await place.verdicts.look()
    assert place.said == [("plan", "account_deleted"), ("id-paid", "needs_login")]


@pytest.mark.parametrize("cause", [Cause.QUOTA, Cause.OVERLOADED, Cause.REQUEST, Cause.CREDENTIALS])
async def test_what_passes_is_not_told(cause: Cause) -> None:
    place = Place()
    place.failed("plan", cause)
    await place.verdicts.look()
    assert place.said == []


async def test_a_store_that_is_down_is_told_later() -> None:
    place = Place()
    place.down = True
    place.failed("paid", Cause.DEAD)
    place.verdicts.start()
    await asyncio.sleep(0.05)
    place.down = False
    async with asyncio.timeout(30):
        while not place.said:
            await asyncio.sleep(0.005)
    await place.verdicts.stop()
    assert place.said[0] == ("id-paid", "dead")
