"""Aliases and price overrides in the store. Both bump the revision: every process reads them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, delete, func, select

from dragoman.store import facts
from dragoman.store.clientkeys import NotThere
from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database, insertion
from dragoman.store.tables import aliases, prices
from dragoman.wire import jsonio


class Aliases:
    """Requested name (exact or glob) -> upstream model, optionally `@effort`, in the order they came."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(self) -> dict[str, str]:
        """All of them, in order."""
        async with self._database.read() as connection:
            return await read_aliases(connection)

    async def set(self, name: str, target: str) -> None:
        """Adds an alias at the end, or changes the target of one where it stands."""
        async with self._database.write() as connection:
            last = await connection.scalar(select(func.coalesce(func.max(aliases.c.position), 0)))
            row = {"name": name, "target": target, "position": (last or 0) + 1}
            await _put(connection, aliases, "name", row, ("target",))
            await facts.bump(connection)

    async def remove(self, name: str) -> None:
        """Raises NotThere when there is none."""
        async with self._database.write() as connection:
            gone = await connection.execute(delete(aliases).where(aliases.c.name == name))
            if gone.rowcount == 0:
                raise NotThere(f"there is no alias {name!r} in the store")
            await facts.bump(connection)


class PriceOverrides:
    """Upstream model (exact or glob) -> table of rates, USD per million tokens, as the config file has it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(self) -> dict[str, dict[str, Any]]:
        """All of them, by name."""
        async with self._database.read() as connection:
            return await read_prices(connection)

    async def set(self, model: str, rates: Mapping[str, Any], now: float) -> None:
        """Adds or replaces a price; `rates` were checked."""
        row = {"model": model, "rates": jsonio.dump(dict(rates)).decode(), "updated_at": now}
        async with self._database.write() as connection:
            await _put(connection, prices, "model", row, ("rates", "updated_at"))
            await facts.bump(connection)

    async def remove(self, model: str) -> None:
        """Raises NotThere when there is none."""
        async with self._database.write() as connection:
            gone = await connection.execute(delete(prices).where(prices.c.model == model))
            if gone.rowcount == 0:
                raise NotThere(f"there is no price of {model!r} in the store")
            await facts.bump(connection)


async def _put(
    connection: AsyncConnection, table: Table, key: str, row: Mapping[str, Any], changing: Sequence[str]
) -> None:
    """Adds a row, or changes some columns of the one that has its key; two at the same time both succeed."""
    statement = insertion(connection.dialect.name, table).values(row)
    set_ = {name: statement.excluded[name] for name in changing}
    await connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=set_))


async def read_aliases(connection: AsyncConnection) -> dict[str, str]:
    """Name -> target in order."""
    query = select(aliases.c.name, aliases.c.target).order_by(aliases.c.position, aliases.c.name)
    return {row.name: row.target for row in (await connection.execute(query)).all()}


async def read_prices(connection: AsyncConnection) -> dict[str, dict[str, Any]]:
    """Model -> rates as they were given."""
    query = select(prices.c.model, prices.c.rates).order_by(prices.c.model)
    return {row.model: jsonio.parse(row.rates.encode()) for row in (await connection.execute(query)).all()}
