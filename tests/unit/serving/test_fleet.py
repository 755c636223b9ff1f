"""What the store says becomes accounts, members and roads; what did not change is left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from dragoman.onboarding.intake import credentials_of, login_from
from dragoman.serving.fleet import Fleet
from dragoman.serving.kept import KeptTokens
from dragoman.store.accounts import Accounts, AccountSpec, Credentials, StoredAccount
from dragoman.store.engine import Database
from dragoman.store.ring import Ring
from dragoman.upstream.accounts import StaticAccount, account_of
from dragoman.upstream.authfile import Login, login_of
from dragoman.upstream.oauth import Problem
from dragoman.upstream.roads import LiveRoads
from tests.support.logins import jwt

BASE = "https://chatgpt.test/backend-api"
SALT = b"salt"
FILE = [
    StaticAccount("second", "openai", "https://b.test/v1", "sk-b", weight=3.0),
    StaticAccount("first", "openai", "https://a.test/v1", "sk-a"),
]


class Roads:
    """Stands in for LiveRoads: notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def put(self, name: str, road: Any) -> None:
        self.told.append(("put", name, road.url))

    def put_login(self, name: str, base_url: str, login: Login, over: Problem | None = None) -> None:
        self.told.append(("login", name, login.refresh_token, over is not None))

    def remove(self, name: str) -> None:
        self.told.append(("remove", name))


