"""Copies of a SQLite database: made while it is in use, checked before they are trusted."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from dragoman.store.engine import StoreError

_PAGES = 512


async def copy(source: Path, target: Path) -> None:
    """A consistent copy of a database in use, by SQLite's online backup, mode 0600. Raises StoreError."""
    await asyncio.to_thread(_copy, source, target)


async def problems(file: Path) -> list[str]:
    """What SQLite's own integrity check finds; empty when all is well."""
    return await asyncio.to_thread(_problems, file)


def _copy(source: Path, target: Path) -> None:
    draft = target.with_name(f".{target.name}.draft")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(source, timeout=30)) as old, closing(sqlite3.connect(draft)) as new:
            old.backup(new, pages=_PAGES)
            # One file that is whole by itself, wherever it is carried; the gateway sets its own mode again.
            new.execute("PRAGMA journal_mode=DELETE")
        if found := _problems(draft):
            raise StoreError(f"{source}: the copy is damaged: {found[0]}")
        draft.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{target}: the backup failed: {error}") from None
    finally:
        draft.unlink(missing_ok=True)


def _problems(file: Path) -> list[str]:
    try:
        with closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
        ) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
    except sqlite3.Error as error:
        return [str(error)]
    return [] if found == ["ok"] else found
