"""The request log as it grows: what somebody sees who watches it.

It asks for rows by the order in which they were written, because a long request is written after a short one
that came later. It begins with the newest rows that are there, and tells every later one once.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from dragoman.store.engine import Database
from dragoman.store.reading import MOST, latest
from dragoman.store.tables import requests
from dragoman.store.walk import SHOWN, Filter, conditions, shown

# PostgreSQL numbers rows before they are to be seen: another process may show lower numbers later.
_LATE = 1000


class Feed:
    """Rows of a filter for one watcher."""

    def __init__(self, database: Database, wanted: Filter) -> None:
        self._database = database
        self._wanted = wanted
        self._late = 0 if database.dialect == "sqlite" else _LATE
        self._last = 0
        self._seen: set[int] = set()

    async def open(self, count: int) -> list[dict[str, Any]]:
        """Begins: the newest `count` rows that are there, oldest of them first. Raises StoreError."""
        async with self._database.read() as connection:
            self._last = await connection.scalar(select(func.max(requests.c.id))) or 0
            recent = select(requests.c.id).where(requests.c.id > self._last - self._late)
            self._seen = set(await connection.scalars(recent.where(requests.c.id <= self._last)))
        return (await latest(self._database, self._wanted, count, written=self._last))[::-1]

    async def poll(self) -> list[dict[str, Any]]:
        """The rows that appeared since, in the order of writing, at most some hundred. Raises StoreError."""
        floor = self._last - self._late
        recent = (
            select(requests.c.id)
            .where(requests.c.id > floor)
            .order_by(requests.c.id)
            .limit(len(self._seen) + MOST)
        )
        async with self._database.read() as connection:
            present = list(await connection.scalars(recent))
            fresh = [number for number in present if number not in self._seen]
            if not fresh:
                return []
            query = (
                select(*SHOWN)
                .where(requests.c.id.in_(fresh), *conditions(self._wanted))
                .order_by(requests.c.id)
            )
            rows = [shown(row) for row in (await connection.execute(query)).all()]
        self._last = max(self._last, present[-1])
        self._seen = {number for number in (*self._seen, *fresh) if number > self._last - self._late}
        return rows
