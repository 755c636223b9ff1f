"""Single facts of an installation, kept in `meta`: the sealed root secret and pepper, and the revision.

Root and pepper are made once and then stay, whatever happens to the key ring: cache keys, hashes and client
keys depend on them. `revision` grows with every change of what processes keep in memory.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import Integer, cast, func, select, update

from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database, StoreError, insertion
from dragoman.store.ring import Ring
from dragoman.store.tables import accounts, meta, users

SEALED = ("root", "pepper")
# Where PostgreSQL tells of a new revision.
CHANNEL = "dragoman"
# Asked twice a second, and half of what a query costs here is to put it together.
_REVISION = select(meta.c.value).where(meta.c.name == "revision")


@dataclass(frozen=True, slots=True)
class Facts:
    """root: seals reasoning, salts cache keys and hashes. pepper: keys the digests of client keys."""

    root: bytes
    pepper: bytes


async def unlock(database: Database, ring: Ring, root: bytes) -> Facts:
    """The installation's secrets; on the first start `root` becomes its root. Raises StoreError."""
    found = await _read(database)
    if missing := [name for name in SEALED if name not in found]:
        made = {"root": root, "pepper": secrets.token_bytes(32)}
        rows = [{"name": name, "value": ring.seal(f"meta:{name}", made[name])} for name in missing]
        async with database.write() as connection:
            # Of two processes that start at the same time, one is first and both take what it wrote.
            await connection.execute(insertion(database.dialect, meta).values(rows).on_conflict_do_nothing())
        found = await _read(database)
    return Facts(*(_opened(database, ring, name, found[name]) for name in SEALED))


async def sealed(database: Database) -> bool:
    """Whether the database holds anything that only its secret opens."""
    return bool(await _read(database))


async def check(database: Database, ring: Ring) -> None:
    """Raises StoreError when the ring does not open what the database has sealed. Makes nothing."""
    for name, sealed in (await _read(database)).items():
        _opened(database, ring, name, sealed)


def _opened(database: Database, ring: Ring, name: str, sealed: str) -> bytes:
    try:
        return ring.open(f"meta:{name}", sealed)
    except StoreError:
        raise StoreError(
            f"the secret (secrets.key_file or secrets.key_env) does not open the database {database.place}: "
            "use the secret that belongs to it, or another database"
        ) from None


async def revision(connection: AsyncConnection) -> int:
    """How often keys, limits, aliases or prices were changed."""
    found = await connection.scalar(_REVISION)
    return 0 if found is None else int(found)


async def bump(connection: AsyncConnection) -> None:
    """Tells every process to read again what it keeps in memory; belongs into the changing transaction.

    On PostgreSQL those that listen (notify.py) hear of it as soon as it is committed.
    """
    # In one statement: of two first changes at the same time neither may fail for the other's sake.
    grown = cast(cast(meta.c.value, Integer) + 1, meta.c.value.type)
    first = insertion(connection.dialect.name, meta).values(name="revision", value="1")
    change = first.on_conflict_do_update(index_elements=["name"], set_={"value": grown})
    if connection.dialect.name == "postgresql":
        now = await connection.scalar(change.returning(meta.c.value))
        await connection.execute(select(func.pg_notify(CHANNEL, now)))
    else:
        await connection.execute(change)


async def reseal(database: Database, ring: Ring) -> int:
    """Seals everything that an older key sealed with the newest one; returns how much there was."""
    renewed = 0
    async with database.write() as connection:
        for table, name, column in (
            (meta, meta.c.name, meta.c.value),
            (users, users.c.id, users.c.totp),
            (accounts, accounts.c.id, accounts.c.sealed),
        ):
            # Locked: a token refreshed meanwhile must not be overwritten by the one before it.
            query = select(name, column).where(column.is_not(None)).order_by(name).with_for_update()
            if table is meta:
                query = query.where(meta.c.name.in_(SEALED))
            for record, sealed in (await connection.execute(query)).all():
                if not ring.current(sealed):
                    change = update(table).where(name == record).values({column: ring.renew(sealed)})
                    await connection.execute(change)
                    renewed += 1
    return renewed


async def _read(database: Database) -> dict[str, str]:
    async with database.read() as connection:
        rows = await connection.execute(select(meta.c.name, meta.c.value).where(meta.c.name.in_(SEALED)))
        return {row.name: row.value for row in rows}
