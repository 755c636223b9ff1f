"""Tokens of automation, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from dragoman.store import tables
from dragoman.store.clientkeys import NotThere, StoreConflict
from dragoman.store.engine import Database
from dragoman.store.tokens import SETUP, TOKEN_PREFIX, Tokens

NOW = 1_800_000_000.0


@pytest.fixture
def tokens(database: Database) -> Tokens:
    return Tokens(database, b"p" * 32)


async def test_a_token_is_known_by_its_text_alone(tokens: Tokens, database: Database) -> None:
    made, text = await tokens.create("ci", "viewer", NOW)
    assert text.startswith(TOKEN_PREFIX)
    assert len(text) > 48
    assert await tokens.find(text, NOW) == made
    assert await tokens.find(text[:-1], NOW) is None
    assert await tokens.find(made.id, NOW) is None
    async with database.read() as connection:
        stored = str((await connection.execute(select(tables.tokens))).all())
    assert text not in stored
    assert text.removeprefix(TOKEN_PREFIX) not in stored


async def test_a_token_ends(tokens: Tokens) -> None:
    _, text = await tokens.create("ci", "admin", NOW, NOW + 60)
    assert await tokens.find(text, NOW + 59) is not None
    assert await tokens.find(text, NOW + 60) is None
    assert [token.name for token in await tokens.listed()] == ["ci"]


async def test_a_token_is_revoked_by_name_or_id(tokens: Tokens) -> None:
    one, text = await tokens.create("one", "admin", NOW)
    other, _ = await tokens.create("other", "admin", NOW)
    assert await tokens.revoke(one.id) == one
    assert await tokens.revoke("other") == other
    assert await tokens.find(text, NOW) is None
    assert await tokens.listed() == []
    for name in ("one", one.id, "", SETUP):
        with pytest.raises(NotThere):
            await tokens.revoke(name)


async def test_a_taken_name_is_a_conflict(tokens: Tokens) -> None:
    await tokens.create("ci", "admin", NOW)
    with pytest.raises(StoreConflict, match="'ci' already"):
        await tokens.create("ci", "viewer", NOW)


async def test_the_set_up_token_is_no_login_and_not_listed(tokens: Tokens) -> None:
    text = await tokens.make_setup(NOW)
    assert await tokens.find(text, NOW) is None
    assert await tokens.listed() == []
    with pytest.raises(NotThere):
        await tokens.get(SETUP)


async def test_the_last_use_is_noted(tokens: Tokens) -> None:
    made, _ = await tokens.create("ci", "admin", NOW)
    await tokens.used(made.id, NOW + 5)
    assert (await tokens.get("ci")).last_used_at == NOW + 5
