"""Client keys on both databases: shown once, changed as a whole, rotated with overlap, revoked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from dragoman.budget.limits import Limit
from dragoman.gateway.credentials import digest
from dragoman.store import clientkeys, facts
from dragoman.store.clientkeys import ClientKey, ClientKeys, KeySpec, StoreConflict
from dragoman.store.engine import Database
from dragoman.store.tables import keys as table
from dragoman.store.tables import limits as limit_table

PEPPER = b"pepper"
TOKENS = Limit("tokens", "day", 1000)
MONEY = Limit("cost_usd", "month", 20_000_000_000, "claude-opus-*")
FULL = KeySpec(
    "laptop",
    tags=("team", "ci"),
    models=("claude-*", "fast"),
    default_effort="low",
    enforced_effort="medium",
    max_effort="high",
    concurrency=3,
    expires_at=5000.5,
    limits=(TOKENS, MONEY),
)


@pytest.fixture
def keys(database: Database) -> ClientKeys:
    return ClientKeys(database, PEPPER)


async def revision(database: Database) -> int:
    async with database.read() as connection:
        return await facts.revision(connection)


async def presentable(database: Database, now: float) -> dict[bytes, tuple[str, float | None]]:
    async with database.read() as connection:
        found = await clientkeys.digests(connection, now)
    return {mark: (key.spec.name, until) for mark, until, key in found}


def plain(spec: KeySpec) -> KeySpec:
    """Without the names that the store gives limits."""
    return replace(spec, limits=tuple(replace(limit, id="") for limit in spec.limits))


async def test_a_key_is_kept_as_it_was_given_and_its_text_is_not(
    database: Database, keys: ClientKeys
) -> None:
    made, text = await keys.create(FULL, 100.0)
    assert text.startswith("sk-drg-") and len(text) == 50
    assert made.hint == f"…{text[-4:]}"
    found = await keys.get("laptop")
    assert plain(found.spec) == FULL
    assert (found.active, found.created_at, found.revoked_at, found.last_used_at) == (True, 100.0, None, None)
    assert await keys.get(made.id) == found
    async with database.read() as connection:
        row = (await connection.execute(select(table))).one()
    assert bytes(row.digest) == digest(PEPPER, text)
    assert text[7:] not in repr(tuple(row))


async def test_a_bare_key_may_everything(keys: ClientKeys) -> None:
    await keys.create(KeySpec("bare"), 0.0)
    assert (await keys.get("bare")).spec == KeySpec("bare")


async def test_texts_are_never_the_same(keys: ClientKeys) -> None:
    texts = {(await keys.create(KeySpec(f"k{number}"), 0.0))[1] for number in range(20)}
    assert len(texts) == 20


async def test_a_name_is_taken_once_for_ever(keys: ClientKeys) -> None:
    await keys.create(KeySpec("laptop"), 0.0)
    with pytest.raises(StoreConflict, match="there is a key named 'laptop' already"):
        await keys.create(FULL, 1.0)
    await keys.revoke("laptop", 2.0)
    with pytest.raises(StoreConflict, match="already"):
        await keys.create(FULL, 3.0)
    assert (await keys.get("laptop")).spec == KeySpec("laptop"), "nothing of the refused one is left"


async def test_the_list_is_newest_first_with_revoked_ones(keys: ClientKeys) -> None:
    for number, name in enumerate(("first", "second", "third")):
        await keys.create(replace(FULL, name=name), float(number))
    await keys.revoke("second", 9.0)
    assert [(key.spec.name, key.active) for key in await keys.listed()] == [
        ("third", True),
        ("second", False),
        ("first", True),
    ]
    assert all(plain(key.spec).limits == FULL.limits for key in await keys.listed())


async def test_what_does_not_exist_is_named(keys: ClientKeys) -> None:
    for attempt in (
        keys.get("nobody"),
        keys.change("nobody", KeySpec("nobody")),
        keys.rotate("nobody", 0.0, 0.0),
        keys.revoke("nobody", 0.0),
    ):
        with pytest.raises(StoreConflict, match="there is no key named 'nobody'"):
            await attempt


async def test_a_name_goes_before_an_id_that_looks_like_it(keys: ClientKeys) -> None:
    first, _ = await keys.create(KeySpec("first"), 0.0)
    await keys.create(KeySpec(first.id), 1.0)
    assert (await keys.get(first.id)).spec.name == first.id
    assert (await keys.get("first")).id == first.id


async def test_a_change_replaces_what_was_decided_and_leaves_the_rest(
    database: Database, keys: ClientKeys
) -> None:
    made, text = await keys.create(FULL, 0.0)
    changed = await keys.change("laptop", KeySpec("laptop", limits=(replace(TOKENS, max=5),)))
    assert plain(changed.spec) == KeySpec("laptop", limits=(replace(TOKENS, max=5),))
    assert (changed.id, changed.hint, changed.created_at) == (made.id, made.hint, 0.0)
    assert digest(PEPPER, text) in await presentable(database, 1.0)
    async with database.read() as connection:
        assert len((await connection.execute(select(limit_table))).all()) == 1
    with pytest.raises(StoreConflict, match="keeps its name"):
        await keys.change("laptop", KeySpec("other"))


async def test_a_rotated_key_works_under_both_texts_for_a_while(database: Database, keys: ClientKeys) -> None:
    _, old = await keys.create(FULL, 0.0)
    key, new = await keys.rotate("laptop", 60.0, 100.0)
    assert key.previous_until == 160.0
    assert key.hint == f"…{new[-4:]}"
    assert plain(key.spec) == FULL
    both = {digest(PEPPER, old): ("laptop", 160.0), digest(PEPPER, new): ("laptop", None)}
    assert await presentable(database, 159.9) == both
    assert await presentable(database, 160.0) == {digest(PEPPER, new): ("laptop", None)}


async def test_a_second_rotation_ends_the_first_text(database: Database, keys: ClientKeys) -> None:
    texts = [(await keys.create(KeySpec("laptop"), 0.0))[1]]
    for _ in range(2):
        texts.append((await keys.rotate("laptop", 1000.0, 0.0))[1])
    assert set(await presentable(database, 1.0)) == {digest(PEPPER, text) for text in texts[1:]}


async def test_without_overlap_the_old_text_ends_at_once(database: Database, keys: ClientKeys) -> None:
    await keys.create(KeySpec("laptop"), 0.0)
    await keys.rotate("laptop", 60.0, 0.0)
    key, new = await keys.rotate("laptop", 0.0, 0.0)
    assert key.previous_until is None
    assert set(await presentable(database, 0.0)) == {digest(PEPPER, new)}


async def test_a_revoked_key_ends_with_both_its_texts(database: Database, keys: ClientKeys) -> None:
    await keys.create(KeySpec("laptop"), 0.0)
    await keys.create(KeySpec("other"), 0.0)
    await keys.rotate("laptop", 1000.0, 0.0)
    ended = await keys.revoke("laptop", 7.0)
    assert (ended.active, ended.revoked_at, ended.previous_until) == (False, 7.0, None)
    assert {name for name, _ in (await presentable(database, 1.0)).values()} == {"other"}
    before = await revision(database)
    assert await keys.revoke("laptop", 9.0) == ended, "once"
    assert await revision(database) == before
    with pytest.raises(StoreConflict, match="is revoked"):
        await keys.rotate("laptop", 0.0, 10.0)


async def test_a_key_that_is_off_may_not_be_presented_until_it_is_on(
    database: Database, keys: ClientKeys
) -> None:
    made, _ = await keys.create(KeySpec("laptop", active=False), 0.0)
    assert (made.active, made.revoked) == (False, False)
    assert await presentable(database, 1.0) == {}
    on = await keys.change("laptop", KeySpec("laptop"))
    assert (on.active, on.spec.active) == (True, True)
    assert {name for name, _ in (await presentable(database, 1.0)).values()} == {"laptop"}
    off = await keys.change("laptop", KeySpec("laptop", active=False))
    assert (off.active, off.spec.active, off.revoked_at) == (False, False, None)
    rotated, _ = await keys.rotate("laptop", 1000.0, 2.0)
    assert not rotated.active, "a new text does not switch it on"
    assert await presentable(database, 3.0) == {}
    ended = await keys.revoke("laptop", 4.0)
    assert (ended.active, ended.revoked) == (False, True)
    again = await keys.change("laptop", KeySpec("laptop"))
    assert (again.active, again.revoked_at) == (False, 4.0), "revoked is for good"
    assert await presentable(database, 5.0) == {}


async def test_every_change_is_told_to_all_processes_and_a_refusal_is_not(
    database: Database, keys: ClientKeys
) -> None:
    """Effective everywhere within a second, because the revision grows with the change itself."""
    await keys.create(FULL, 0.0)
    assert await revision(database) == 1
    await keys.change("laptop", KeySpec("laptop"))
    await keys.rotate("laptop", 0.0, 0.0)
    await keys.revoke("laptop", 0.0)
    assert await revision(database) == 4
    with pytest.raises(StoreConflict):
        await keys.create(FULL, 0.0)
    assert await revision(database) == 4
    await keys.used({"laptop": 5.0})
    assert await revision(database) == 4, "a use is no change"


async def test_when_keys_were_used_is_noted(keys: ClientKeys) -> None:
    await keys.create(KeySpec("a"), 0.0)
    await keys.create(KeySpec("b"), 0.0)
    await keys.used({"a": 5.0, "gone": 6.0})

    def used(found: list[ClientKey]) -> dict[str, float | None]:
        return {key.spec.name: key.last_used_at for key in found}

    assert used(await keys.listed()) == {"a": 5.0, "b": None}
