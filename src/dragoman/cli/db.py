"""`dragoman db`: the database upgraded, checked, copied, put back.

It works without the store's help, on databases that no gateway would open. What cannot be undone keeps a copy
first, and nothing is taken from under a running gateway.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dragoman.cli import errand
from dragoman.cli.options import FAILED, FINDINGS, MISUSED, NO_STORE, Config, DataDir, Json, Stop

if TYPE_CHECKING:
    from dragoman.cli.errand import Place
    from dragoman.store.engine import Database

app = typer.Typer(no_args_is_help=True, help="The database: upgrade, check, backup, restore.")

WithSecrets = Annotated[
    bool, typer.Option("--with-secrets", help="The secret texts too, in FILE.secrets, under a passphrase.")
]
PassphraseEnv = Annotated[
    str | None,
    typer.Option("--passphrase-env", help="Environment variable with the passphrase; otherwise it is asked."),
]


@app.command()
def upgrade(config: Config = None, data_dir: DataDir = None) -> None:
    """Bring the tables to this version's; SQLite is copied first."""

    async def work(here: Place) -> None:
        from dragoman.store import migrate

        async with _open(here) as database:
            moved = await migrate.advance(database)
            if moved is None:  # before, or by another process at the same time
                errand.say(f"The database is at revision {migrate.HEAD}: nothing to do.")
                return
            errand.say(f"The database went from revision {moved.before or 'none'} to {migrate.HEAD}.")
            if moved.copy is not None:
                errand.say(f"What it was is kept in {moved.copy}.")

    errand.run(config, data_dir, work)


@app.command()
def downgrade(
    revision: Annotated[
        str, typer.Argument(help="Revision to go back to; `base` removes the tables.", metavar="REVISION")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="Really do it: newer columns go with what they hold.")
    ] = (False),
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Take the tables back to an older revision; SQLite is copied first."""

    async def work(here: Place) -> None:
        from dragoman.cli.dbrestore import noted
        from dragoman.store import backup, migrate
        from dragoman.store.restore import free_name

        if not yes:
            raise Stop("this drops what newer tables hold: say --yes", MISUSED)
        _refuse_running(here)
        async with _open(here) as database:
            before = await migrate.revision(database)
            known = ("base", *migrate.REVISIONS)
            if revision not in known:
                raise Stop(f"there is no revision {revision!r}; known: {', '.join(known)}", MISUSED)
            if before not in known or known.index(revision) >= known.index(before):
                raise Stop(
                    f"the database is at revision {before or 'none'}: {revision} is not older", MISUSED
                )
            if database.file is not None:
                copy = free_name(database.file, "before-downgrade")
                await backup.copy(database.file, copy)
                errand.say(f"What it was is kept in {copy}.")
            await noted(database, "db.downgrade", {"from": before, "to": revision})
            await migrate.move(database, revision)
        errand.say(f"The database went from revision {before} to {revision}.")

    errand.run(config, data_dir, work)


@app.command()
def check(as_json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Check revision, integrity, secret and what dead processes left; exit code 4 with findings."""

    async def work(here: Place) -> None:
        from dragoman.cli import dbcheck

        report = await dbcheck.examine(here.settings, here.data)
        if as_json:
            errand.say_json(report.table())
        else:
            errand.say_fields(report.fields())
            errand.say(*(f"- {line}" for line in report.findings))
        if report.findings:
            raise typer.Exit(FINDINGS)

    errand.run(config, data_dir, work)


