"""Claims: what one process at a time may do, across all processes and hosts of one database.

A claim ends when its holder releases it or when its time is over, so a killed process blocks nobody for ever;
where its host knows that it is dead, it is released earlier (writer.recover).
It is no proof that the holder still works: what was done under it must be written with a comparison
(accounts.save_tokens), because a holder that was stopped for longer than its time may come back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import Float, delete, literal, or_, select

from dragoman.store.engine import Database, StoreError, clock, insertion
from dragoman.store.tables import claims

POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Claim:
    """What came of asking; true when the claim is held.

    `abandoned`: the holder before let its time run out, so nobody knows how far it came.
    """

    held: bool
    abandoned: bool = False

    def __bool__(self) -> bool:
        return self.held


@asynccontextmanager
async def claim(
    database: Database,
    name: str,
    holder: str,
    seconds: float,
    now: float | None = None,
    *,
    wait_seconds: float = 0.0,
) -> AsyncIterator[Claim]:
    """Claims a name for at most `seconds`; the block runs in any case and looks at what it got.

    `holder` is this attempt's own name: two attempts of one holder are one. Without `now` the database's own
    clock counts, so that hosts agree. While another holds it, it is asked for again for `wait_seconds`.
    Raises StoreDown.
    """
    got = await _take(database, name, holder, seconds, now)
    deadline = asyncio.get_running_loop().time() + wait_seconds
    while not got and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        got = await _take(database, name, holder, seconds, now)
    try:
        yield got
    finally:
        if got:
            # Where that fails, time ends it.
            with contextlib.suppress(StoreError):
                await release(database, name, holder)


async def release(database: Database, name: str, holder: str) -> None:
    """Gives a claim back; nothing happens to one that is another's by now. Raises StoreDown."""
    async with database.write() as connection:
        await connection.execute(delete(claims).where(claims.c.name == name, claims.c.holder == holder))


async def release_all(database: Database, process: str) -> int:
    """Gives back every claim of a process that is gone: holders named `<process>-…`. Raises StoreDown."""
    async with database.write() as connection:
        theirs = claims.c.holder.startswith(f"{process}-", autoescape=True)
        return (await connection.execute(delete(claims).where(theirs))).rowcount


async def held_by(database: Database, name: str, now: float | None = None) -> str | None:
    """Who holds a claim now; None for nobody. Raises StoreDown."""
    at = clock(database.dialect) if now is None else literal(now, Float)
    query = select(claims.c.holder).where(claims.c.name == name, claims.c.until > at)
    async with database.read() as connection:
        found: str | None = await connection.scalar(query)
        return found


async def _take(database: Database, name: str, holder: str, seconds: float, now: float | None) -> Claim:
    at = clock(database.dialect) if now is None else literal(now, Float)
    statement = insertion(database.dialect, claims).values(name=name, holder=holder, until=at + seconds)
    # One statement: of two that ask at once the database lets one be first, and the other sees its row.
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"holder": statement.excluded.holder, "until": statement.excluded.until},
        where=or_(claims.c.until <= at, claims.c.holder == holder),
    ).returning(claims.c.holder)
    async with database.write() as connection:
        before = await connection.scalar(select(claims.c.holder).where(claims.c.name == name))
        held = await connection.scalar(statement) is not None
    return Claim(held, abandoned=held and before not in (None, holder))
