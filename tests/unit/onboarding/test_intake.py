"""What is taken in, under which name, and what is refused whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dragoman.onboarding.intake import (
    IMPORT,
    LOGIN,
    Configured,
    Intake,
    Refusal,
    credentials_of,
    good_address,
    good_login,
    login_from,
    wished_name,
)
from dragoman.store.accounts import Accounts, AccountSpec, Credentials
from dragoman.store.clientkeys import StoreConflict
from dragoman.store.engine import Database
from dragoman.store.ring import Ring
from dragoman.upstream.authfile import Login, login_of, parse
from tests.support import logins

BASE = "https://chatgpt.test/backend-api"
NOW = 1_800_000_000.0
NOBODY = Configured()


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, Ring(["text"]), b"pepper")


class Desk:
    """An intake, and what it noted."""

    def __init__(self, accounts: Accounts, configured: Configured = NOBODY) -> None:
        self.noted: list[tuple[str, str, Mapping[str, Any]]] = []
        self.accounts = accounts
        self.intake = Intake(accounts, self._noting, configured)

    def _noting(self, action: str, name: str, detail: Mapping[str, Any]) -> Accounts:
        self.noted.append((action, name, detail))
        return self.accounts


def login(name: str = "acct-1", **tokens: Any) -> Login:
    return parse(json.dumps(logins.document(name, **tokens)).encode())


def of_workspace(workspace: str, email: str) -> Login:
    auth = {"chatgpt_account_id": "acct-1", "workspace_id": workspace}
    return login_of("opaque", f"rt-{workspace}", logins.jwt(auth=auth, email=email), last_refresh=NOW)


async def test_the_same_account_keeps_its_name_whoever_names_it(accounts: Accounts) -> None:
    desk = Desk(accounts)
    first = await desk.intake.login("plus", BASE, login(), NOW, IMPORT)
    again = await desk.intake.login("other", BASE, login(refresh_token="rt-2"), NOW, LOGIN)
    assert (first.created, again.created, again.account.name) == (True, False, "plus")
    assert again.account.version != first.account.version
    assert [one.name for one in await accounts.listed()] == ["plus"]
    assert [(action, name) for action, name, _ in desk.noted] == [
        ("account.import", "plus"),
        ("account.login", "plus"),
    ]
    assert "rt-2" not in repr(desk.noted)


async def test_two_workspaces_of_one_account_id_are_two(accounts: Accounts) -> None:
    desk = Desk(accounts)
    await desk.intake.login("a", BASE, of_workspace("w1", "me@a.test"), NOW, LOGIN)
    with pytest.raises(StoreConflict, match=r"'a' is another ChatGPT account or workspace \(me@a.test\)"):
        await desk.intake.login("a", BASE, of_workspace("w2", "me@a.test"), NOW, LOGIN)
    await desk.intake.login("b", BASE, of_workspace("w2", "me@a.test"), NOW, LOGIN)
    assert [one.name for one in await accounts.listed()] == ["a", "b"]


async def test_names_are_made_where_none_is_given(accounts: Accounts) -> None:
    desk = Desk(accounts, Configured(frozenset({"me-2"})))
    for number, workspace in enumerate(("w1", "w2"), 1):
        await desk.intake.login(None, BASE, of_workspace(workspace, f"Me@{number}.test"), NOW, LOGIN)
    assert [one.name for one in await accounts.listed()] == ["me", "me-3"]
    assert wished_name(login_of("opaque", "rt", None, account_id="x")).startswith("chatgpt-")
    assert wished_name(of_workspace("w", "A b+c@x.test")) == "a-b-c"


async def test_the_file_keeps_its_names_and_its_accounts(accounts: Accounts) -> None:
    mine = accounts.identity("openai", "https://a.test/v1", Credentials(api_key="sk-1"))
    desk = Desk(accounts, Configured(frozenset({"fixed"}), {mine: "fixed"}))
    with pytest.raises(StoreConflict, match="'fixed' is an account of the configuration file"):
        await desk.intake.begin("fixed")
    with pytest.raises(StoreConflict, match="'fixed' is an account of the configuration file"):
        await desk.intake.login("fixed", BASE, login(), NOW, LOGIN)
    spec = AccountSpec("new", "openai", "https://a.test/v1")
    with pytest.raises(StoreConflict, match="this is the account 'fixed' of the configuration file"):
        await desk.intake.key(spec, Credentials(api_key="sk-1"), NOW)
    assert (await accounts.listed(), desk.noted) == ([], [])


async def test_a_name_is_judged_before_anybody_goes_to_a_browser(accounts: Accounts) -> None:
    desk = Desk(accounts)
    await desk.intake.key(AccountSpec("paid", "openai", "https://a.test/v1"), Credentials("sk-1"), NOW)
    with pytest.raises(StoreConflict, match="named 'paid' of kind openai already"):
        await desk.intake.begin("paid")
    shadow = AccountSpec("old", "chatgpt", BASE)
    await accounts.upsert_shadow(shadow, credentials_of(login()), NOW)
    with pytest.raises(StoreConflict, match="dragoman account remove old"):
        await desk.intake.begin("old")
    for name in ("", " x", "x" * 65, "a\nb"):
        with pytest.raises(Refusal, match="name: must be"):
            await desk.intake.begin(name)
    await desk.intake.begin("free")


async def test_older_tokens_are_not_taken_back_unless_the_login_is_over(accounts: Accounts) -> None:
    desk = Desk(accounts)
    new = replace(login(), last_refresh=NOW)
    kept = (await desk.intake.login("plus", BASE, new, NOW, IMPORT)).account
    old = replace(login(refresh_token="rt-old"), last_refresh=NOW - 60)
    with pytest.raises(StoreConflict, match="has newer tokens than this file"):
        await desk.intake.login("plus", BASE, old, NOW, IMPORT)
    undated = replace(login(exp=NOW), last_refresh=None)
    with pytest.raises(StoreConflict, match="has newer tokens than this file"):
        await desk.intake.login("plus", BASE, undated, NOW, IMPORT)
    assert accounts.opened(await accounts.get("plus")).refresh_token == "rt-acct-1"
    await accounts.set_status(kept.id, "needs_login", "x")
    assert (await desk.intake.login("plus", BASE, old, NOW, IMPORT)).account.status == "active"


@pytest.mark.parametrize("token", ["id_token", "access_token"])
def test_an_account_id_that_is_not_the_tokens_own_is_refused(token: str) -> None:
    """An account id that belongs to another workspace."""
    theirs = logins.jwt(auth={"chatgpt_account_id": "acct-a"})
    access, told = (theirs, None) if token == "access_token" else ("opaque", theirs)
    foreign = login_of(access, "rt", told, account_id="acct-b")
    with pytest.raises(Refusal, match=r"account_id: .*another workspace"):
        good_login(foreign)
    assert good_login(login()) == login()


def test_what_the_store_keeps_is_the_login_again() -> None:
    known = login()
    assert login_from(credentials_of(known), known.last_refresh) == known
    assert login_from(Credentials(api_key="sk"), None) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("a.test/v1", "must be an http or https address"),
        ("http://169.254.169.254/latest", "link-local"),
        ("http://[fd00:ec2::254]/v1", "metadata service"),
        ("http://a.test/v1/chat/completions", "must end before /chat/completions"),
        ("http://a.test/" + "x" * 600, "characters at most"),
    ],
)
def test_addresses_that_are_none(url: str, said: str) -> None:
    """reliability X9"""
    with pytest.raises(Refusal, match=f"base_url: .*{said}"):
        good_address(url, allow_link_local=False)


def test_addresses_that_are_some() -> None:
    assert good_address(" https://a.test/v1/ ", allow_link_local=False) == "https://a.test/v1"
    assert good_address("http://169.254.0.9/v1", allow_link_local=True) == "http://169.254.0.9/v1"
