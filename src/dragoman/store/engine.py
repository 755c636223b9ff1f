"""The database: one URL, two engines over it, and the only places where a transaction begins.

SQLite is opened in WAL mode with one writer that takes its lock at once (`BEGIN IMMEDIATE`) and with readers
that cannot write; PostgreSQL is used as it is. Every wait has a bound. It holds no table and no query.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import ColumnElement, Float, Table, cast, event, literal_column, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from dragoman.store.core import AsyncConnection, AsyncEngine, create_async_engine

Dialect = Literal["sqlite", "postgresql"]
BUSY_SECONDS = 5.0
STATEMENT_SECONDS = 30.0
READERS = 4
_POSTGRES_DRIVER = "asyncpg"
_SYNC = {"FULL": "PRAGMA synchronous=FULL", "NORMAL": "PRAGMA synchronous=NORMAL"}


class StoreError(Exception):
    """The store cannot be used as it was configured or found; the message says what to do."""


class StoreDown(StoreError):
    """The store does not answer now: locked, unreachable or full. Trying again later makes sense."""


def locate(url: str, data: Path) -> URL:
    """The database's URL with its driver; a relative SQLite path lies in the data directory.

    Raises StoreError for anything but `sqlite:///…` and `postgresql://…`, and for one without its driver.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise StoreError("database.url: is not a URL such as sqlite:///dragoman.db") from None
    if backend in ("postgresql", "postgres"):
        if find_spec(_POSTGRES_DRIVER) is None:
            raise StoreError(
                "database.url: PostgreSQL needs the extra postgres, which is not installed: "
                "pip install 'dragoman[postgres]', in a clone .venv/bin/pip install -e '.[postgres]'"
            )
        return parsed.set(drivername=f"postgresql+{_POSTGRES_DRIVER}")
    if backend != "sqlite":
        raise StoreError(f"database.url: {backend} is not supported; use sqlite:///… or postgresql://…")
    if not parsed.database or parsed.database == ":memory:":
        raise StoreError("database.url: SQLite needs a file, for example sqlite:///dragoman.db")
    return parsed.set(drivername="sqlite+aiosqlite", database=str(data / parsed.database))


