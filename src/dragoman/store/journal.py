"""The local journal: what a process promised and what it settled, on disk before it counts.

Each line is one JSON object: `{"b": uid, "row": …}` when a request is accepted, `{"e": uid, "row": …}` when
it ended. A line is handed to the operating system in one write, so it survives the process; the disk is
synced in groups. Room for more lines is set aside in advance, so that a full disk is met prepared. Files go
when the database has all they tell. What a killed process left is read by `left`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dragoman.store import room
from dragoman.store.engine import StoreError
from dragoman.wire import jsonio

SEGMENT_BYTES = 4 * 1024 * 1024
_LOCK = ".lock"
_SUFFIX = ".jsonl"
_PROBE = ".probe"
_PROBE_BYTES = 64 * 1024  # more than what is left of a block somewhere


@dataclass(slots=True)
class _Segment:
    """One file; it can go once it is no longer written to and nothing in it waits for the database."""

    path: Path
    size: int = 0
    open: set[str] = field(default_factory=set)


class Journal:
    """The journal of this process. Writing never raises: a full disk is told by `fault`."""

    def __init__(
        self, directory: Path, boot: str | None = None, *, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.boot = boot or secrets.token_hex(6)
        self.directory = directory
        self._limit = segment_bytes
        self._number = 0
        self._lock: int | None = None
        self._file: int | None = None
        self._segments: list[_Segment] = []
        self._where: dict[str, list[_Segment]] = {}
        self._dirty = False
        self._torn = False
        self.fault: str | None = None

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(segment.size for segment in self._segments)

    def open(self) -> None:
        """Makes the directory and takes this process's lock. Raises StoreError."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The name appears with the lock already held, so nobody takes a starting process for a dead one.
            draft = self.directory / f".{self.boot}{_LOCK}"
            self._lock = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            _take(self._lock)
            draft.rename(self.directory / f"{self.boot}{_LOCK}")
        except OSError as error:
            raise StoreError(f"{self.directory}: the journal cannot be written: {error.strerror}") from None

    def prepare(self) -> None:
        """Makes the first file now, with its room, while the disk has some. Its want is no fault."""
        if self._file is None:
            with contextlib.suppress(OSError):
                self._roll()

    def begin(self, uid: str, row: dict[str, Any]) -> None:
        """A request was accepted; until `end` its row says that it was aborted."""
        self._write(uid, {"b": uid, "row": row})

    def end(self, uid: str, row: dict[str, Any]) -> None:
        """A request ended as this row tells."""
        self._write(uid, {"e": uid, "row": row})

    def stored(self, uids: Iterable[str]) -> None:
        """The database has these rows; files that hold nothing else go."""
        for uid in uids:
            for segment in self._where.pop(uid, ()):
                segment.open.discard(uid)
        last = self._segments[-1] if self._segments else None
        for segment in [one for one in self._segments if not one.open and one is not last]:
            self._remove(segment)
        if last is not None and not last.open and last.size > self._limit // 4:
            with contextlib.suppress(OSError):
                self._roll()
                self._remove(last)

    async def sync(self) -> None:
        """Brings what was written to the disk itself, if anything is new."""
        if self._dirty and self._file is not None:
            self._dirty = False
            try:
                await asyncio.to_thread(_datasync, self._file)
            except OSError as error:
                self.fault = error.strerror or "cannot be synced"

    async def probe(self) -> None:
        """While there is a fault: tries whether the disk takes something again, and ends the fault if so."""
        if self.fault is None:
            return
        try:
            await asyncio.to_thread(_try, self.directory / f"{self.boot}{_PROBE}")
            file = self._file or self._roll()
            # Readers pass over an empty line; it also ends one that was cut short.
            if os.write(file, b"\n"):
                self._segments[-1].size += 1
                self._torn = False
                self.fault = None
        except OSError as error:
            self.fault = error.strerror or type(error).__name__

    def close(self) -> None:
        """Gives up the lock; removes everything when nothing waits for the database."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        empty = not self._where
        if empty:
            for segment in list(self._segments):
                self._remove(segment)
        if self._lock is not None:
            if empty:
                (self.directory / f"{self.boot}{_LOCK}").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _write(self, uid: str, record: dict[str, Any]) -> None:
        line = jsonio.dump(record) + b"\n"
        try:
            file = self._file
            if file is None or self._is_full(self._segments[-1]):
                file = self._roll()
            segment = self._segments[-1]
            if self._torn:  # a full disk cut a line short: it must not swallow this one
                line = b"\n" + line
            written = os.write(file, line)
            segment.size += written
            self._torn = written != len(line)
            if self._torn:
                raise OSError(0, "No space left on device")
            segment.open.add(uid)
            places = self._where.setdefault(uid, [])
            if segment not in places:
                places.append(segment)
            self._dirty = True
            self.fault = None
        except OSError as error:
            self.fault = error.strerror or type(error).__name__

    def _is_full(self, segment: _Segment) -> bool:
        """Whether a new file is better. On a full disk it is not: the one there has room set aside."""
        if segment.size < self._limit:
            return False
        return segment.size >= self._limit * 2 or room.left(self.directory) >= self._limit

    def _roll(self) -> int:
        self._number += 1
        path = self.directory / f"{self.boot}.{self._number:06d}{_SUFFIX}"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        if self._file is not None:
            room.give_back(self._file, self._segments[-1].size)
            os.close(self._file)
        self._file = file
        self._segments.append(_Segment(path))
        room.set_aside(file, min(self._limit * 2, room.left(self.directory) // 4))
        return file

    def _remove(self, segment: _Segment) -> None:
        with contextlib.suppress(OSError):
            segment.path.unlink(missing_ok=True)
        self._segments.remove(segment)


@dataclass(slots=True)
class Left:
    """What a dead process left: rows of requests that ended, of those that never did, unreadable lines."""

    boot: str = ""
    ended: list[dict[str, Any]] = field(default_factory=list)
    aborted: list[dict[str, Any]] = field(default_factory=list)
    torn: int = 0
    _files: list[Path] = field(default_factory=list)
    _lock: int | None = None

    def forget(self) -> None:
        """The database has everything: the files go."""
        for path in self._files:
            path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Lets go without removing anything."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def left(directory: Path, own: str | None = None) -> Iterator[Left]:
    """The journals of processes that are gone; each is locked until it is forgotten or released."""
    if not directory.is_dir():
        return
    for lock in sorted(directory.glob(f"*{_LOCK}")):
        boot = lock.name.removesuffix(_LOCK)
        if boot == own or lock.name.startswith("."):
            continue
        try:
            descriptor = os.open(lock, os.O_RDWR)
        except OSError:
            continue
        try:
            _take(descriptor)
        except OSError:  # its process lives
            os.close(descriptor)
            continue
        found = _read(sorted(directory.glob(f"{boot}.*{_SUFFIX}")))
        found.boot = boot
        found._files += (directory / f"{boot}{_PROBE}", lock)
        found._lock = descriptor
        yield found


def alive(directory: Path) -> int:
    """How many processes have a journal here now: a gateway that runs, or a verb at work."""
    count = 0
    for lock in directory.glob(f"*{_LOCK}"):
        try:
            descriptor = os.open(lock, os.O_RDWR)
        except OSError:
            continue
        try:
            _take(descriptor)
        except OSError:
            count += 1
        finally:
            os.close(descriptor)
    return count


def _read(files: list[Path]) -> Left:
    found = Left(_files=list(files))
    begun: dict[str, dict[str, Any]] = {}
    for path in files:
        for line in path.read_bytes().split(b"\n"):
            if not line:
                continue
            try:
                record = jsonio.parse(line)
                row = record["row"]
                if "b" in record:
                    begun[record["b"]] = row
                else:
                    begun.pop(record["e"], None)
                    found.ended.append(row)
            except (jsonio.InvalidJson, KeyError, TypeError):
                found.torn += 1
    ended = {row.get("uid") for row in found.ended}
    found.aborted = [row for uid, row in begun.items() if uid not in ended]
    return found


def _take(descriptor: int) -> None:
    """Locks a file for as long as this process has it open. Raises OSError when another has it."""
    try:
        fcntl = importlib.import_module("fcntl")
    except ImportError:  # not on Windows: there a second process on one data directory is not supported
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _try(path: Path) -> None:
    """Writes a file and removes it. Raises OSError."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if os.write(file, bytes(_PROBE_BYTES)) != _PROBE_BYTES:
                raise OSError(0, "No space left on device")
            os.fsync(file)
        finally:
            os.close(file)
    finally:
        path.unlink(missing_ok=True)


def _datasync(file: int) -> None:
    getattr(os, "fdatasync", os.fsync)(file)
