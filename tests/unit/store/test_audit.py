"""A change and its entry in the audit trail are written together or not at all, on both databases."""

from __future__ import annotations

import pytest

from dragoman.store import audit
from dragoman.store.audit import Entry, NotingDatabase
from dragoman.store.clientkeys import NotThere, StoreConflict
from dragoman.store.engine import Database
from dragoman.store.names import Aliases
from dragoman.store.tokens import Tokens
from tests.support.ledger import analyze, plan, statements

NOW = 1_800_000_000.0


def entry(action: str, **detail: object) -> Entry:
    return Entry("user:ada", action, "alias:x", NOW, detail)


async def test_a_change_is_noted_with_who_and_what(database: Database) -> None:
    said = entry("alias.set", target="gpt-5.5")
    await Aliases(NotingDatabase(database, said)).set("x", "gpt-5.5")
    found, following = await audit.page(database, limit=10)
    assert [one.entry for one in found] == [said]
    assert following is None


async def test_what_failed_is_not_noted(database: Database) -> None:
    with pytest.raises(NotThere):
        await Aliases(NotingDatabase(database, entry("alias.remove"))).remove("x")
    tokens = Tokens(NotingDatabase(database, entry("token.create")), b"p" * 32)
    await tokens.create("ci", "admin", NOW)
    with pytest.raises(StoreConflict):
        await tokens.create("ci", "admin", NOW)
    found, _ = await audit.page(database, limit=10)
    assert [one.entry.action for one in found] == ["token.create"]


async def test_a_reading_is_not_noted(database: Database) -> None:
    assert await Aliases(NotingDatabase(database, entry("alias.list"))).listed() == {}
    assert (await audit.page(database, limit=10)) == ([], None)


async def test_pages_hold_everything_once_newest_first(database: Database) -> None:
    async with database.write() as connection:
        for number in range(25):
            await audit.note(connection, Entry("cli", f"a{number}", "s" * 300, NOW, {}))
    seen: list[str] = []
    before = None
    while True:
        found, before = await audit.page(database, limit=10, before=before)
        seen += [one.entry.action for one in found]
        assert all(len(one.entry.subject) == 256 for one in found)
        if before is None:
            break
    assert seen == [f"a{number}" for number in reversed(range(25))]


@pytest.mark.parametrize("before", [None, 1500])
async def test_a_page_is_walked_to_and_not_sorted(database: Database, before: int | None) -> None:
    async with database.write() as connection:
        for number in range(2000):
            await audit.note(connection, Entry("cli", "a", "s", NOW + number, {}))
    await analyze(database)
    with statements(database) as seen:
        await audit.page(database, limit=10, before=before)
    ((statement, parameters),) = seen
    steps = await plan(database, statement, parameters)
    assert "Sort" not in steps
    assert "TEMP B-TREE" not in steps
    if database.dialect == "postgresql":
        assert "Index Scan Backward using pk_audit" in steps
    elif before is not None:
        assert "SEARCH audit USING INTEGER PRIMARY KEY" in steps


async def test_who_opened_the_database_closes_it(database: Database) -> None:
    await NotingDatabase(database, entry("x")).close()
    await Aliases(database).set("x", "y")
