"""The audit trail: who changed what, when, written in the same transaction as the change itself.

A repository that is given a `Noted` database writes its change and the entry together or not at all. Details
say what was set, never a secret. Entries are only added and read here, never changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select

from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database
from dragoman.store.tables import audit
from dragoman.wire import jsonio

_SUBJECT = 256
_ACTOR = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """What is noted. `actor` is `user:NAME`, `token:NAME` or `cli`; `subject` is `noun:name`."""

    actor: str
    action: str
    subject: str
    time: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Noted:
    """An entry of the trail; ids grow with time."""

    id: int
    entry: Entry


class NotingDatabase(Database):
    """The same database, whose next transaction also writes an entry."""

    def __init__(self, inner: Database, entry: Entry) -> None:
        self._inner = inner
        self._entry = entry
        self.url = inner.url
        self.dialect = inner.dialect

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for queries."""
        async with self._inner.read() as connection:
            yield connection

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction that ends with the entry."""
        async with self._inner.write(durable=durable) as connection:
            yield connection
            await note(connection, self._entry)

    async def close(self) -> None:
        """Who opened the inner one closes it."""


async def note(connection: AsyncConnection, entry: Entry) -> None:
    """Adds an entry to the running transaction."""
    row = {
        "time": entry.time,
        "actor": entry.actor[:_ACTOR],
        "action": entry.action,
        "subject": entry.subject[:_SUBJECT],
        "detail": jsonio.dump(dict(entry.detail)).decode(),
    }
    await connection.execute(insert(audit).values(row))


async def page(
    database: Database, *, limit: int, before: int | None = None
) -> tuple[Sequence[Noted], int | None]:
    """Entries, newest first, and the id to go on before; None at the end."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(audit.c.id < before)
    async with database.read() as connection:
        rows = (await connection.execute(query)).all()
    found = [
        Noted(
            row.id,
            Entry(row.actor, row.action, row.subject, row.time, jsonio.parse(row.detail.encode())),
        )
        for row in rows[:limit]
    ]
    return found, found[-1].id if len(rows) > limit else None
