"""What `dragoman db check` looks at: revision, integrity, the secret, the journals of dead processes.

It changes nothing and makes nothing, so it can be asked at any time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dragoman.serving import configured
from dragoman.serving.store import JOURNAL, lost
from dragoman.settings import Settings, SettingsError
from dragoman.store import accounts, backup, clientkeys, facts, journal, migrate
from dragoman.store.accounts import StoredAccount
from dragoman.store.engine import Database, StoreDown, StoreError, damaged, locate
from dragoman.store.ring import Ring


@dataclass(slots=True)
class Report:
    """What was found. Every finding is one sentence that says what to do."""

    place: str
    revision: str | None = None
    integrity: str = "not checked"
    secret: str = "not checked"
    secret_problem: str | None = None
    processes: int = 0
    left: int = 0
    torn: int = 0
    keys: int = 0
    accounts: list[StoredAccount] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def fresh(self) -> bool:
        """Whether there is nothing yet: the first start makes it."""
        return self.revision is None and self.integrity in ("not checked", "left to PostgreSQL")

    def table(self) -> dict[str, Any]:
        """For programs."""
        return {
            "database": self.place,
            "revision": self.revision,
            "needed_revision": migrate.HEAD,
            "integrity": self.integrity,
            "secret": self.secret,
            "processes": self.processes,
            "journal_rows": self.left,
            "journal_torn": self.torn,
            "active_keys": self.keys,
            "findings": self.findings,
        }

    def fields(self) -> list[tuple[str, str]]:
        """For people."""
        return [
            ("database", self.place),
            ("revision", f"{self.revision or 'none'} (this version: {migrate.HEAD})"),
            ("integrity", self.integrity),
            ("secret", self.secret),
            ("open by", f"{self.processes} other process{'' if self.processes == 1 else 'es'}"),
            ("journal", f"{self.left} rows of dead processes, {self.torn} unreadable lines"),
        ]


async def examine(settings: Settings, data: Path) -> Report:
    """Looks at everything; a part that cannot be looked at is a finding."""
    database = Database(locate(settings.database.url, data))
    report = Report(database.place)
    try:
        _journals(report, data / JOURNAL)
        if database.file is None or await _whole(report, database.file, there=database.file.exists()):
            await _tables(report, database, settings, data)
    except StoreError as error:
        report.findings.append(str(error))
    finally:
        await database.close()
    return report


async def _whole(report: Report, file: Path, *, there: bool) -> bool:
    if not there:
        report.findings.append(f"there is no database yet at {file}: it is made at the first start")
        return False
    found = await backup.problems(file)
    report.integrity = "ok" if not found else "damaged"
    if found:
        report.findings.append(f"{damaged()} (SQLite says: {found[0]})")
    return not found


async def _tables(report: Report, database: Database, settings: Settings, data: Path) -> None:
    report.revision = await migrate.revision(database)
    if database.file is None:
        report.integrity = "left to PostgreSQL"
    if report.revision is None:
        report.findings.append("the database has no tables yet: they are made at the first start")
    elif report.revision not in migrate.REVISIONS:
        report.findings.append(
            f"revision {report.revision} is of a newer dragoman: install that version, or restore a backup"
        )
        return
    elif report.revision != migrate.HEAD:
        report.findings.append(
            f"revision {report.revision} is older than {migrate.HEAD}: dragoman db upgrade"
        )
    if report.revision is None:
        return
    await _secret(report, database, settings, data)
    if report.revision == migrate.HEAD:
        async with database.read() as connection:
            report.keys = sum(key.active for key in await clientkeys.read(connection))
            report.accounts = await accounts.read(connection)


async def _secret(report: Report, database: Database, settings: Settings, data: Path) -> None:
    """Whether the secret is there, can be read, and opens what the database has sealed."""
    try:
        text = configured.own_secret(settings, data)
    except SettingsError as error:
        report.secret, report.secret_problem = "cannot be read", str(error)
        report.findings.append(str(error))
        return
    if text is None:
        if await facts.sealed(database):
            report.secret, report.secret_problem = "is missing", lost(data / settings.secrets.key_file)
            report.findings.append(report.secret_problem)
        return
    try:
        texts = [line.strip() for line in text.splitlines() if line.strip()]
        await facts.check(database, Ring(texts))
    except StoreDown:
        raise
    except StoreError as error:
        report.secret = "does not open the database"
        report.findings.append(str(error))
    else:
        report.secret = "opens the database"


def _journals(report: Report, directory: Path) -> None:
    report.processes = journal.alive(directory)
    for found in journal.left(directory):
        report.left += len(found.ended) + len(found.aborted)
        report.torn += found.torn
        found.release()
    if report.left:
        report.findings.append(
            f"{report.left} rows of processes that died are not in the database yet: the next start of the "
            "gateway, or any other verb, takes them in"
        )
    if report.torn:
        report.findings.append(f"{report.torn} lines of the journal cannot be read and will be lost")
