"""`dragoman token`: what it prints works once shown, and nothing of it can be had again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner, Result

from dragoman.cli.__main__ import application
from dragoman.serving.store import Store, opened
from dragoman.settings import load
from dragoman.store import audit
from dragoman.store.people import People
from dragoman.store.tokens import SETUP_PREFIX, TOKEN_PREFIX, Tokens

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DRAGOMAN_CONFIG", "DRAGOMAN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def run(data: Path, *words: str) -> Result:
    return CliRunner().invoke(application("token"), ["token", *words, "--data-dir", str(data)])


def look(data: Path, question: Callable[[Store], Awaitable[T]]) -> T:
    """Asks the store between two verbs."""

    async def ask() -> T:
        async with opened(load(), data, monotonic=time.monotonic) as store:
            return await question(store)

    return asyncio.run(ask())


def test_the_set_up_token_is_printed_alone_and_ends_the_one_before(tmp_path: Path) -> None:
    """reliability X7"""
    tokens = [run(tmp_path, "setup").stdout.strip() for _ in range(2)]
    assert all(token.startswith(SETUP_PREFIX) for token in tokens)

    async def first(store: Store) -> list[Any]:
        people = People(store.database, store.ring, store.facts.pepper)
        return [await people.first(token, "ada", "phc", time.time()) for token in tokens]

    before, made = look(tmp_path, first)
    assert before is None
    assert made.name == "ada"


def test_a_token_is_made_listed_and_revoked(tmp_path: Path) -> None:
    made = run(tmp_path, "create", "ci", "--role", "viewer", "--expires", "30d")
    assert made.exit_code == 0
    text = made.stdout.strip()
    assert text.startswith(TOKEN_PREFIX)

    async def find(store: Store) -> Any:
        return await Tokens(store.database, store.facts.pepper).find(text, time.time())

    found = look(tmp_path, find)
    assert (found.name, found.role) == ("ci", "viewer")
    listed = json.loads(run(tmp_path, "list", "--json").stdout)
    assert [(one["name"], one["role"], one["state"]) for one in listed] == [("ci", "viewer", "active")]
    assert text not in json.dumps(listed)
    shown = run(tmp_path, "list").stdout
    assert "ci" in shown
    assert text not in shown
    assert run(tmp_path, "revoke", "ci").exit_code == 0
    assert look(tmp_path, find) is None
    assert "There are no tokens." in run(tmp_path, "list").stdout

    async def trail(store: Store) -> list[tuple[str, str, str]]:
        noted, _ = await audit.page(store.database, limit=10)
        return [(one.entry.actor, one.entry.action, one.entry.subject) for one in noted]

    assert look(tmp_path, trail) == [
        ("cli", "token.revoke", "token:ci"),
        ("cli", "token.create", "token:ci"),
    ]


def test_json_holds_the_text_with_the_record(tmp_path: Path) -> None:
    made = json.loads(run(tmp_path, "create", "ci", "--role", "admin", "--json").stdout)
    assert made["token"].startswith(TOKEN_PREFIX)
    assert (made["role"], made["expires_at"]) == ("admin", None)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["create", "a b", "--role", "admin"], 2, "NAME 'a b'"),
        (["create", ":setup", "--role", "admin"], 2, "NAME ':setup'"),
        (["create", "ci", "--role", "owner"], 2, "--role 'owner': must be admin or viewer"),
        (["create", "ci", "--role", "admin", "--expires", "soon"], 2, "--expires 'soon'"),
        (["create", "ci", "--role", "admin", "--expires", "2001-01-01"], 2, "lies in the past"),
        (["create", "ci"], 2, "--role"),
        (["revoke", "nobody"], 1, "there is no token named 'nobody'"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    result = run(tmp_path, *words)
    assert result.exit_code == code
    assert said in result.stderr


def test_a_taken_name_is_told(tmp_path: Path) -> None:
    assert run(tmp_path, "create", "ci", "--role", "admin").exit_code == 0
    again = run(tmp_path, "create", "ci", "--role", "viewer")
    assert again.exit_code == 1
    assert "'ci' already" in again.stderr
