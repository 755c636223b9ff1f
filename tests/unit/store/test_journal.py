"""The journal: what was promised and settled survives the process, and files go when they are not needed."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest

from dragoman.store import room
from dragoman.store.engine import StoreError
from dragoman.store.journal import Journal, Left, alive, left
from dragoman.wire import jsonio


def journal(place: Path, boot: str = "boot", **more: Any) -> Journal:
    made = Journal(place / "journal", boot, **more)
    made.open()
    return made


def die(one: Journal) -> None:
    """What a killed process does: the lock goes, the files stay."""
    if one._file is not None:
        os.close(one._file)
    if one._lock is not None:
        os.close(one._lock)


def found(place: Path, own: str | None = None) -> list[Left]:
    return list(left(place / "journal", own))


def files(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "journal").iterdir())


def test_what_a_dead_process_left_is_told_apart(tmp_path: Path) -> None:
    """reliability S1: one ended, one never did; both have a row."""
    one = journal(tmp_path)
    one.begin("boot-1", {"uid": "boot-1", "key": "a"})
    one.end("boot-1", {"uid": "boot-1", "key": "a", "status": 200})
    one.begin("boot-2", {"uid": "boot-2", "key": "b"})
    die(one)
    (rest,) = found(tmp_path)
    assert rest.ended == [{"uid": "boot-1", "key": "a", "status": 200}]
    assert rest.aborted == [{"uid": "boot-2", "key": "b"}]
    rest.forget()
    assert files(tmp_path) == []


def test_a_living_process_is_left_alone(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.begin("boot-1", {"uid": "boot-1"})
    assert found(tmp_path) == []
    assert found(tmp_path, "boot") == []
    die(one)
    assert len(found(tmp_path)) == 1


def test_a_released_journal_is_found_again(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.end("boot-1", {"uid": "boot-1"})
    die(one)
    (rest,) = found(tmp_path)
    assert found(tmp_path) == [], "it is locked while somebody takes it in"
    rest.release()
    rest.release()
    (rest,) = found(tmp_path)
    rest.forget()


def test_a_torn_last_line_costs_only_itself(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.end("boot-1", {"uid": "boot-1"})
    die(one)
    (path,) = (tmp_path / "journal").glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"e":"boot-2","row":{"uid":"bo')
    (rest,) = found(tmp_path)
    assert ([row["uid"] for row in rest.ended], rest.torn) == (["boot-1"], 1)
    rest.release()


@pytest.mark.parametrize("junk", [b"[]\n", b'{"row":{}}\n', b"null\n", b'{"e":"x"}\n', b"\xff\n"])
def test_lines_that_are_no_records_are_counted(tmp_path: Path, junk: bytes) -> None:
    one = journal(tmp_path)
    one.end("boot-1", {"uid": "boot-1"})
    die(one)
    (path,) = (tmp_path / "journal").glob("*.jsonl")
    path.write_bytes(junk + path.read_bytes())
    (rest,) = found(tmp_path)
    assert ([row["uid"] for row in rest.ended], rest.torn) == (["boot-1"], 1)
    rest.release()


def test_files_go_when_the_database_has_what_they_tell(tmp_path: Path) -> None:
    one = journal(tmp_path, segment_bytes=200)
    for number in range(20):
        one.begin(f"boot-{number}", {"uid": f"boot-{number}"})
        one.end(f"boot-{number}", {"uid": f"boot-{number}", "status": 200})
    assert len(files(tmp_path)) > 5
    one.stored(f"boot-{number}" for number in range(1, 20))
    kept = [name for name in files(tmp_path) if name.endswith(".jsonl")]
    assert len(kept) <= 3, "only what holds the open one, and the one being written"
    assert one.size < 800
    one.stored(["boot-0", "never heard of"])
    one.close()
    assert files(tmp_path) == []


def test_closing_with_open_business_leaves_it_to_the_next(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.end("boot-1", {"uid": "boot-1"})
    one.close()
    one.close()
    (rest,) = found(tmp_path)
    assert len(rest.ended) == 1
    rest.forget()


def test_everything_is_for_the_owner_alone(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.end("boot-1", {"uid": "boot-1"})
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
    for path in (tmp_path / "journal").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    one.close()


async def test_a_full_disk_is_told_and_gets_well(tmp_path: Path) -> None:
    """reliability S2: writing never raises; the torn line does not swallow what comes after it."""
    one = journal(tmp_path)
    one.end("boot-1", {"uid": "boot-1"})
    await one.sync()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = one.size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        one.end("boot-2", {"uid": "boot-2"})
        assert one.fault is not None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    one.end("boot-3", {"uid": "boot-3"})
    assert one.fault is None
    die(one)
    (rest,) = found(tmp_path)
    assert [row["uid"] for row in rest.ended] == ["boot-1", "boot-3"]
    rest.forget()


@pytest.mark.parametrize("torn", [True, False])
async def test_a_fault_ends_by_itself_when_the_disk_takes_something_again(tmp_path: Path, torn: bool) -> None:
    """reliability S2: no request has to come first; a few bytes in a corner are not taken for room."""
    one = journal(tmp_path)
    one.end("boot-1", {"uid": "boot-1"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (one.size + (10 if torn else 0), hard))
    try:
        one.end("boot-2", {"uid": "boot-2"})
        await one.probe()
        assert one.fault is not None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await one.probe()
    assert one.fault is None
    one.end("boot-3", {"uid": "boot-3"})
    assert files(tmp_path) == ["boot.000001.jsonl", "boot.lock"]
    die(one)
    (rest,) = found(tmp_path)
    assert [row["uid"] for row in rest.ended] == ["boot-1", "boot-3"]
    assert rest.torn == torn
    rest.forget()


async def test_a_journal_without_a_fault_is_not_probed(tmp_path: Path) -> None:
    one = journal(tmp_path)
    await one.probe()
    assert files(tmp_path) == ["boot.lock"]
    one.close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")
    with pytest.raises(StoreError, match="journal cannot be written"):
        journal(tmp_path)


def test_without_a_directory_nothing_was_left(tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_a_line_is_one_json_object(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.begin("boot-1", {"uid": "boot-1", "client": "line\nbreak"})
    die(one)
    (path,) = (tmp_path / "journal").glob("*.jsonl")
    assert [jsonio.parse(line) for line in path.read_bytes().splitlines()] == [
        {"b": "boot-1", "row": {"uid": "boot-1", "client": "line\nbreak"}}
    ]


def test_who_is_alive_is_counted_without_touching_anybody(tmp_path: Path) -> None:
    """What `db restore` asks before it takes the database away."""
    directory = tmp_path / "journal"
    assert alive(directory) == 0
    first, second = journal(tmp_path, "first"), journal(tmp_path, "second")
    assert alive(directory) == 2
    first.begin("first-1", {"uid": "first-1"})
    die(first)
    assert alive(directory) == 1
    second.close()
    assert alive(directory) == 0
    (rest,) = found(tmp_path)
    assert len(rest.aborted) == 1
    rest.forget()


def taken(place: Path) -> list[int]:
    """Bytes that the files take on the disk, whatever they hold."""
    return [path.stat().st_blocks * 512 for path in sorted((place / "journal").glob("*.jsonl"))]


@pytest.fixture
def foresight(tmp_path: Path) -> None:
    """Some file systems set nothing aside."""
    path = tmp_path / "trial"
    with path.open("wb") as file:
        room.set_aside(file.fileno(), 2**20)
    if path.stat().st_blocks * 512 < 2**20:
        pytest.skip("nothing can be set aside here")


@pytest.mark.usefixtures("foresight")
def test_room_is_set_aside_before_it_is_needed(tmp_path: Path) -> None:
    """reliability S1, S2: a process that is killed while the disk is full has told what it promised."""
    one = journal(tmp_path, segment_bytes=2**18)
    one.prepare()
    one.prepare()
    assert taken(tmp_path) == [2**19]
    one.begin("boot-1", {"uid": "boot-1"})
    (path,) = (tmp_path / "journal").glob("*.jsonl")
    assert one.size == path.stat().st_size < 100
    one.end("boot-1", {"uid": "boot-1", "text": "x" * 2**18})
    one.begin("boot-2", {"uid": "boot-2"})
    before, now = taken(tmp_path)
    assert (before < 2**19, now) == (True, 2**19), "what a full file did not need is everybody's again"
    one.stored(["boot-1", "boot-2"])
    one.close()
    assert files(tmp_path) == []


def test_on_a_full_disk_lines_go_where_room_was_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """reliability S2: a new file would have none."""
    one = journal(tmp_path, segment_bytes=200)
    one.begin("boot-0", {"uid": "boot-0"})
    monkeypatch.setattr(room, "left", lambda directory: 0)
    for number in range(1, 13):
        one.begin(f"boot-{number}", {"uid": f"boot-{number}"})
    sizes = [path.stat().st_size for path in sorted((tmp_path / "journal").glob("*.jsonl"))]
    assert len(sizes) == 2 and sizes[0] >= 400
    die(one)
    (rest,) = found(tmp_path)
    assert len(rest.aborted) == 13
    rest.forget()


@pytest.mark.parametrize("free", [0, 2**16])
def test_a_disk_with_little_room_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """The database needs the rest."""
    monkeypatch.setattr(room, "left", lambda directory: free)
    one = journal(tmp_path)
    one.prepare()
    assert taken(tmp_path) == [0]
    one.close()


def test_where_nothing_can_be_told_or_set_aside_lines_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room._allocator.cache_clear()
    monkeypatch.setattr("sys.platform", "somewhere")
    try:
        one = journal(tmp_path)
        one.begin("boot-1", {"uid": "boot-1"})
    finally:
        room._allocator.cache_clear()
    assert one.fault is None
    assert room.left(tmp_path / "nowhere") == 0
    die(one)
    (rest,) = found(tmp_path)
    rest.forget()


def test_a_first_file_that_cannot_be_made_yet_is_no_fault(tmp_path: Path) -> None:
    one = journal(tmp_path)
    blocking = tmp_path / "journal" / "boot.000001.jsonl"
    blocking.touch()
    one.prepare()
    assert one.fault is None
    one.begin("boot-1", {"uid": "boot-1"})
    assert one.fault is None
    blocking.unlink()
    die(one)
    (rest,) = found(tmp_path)
    assert len(rest.aborted) == 1
    rest.forget()
