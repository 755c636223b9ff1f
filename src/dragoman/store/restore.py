"""Puts a checked copy in the place of a SQLite database and keeps what was there.

It does not judge the copy. Killed at any point, it leaves one whole database under the name, the former or
the new one, and nothing of the one in the other's log.
"""

from __future__ import annotations

import asyncio
import os
import shutil
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
    kept = free_name(file, "before-restore")
    log, spare = (one.with_name(one.name + "-wal") for one in (file, kept))
    if log.exists():
        # Opening a file that is no database makes SQLite remove its log.
        shutil.copyfile(log, spare)
        spare.chmod(0o600)
    try:
        if _settle(file):
            spare.unlink(missing_ok=True)
    except StoreError:
        spare.unlink(missing_ok=True)
        raise
    try:
        kept.hardlink_to(file)
    except OSError:  # a file system without links
        file.rename(kept)
    return kept


def _settle(file: Path) -> bool:
    """Takes the log into the file, alone; whether that worked. Raises StoreError when others have it open."""
    try:
        with closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "").startswith(_BUSY):
            raise StoreError(f"{file} is in use by another process: stop it first") from None
        return False  # it is damaged, which is why it goes
    return True


def free_name(file: Path, why: str) -> Path:
    """`FILE.why-N` with the first N that is free."""
    number = 1
    while (name := file.with_name(f"{file.name}.{why}-{number}")).exists():
        number += 1
    return name
