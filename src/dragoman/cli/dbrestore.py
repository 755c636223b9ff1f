"""Puts a backup in place: checked as a copy, opened with the secret, then swapped in at once.

Nothing of the installation changes before everything about the backup is known to be right. Secrets of the
backup are added to the installation's own, never put in their stead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from dragoman.cli import ringfile
from dragoman.cli.options import MISUSED, Stop
from dragoman.serving.store import present_texts
from dragoman.settings import Settings
from dragoman.store import backup, escrow, facts, migrate, restore
from dragoman.store.audit import Entry, NotingDatabase
from dragoman.store.engine import Database, StoreError
from dragoman.store.ring import Ring


def unlocked(file: Path, passphrase: str) -> list[str]:
    """The secret texts of a backup. Raises Stop."""
    try:
        return escrow.unlock(file.read_bytes(), passphrase)
    except OSError as error:
        raise Stop(f"{file}: {error.strerror}") from None
    except StoreError as error:
        raise Stop(f"{file}: {error}") from None


async def put(
    settings: Settings,
    data: Path,
    file: Path,
    target: Path,
    secrets: Sequence[str],
    *,
    before_swap: Callable[[], None],
) -> list[str]:
    """Restores `file` as `target`; returns what to tell. Raises Stop and StoreError, with nothing changed."""
    if found := await backup.problems(file):
        raise Stop(f"{file}: is damaged or no database, nothing was changed: {found[0]}")
    present = present_texts(settings, data)
    texts = list(dict.fromkeys((*secrets, *present)))
    added = [text for text in secrets if text not in present]
    if added and settings.secrets.key_env is not None:
        raise Stop(
            f"the secret comes from the variable {settings.secrets.key_env}, which lacks that of the backup: "
            "set secrets.key_file instead and restore again",
            MISUSED,
        )
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.restoring")
    try:
        await backup.copy(file, draft)
        revision = await _judge(file, draft, texts)
        before_swap()
        if added:
            # Before the database, so that whichever of the two is there can be opened.
            ringfile.write(data / settings.secrets.key_file, texts)
        # In the copy, so that the trail of what is put in place says so from the first moment.
        await _noted_in(draft, file)
        kept = await restore.swap(draft, target)
    finally:
        for suffix in ("", "-wal", "-shm"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    return _told(file, kept, revision, bool(added))


async def noted(database: Database, action: str, detail: Mapping[str, Any]) -> None:
    """Adds the command line's entry to the audit trail; every revision has one."""
    entry = Entry("cli", action, "database", time.time(), detail)
    async with NotingDatabase(database, entry).write():
        pass


async def _noted_in(draft: Path, file: Path) -> None:
    database = Database(URL.create("sqlite+aiosqlite", database=str(draft)))
    try:
        await noted(database, "db.restore", {"file": file.name})
    finally:
        await database.close()


async def _judge(file: Path, draft: Path, texts: Sequence[str]) -> str:
    """The revision of a copy that this version and these texts can open. Raises Stop."""
    database = Database(URL.create("sqlite+aiosqlite", database=str(draft)))
    try:
        revision = await migrate.revision(database)
        if revision is None:
            raise Stop(f"{file}: holds no tables of dragoman, nothing was changed")
        if revision not in migrate.REVISIONS:
            raise Stop(f"{file}: is of a newer dragoman (revision {revision}), nothing was changed")
        try:
            await facts.check(database, Ring(texts))
        except StoreError:
            raise Stop(
                f"{file}: this installation's secret does not open it, nothing was changed: use "
                "--with-secrets, or bring the secret file that belongs to it"
            ) from None
    finally:
        await database.close()
    return revision


def _told(file: Path, kept: Path | None, revision: str, added: bool) -> list[str]:
    lines = [f"{file} is in place."]
    if kept is not None:
        lines.append(f"What was there is kept in {kept}.")
    if added:
        lines.append("The secrets of the backup were added to the secret file.")
    if revision != migrate.HEAD:
        lines.append(f"It is at revision {revision}; the next start brings it to {migrate.HEAD}.")
    return lines