class Database:
    """An open database. `read` and `write` are the only ways in."""

    def __init__(self, url: URL, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.url = url
        self.dialect: Dialect = "sqlite" if url.get_backend_name() == "sqlite" else "postgresql"
        self._busy = busy_seconds
        if self.dialect == "sqlite":
            self._writer = self._sqlite(pool=1, begin="BEGIN IMMEDIATE", read_only=False)
            self._reader = self._snapshots = self._sqlite(pool=READERS, begin="BEGIN", read_only=True)
        else:
            # One pool, three ways to use it. A query sees what is committed when it begins, in a transaction
            # or not; without one it costs two ways to the server instead of six.
            self._reader = self._postgres()
            self._writer = self._reader.execution_options(isolation_level="READ COMMITTED")
            self._snapshots = self._reader.execution_options(isolation_level="REPEATABLE READ")

    @property
    def file(self) -> Path | None:
        """SQLite's file; None for PostgreSQL."""
        return Path(self.url.database or "") if self.dialect == "sqlite" else None

    @property
    def shared(self) -> bool:
        """Whether other gateways may serve from it for good; on SQLite there is one, but for a takeover."""
        return self.dialect == "postgresql"

    @property
    def place(self) -> str:
        """Where the data is, without a password, for people to read."""
        return self.url.render_as_string(hide_password=True)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for queries. Raises StoreDown when there is none in time."""
        with _plain_errors():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed at the end, rolled back on any error. Raises StoreDown.

        A `durable` one is on the disk itself when it has ended, and everything committed before it too: it
        survives the machine, others the process. For what cannot be had again, such as a refreshed token.
        """
        with _plain_errors():
            if not durable:
                async with self._writer.begin() as connection:
                    yield connection
                return
            async with self._writer.connect() as connection:
                # SQLite takes the level only between transactions, PostgreSQL for one.
                await self._sync(connection, "FULL")
                try:
                    async with connection.begin():
                        if self.dialect == "postgresql":
                            await connection.execute(text("SET LOCAL synchronous_commit = on"))
                        yield connection
                finally:
                    await self._sync(connection, "NORMAL")

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose queries all see the same moment. Raises StoreDown."""
        with _plain_errors():
            async with self._snapshots.connect() as connection:
                yield connection

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[Any]:
        """The driver's own connection to PostgreSQL, outside the pool, for as long as the block runs."""
        engine = self._postgres(poolclass=NullPool)
        try:
            with _plain_errors():
                async with engine.connect() as connection:
                    yield (await connection.get_raw_connection()).driver_connection
        finally:
            await engine.dispose()

    async def close(self) -> None:
        """Closes every connection."""
        await self._reader.dispose()
        if self.dialect == "sqlite":
            await self._writer.dispose()

    def _sqlite(self, *, pool: int, begin: str, read_only: bool) -> AsyncEngine:
        engine = create_async_engine(
            self.url,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=pool,
            max_overflow=0,
            pool_timeout=self._busy * 2,
            # The driver's own transactions begin late and deferred; ours begin where `begin` says.
            connect_args={"timeout": self._busy, "isolation_level": None},
        )

        def connected(connection: Any, _: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.execute("PRAGMA temp_store=MEMORY")
            if read_only:
                cursor.execute("PRAGMA query_only=ON")
            cursor.close()

        def beginning(connection: Any) -> None:
            connection.exec_driver_sql(begin)

        event.listen(engine.sync_engine, "connect", connected)
        event.listen(engine.sync_engine, "begin", beginning)
        event.listen(engine.sync_engine, "invalidate", _rolled_back)
        return engine

    async def _sync(self, connection: AsyncConnection, level: str) -> None:
        if self.dialect == "sqlite":
            driver: Any = (await connection.get_raw_connection()).driver_connection
            cursor = await driver.execute(_SYNC[level])
            await cursor.close()

    def _postgres(self, **pool: Any) -> AsyncEngine:
        pool = pool or {
            "pool_size": READERS,
            "max_overflow": 2,
            "pool_timeout": self._busy,
            "pool_pre_ping": True,
        }
        return create_async_engine(
            self.url,
            **pool,
            isolation_level="AUTOCOMMIT",
            connect_args={
                "timeout": self._busy,
                "command_timeout": STATEMENT_SECONDS,
                "server_settings": {"application_name": "dragoman", "lock_timeout": "10s"},
            },
        )


def _rolled_back(connection: Any, _: Any, __: Any) -> None:
    """Ends the transaction of a connection that is given up, for example because its task was cancelled.

    Closing it is not enough: SQLite keeps what is closed open, its locks too, while a statement lives, and
    one does for as long as the traceback of the cancellation.
    """
    with suppress(Exception):  # it may be closed or broken already
        connection.run_async(lambda driver: driver.rollback())


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Driver errors that say "not now" become StoreDown; their texts hold statements and are dropped."""
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        raise  # the statement's fault: trying again would not help
    except DBAPIError as error:
        if "malformed" in str(error.orig) or "not a database" in str(error.orig):
            raise damaged() from None
        raise StoreDown(reason(error)) from None
    except PoolTimeout:
        raise StoreDown("every connection is busy") from None
    except OSError as error:
        raise StoreDown(error.strerror or type(error).__name__) from None
    except TimeoutError:
        raise StoreDown("no answer in time") from None


def damaged() -> StoreError:
    """What is told of a database file that cannot be read as one."""
    return StoreError(
        "the database file is damaged: stop the gateway, keep a copy, then "
        "`dragoman db restore FILE` with the newest backup"
    )


def reason(error: DBAPIError) -> str:
    """The driver's words without statement and parameters, on one line."""
    return " ".join(str(error.orig).split())[:200] or type(error).__name__


def insertion(dialect: str, table: Table) -> Any:
    """An INSERT that can say what happens on a conflict; only the dialect in use is imported."""
    return importlib.import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


def driver(dialect: str) -> Any:
    """The dialect of the driver in use, to compile statements for it."""
    name = {"sqlite": "aiosqlite", "postgresql": "asyncpg"}[dialect]
    return importlib.import_module(f"sqlalchemy.dialects.{dialect}.{name}").dialect()


def clock(dialect: str) -> ColumnElement[float]:
    """The database's own clock in epoch seconds: one for all hosts, whatever their own clocks say."""
    if dialect == "sqlite":
        return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float)
    return cast(literal_column("extract(epoch FROM clock_timestamp())"), Float)


async def ping(database: Database) -> None:
    """Asks the database for nothing. Raises StoreDown."""
    async with database.read() as connection:
        await connection.execute(text("SELECT 1"))
