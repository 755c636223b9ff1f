"""Pins: which account a conversation is bound to, kept over restarts and shared by all processes.

An affinity is a hash that the caller made; nothing here knows what of. Pins are written behind the requests
in batches, and old ones go in small steps. Which pin is right is decided elsewhere: the one used last counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Integer, Row, bindparam, case, delete, select

from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database, insertion
from dragoman.store.tables import pins

BATCH = 500
DAY = 86_400.0


class Pin(NamedTuple):
    """`account` by name, None to forget the pin; times in epoch seconds.

    pinned_at  since when it is that account; when it is saved, the store finds that out by itself
    """

    affinity: str
    account: str | None
    used_at: float
    pinned_at: float | None = None


class Pins:
    """The repository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, limit: int, since: float | None = None) -> list[Pin]:
        """The pins used last, newest first; with `since` only those used then or later. Raises StoreDown."""
        async with self._database.read() as connection:
            return await read_pins(connection, limit, since)

    async def find(self, affinity: str) -> Pin | None:
        """The pin of one conversation: another process may have made it. Raises StoreDown."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(pins).where(pins.c.affinity == affinity))).first()
        return None if row is None else _pin(row)

    async def save(self, batch: Iterable[Pin]) -> None:
        """Adds, renews or forgets pins; one that another process used later stays. Raises StoreDown."""
        newest: dict[str, Pin] = {}
        for pin in batch:
            if pin.affinity not in newest or newest[pin.affinity].used_at <= pin.used_at:
                newest[pin.affinity] = pin
        # In one order everywhere, so that two processes never wait for each other in a circle.
        ordered = [newest[affinity] for affinity in sorted(newest)]
        for start in range(0, len(ordered), BATCH):
            part = ordered[start : start + BATCH]
            kept = [{**pin._asdict(), "pinned_at": pin.used_at} for pin in part if pin.account is not None]
            gone = [{"gone": pin.affinity, "at": pin.used_at} for pin in part if pin.account is None]
            async with self._database.write() as connection:
                if kept:
                    await connection.execute(_keeping(self._database.dialect), kept)
                if gone:
                    await connection.execute(_FORGETTING, gone)

    async def prune(self, now: float, days: float) -> int:
        """Removes one batch of pins that nobody used for so many days; returns how many: again while any."""
        old = select(pins.c.affinity).where(pins.c.used_at < now - days * DAY).limit(BATCH)
        async with self._database.write() as connection:
            return (await connection.execute(delete(pins).where(pins.c.affinity.in_(old)))).rowcount


# Put together once: processes that share a database ask twice a second.
_NEWEST = (
    select(pins).order_by(pins.c.used_at.desc(), pins.c.affinity).limit(bindparam("most", type_=Integer))
)
_SINCE = _NEWEST.where(pins.c.used_at >= bindparam("since"))


async def read_pins(connection: AsyncConnection, limit: int, since: float | None = None) -> list[Pin]:
    """As `Pins.load`, on a connection that is there."""
    query, told = (_NEWEST, {}) if since is None else (_SINCE, {"since": since})
    return [_pin(row) for row in (await connection.execute(query, {"most": limit, **told})).all()]


def _pin(row: Row[Any]) -> Pin:
    return Pin(row.affinity, row.account, row.used_at, row.pinned_at)


_FORGETTING = delete(pins).where(pins.c.affinity == bindparam("gone"), pins.c.used_at <= bindparam("at"))


def _keeping(dialect: str) -> Any:
    statement = insertion(dialect, pins)
    new = statement.excluded
    same = pins.c.account == new.account
    return statement.on_conflict_do_update(
        index_elements=["affinity"],
        set_={
            "account": new.account,
            "used_at": new.used_at,
            "pinned_at": case((same, pins.c.pinned_at), else_=new.pinned_at),
        },
        where=pins.c.used_at <= new.used_at,
    )
