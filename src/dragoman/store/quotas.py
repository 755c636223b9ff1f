"""Quotas: what was last heard of each account's windows, kept over restarts and shared by all processes.

Plain figures in and out; what they mean for a choice is decided elsewhere. Of two processes that heard
something, the later word stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, select

from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database, insertion
from dragoman.store.tables import quotas

_KEY = ("account_id", "meter", "seconds")


class Quota(NamedTuple):
    """One window of an account.

    seconds             its length; 0 for what has none, such as a balance
    used                a share or a figure, as the caller has it
    resets_at, seen_at  epoch seconds
    """

    account_id: str
    meter: str
    seconds: int
    used: float
    resets_at: float | None
    seen_at: float


class Quotas:
    """The repository. An account is named by its id, one of the configuration file may be `config:NAME`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, since: float | None = None) -> list[Quota]:
        """Every window, or those heard of at `since` or later, in a fixed order. Raises StoreDown."""
        async with self._database.read() as connection:
            return await read_quotas(connection, since)

    async def save(self, heard: Iterable[Quota]) -> None:
        """Adds or renews windows; what was heard later stays. Raises StoreDown."""
        newest: dict[tuple[str, str, int], Quota] = {}
        for quota in heard:
            place = (quota.account_id, quota.meter, quota.seconds)
            if place not in newest or newest[place].seen_at <= quota.seen_at:
                newest[place] = quota
        if not newest:
            return
        statement = insertion(self._database.dialect, quotas)
        statement = statement.on_conflict_do_update(
            index_elements=list(_KEY),
            set_={name: statement.excluded[name] for name in ("used", "resets_at", "seen_at")},
            where=quotas.c.seen_at <= statement.excluded.seen_at,
        )
        # In one order everywhere, so that two processes never wait for each other in a circle.
        rows = [newest[place]._asdict() for place in sorted(newest)]
        async with self._database.write() as connection:
            await connection.execute(statement, rows)


# Put together once: processes that share a database ask twice a second.
_ALL = select(quotas).order_by(*(quotas.c[name] for name in _KEY))
_SINCE = _ALL.where(quotas.c.seen_at >= bindparam("since"))


async def read_quotas(connection: AsyncConnection, since: float | None = None) -> list[Quota]:
    """As `Quotas.load`, on a connection that is there."""
    query, told = (_ALL, {}) if since is None else (_SINCE, {"since": since})
    return [Quota(*row) for row in (await connection.execute(query, told)).all()]
