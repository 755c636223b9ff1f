"""On both databases: an account is one account however often it is seen, and newer tokens are never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from dragoman.store import audit, facts
from dragoman.store.accounts import Accounts, AccountSpec, Credentials, StoredAccount
from dragoman.store.clientkeys import NotThere, StoreConflict
from dragoman.store.engine import Database, StoreError
from dragoman.store.quotas import Quota, Quotas
from dragoman.store.ring import Ring
from dragoman.store.tables import accounts as table

PLAN = AccountSpec("work", "chatgpt", "https://chatgpt.test/backend-api", "Me@Example.test", "plus")
TOKENS = Credentials(access_token="access-1", refresh_token="refresh-1", id_token="id-1", account_id="acc-1")
SECRETS = ("access-1", "refresh-1", "id-1", "sk-upstream-key")
KEY = AccountSpec("paid", "openai", "https://api.test/v1", models=("gpt-5.5",), concurrency=4)


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, Ring(["text"]), b"pepper")


async def revision(database: Database) -> int:
    async with database.read() as connection:
        return await facts.revision(connection)


async def raw(database: Database) -> list[dict[str, Any]]:
    async with database.read() as connection:
        return [dict(row) for row in (await connection.execute(select(table))).mappings()]


async def test_what_is_added_is_listed_and_its_credentials_are_sealed(
    accounts: Accounts, database: Database
) -> None:
    added = await accounts.add(PLAN, TOKENS, 50.0, expires_at=900.0, last_refresh=40.0)
    assert added.created
    key = Credentials(api_key="sk-upstream-key", organization="org-1", project="proj-1")
    paid = (await accounts.add(KEY, key, 60.0)).account
    assert await accounts.listed() == [paid, added.account]
    assert await accounts.get("work") == await accounts.get(added.account.id) == added.account
    work = added.account
    assert (work.status, work.created_at, work.access_expires_at, work.last_refresh) == (
        "active",
        50.0,
        900.0,
        40.0,
    )
    assert (paid.models, paid.concurrency, paid.weight, paid.priority, paid.group) == (
        ("gpt-5.5",),
        4,
        1.0,
        0,
        "",
    )
    assert await accounts.credentials(work.id) == TOKENS
    assert await accounts.credentials(paid.id) == key
    stored = repr(await raw(database)) + repr(added) + repr(TOKENS) + repr(key)
    assert not any(secret in stored for secret in SECRETS)


async def test_the_same_account_seen_twice_is_one(accounts: Accounts) -> None:
    """Its credentials are replaced; its name and what was decided about it stay."""
    first = (await accounts.add(PLAN, TOKENS, 50.0)).account
    await accounts.change("work", weight=2.0, priority=3, group="team", concurrency=1, models=["gpt-5.5"])
    anew = replace(TOKENS, access_token="access-2", refresh_token="refresh-2")
    seen = replace(PLAN, name="another", email=" me@example.TEST", plan="pro")
    again = await accounts.add(seen, anew, 70.0, expires_at=99.0, last_refresh=70.0)
    assert not again.created
    account = again.account
    assert (account.id, account.name, account.created_at) == (first.id, "work", 50.0)
    assert (account.weight, account.priority, account.group, account.models) == (
        2.0,
        3,
        "team",
        ("gpt-5.5",),
    )
    assert (account.plan, account.access_expires_at) == ("pro", 99.0)
    assert await accounts.credentials(first.id) == anew
    assert len(await accounts.listed()) == 1


async def test_another_workspace_or_key_is_another_account(accounts: Accounts) -> None:
    await accounts.add(PLAN, TOKENS, 50.0, workspace="ws-1")
    for name, workspace in (("b", "ws-2"), ("c", None)):
        assert (await accounts.add(replace(PLAN, name=name), TOKENS, 50.0, workspace=workspace)).created
    await accounts.add(KEY, Credentials(api_key="sk-1"), 50.0)
    same = await accounts.add(
        replace(KEY, name="d", base_url="https://api.test/v1/"), Credentials(api_key="sk-1"), 50.0
    )
    assert not same.created
    for name, spec in (("e", replace(KEY, kind="responses")), ("f", replace(KEY, base_url="https://b.test"))):
        assert (await accounts.add(replace(spec, name=name), Credentials(api_key="sk-1"), 50.0)).created
    assert (await accounts.add(replace(KEY, name="g"), Credentials(api_key="sk-2"), 50.0)).created


async def test_a_login_that_names_no_account_and_a_taken_name_are_refused_whole(
    accounts: Accounts, database: Database
) -> None:
    with pytest.raises(StoreConflict, match="names no account"):
        await accounts.add(PLAN, replace(TOKENS, account_id=None), 50.0)
    assert await raw(database) == []
    await accounts.add(PLAN, TOKENS, 50.0)
    before = await raw(database), await revision(database)
    with pytest.raises(StoreConflict, match="an account named 'work' already"):
        await accounts.add(PLAN, replace(TOKENS, account_id="acc-2"), 50.0)
    assert (await raw(database), await revision(database)) == before
    long = (await accounts.add(replace(PLAN, name="l"), replace(TOKENS, account_id="x" * 5000), 50.0)).account
    assert len(long.identity) <= 256


async def test_of_many_that_add_the_same_account_one_makes_it(accounts: Accounts) -> None:
    found = await asyncio.gather(
        *(accounts.add(replace(PLAN, name=f"n{number}"), TOKENS, 50.0) for number in range(6))
    )
    assert sum(one.created for one in found) == 1
    assert len({one.account.id for one in found}) == 1


async def test_operators_pause_resume_change_and_remove(accounts: Accounts, database: Database) -> None:
    """Each change is told to every process."""
    account = (await accounts.add(PLAN, TOKENS, 50.0)).account
    await Quotas(database).save([Quota(account.id, "main", 18_000, 0.5, None, 60.0)])
    seen = await revision(database)

    async def changed(what: Any) -> Any:
        nonlocal seen
        found = await what
        assert await revision(database) == seen + 1
        seen += 1
        return found

    assert (await changed(accounts.pause("work"))).status == "paused"
    assert (await changed(accounts.resume(account.id))).status == "active"
    decided: dict[str, Any] = {
        "weight": 0.5,
        "priority": -1,
        "group": "",
        "concurrency": None,
        "models": [],
    }
    assert (await changed(accounts.change("work", **decided))).models == ()
    assert await changed(accounts.set_status(account.id, "needs_login", "x" * 400))
    waiting = await accounts.get("work")
    assert (waiting.status, waiting.note) == ("needs_login", "x" * 256)
    for operate in (accounts.pause, accounts.resume):
        with pytest.raises(StoreConflict, match="needs a login: sign in again"):
            await operate("work")
    assert (await changed(accounts.add(PLAN, TOKENS, 80.0))).account.status == "active"
    assert (await accounts.get("work")).note is None
    assert await changed(accounts.remove("work")) == await _gone(accounts, "work", account)
    assert await Quotas(database).load() == []
    for attempt in (accounts.pause, accounts.resume, accounts.remove, accounts.get, accounts.credentials):
        with pytest.raises(NotThere, match="no account 'work'"):
            await attempt("work")
    assert not await accounts.set_status(account.id, "dead", None)
    assert await revision(database) == seen


async def test_a_version_moves_with_a_login_and_an_operator_not_with_a_refresh(accounts: Accounts) -> None:
    """What was held against an account is forgotten when somebody has seen to it."""
    account = (await accounts.add(PLAN, TOKENS, 50.0)).account
    seen = [account.version]

    async def moved() -> bool:
        seen.append((await accounts.get("work")).version)
        return seen[-1] != seen[-2]

    anew = replace(TOKENS, access_token="access-2", refresh_token="refresh-2")
    mark = accounts.mark("refresh-1")
    await accounts.save_tokens(account.id, anew, expires_at=9.0, last_refresh=8.0, expected_refresh=mark)
    assert not await moved()
    await accounts.set_status(account.id, "needs_login", "x")
    assert not await moved()
    await accounts.add(PLAN, anew, 60.0)
    assert await moved()
    for operate in (accounts.pause, accounts.resume):
        await operate("work")
        assert await moved()
    await accounts.change("work", weight=2.0, priority=0, group="", concurrency=None, models=None)
    assert await moved()
    assert len(set(seen)) == 5


async def test_an_account_is_found_by_its_identity_and_opened_from_what_was_read(accounts: Accounts) -> None:
    account = (await accounts.add(PLAN, TOKENS, 50.0)).account
    assert await accounts.find(account.identity) == account
    assert await accounts.find("chatgpt:nobody") is None
    assert accounts.opened(await accounts.by_id(account.id)) == TOKENS
    with pytest.raises(NotThere):
        await accounts.by_id("work")


async def _gone(accounts: Accounts, name: str, account: StoredAccount) -> StoredAccount:
    assert name not in {one.name for one in await accounts.listed()}
    return replace(account, weight=0.5, priority=-1, models=())


async def test_a_paused_account_stays_paused_whatever_is_found_out(accounts: Accounts) -> None:
    account = (await accounts.add(PLAN, TOKENS, 50.0)).account
    await accounts.pause("work")
    assert not await accounts.set_status(account.id, "dead", "gone")
    anew = replace(TOKENS, refresh_token="refresh-2")
    mark = accounts.mark("refresh-1")
    assert await accounts.save_tokens(
        account.id, anew, expires_at=9.0, last_refresh=8.0, expected_refresh=mark
    )
    await accounts.add(PLAN, anew, 60.0)
    assert (await accounts.get("work")).status == "paused"


async def test_a_late_writer_never_overwrites_newer_tokens(accounts: Accounts, database: Database) -> None:
    """Issue 5, 3: what was refreshed from a token that is no longer the account's is not written."""
    account = (await accounts.add(PLAN, TOKENS, 50.0)).account
    first = accounts.mark("refresh-1")
    second = replace(TOKENS, access_token="access-2", refresh_token="refresh-2")
    assert await accounts.save_tokens(
        account.id, second, expires_at=900.0, last_refresh=60.0, expected_refresh=first, plan="team"
    )
    seen = await revision(database)
    late = replace(TOKENS, access_token="late", refresh_token="late")
    assert not await accounts.save_tokens(
        account.id, late, expires_at=1.0, last_refresh=61.0, expected_refresh=first
    )
    assert await accounts.credentials(account.id) == second
    told = await accounts.get("work")
    assert (told.access_expires_at, told.last_refresh, told.plan) == (900.0, 60.0, "team")
    assert await revision(database) == seen
    with pytest.raises(NotThere):
        await accounts.save_tokens("no", late, expires_at=1.0, last_refresh=1.0, expected_refresh=first)


