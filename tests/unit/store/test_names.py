"""Aliases and price overrides in the store, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from dragoman.store import facts
from dragoman.store.clientkeys import StoreConflict
from dragoman.store.engine import Database
from dragoman.store.names import Aliases, PriceOverrides


async def revision(database: Database) -> int:
    async with database.read() as connection:
        return await facts.revision(connection)


async def test_aliases_keep_the_order_in_which_they_came(database: Database) -> None:
    aliases = Aliases(database)
    assert await aliases.listed() == {}
    for name in ("z*", "a*", "m"):
        await aliases.set(name, f"model-{name}")
    await aliases.set("z*", "changed@high")
    assert list((await aliases.listed()).items()) == [
        ("z*", "changed@high"),
        ("a*", "model-a*"),
        ("m", "model-m"),
    ]
    await aliases.remove("a*")
    await aliases.set("a*", "again")
    assert list(await aliases.listed()) == ["z*", "m", "a*"]


async def test_a_price_is_replaced_as_a_whole(database: Database) -> None:
    prices = PriceOverrides(database)
    await prices.set("gpt-*", {"input": 1.25, "cached": 0.1, "output": 10}, 1.0)
    await prices.set("a", {"input": 0, "output": 0}, 1.0)
    await prices.set("gpt-*", {"input": 2, "output": 3.5}, 2.0)
    assert await prices.listed() == {"a": {"input": 0, "output": 0}, "gpt-*": {"input": 2, "output": 3.5}}


async def test_what_is_not_there_cannot_be_removed_and_tells_nobody(database: Database) -> None:
    for repository, words in (
        (Aliases(database), "no alias 'x'"),
        (PriceOverrides(database), "no price of 'x'"),
    ):
        with pytest.raises(StoreConflict, match=words):
            await repository.remove("x")
    assert await revision(database) == 0


async def test_of_two_first_changes_at_the_same_time_both_stay(database: Database) -> None:
    """Several machines share one PostgreSQL: neither fails for the other's sake."""
    aliases, prices = Aliases(database), PriceOverrides(database)
    await asyncio.gather(
        *(aliases.set("same", f"m{number}") for number in range(4)),
        *(prices.set("same", {"input": number, "output": 1}, 0.0) for number in range(4)),
    )
    assert len(await aliases.listed()) == len(await prices.listed()) == 1
    assert await revision(database) == 8


async def test_every_change_bumps_the_revision(database: Database) -> None:
    aliases, prices = Aliases(database), PriceOverrides(database)
    await aliases.set("x", "a")
    await aliases.set("x", "b")
    await prices.set("x", {"input": 1, "output": 1}, 0.0)
    await prices.remove("x")
    await aliases.remove("x")
    assert await revision(database) == 5
