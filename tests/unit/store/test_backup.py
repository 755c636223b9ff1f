"""Copies of a database in use, and a copy in the place of a database."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL

from dragoman.store import backup, migrate, restore
from dragoman.store.engine import Database, StoreError, locate
from dragoman.store.names import Aliases


async def made(place: Path, name: str, alias: str) -> Path:
    """A database with one alias in it, closed."""
    database = Database(locate(f"sqlite:///{name}", place))
    await migrate.prepare(database)
    await Aliases(database).set(alias, "model")
    await database.close()
    return place / name


async def aliases(file: Path) -> list[str]:
    database = Database(URL.create("sqlite+aiosqlite", database=str(file)))
    try:
        return list(await Aliases(database).listed())
    finally:
        await database.close()


async def test_a_copy_of_a_database_in_use_is_one_whole_private_file(tmp_path: Path) -> None:
    database = Database(locate("sqlite:///dragoman.db", tmp_path))
    await migrate.prepare(database)
    await Aliases(database).set("kept", "model")
    (tmp_path / "copies").mkdir()
    copy = tmp_path / "copies" / "50% of #1?.db"
    await backup.copy(tmp_path / "dragoman.db", copy)
    await Aliases(database).set("later", "model")
    await database.close()
    assert await backup.problems(copy) == []
    assert list(copy.parent.iterdir()) == [copy], "no log beside it, wherever it is carried"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert await aliases(copy) == ["kept"]


async def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello" * 1000)
    assert await backup.problems(tmp_path / "text") == ["file is not a database"]
    assert await backup.problems(tmp_path / "absent") != []
    assert not (tmp_path / "absent").exists()
    for source, target in (("text", "copy"), ("dragoman.db", "no/such/folder")):
        with pytest.raises(StoreError, match="the backup failed"):
            await backup.copy(tmp_path / source, tmp_path / target)
    assert {path.name for path in tmp_path.iterdir()} <= {"text", "dragoman.db"}


async def test_a_torn_page_is_found(tmp_path: Path) -> None:
    file = await made(tmp_path, "dragoman.db", "kept")
    content = bytearray(file.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    file.write_bytes(content)
    assert await backup.problems(file) != []
    with pytest.raises(StoreError, match=r"the copy is damaged|the backup failed"):
        await backup.copy(file, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


async def test_a_swap_keeps_what_was_there(tmp_path: Path) -> None:
    present = await made(tmp_path, "dragoman.db", "present")
    for number in (1, 2):
        draft = await made(tmp_path, "draft", f"restored{number}")
        kept = await restore.swap(draft, present)
        assert kept == tmp_path / f"dragoman.db.before-restore-{number}"
        assert await aliases(present) == [f"restored{number}"]
    assert await aliases(tmp_path / "dragoman.db.before-restore-1") == ["present"]
    assert await aliases(tmp_path / "dragoman.db.before-restore-2") == ["restored1"]


async def test_a_swap_into_an_empty_place_keeps_nothing(tmp_path: Path) -> None:
    assert await restore.swap(await made(tmp_path, "draft", "x"), tmp_path / "dragoman.db") is None
    assert await aliases(tmp_path / "dragoman.db") == ["x"]


async def test_what_the_log_held_is_kept_and_does_not_reach_the_new_file(tmp_path: Path) -> None:
    """A process was killed with its last changes in the log alone."""
    present = tmp_path / "dragoman.db"
    database = Database(locate("sqlite:///dragoman.db", tmp_path))
    await migrate.prepare(database)
    await Aliases(database).set("in the log", "model")
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    await database.close()
    assert files["dragoman.db-wal"]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    kept = await restore.swap(await made(tmp_path, "draft", "restored"), present)
    assert kept is not None
    assert await aliases(present) == ["restored"]
    assert await aliases(kept) == ["in the log"]


async def test_the_log_of_a_damaged_file_stays_with_it(tmp_path: Path) -> None:
    present = tmp_path / "dragoman.db"
    present.write_bytes(b"no database" * 1000)
    (tmp_path / "dragoman.db-wal").write_bytes(b"its log")
    kept = await restore.swap(await made(tmp_path, "draft", "restored"), present)
    assert kept is not None and kept.read_bytes().startswith(b"no database")
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"its log"
    assert await aliases(present) == ["restored"]


async def test_a_file_in_use_is_not_swapped(tmp_path: Path) -> None:
    present = await made(tmp_path, "dragoman.db", "present")
    draft = await made(tmp_path, "draft", "restored")
    with closing(sqlite3.connect(present)) as other:
        other.execute("SELECT count(*) FROM aliases").fetchall()
        with pytest.raises(StoreError, match="in use by another process"):
            await restore.swap(draft, present)
    assert await aliases(present) == ["present"]


async def test_a_file_system_without_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", unsupported)
    present = await made(tmp_path, "dragoman.db", "present")
    kept = await restore.swap(await made(tmp_path, "draft", "restored"), present)
    assert kept is not None
    assert (await aliases(present), await aliases(kept)) == (["restored"], ["present"])


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be replaced"):
        await restore.swap(tmp_path / "absent", tmp_path / "dragoman.db")