async def test_of_many_writers_of_one_token_exactly_one_is_taken(accounts: Accounts) -> None:
    account = (await accounts.add(PLAN, TOKENS, 50.0)).account
    mark = accounts.mark("refresh-1")

    async def write(number: int) -> bool:
        anew = replace(TOKENS, refresh_token=f"refresh-1-{number}")
        return await accounts.save_tokens(
            account.id, anew, expires_at=None, last_refresh=60.0 + number, expected_refresh=mark
        )

    taken = await asyncio.gather(*(write(number) for number in range(8)))
    assert sum(taken) == 1
    kept = (await accounts.credentials(account.id)).refresh_token
    assert kept == f"refresh-1-{taken.index(True)}"


async def test_a_refused_token_ends_an_account_only_while_it_is_the_accounts(accounts: Accounts) -> None:
    """reliability S8: another process may have got a new one meanwhile."""
    account = (await accounts.add(PLAN, TOKENS, 50.0)).account
    first = accounts.mark("refresh-1")
    anew = replace(TOKENS, refresh_token="refresh-2")
    await accounts.save_tokens(account.id, anew, expires_at=9.0, last_refresh=8.0, expected_refresh=first)
    assert not await accounts.set_status(account.id, "needs_login", "reused", failed_refresh=first)
    assert (await accounts.get("work")).status == "active"
    second = accounts.mark("refresh-2")
    assert await accounts.set_status(account.id, "needs_login", "reused", failed_refresh=second)
    third = replace(TOKENS, refresh_token="refresh-3")
    assert await accounts.save_tokens(
        account.id, third, expires_at=9.0, last_refresh=8.0, expected_refresh=second
    )
    assert (await accounts.get("work")).status == "active", "a token that came after all brings it back"


