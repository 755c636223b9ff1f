"""Rests: what an upstream said of an account that holds for every process, until when, and no longer.

A rest survives a restart and reaches the other processes of one database. What it means for a choice is
decided elsewhere; of two words about the same account and model the later one stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select

from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database, insertion
from dragoman.store.tables import rests

_MODEL = 128


class Rest(NamedTuple):
    """`account` by name, `model` empty for all, `cause` as the caller's word; times in epoch seconds."""

    account: str
    model: str
    cause: str
    until: float
    heard_at: float


class Rests:
    """The repository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, now: float, since: float | None = None) -> list[Rest]:
        """Those that are not over, or of them those heard of at `since` or later. Raises StoreDown."""
        async with self._database.read() as connection:
            return await read_rests(connection, now, since)

    async def save(self, heard: Iterable[Rest], now: float) -> None:
        """Adds or renews rests, and lets go of those that are over. Raises StoreDown."""
        newest = {(rest.account, rest.model[:_MODEL]): rest for rest in heard}
        if not newest:
            return
        statement = insertion(self._database.dialect, rests)
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=["account", "model"],
            set_={"cause": new.cause, "until": new.until, "heard_at": new.heard_at},
            where=rests.c.heard_at <= new.heard_at,
        )
        # In one order everywhere, so that two processes never wait for each other in a circle.
        rows = [{**newest[place]._asdict(), "model": place[1]} for place in sorted(newest)]
        async with self._database.write() as connection:
            await connection.execute(delete(rests).where(rests.c.until <= now))
            await connection.execute(statement, rows)


# Put together once: processes that share a database ask twice a second.
_LASTING = select(rests).where(rests.c.until > bindparam("now")).order_by(rests.c.account, rests.c.model)
_SINCE = _LASTING.where(rests.c.heard_at >= bindparam("since"))


async def read_rests(connection: AsyncConnection, now: float, since: float | None = None) -> list[Rest]:
    """As `Rests.load`, on a connection that is there."""
    query, told = (_LASTING, {}) if since is None else (_SINCE, {"since": since})
    return [Rest(*row) for row in (await connection.execute(query, {"now": now, **told})).all()]
