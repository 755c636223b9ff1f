"""Puts a checked copy in the place of a SQLite database and keeps what was there.

It does not judge the copy. Killed at any point, it leaves one whole database under the name, the former or
the new one, and nothing of the one in the other's log.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from dragoman.store.engine import StoreError

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")


async def swap(draft: Path, file: Path) -> Path | None:
    """Gives `draft` the name `file`; returns where the former file is kept. Raises StoreError.

    Both lie in one directory. Refuses while any process has the former file open.
    """
    return await asyncio.to_thread(_swap, draft, file)


def _swap(draft: Path, file: Path) -> Path | None:
    try:
        kept = _keep(file) if file.exists() else None
        for suffix in ("-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        draft.replace(file)
        directory = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise StoreError(f"{file}: cannot be replaced: {error.strerror}") from None
    return kept


def _keep(file: Path) -> Path:
    """A second name for the present file, and its log beside it where that could not be taken in."""
    _settle(file)
    kept = free_name(file, "before-restore")
    try:
        kept.hardlink_to(file)
    except OSError:  # a file system without links
        file.rename(kept)
    log = file.with_name(file.name + "-wal")
    if log.exists():
        log.rename(kept.with_name(kept.name + "-wal"))
    return kept


def _settle(file: Path) -> None:
    """Takes the log into the file, alone. Raises StoreError when somebody else has it open."""
    try:
        with closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "").startswith(_BUSY):
            raise StoreError(f"{file} is in use by another process: stop it first") from None
        # It is damaged, which is why it goes: its log is kept with it as it is.


def free_name(file: Path, why: str) -> Path:
    """`FILE.why-N` with the first N that is free."""
    number = 1
    while (name := file.with_name(f"{file.name}.{why}-{number}")).exists():
        number += 1
    return name
