"""`dragoman db`: checked, copied, put back, taken back; a damaged file is told with the way out."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from dragoman.store.engine import StoreDown
from dragoman.store.journal import Journal
from dragoman.store.migrate import HEAD
from tests.support.verbs import Verbs

PASSPHRASE = "long enough"


@pytest.fixture
def used(verbs: Verbs) -> Verbs:
    """An installation with one key."""
    verbs.environment["PASSPHRASE"] = PASSPHRASE
    verbs("key", "create", "first")
    return verbs


def names(verbs: Verbs) -> list[str]:
    return sorted(key["name"] for key in verbs("key", "list", "--json").json() if key["source"] == "store")


def file_of(verbs: Verbs) -> Path:
    return verbs.data / "dragoman.db"


def test_a_healthy_database_has_no_findings(used: Verbs) -> None:
    report = used("db", "check", "--json").json()
    assert (report["revision"], report["integrity"], report["secret"]) == (HEAD, "ok", "opens the database")
    assert (report["processes"], report["journal_rows"], report["findings"]) == (0, 0, [])
    assert "ok" in used("db", "check").out


def test_checking_makes_nothing(verbs: Verbs) -> None:
    assert "there is no database yet" in verbs("db", "check", code=4).out
    assert list(verbs.data.iterdir()) == []


def test_another_secret_is_a_finding(used: Verbs) -> None:
    (used.data / "secret").write_text("another secret\n")
    assert "does not open the database" in used("db", "check", code=4).out
    assert used("db", "check", "--json", code=4).json()["secret"] == "does not open the database"
    assert "secrets.key_file" in used("key", "list", code=3).err
    (used.data / "secret").chmod(0o644)
    assert used("db", "check", "--json", code=4).json()["secret"] == "cannot be read"


def test_a_lost_secret_is_not_made_anew(used: Verbs) -> None:
    """A fresh one would open nothing, and would be blamed instead of what is gone."""
    file = used.data / "secret"
    file.unlink()
    told = f"{file} is missing: put back the secret that belongs to this database"
    for verb in (["key", "list"], ["secrets", "rotate"], ["serve", "--port", "0"]):
        assert used(*verb, code=3).err == f"dragoman: {told}\n"
        assert not file.exists()
    report = used("db", "check", "--json", code=4).json()
    assert (report["secret"], report["findings"]) == ("is missing", [told])
    used("db", "downgrade", "base", "--yes")
    used("key", "list", code=0)
    assert file.exists(), "nothing was sealed any more"


def test_rows_of_a_dead_process_are_a_finding_until_they_are_taken_in(used: Verbs) -> None:
    journal = Journal(used.data / "journal", "dead")
    journal.open()
    journal.begin("dead-1", {"uid": "dead-1", "request_id": "req_1", "time": 1.0})
    assert used("db", "check", "--json").json()["processes"] == 1
    assert journal._lock is not None and journal._file is not None
    os.close(journal._lock)
    os.close(journal._file)
    report = used("db", "check", "--json", code=4).json()
    assert (report["journal_rows"], len(report["findings"])) == (1, 1)
    used("key", "list")
    assert used("db", "check", "--json").json()["journal_rows"] == 0


def test_every_verb_says_how_to_get_out_of_a_damaged_database(used: Verbs) -> None:
    """Issue: a damaged database file: refuse, say how to restore."""
    for suffix in ("-wal", "-shm"):
        file_of(used).with_name(f"dragoman.db{suffix}").unlink(missing_ok=True)
    file_of(used).write_bytes(b"this is no database " * 500)
    for verb in (
        ["key", "list"],
        ["key", "create", "x"],
        ["alias", "list"],
        ["price", "list"],
        ["secrets", "rotate"],
    ):
        said = used(*verb, code=3)
        assert "the database file is damaged" in said.err
        assert "dragoman db restore FILE" in said.err
        assert len(said.err.splitlines()) == 1
    assert "dragoman db restore FILE" in used("db", "upgrade", code=3).err
    report = used("db", "check", "--json", code=4).json()
    assert report["integrity"] == "damaged"
    assert "dragoman db restore FILE" in report["findings"][0]


def test_only_an_upgrade_brings_an_older_database_up(used: Verbs) -> None:
    """A verb of the newer version must not undo what was taken back for the older one."""
    used("db", "downgrade", "0001", "--yes")
    for verb in (["key", "list"], ["log", "tail"], ["usage"], ["secrets", "rotate"]):
        told = used(*verb, code=3).err
        assert told == (
            f"dragoman: the database is at revision 0001, this version needs {HEAD}: dragoman db upgrade\n"
        )
    assert used("db", "check", "--json", code=4).json()["revision"] == "0001"
    used("db", "upgrade")
    assert names(used) == ["first"]


def test_a_backup_brings_back_what_was(used: Verbs, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    used("db", "backup", str(copy))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    used("key", "create", "second")
    said = used("db", "restore", str(copy))
    assert names(used) == ["first"]
    kept = used.data / "dragoman.db.before-restore-1"
    assert str(kept) in said.out
    used("db", "restore", str(kept))
    assert names(used) == ["first", "second"]


def test_a_damaged_database_is_replaced(used: Verbs, tmp_path: Path) -> None:
    used("db", "backup", str(tmp_path / "copy.db"))
    file_of(used).write_bytes(b"this is no database " * 500)
    used("db", "restore", str(tmp_path / "copy.db"))
    assert names(used) == ["first"]
    assert (used.data / "dragoman.db.before-restore-1").read_bytes().startswith(b"this is no")


def test_a_backup_never_overwrites(used: Verbs, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")
    assert "exists already" in used("db", "backup", str(tmp_path / "copy.db"), code=1).err
    assert "exists already" in used("db", "backup", str(file_of(used)), code=1).err
    (tmp_path / "new.db.secrets").write_text("precious")
    options = ["--with-secrets", "--passphrase-env", "PASSPHRASE"]
    assert "exists already" in used("db", "backup", str(tmp_path / "new.db"), *options, code=1).err
    assert not (tmp_path / "new.db").exists()
    assert "the backup failed" in used("db", "backup", str(tmp_path / "no" / "copy.db"), code=3).err


def test_without_a_database_there_is_nothing_to_copy(verbs: Verbs, tmp_path: Path) -> None:
    assert "there is no database yet" in verbs("db", "backup", str(tmp_path / "copy.db"), code=1).err
    assert "there is no database yet" in verbs("db", "upgrade", code=1).err


def test_secrets_travel_under_a_passphrase(used: Verbs, tmp_path: Path) -> None:
    """A backup with its secrets opens on another machine, and only with the passphrase."""
    copy, options = tmp_path / "copy.db", ["--with-secrets", "--passphrase-env", "PASSPHRASE"]
    used("db", "backup", str(copy), *options)
    secret = (used.data / "secret").read_text().strip()
    locked = copy.with_name("copy.db.secrets")
    assert stat.S_IMODE(locked.stat().st_mode) == 0o600
    assert secret not in locked.read_text()
    other = Verbs(tmp_path / "other", {"PASSPHRASE": PASSPHRASE, "WRONG": "not this one"})
    assert "this installation's secret does not open it" in other("db", "restore", str(copy), code=1).err
    wrong = ["--with-secrets", "--passphrase-env", "WRONG"]
    assert "passphrase does not open" in other("db", "restore", str(copy), *wrong, code=1).err
    assert [path.name for path in other.data.iterdir()] == [], "and nothing was changed"
    said = other("db", "restore", str(copy), *options)
    assert "added to the secret file" in said.out
    assert names(other) == ["first"]
    assert stat.S_IMODE((other.data / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(file_of(other).stat().st_mode) == 0o600


def test_a_passphrase_may_come_from_a_variable_that_begins_like_ours(used: Verbs, tmp_path: Path) -> None:
    used.environment |= {"DRAGOMAN_PASSPHRASE": PASSPHRASE}
    options = ["--with-secrets", "--passphrase-env", "DRAGOMAN_PASSPHRASE"]
    used("db", "backup", str(tmp_path / "copy.db"), *options)
    used("db", "restore", str(tmp_path / "copy.db"), *options)
    used.environment.pop("DRAGOMAN_PASSPHRASE")
    assert names(used) == ["first"]


def test_secrets_of_a_backup_never_replace_the_present_ones(used: Verbs, tmp_path: Path) -> None:
    copy, options = tmp_path / "copy.db", ["--with-secrets", "--passphrase-env", "PASSPHRASE"]
    used("db", "backup", str(copy), *options)
    used("secrets", "rotate", "--drop-old")
    present = (used.data / "secret").read_text().split()
    used("db", "restore", str(copy), *options)
    assert (used.data / "secret").read_text().split()[1:] == present
    used("db", "restore", str(used.data / "dragoman.db.before-restore-1"))
    assert names(used) == ["first"]


def test_a_passphrase_is_asked_on_a_terminal_only(used: Verbs, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy.db")
    asked = used("db", "backup", copy, "--with-secrets", stdin="long enough\nlong enough\n", code=2)
    assert "use --passphrase-env" in asked.err
    used.environment |= {"EMPTY": "", "SHORT": "1234567"}
    for variable, why in (("EMPTY", "is empty"), ("SHORT", "must have 8 characters at least")):
        said = used("db", "backup", copy, "--with-secrets", "--passphrase-env", variable, code=2)
        assert f"variable {variable} {why}" in said.err
    assert not Path(copy).exists()


def test_what_is_no_backup_is_refused_and_nothing_changes(used: Verbs, tmp_path: Path) -> None:
    before = file_of(used).read_bytes()
    (tmp_path / "text").write_text("hello" * 1000)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as foreign:
        foreign.execute("CREATE TABLE mine (x)")
    used("db", "backup", str(tmp_path / "newer.db"))
    with closing(sqlite3.connect(tmp_path / "newer.db")) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()
    for name, why in (
        ("absent", "there is no such file"),
        ("text", "is damaged or no database"),
        ("foreign.db", "holds no tables of dragoman"),
        ("newer.db", "is of a newer dragoman (revision 9999)"),
    ):
        assert why in used("db", "restore", str(tmp_path / name), code=1).err
    assert file_of(used).read_bytes() == before
    assert not [path for path in used.data.iterdir() if "restor" in path.name]


def test_nothing_is_taken_from_under_a_running_gateway(used: Verbs, tmp_path: Path) -> None:
    used("db", "backup", str(tmp_path / "copy.db"))
    gateway = Journal(used.data / "journal", "running")
    gateway.open()
    for verb in (["restore", str(tmp_path / "copy.db")], ["downgrade", "base", "--yes"]):
        assert "a gateway runs on" in used("db", *verb, code=3).err
    gateway.close()
    used("db", "restore", str(tmp_path / "copy.db"))


def test_tables_go_back_and_come_again(used: Verbs) -> None:
    assert "--yes" in used("db", "downgrade", "base", code=2).err
    assert "there is no revision 'x'" in used("db", "downgrade", "x", "--yes", code=2).err
    assert "is not older" in used("db", "downgrade", HEAD, "--yes", code=2).err
    said = used("db", "downgrade", "base", "--yes")
    kept = used.data / "dragoman.db.before-downgrade-1"
    assert str(kept) in said.out
    assert "no tables yet" in used("db", "check", code=4).out
    assert f"from revision none to {HEAD}" in used("db", "upgrade").out
    assert "nothing to do" in used("db", "upgrade").out
    assert names(used) == []
    used("db", "restore", str(kept))
    assert names(used) == ["first"]


def test_a_newer_database_is_left_alone(used: Verbs) -> None:
    with closing(sqlite3.connect(file_of(used))) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()
    assert "newer dragoman" in used("key", "list", code=3).err
    assert "newer dragoman" in used("db", "upgrade", code=3).err
    assert "newer dragoman" in used("db", "check", code=4).out


def test_postgresql_has_its_own_tools(verbs: Verbs) -> None:
    verbs.environment["DRAGOMAN_DATABASE__URL"] = "postgresql://nobody@127.0.0.1:1/x"
    assert "pg_dump" in verbs("db", "backup", "x", code=2).err
    assert "pg_restore" in verbs("db", "restore", "x", code=2).err


def test_a_database_that_does_not_answer_is_exit_code_3(verbs: Verbs) -> None:
    verbs.environment["DRAGOMAN_DATABASE__URL"] = "postgresql://nobody:hidden@127.0.0.1:1/x"
    for verb in (["key", "list"], ["db", "upgrade"]):
        said = verbs(*verb, code=3)
        assert "does not answer" in said.err
        assert "hidden" not in said.err
    verbs.environment["DRAGOMAN_DATABASE__URL"] = "mysql://x"
    assert "mysql is not supported" in verbs("key", "list", code=3).err


def test_a_full_disk_is_told_as_one(used: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite says "disk I/O error" or nothing of use."""

    async def failing(*_: object, **__: object) -> None:
        raise StoreDown("disk I/O error")

    monkeypatch.setattr("dragoman.store.migrate.prepare", failing)
    assert "does not answer: disk I/O error" in used("key", "list", code=3).err
    full = shutil.disk_usage(used.data)._replace(free=0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    assert f"the disk that holds {file_of(used)} is full: make room" in used("key", "list", code=3).err


def trail(verbs: Verbs) -> list[str]:
    with closing(sqlite3.connect(file_of(verbs))) as connection:
        return [row[0] for row in connection.execute("SELECT action FROM audit ORDER BY id")]


def test_what_is_done_to_the_whole_database_is_in_the_trail(used: Verbs, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    used("db", "backup", str(copy))
    used("secrets", "rotate")
    assert trail(used) == ["key.create", "secrets.rotate"]
    used("db", "restore", str(copy))
    assert trail(used) == ["key.create", "db.restore"]
    used("db", "downgrade", "0001", "--yes")
    assert trail(used) == ["key.create", "db.restore", "db.downgrade"]
