"""Doctor's look at the store: nothing yet, all well, and each thing that can be wrong with it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dragoman.cli.doctor import place, stored
from dragoman.cli.doctor.visit import Visit
from dragoman.serving.store import opened
from dragoman.settings import Settings
from dragoman.store.clientkeys import KeySpec
from dragoman.store.journal import Journal


def visit(data: Path, **table: Any) -> Visit:
    return Visit(
        settings=Settings.model_validate(table),
        problems=[],
        data=data,
        url=None,
        url_given=False,
        token=None,
        key_source=None,
        key_problem=None,
        environ={},
        folder=data,
    )


def told(data: Path, **table: Any) -> list[tuple[str, str]]:
    return [(one.id, one.level) for one in stored.store(visit(data, **table))]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a database and one key."""

    async def make() -> None:
        async with opened(Settings(), tmp_path, monotonic=time.monotonic) as store:
            await store.keys.create(KeySpec("laptop"), 1.0)

    asyncio.run(make())
    return tmp_path


def test_nothing_yet_is_fine_and_nothing_is_made(tmp_path: Path) -> None:
    assert told(tmp_path) == [("store", "ok")]
    assert list(tmp_path.iterdir()) == []


def test_all_is_well(data: Path) -> None:
    (finding,) = stored.store(visit(data))
    assert (finding.level, "revision" in finding.sentence) == ("ok", True)


def test_a_damaged_file_is_told_with_the_way_back(data: Path) -> None:
    (data / "dragoman.db").write_bytes(b"SQLite format 3\0" + os.urandom(4096))
    (finding,) = stored.store(visit(data))
    assert (finding.id, finding.level) == ("store", "error")
    assert "dragoman db restore" in finding.sentence


def test_another_secret_is_told(data: Path) -> None:
    (data / "secret").write_text("somebody else's\n")
    (finding,) = stored.store(visit(data))
    assert (finding.level, "does not open" in finding.sentence) == ("error", True)


def test_a_lost_secret_is_told_once_with_what_to_do(data: Path) -> None:
    (data / "secret").unlink()
    seen = visit(data)
    (finding,) = place.secret_file(seen)
    assert (finding.level, "is missing" in finding.sentence) == ("error", True)
    assert finding.fix is not None and "db restore FILE --with-secrets" in finding.fix
    assert [one.level for one in stored.store(seen)] == ["ok"]


def test_a_newer_database_is_told(data: Path) -> None:
    with closing(sqlite3.connect(data / "dragoman.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert told(data) == [("store", "error")]


def test_rows_of_a_killed_process_are_a_warning(data: Path) -> None:
    journal = Journal(data / "journal", "dead")
    journal.open()
    journal.begin("dead-1", {"uid": "dead-1"})
    journal.close()
    assert told(data) == [("store-journal", "warn")]


def test_an_address_that_others_reach_needs_a_key(
    data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    account = {"name": "a", "api_key": "sk-x"}
    reachable = {"server": {"host": "0.0.0.0"}, "accounts": [account]}
    assert told(data, **reachable) == [("store", "ok")], "a key of the store is one"
    bare = tmp_path_factory.mktemp("bare")
    assert told(bare, **reachable) == [("store", "ok"), ("open-host", "error")]
    keyed = {**reachable, "keys": [{"name": "k", "key": "sk-drg-0123456789"}]}
    assert told(bare, **keyed) == [("store", "ok")]


def test_a_database_url_that_is_none_is_told(data: Path) -> None:
    assert told(data, database={"url": "mysql://x"}) == [("store", "error")]


def test_broken_settings_are_another_checks_business(data: Path) -> None:
    assert list(stored.store(replace(visit(data), settings=None))) == []
