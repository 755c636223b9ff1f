"""Opens the store for one verb: secret, key ring, database, tables, and what dead processes left.

Every verb that reads or writes it comes through here, whether a gateway runs at the same time or not. It
prints nothing; what cannot be opened is a StoreError that says what to do.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dragoman.serving.secret import keep
from dragoman.settings import Settings, SettingsError
from dragoman.store import facts, migrate
from dragoman.store.accounts import Accounts
from dragoman.store.audit import Entry, NotingDatabase
from dragoman.store.clientkeys import ClientKeys
from dragoman.store.engine import Database, StoreDown, StoreError, locate
from dragoman.store.facts import Facts
from dragoman.store.health import Health
from dragoman.store.journal import Journal
from dragoman.store.names import Aliases, PriceOverrides
from dragoman.store.ring import Ring
from dragoman.store.writer import Writer

JOURNAL = "journal"
# With less than this SQLite cannot even begin its write-ahead log.
_LEAST_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Store:
    """An open store and its repositories. `writer` has taken in what dead processes left."""

    database: Database
    ring: Ring
    facts: Facts
    keys: ClientKeys
    accounts: Accounts
    aliases: Aliases
    prices: PriceOverrides
    journal: Journal
    writer: Writer
    recovered: tuple[int, int, int]
    backup: Path | None

    def noting(self, action: str, subject: str, now: float, detail: Mapping[str, Any] | None = None) -> Store:
        """The same store, whose next change is noted in the audit trail as the command line's."""
        database = NotingDatabase(self.database, Entry("cli", action, subject, now, detail or {}))
        return replace(
            self,
            database=database,
            keys=ClientKeys(database, self.facts.pepper),
            accounts=Accounts(database, self.ring, self.facts.pepper),
            aliases=Aliases(database),
            prices=PriceOverrides(database),
        )


def ring_texts(settings: Settings, data: Path) -> list[str]:
    """The secret texts, newest first, one a line. Raises SettingsError."""
    if settings.secrets.key_env is not None:
        text = os.environ.get(settings.secrets.key_env, "")
        if not text.strip():
            raise SettingsError(f"secrets.key_env: the variable {settings.secrets.key_env} is empty")
    else:
        text = keep(data / settings.secrets.key_file, secrets.token_urlsafe(48))
    return [line.strip() for line in text.splitlines() if line.strip()]


def present_texts(settings: Settings, data: Path) -> list[str]:
    """The same without making anything: nothing where they cannot be read."""
    file = data / settings.secrets.key_file
    if settings.secrets.key_env is None and not file.exists():
        return []
    try:
        return ring_texts(settings, data)
    except SettingsError:
        return []


def lost(file: Path) -> str:
    """What is told of a secret file that is gone."""
    return f"{file} is missing: put back the secret that belongs to this database"


async def refuse_lost(settings: Settings, data: Path) -> None:
    """Raises StoreError where the secret file is gone and the database holds what it sealed.

    A fresh one would open nothing of it, and would then be blamed.
    """
    file = data / settings.secrets.key_file
    if settings.secrets.key_env is not None or file.exists():
        return
    database = Database(locate(settings.database.url, data))
    try:
        if database.file is not None and not database.file.exists():
            return
        migrate.refuse_newer(found := await migrate.revision(database))
        held = found is not None and await facts.sealed(database)
    except StoreDown as error:
        raise _unanswered(database, error) from None
    finally:
        await database.close()
    # Of two first starts at the same time the other may have made both meanwhile.
    if held and not file.exists():
        raise StoreError(lost(file))


@asynccontextmanager
async def opened(
    settings: Settings,
    data: Path,
    *,
    monotonic: Callable[[], float],
    health: Health | None = None,
    upgrading: bool = False,
) -> AsyncIterator[Store]:
    """The store of this configuration. Raises StoreError and SettingsError.

    A fresh database gets its tables from whoever comes first, an older one is brought up only by who starts
    to serve (`upgrading`): a verb would take it from under the version that is installed.
    """
    await refuse_lost(settings, data)
    texts = ring_texts(settings, data)
    ring = Ring(texts, lambda: present_texts(settings, data))
    database = Database(locate(settings.database.url, data))
    journal = Journal(data / JOURNAL)
    try:
        if database.file is not None:
            _private(database.file)
        copy = await migrate.prepare(database, automatic=upgrading and settings.database.auto_migrate)
        # The oldest text was the whole secret once: what it salts stays as it was.
        found = await facts.unlock(database, ring, texts[-1].encode())
        journal.open()
        keys = ClientKeys(database, found.pepper)
        writer = Writer(database, journal, health or Health(), monotonic=monotonic, keys=keys)
        recovered = await writer.recover()
        yield Store(
            database,
            ring,
            found,
            keys,
            Accounts(database, ring, found.pepper),
            Aliases(database),
            PriceOverrides(database),
            journal,
            writer,
            recovered,
            copy,
        )
    except StoreDown as error:
        raise _unanswered(database, error) from None
    finally:
        journal.close()
        await database.close()


def _unanswered(database: Database, error: StoreDown) -> StoreDown:
    """The error with its place. SQLite names no reason for what it could not write: a full disk is one."""
    if database.file is not None:
        try:
            free = shutil.disk_usage(database.file.parent).free
        except OSError:
            free = _LEAST_BYTES
        if free < _LEAST_BYTES:
            return StoreDown(f"the disk that holds {database.file} is full: make room ({error})")
    return StoreDown(f"the database {database.place} does not answer: {error}")


def _private(file: Path) -> None:
    """A new database file belongs to its owner alone, from its first byte on. Raises StoreError."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(
            f"the database file {file} cannot be made: {error.strerror}; name another in database.url"
        ) from None