@app.command()
def backup(
    file: Annotated[
        Path,
        typer.Argument(help="File to make; one that exists is refused.", show_default=False, metavar="FILE"),
    ],
    with_secrets: WithSecrets = False,
    passphrase_env: PassphraseEnv = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Copy the database while it is in use (SQLite)."""

    async def work(here: Place) -> None:
        from dragoman.store.backup import copy

        source = _sqlite(here, "pg_dump --format=custom --file=FILE DATABASE_URL")
        if not source.exists():
            raise Stop(f"there is no database yet at {source}")
        _refuse_present(file)
        secret = _beside(file)
        if with_secrets:
            _refuse_present(secret)
            content = _locked(here, _passphrase(passphrase_env, twice=True))
        await copy(source, file)
        errand.say(f"The database is copied to {file}.")
        if with_secrets:
            _write(secret, content)
            errand.say(f"The secrets are in {secret}; only the passphrase opens them.")
        else:
            errand.say("It opens only with this installation's secret: keep that too, or use --with-secrets.")

    errand.run(config, data_dir, work, variables=[passphrase_env])


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="Backup to put in place.", show_default=False, metavar="FILE")],
    with_secrets: WithSecrets = False,
    passphrase_env: PassphraseEnv = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Put a backup in place of the database, checked first; the present one is kept (SQLite)."""

    async def work(here: Place) -> None:
        from dragoman.cli import dbrestore

        target = _sqlite(here, "pg_restore --clean --dbname=DATABASE_URL FILE")
        _refuse_running(here)
        for needed in (file, _beside(file)) if with_secrets else (file,):
            if not needed.is_file():
                raise Stop(f"{needed}: there is no such file")
        opened: list[str] = []
        if with_secrets:
            passphrase = _passphrase(passphrase_env, twice=False)
            opened = dbrestore.unlocked(_beside(file), passphrase)
        done = await dbrestore.put(
            here.settings, here.data, file, target, opened, before_swap=lambda: _refuse_running(here)
        )
        errand.say(*done)

    errand.run(config, data_dir, work, variables=[passphrase_env])


@asynccontextmanager
async def _open(here: Place) -> AsyncIterator[Database]:
    """The database as it is. Raises Stop where SQLite has no file: opening it would make one."""
    from dragoman.store.engine import Database, StoreDown, locate

    database = Database(locate(here.settings.database.url, here.data))
    try:
        if database.file is not None and not database.file.exists():
            raise Stop(f"there is no database yet at {database.file}: it is made at the first start")
        yield database
    except StoreDown as error:
        raise StoreDown(f"the database {database.place} does not answer: {error}") from None
    finally:
        await database.close()


def _sqlite(here: Place, instead: str) -> Path:
    """SQLite's file. Raises Stop for PostgreSQL, naming its own program."""
    from dragoman.store.engine import locate

    url = locate(here.settings.database.url, here.data)
    if url.get_backend_name() != "sqlite":
        raise Stop(f"this is for SQLite; PostgreSQL has its own tool: {instead}", MISUSED)
    return Path(url.database or "")


def _refuse_running(here: Place) -> None:
    from dragoman.serving.store import JOURNAL
    from dragoman.store import journal

    if journal.alive(here.data / JOURNAL):
        raise Stop(f"a gateway runs on {here.data}: stop it first", NO_STORE)


def _refuse_present(file: Path) -> None:
    if file.exists():
        raise Stop(f"{file}: exists already; name another file")


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.secrets")


def _locked(here: Place, passphrase: str) -> bytes:
    from dragoman.serving.store import present_texts
    from dragoman.store import escrow

    texts = present_texts(here.settings, here.data)
    if not texts:
        raise Stop("the secret (secrets.key_file or secrets.key_env) cannot be read", MISUSED)
    return escrow.lock(texts, passphrase)


def _passphrase(variable: str | None, *, twice: bool) -> str:
    """From the variable, or asked on the terminal. Raises Stop."""
    from dragoman.store.escrow import SHORTEST

    if variable is not None:
        text = os.environ.get(variable, "")
        if not text:
            raise Stop(f"--passphrase-env: the variable {variable} is empty", MISUSED)
        where = f"--passphrase-env: the variable {variable}"
    else:
        import sys

        if not sys.stdin.isatty():
            raise Stop("the passphrase is asked on a terminal: use --passphrase-env here", MISUSED)
        text = str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True))
        where = "the passphrase"
    if twice and len(text) < SHORTEST:
        raise Stop(f"{where} must have {SHORTEST} characters at least", MISUSED)
    return text


def _write(file: Path, content: bytes) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        raise Stop(f"{file}: cannot be written: {error.strerror}", FAILED) from None
