"""The tables come, go, come again, and a database that is not ours is left alone: on both databases."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, String, insert, inspect, select, text

from dragoman.gateway.ports import Row
from dragoman.store import facts, migrate, rows
from dragoman.store.accounts import Accounts, AccountSpec, Credentials
from dragoman.store.backup import problems
from dragoman.store.engine import Database, StoreError
from dragoman.store.ring import Ring
from dragoman.store.tables import aliases, meta, metadata, requests, usage_hours


@pytest.fixture(autouse=True)
def _made_in_the_products_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "create_all", partial(MetaData.create_all, metadata))


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def _names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def _limited(connection: Connection) -> dict[str, str]:
    """The words of every index that leaves rows out."""
    words = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'requests' AND type = 'index'",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'requests'",
    }
    found = connection.execute(text(words[connection.dialect.name])).all()
    return {name: sql.partition(" WHERE ")[2] for name, sql in found if sql and " WHERE " in sql}


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


async def test_indexes_are_limited_to_the_same_rows_both_ways(empty_database: Database) -> None:
    found = []
    for way in (migrate.prepare(empty_database), migrate.move(empty_database, "head")):
        await way
        async with empty_database.read() as connection:
            found.append(await connection.run_sync(_limited))
        await migrate.move(empty_database, "base")
    assert found[0] == found[1]
    assert set(found[0]) == {f"ix_requests_{name}_time_id" for name in ("outcome", "status", "error_type")}


def test_the_tables_bring_no_dialect_along() -> None:
    code = "import sys, dragoman.store.tables; sys.exit('sqlalchemy.dialects.postgresql' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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


# The request log as the first version had it.
_FIRST = [column for column in requests.c if column.name not in ("choice", "move", "lost_nano")]


async def _filled_at_0001(database: Database) -> None:
    """A database as the first version left it: made by its own step, with rows in it."""
    await migrate.move(database, "0001")
    async with database.write() as connection:
        await connection.execute(insert(aliases).values(name="kept", target="gpt-5.5", position=1))
        values = rows.columns(Row("req_1", 50.0, uid="boot-1"))
        await connection.execute(
            insert(requests).values({c.name: values[c.name] for c in _FIRST if c.name != "id"})
        )
        figures = {c.name: "" if isinstance(c.type, String) else 0 for c in usage_hours.c}
        await connection.execute(insert(usage_hours).values(figures))
        await facts.bump(connection)
    await facts.unlock(database, Ring(["text"]), b"text")


async def _kept(database: Database) -> tuple[object, ...]:
    async with database.read() as connection:
        return (
            (await connection.execute(select(aliases))).all(),
            (await connection.execute(select(*_FIRST))).all(),
            (await connection.execute(select(usage_hours))).all(),
            (await connection.execute(select(meta).order_by(meta.c.name))).all(),
        )


async def test_an_older_database_waits_for_leave_and_sqlite_is_copied_first(
    empty_database: Database,
) -> None:
    """Rows stay as they are; the copy is a whole database of the revision before, for its owner alone."""
    database = empty_database
    await _filled_at_0001(database)
    before = await _kept(database)
    with pytest.raises(StoreError, match="revision 0001, this version needs 0002: dragoman db upgrade"):
        await migrate.prepare(database, automatic=False)
    assert await migrate.revision(database) == "0001"
    copy = await migrate.prepare(database)
    assert await migrate.revision(database) == migrate.HEAD
    assert await _kept(database) == before
    async with database.read() as connection:
        assert await connection.run_sync(_differences) == []
    assert await migrate.prepare(database) is None
    if database.file is None:
        assert copy is None
        return
    assert copy is not None
    assert copy.name == f"{database.file.name}.before-0002-from-0001"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert await problems(copy) == []
    kept = Database(database.url.set(database=str(copy)))
    assert await migrate.revision(kept) == "0001"
    assert await _kept(kept) == before
    # It is as good as the original: brought up, it is the same database.
    assert await migrate.prepare(kept) is not None
    assert await _kept(kept) == before
    await kept.close()


async def test_the_pool_can_go_again_and_the_rest_stays(empty_database: Database) -> None:
    """B101: down to 0001 and up, with rows."""
    await _filled_at_0001(empty_database)
    before = await _kept(empty_database)
    await migrate.move(empty_database, "0002")
    await Accounts(empty_database, Ring(["text"]), b"pepper").add(
        AccountSpec("paid", "openai", "https://api.test/v1"), Credentials(api_key="sk-1"), 50.0
    )
    await migrate.move(empty_database, "0001")
    async with empty_database.read() as connection:
        assert "accounts" not in await connection.run_sync(_names)
    await migrate.move(empty_database, "head")
    assert await Accounts(empty_database, Ring(["text"]), b"pepper").listed() == []
    after = await _kept(empty_database)
    assert after[:3] == before[:3]


async def test_of_two_upgrades_at_the_same_time_one_says_that_it_was_it(empty_database: Database) -> None:
    if not empty_database.shared:
        pytest.skip("two processes on one SQLite file are kept apart by the copy that each makes first")
    await migrate.move(empty_database, "0001")
    done = await asyncio.gather(*(migrate.advance(empty_database) for _ in range(2)))
    moved = [one for one in done if one is not None]
    assert [one.before for one in moved] == ["0001"]
    assert await migrate.revision(empty_database) == migrate.HEAD
