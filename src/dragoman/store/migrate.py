"""Which tables a database has, and how it gets those of this version.

An empty database gets today's tables at once, an older one is brought up step by step (SQLite after a copy
of the file, PostgreSQL under an advisory lock), a newer one is refused. Alembic is imported only for steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, inspect, text

from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database, StoreError
from dragoman.store.tables import metadata, narrow

# Oldest first; a test compares them with the files of migrations/versions.
REVISIONS = ("0001", "0002")
HEAD = REVISIONS[-1]
_LOCK = 0x6472676D  # "drgm"


class Moved(NamedTuple):
    """What bringing a database up did: the revision it had, and the copy that was made of it."""

    before: str | None
    copy: Path | None


async def revision(database: Database) -> str | None:
    """The revision a database is at; None for one without tables of ours."""
    async with database.read() as connection:
        return await connection.run_sync(_revision)


async def prepare(database: Database, *, automatic: bool = True) -> Path | None:
    """Makes sure that the tables are those of this version; returns the backup that was made, if any.

    Raises StoreError for a database that is newer, foreign, or older while `automatic` is off.
    """
    moved = await advance(database, automatic=automatic)
    return None if moved is None else moved.copy


async def advance(database: Database, *, automatic: bool = True) -> Moved | None:
    """The same; tells what was done, and None where nothing was, or somebody else was faster."""
    current = await revision(database)
    if current == HEAD:
        return None
    refuse_newer(current)
    if current is not None and not automatic:
        raise StoreError(
            f"the database is at revision {current}, this version needs {HEAD}: dragoman db upgrade"
        )
    copy = None if current is None or database.file is None else await _copy(database, current)
    async with database.write() as connection:
        await _lock(connection, database)
        # Somebody else may have been faster while this process waited for the lock.
        moved = await connection.run_sync(_to_head)
    return Moved(current, copy) if moved else None


async def move(database: Database, target: str) -> None:
    """Brings the tables to a revision, up or down; `base` removes them. Raises StoreError."""
    if target not in (*REVISIONS, "base", "head"):
        raise StoreError(f"there is no revision {target!r}; known: {', '.join(REVISIONS)}")
    refuse_newer(await revision(database))
    async with database.write() as connection:
        await _lock(connection, database)
        await connection.run_sync(_step, target)


def refuse_newer(current: str | None) -> None:
    """Raises StoreError for a revision that this version does not know."""
    if current is not None and current not in REVISIONS:
        raise StoreError(
            f"the database is at revision {current}, which this version does not know: "
            "it was used by a newer dragoman; install that version, or restore a backup"
        )


async def _lock(connection: AsyncConnection, database: Database) -> None:
    if database.dialect == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def _copy(database: Database, current: str) -> Path:
    from dragoman.store.backup import copy

    file = database.file
    if file is None:
        raise RuntimeError("only SQLite has a file")
    target = file.with_name(f"{file.name}.before-{HEAD}-from-{current}")
    number = 1
    while target.exists():
        number += 1
        target = target.with_name(f"{file.name}.before-{HEAD}-from-{current}.{number}")
    await copy(file, target)
    return target


def _revision(connection: Connection) -> str | None:
    names = set(inspect(connection).get_table_names())
    if "alembic_version" not in names:
        if strangers := names & set(metadata.tables):
            raise StoreError(f"the database has a table {min(strangers)!r} that dragoman did not make")
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def _to_head(connection: Connection) -> bool:
    """Whether there was anything to do."""
    current = _revision(connection)
    if current == HEAD:
        return False
    if current is not None:
        _step(connection, "head")
        return True
    narrow(connection.dialect.name)
    metadata.create_all(connection)
    connection.execute(
        text(
            "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})
    return True


def configuration(connection: Connection | None = None) -> Any:
    """Alembic's configuration over a connection of ours."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _step(connection: Connection, target: str) -> None:
    from alembic import command

    current = _revision(connection)
    config = configuration(connection)
    if target == "head":
        command.upgrade(config, "head")
    elif target == "base" or (current is not None and REVISIONS.index(target) < REVISIONS.index(current)):
        command.downgrade(config, target)
    else:
        command.upgrade(config, target)