async def test_tokens_of_the_files_accounts_are_kept_beside_it(
    accounts: Accounts, database: Database
) -> None:
    """Refreshed tokens stay until the file itself has others: then somebody has logged in anew."""
    made = await accounts.upsert_shadow(PLAN, TOKENS, 50.0, expires_at=900.0)
    assert made.created
    assert made.account.configured and made.account.identity == "config:work"
    anew = replace(TOKENS, access_token="access-2", refresh_token="refresh-2")
    mark = accounts.mark("refresh-1")
    await accounts.save_tokens(
        made.account.id, anew, expires_at=999.0, last_refresh=60.0, expected_refresh=mark
    )
    seen = await revision(database)
    again = await accounts.upsert_shadow(PLAN, TOKENS, 70.0, expires_at=900.0)
    assert (again.created, again.account.access_expires_at) == (False, 999.0)
    assert await accounts.credentials(made.account.id) == anew
    assert await revision(database) == seen, "a start changes nothing"
    other = await accounts.upsert_shadow(replace(PLAN, weight=2.0), TOKENS, 70.0)
    assert (other.account.weight, other.account.access_expires_at) == (2.0, 999.0)
    login = replace(TOKENS, access_token="access-9", refresh_token="refresh-9")
    taken = await accounts.upsert_shadow(PLAN, login, 80.0, expires_at=1900.0)
    assert taken.account.access_expires_at == 1900.0
    assert await accounts.credentials(made.account.id) == login
    assert await accounts.listed() == []
    assert await accounts.listed(configured=True) == [taken.account]


