"""The tables come, go, come again, and a database that is not ours is left alone: on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, select, text

from dragoman.store import migrate
from dragoman.store.engine import Database, StoreError
from dragoman.store.tables import aliases, metadata


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def _names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_an_empty_database_gets_the_tables_once(empty_database: Database) -> None:
    """B101"""
    assert await migrate.revision(empty_database) is None
    for _ in range(2):
        assert await migrate.prepare(empty_database) is None
        assert await migrate.revision(empty_database) == migrate.HEAD
    async with empty_database.read() as connection:
        assert await connection.run_sync(_differences) == []


async def test_the_steps_lead_to_the_same_tables_and_back(empty_database: Database) -> None:
    """B101: up and down, twice."""
    for _ in range(2):
        for target in (*migrate.REVISIONS, "head", "head"):
            await migrate.move(empty_database, target)
        async with empty_database.read() as connection:
            assert await connection.run_sync(_differences) == []
        await migrate.move(empty_database, "base")
        assert await migrate.revision(empty_database) is None
        async with empty_database.read() as connection:
            assert not await connection.run_sync(_names) & set(metadata.tables)


def test_the_known_revisions_are_those_on_disk() -> None:
    script = ScriptDirectory.from_config(migrate.configuration())
    assert [one.revision for one in reversed(list(script.walk_revisions()))] == list(migrate.REVISIONS)


async def test_a_newer_database_is_refused_and_left_as_it_is(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for attempt in (migrate.prepare(database), migrate.move(database, "head")):
        with pytest.raises(StoreError, match="newer dragoman"):
            await attempt
    assert await migrate.revision(database) == "9999"


async def test_tables_of_somebody_else_are_not_taken_over(empty_database: Database) -> None:
    async with empty_database.write() as connection:
        await connection.execute(text("CREATE TABLE requests (mine INTEGER)"))
    with pytest.raises(StoreError, match="dragoman did not make"):
        await migrate.prepare(empty_database)


async def test_an_unknown_target_is_named(database: Database) -> None:
    with pytest.raises(StoreError, match="there is no revision 'nowhere'"):
        await migrate.move(database, "nowhere")


async def test_an_older_database_waits_for_leave_and_sqlite_is_copied_first(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with database.write() as connection:
        await connection.execute(insert(aliases).values(name="kept", target="gpt-5.5", position=1))
    monkeypatch.setattr(migrate, "HEAD", "0002")
    with pytest.raises(StoreError, match="dragoman db upgrade"):
        await migrate.prepare(database, automatic=False)
    copy = await migrate.prepare(database)
    if database.file is None:
        assert copy is None
        return
    assert copy is not None
    assert copy.stat().st_mode & 0o777 == 0o600
    kept = Database(database.url.set(database=str(copy)))
    async with kept.read() as connection:
        assert await connection.scalar(select(aliases.c.name)) == "kept"
    await kept.close()