class Kept:
    """Stands in for KeptTokens."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.known: dict[str, str] = {}

    def know(self, account: StoredAccount) -> Login | None:
        self.known[account.name] = account.id
        return login_from(self._accounts.opened(account), account.last_refresh)

    def forget(self, name: str) -> None:
        self.known.pop(name)


class Place:
    def __init__(self, accounts: Accounts, static: list[StaticAccount]) -> None:
        self.accounts = accounts
        self.roads = Roads()
        self.kept = Kept(accounts)
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.fleet = Fleet(
            static,
            SALT,
            cast("LiveRoads", self.roads),
            accounts=accounts,
            kept=cast("KeptTokens", self.kept),
            tell=lambda event, **fields: self.said.append((event, fields)),
        )

    async def follow(self) -> None:
        self.fleet.adopt(await self.accounts.listed(configured=True))

    def told(self) -> list[tuple[Any, ...]]:
        found, self.roads.told = self.roads.told, []
        return list(found)


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, Ring(["text"]), b"pepper")


def login(number: int = 1, name: str = "acct") -> Login:
    return login_of(jwt(auth={"chatgpt_account_id": name}, jti=str(number)), f"rt-{number}", None)


async def plan(accounts: Accounts, name: str, said: Login) -> StoredAccount:
    return (await accounts.add(AccountSpec(name, "chatgpt", BASE), credentials_of(said), 1.0)).account


async def test_the_files_come_first_in_their_order_then_the_stores_by_name(accounts: Accounts) -> None:
    place = Place(accounts, FILE)
    assert list(place.fleet.accounts) == ["second", "first"]
    await accounts.add(AccountSpec("b", "responses", "https://c.test/v1"), Credentials(), 1.0)
    await plan(accounts, "a", login())
    await place.follow()
    assert list(place.fleet.accounts) == ["second", "first", "a", "b"]
    assert [one.name for one in place.fleet.members] == ["second", "first", "a", "b"]
    assert place.fleet.members[0].weight == 3.0
    assert place.fleet.get("a") is place.fleet.accounts["a"]
    assert place.told() == [("login", "a", "rt-1", False), ("put", "b", "https://c.test/v1")]
    assert place.fleet.kinds == {"second": "openai", "first": "openai", "a": "chatgpt", "b": "responses"}
    assert place.fleet.stored_id("first") == "config:first"
    assert place.fleet.stored_id("a") == (await accounts.get("a")).id


async def test_what_did_not_change_is_not_touched(accounts: Accounts) -> None:
    place = Place(accounts, [])
    kept = await plan(accounts, "a", login())
    await place.follow()
    place.told()
    await accounts.change("a", weight=2.0, priority=1, group="g", concurrency=4, models=["m"])
    await place.follow()
    (member,) = place.fleet.members
    assert (member.weight, member.priority, member.group, member.concurrency) == (2.0, 1, "g", 4)
    assert place.fleet.candidates("m") and not place.fleet.candidates("n")
    assert place.fleet.listed() == frozenset({"m"})
    assert place.told() == []
    newer = credentials_of(login(2))
    mark = accounts.mark("rt-1")
    await accounts.save_tokens(kept.id, newer, expires_at=9.0, last_refresh=2.0, expected_refresh=mark)
    before = member.version
    await place.follow()
    assert place.told() == [("login", "a", "rt-2", False)]
    assert place.fleet.members[0].version == before
    await accounts.remove("a")
    await place.follow()
    assert place.told() == [("remove", "a")]
    assert (place.fleet.accounts, place.fleet.members, place.kept.known) == ({}, [], {})
    assert place.fleet.kinds == {"a": "chatgpt"}, "its last requests are still counted"


async def test_a_login_that_is_over_is_known_as_such(accounts: Accounts) -> None:
    place = Place(accounts, [])
    kept = await plan(accounts, "a", login())
    await accounts.set_status(kept.id, "needs_login", "it was refused")
    await place.follow()
    assert place.told() == [("login", "a", "rt-1", True)]
    assert place.fleet.members[0].status == "needs_login"
    assert place.fleet.askable() == []
    await plan(accounts, "a", login(2))
    await place.follow()
    assert place.told() == [("login", "a", "rt-2", False)]
    assert place.fleet.askable() == ["a"]


async def test_one_account_in_both_places_is_the_files(accounts: Accounts) -> None:
    mine = StaticAccount("mine", "chatgpt", BASE, login=login())
    place = Place(accounts, [mine, FILE[1]])
    await plan(accounts, "other", login(2))
    await accounts.add(AccountSpec("first", "openai", "https://z.test"), Credentials("sk-z"), 1.0)
    for _ in range(2):
        await place.follow()
    assert list(place.fleet.accounts) == ["mine", "first"]
    assert place.told() == []
    assert place.said == [
        ("account_twice", {"account": "first", "configured": "first"}),
        ("account_twice", {"account": "other", "configured": "mine"}),
    ]


async def test_what_another_process_renewed_of_a_configured_login_is_followed(accounts: Accounts) -> None:
    mine = StaticAccount("mine", "chatgpt", BASE, login=login(), weight=2.0)
    place = Place(accounts, [mine])
    spec = AccountSpec("mine", "chatgpt", BASE, plan="pro")
    shadow = (await accounts.upsert_shadow(spec, credentials_of(login()), 1.0)).account
    await place.follow()
    assert place.told() == [("login", "mine", "rt-1", False)]
    await accounts.save_tokens(
        shadow.id,
        credentials_of(login(2)),
        expires_at=9.0,
        last_refresh=2.0,
        expected_refresh=accounts.mark("rt-1"),
    )
    await place.follow()
    assert place.told() == [("login", "mine", "rt-2", False)]
    (member,) = place.fleet.members
    assert (member.plan, member.weight, member.status) == ("pro", 2.0, "active")
    await accounts.set_status(shadow.id, "dead", "closed")
    await place.follow()
    assert place.fleet.members[0].status == "dead"
    assert place.told() == [("login", "mine", "rt-2", True)]


async def test_what_cannot_be_opened_is_left_out_and_told_once(
    accounts: Accounts, database: Database
) -> None:
    foreign = Accounts(database, Ring(["another"]), b"pepper")
    await foreign.add(AccountSpec("odd", "openai", "https://o.test"), Credentials("sk-o"), 1.0)
    mine = StaticAccount("mine", "chatgpt", BASE, login=login())
    await foreign.upsert_shadow(AccountSpec("mine", "chatgpt", BASE), credentials_of(login()), 1.0)
    place = Place(accounts, [mine])
    for _ in range(2):
        await place.follow()
    assert list(place.fleet.accounts) == ["mine"], "the file's own login is still there"
    assert sorted(fields["account"] for _, fields in place.said) == ["mine", "odd"]
    assert place.told() == []


async def test_the_demonstration_ends_with_the_first_real_account(accounts: Accounts) -> None:
    demo = StaticAccount("simulated", "openai", "http://127.0.0.1:1/v1", "sk-simulated", simulated=True)
    place = Place(accounts, [demo])
    assert place.fleet.simulated
    assert place.fleet.identities == {}
    await plan(accounts, "a", login())
    await place.follow()
    assert (place.fleet.simulated, list(place.fleet.accounts)) == (False, ["a"])
    await accounts.remove("a")
    await place.follow()
    assert place.fleet.simulated


async def test_an_account_is_the_same_to_its_sealed_reasoning_wherever_it_stands(
    accounts: Accounts,
) -> None:
    place = Place(accounts, [])
    await plan(accounts, "a", login())
    await accounts.add(AccountSpec("k", "openai", "https://a.test/v1"), Credentials("sk-a", "org"), 1.0)
    await place.follow()
    of_file = [
        StaticAccount("x", "chatgpt", BASE, login=login()),
        StaticAccount("y", "openai", "https://a.test/v1", "sk-other", "org"),
    ]
    assert [account_of(row, SALT).tag for row in of_file] == [
        one.tag for one in place.fleet.accounts.values()
    ]


def test_without_a_store_nothing_comes() -> None:
    fleet = Fleet(FILE, SALT, cast("LiveRoads", Roads()))
    told = StoredAccount(
        "1", "n", "openai", "https://n.test", "i", None, None, "active", 1.0, 0, "", None, None, 1.0, None,
        None, None,
    )  # fmt: skip
    fleet.adopt([told, replace(told, name="first", identity="config:first")])
    assert list(fleet.accounts) == ["second", "first"]