async def test_an_account_of_the_file_is_changed_in_the_file(accounts: Accounts) -> None:
    shadow = (await accounts.upsert_shadow(PLAN, TOKENS, 50.0)).account
    for attempt in (accounts.pause, accounts.resume, accounts.remove):
        with pytest.raises(StoreConflict, match="stands in the configuration file"):
            await attempt("work")
    assert await accounts.set_status(shadow.id, "needs_login", "refused")
    # The same plan may be in the store under a name of its own; a name is one account's.
    with pytest.raises(StoreConflict, match="an account named 'work' already"):
        await accounts.add(PLAN, TOKENS, 50.0)
    await accounts.add(KEY, Credentials(api_key="sk-1"), 50.0)
    with pytest.raises(StoreConflict, match=r"accounts\.paid: the store has an account of this name"):
        await accounts.upsert_shadow(replace(PLAN, name="paid"), TOKENS, 50.0)
    await accounts.upsert_shadow(replace(PLAN, name="kept"), TOKENS, 50.0)
    assert await accounts.forget_shadows({"kept"}) == 1
    assert [one.name for one in await accounts.listed(configured=True)] == ["kept", "paid"]


async def test_a_rotation_seals_credentials_anew(accounts: Accounts, database: Database) -> None:
    account = (await accounts.add(PLAN, TOKENS, 50.0)).account
    assert await facts.reseal(database, Ring(["new", "text"])) == 1
    alone = Accounts(database, Ring(["new"]), b"pepper")
    assert await alone.credentials(account.id) == TOKENS
    with pytest.raises(StoreError, match="no key of the ring"):
        await accounts.credentials(account.id)


async def test_credentials_moved_to_another_account_do_not_open(
    accounts: Accounts, database: Database
) -> None:
    first = (await accounts.add(PLAN, TOKENS, 50.0)).account
    second = (await accounts.add(KEY, Credentials(api_key="sk-1"), 50.0)).account
    sealed = {row["id"]: row["sealed"] for row in await raw(database)}
    async with database.write() as connection:
        change = table.update().where(table.c.id == second.id).values(sealed=sealed[first.id])
        await connection.execute(change)
    with pytest.raises(StoreError, match="belongs to another record"):
        await accounts.credentials(second.id)


async def test_a_change_and_its_audit_entry_are_one(accounts: Accounts, database: Database) -> None:
    entry = audit.Entry("cli", "account.add", "account:work", 50.0, {"kind": "chatgpt"})
    noting = Accounts(audit.NotingDatabase(database, entry), Ring(["text"]), b"pepper")
    await noting.add(PLAN, TOKENS, 50.0)
    with pytest.raises(StoreConflict):
        await noting.add(PLAN, replace(TOKENS, account_id="acc-2"), 50.0)
    noted, _ = await audit.page(database, limit=10)
    assert [one.entry for one in noted] == [entry]


@pytest_asyncio.fixture
async def levels(database: Database) -> list[int]:
    """SQLite's level of syncing as each statement that writes an account found it."""
    found: list[int] = []
    if database.dialect == "sqlite":
        from sqlalchemy import event

        def look(connection: Any, statement: str, *_: Any) -> None:
            if "accounts" in statement and not statement.startswith("SELECT"):
                cursor = connection.connection.cursor()
                cursor.execute("PRAGMA synchronous")
                found.append(cursor.fetchone()[0])
                cursor.close()

        event.listen(
            database._writer.sync_engine, "before_cursor_execute", lambda c, _k, s, *r: look(c, s, *r)
        )
    return found


async def test_tokens_are_on_the_disk_itself_before_they_are_used(
    accounts: Accounts, database: Database, levels: list[int]
) -> None:
    """SQLite syncs those transactions (2: FULL) and not the others (1: NORMAL), which are many."""
    account = (await accounts.add(PLAN, TOKENS, 50.0)).account
    mark = accounts.mark("refresh-1")
    await accounts.save_tokens(account.id, TOKENS, expires_at=None, last_refresh=1.0, expected_refresh=mark)
    await accounts.pause("work")
    with pytest.raises(NotThere):
        await accounts.save_tokens("no", TOKENS, expires_at=None, last_refresh=1.0, expected_refresh=mark)
    await accounts.resume("work")
    assert levels == ([2, 2, 1, 2, 1] if database.dialect == "sqlite" else [])


async def test_a_durable_transaction_is_whole_or_not_at_all(database: Database) -> None:
    async with database.write(durable=True) as connection:
        if database.dialect == "postgresql":
            show: Callable[[], Any] = lambda: connection.exec_driver_sql("SHOW synchronous_commit")  # noqa: E731
            assert (await show()).scalar() == "on"
        await facts.bump(connection)
    with pytest.raises(RuntimeError):
        async with database.write(durable=True) as connection:
            await facts.bump(connection)
            raise RuntimeError
    assert await revision(database) == 1
