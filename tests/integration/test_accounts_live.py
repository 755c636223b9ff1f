"""Accounts of the store under a gateway that runs: they come, change and go, and their tokens stay alive."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dragoman.onboarding.intake import IMPORT, Configured, Intake
from dragoman.serving.store import Store, opened
from dragoman.settings import Settings
from dragoman.simulator import server
from dragoman.simulator.server import Running
from dragoman.simulator.state import State
from dragoman.store.accounts import Accounts, AccountSpec, Credentials
from dragoman.upstream.authfile import parse
from tests.support import logins
from tests.support.inprocess import Gateway, Reply, gateway

KEY = {"name": "spare", "kind": "openai", "api_key": "sk-sim-default"}
CLIENT = "sk-drg-of-this-test"
SEEN_SECONDS = 30.0


@asynccontextmanager
async def simulated(rules: Any = None, **switches: Any) -> AsyncIterator[Running]:
    state = State({"strict_keys": True, "rate_per_key": 0, **switches}, rules=rules)
    running = await server.start("127.0.0.1", 0, state=state)
    try:
        yield running
    finally:
        await running.close()


def table(up: Running, database_url: str, *accounts: dict[str, Any]) -> dict[str, Any]:
    chatgpt = {"issuer": up.url, "base_url": f"{up.url}/backend-api"}
    keys = [{"name": "laptop", "key": CLIENT}]
    return {"accounts": list(accounts), "keys": keys, "chatgpt": chatgpt, "database": {"url": database_url}}


async def ask(house: Gateway, text: str = "Hi") -> Reply:
    request = {"model": "claude-test", "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    return await house.post("/v1/messages", request, {"x-api-key": CLIENT})


def intake(store: Store) -> Intake:
    """On-boarding beside the gateway, as the command line does it."""
    return Intake(store.accounts, lambda *_: store.accounts, Configured())


async def put(store: Store, up: Running, folder: Path, name: str, **more: Any) -> None:
    """A login of the simulator, taken into the store."""
    logins.account(up, folder, name, **more)
    login = replace(parse((folder / f"{name}.json").read_bytes()), last_refresh=time.time())
    await intake(store).login(name, f"{up.url}/backend-api", login, time.time(), IMPORT)


@asynccontextmanager
async def beside(folder: Path, rows: dict[str, Any]) -> AsyncIterator[Store]:
    """The store opened by another process than the gateway: the same file, or server."""
    async with opened(Settings.model_validate(rows), folder, monotonic=time.monotonic) as store:
        yield store


def own(house: Gateway) -> Store:
    assert house.assembly.store is not None
    return house.assembly.store


async def until(check: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(SEEN_SECONDS):
        while True:
            found = check()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


def refreshes(up: Running, name: str = "one") -> int:
    account = up.state.accounts.get(name)
    assert account is not None
    return len(account.retired)


def names(house: Gateway) -> list[str]:
    return list(house.assembly.fleet.accounts)


def states(house: Gateway) -> dict[str, str]:
    return {member.name: member.status for member in house.assembly.fleet.members}


async def test_accounts_come_and_go_without_a_restart(tmp_path: Path, database_url: str) -> None:
    """The demonstration ends with the first real account; each change is followed by itself."""
    async with simulated() as up:
        rows = table(up, database_url)
        async with gateway(tmp_path, rows, stored=True) as house, beside(tmp_path, rows) as store:
            shown = await ask(house)
            assert (shown.status, shown.headers.get("x-dragoman-simulated")) == (200, "true")
            await put(store, up, tmp_path, "one")
            await until(lambda: names(house) == ["one"])
            real = await ask(house)
            assert (real.status, "x-dragoman-simulated" in real.headers) == (200, False)
            await intake(store).key(
                AccountSpec("paid", "openai", f"{up.url}/v1"), Credentials("sk-sim-default"), time.time()
            )
            await until(lambda: names(house) == ["one", "paid"])
            await store.accounts.pause("one")
            await until(lambda: states(house) == {"one": "paused", "paid": "active"})
            assert (await ask(house)).status == 200
            await store.accounts.remove("paid")
            await until(lambda: names(house) == ["one"])
            assert (await ask(house)).status >= 400
            await store.accounts.resume("one")
            await until(lambda: states(house) == {"one": "active"})
            assert (await ask(house)).status == 200
            await house.row(5)
    assert [row.account for row in house.rows] == ["simulated", "one", "paid", "", "one"]


async def test_the_file_comes_first_and_wins(tmp_path: Path, database_url: str) -> None:
    """One account that stands in both is the file's, and the log says so; names are never doubled."""
    async with simulated() as up:
        rows = table(up, database_url, {**KEY, "base_url": f"{up.url}/v1"})
        async with beside(tmp_path, rows) as store:
            await put(store, up, tmp_path, "one")
            same = Credentials("sk-sim-default")
            spec = AccountSpec("again", "openai", f"{up.url}/v1")
            await intake(store).key(spec, same, time.time())
            named = Credentials("sk-another")
            await intake(store).key(AccountSpec("spare", "openai", f"{up.url}/v1"), named, time.time())
        async with gateway(tmp_path, rows, stored=True) as house:
            assert names(house) == ["spare", "one"]
            assert (await ask(house)).status == 200
            log = house.log.getvalue()
    told = [json.loads(line) for line in log.splitlines() if "account_twice" in line]
    assert {(line["account"], line["configured"]) for line in told} == {
        ("again", "spare"),
        ("spare", "spare"),
    }


async def test_a_version_moves_with_a_login_and_with_an_operator_not_with_a_refresh(
    tmp_path: Path, database_url: str
) -> None:
    async with simulated() as up:
        rows = table(up, database_url)
        async with gateway(tmp_path, rows, stored=True) as house, beside(tmp_path, rows) as store:
            await put(store, up, tmp_path, "one")
            await until(lambda: names(house) == ["one"])

            def version() -> int:
                return house.assembly.fleet.members[0].version

            first = version()
            up.state.accounts.put({"id": "one", "expires": 1.0})
            assert (await ask(house)).status == 200
            assert refreshes(up) == 1
            seen = (await store.accounts.get("one")).sealed
            await until(lambda: house.assembly.fleet._known["one"].sealed == seen)
            assert version() == first
            await put(store, up, tmp_path, "one", round_=2)
            await until(lambda: version() != first)
            second = version()
            await store.accounts.change(
                "one", weight=2.0, priority=1, group="team", concurrency=3, models=["gpt-5.5"]
            )
            await until(lambda: version() not in (first, second))
            (member,) = house.assembly.fleet.members
            assert (member.weight, member.priority, member.group, member.concurrency) == (2.0, 1, "team", 3)
            assert house.assembly.fleet.accounts["one"].models == frozenset({"gpt-5.5"})


async def test_200_requests_on_an_expired_token_are_one_refresh(tmp_path: Path, database_url: str) -> None:
    """B86, reliability S8: an account of the store, its token over; nobody notices, one refresh is made."""
    async with simulated() as up:
        rows = table(up, database_url)
        async with beside(tmp_path, rows) as store:
            await put(store, up, tmp_path, "one", exp=1_000_000_000)
        async with gateway(tmp_path, rows, stored=True) as house:
            replies = await asyncio.gather(*(ask(house, f"Number {n}") for n in range(200)))
            kept = await own(house).accounts.get("one")
            content = own(house).accounts.opened(kept)
            told = house.log.getvalue()
        account = up.state.accounts.get("one")
        assert account is not None
        assert refreshes(up) == 1
        assert (content.access_token, content.refresh_token) == (account.access, account.refresh)
        secrets = [account.access, account.refresh, "rt-one", logins.document("one", exp=1_000_000_000)]
        assert not any(str(secret) in told for secret in secrets)
    assert {reply.status for reply in replies} == {200}


async def test_a_login_that_is_over_is_told_and_a_new_one_brings_it_back(
    tmp_path: Path, database_url: str
) -> None:
    """The state stands in the store with its reason; nothing is asked of the issuer again until there is
    another login, also not by a process that is started later."""
    async with simulated([{"match": {"nth": 1}, "preset": "401_revoked"}]) as up:
        rows = table(up, database_url)
        async with beside(tmp_path, rows) as store:
            await put(store, up, tmp_path, "one")
        async with gateway(tmp_path, rows, stored=True) as house, beside(tmp_path, rows) as store:
            assert (await ask(house)).status == 502

            async def is_over() -> bool:
                return (await store.accounts.get("one")).status == "needs_login"

            await until(is_over)
            assert (await store.accounts.get("one")).note
            await until(lambda: states(house) == {"one": "needs_login"})
        calls = logins.counted(up)
        async with gateway(tmp_path, rows, stored=True) as house, beside(tmp_path, rows) as store:
            assert states(house) == {"one": "needs_login"}
            assert (await ask(house)).status == 502
            assert calls == []
            up.state.accounts.put({"id": "one", "revoked": False, "refresh_fails": ""})
            await put(store, up, tmp_path, "one", round_=2)
            await until(lambda: states(house) == {"one": "active"})
            assert (await ask(house)).status == 200


async def test_an_account_that_was_closed_is_told_in_the_store(tmp_path: Path, database_url: str) -> None:
    """What the upstream says for good lasts: for the list, for a restart, for other processes."""
    async with simulated([{"match": {"account": "one"}, "preset": "403_deactivated"}]) as up:
        rows = table(up, database_url)
        async with beside(tmp_path, rows) as store:
            await put(store, up, tmp_path, "one")
        async with gateway(tmp_path, rows, stored=True) as house, beside(tmp_path, rows) as store:
            assert (await ask(house)).status == 502
            await until(lambda: states(house) == {"one": "dead"})
            assert (await store.accounts.get("one")).note == "The upstream says that this account is closed."
        async with gateway(tmp_path, rows, stored=True) as house:
            assert states(house) == {"one": "dead"}
            up.state.load([])
            up.state.accounts.put({"id": "one", "deactivated": False})
            assert (await ask(house)).status == 502
            await put(own(house), up, tmp_path, "one", round_=2)
            await until(lambda: states(house) == {"one": "active"})
            assert (await ask(house)).status == 200


async def test_an_account_is_renewed_ahead_of_its_end(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the background, without any request, and durable."""
    from dragoman.upstream import refresh

    monkeypatch.setattr(refresh, "LOOK_SECONDS", 0.05)
    async with simulated() as up:
        rows = table(up, database_url)
        async with gateway(tmp_path, rows, stored=True), beside(tmp_path, rows) as store:
            await put(store, up, tmp_path, "one", exp=time.time() + 60)

            async def renewed() -> bool:
                return (await store.accounts.get("one")).access_expires_at > time.time() + 3600  # type: ignore[operator]

            await until(renewed)
            assert refreshes(up) == 1


async def test_what_ends_soon_after_a_start_is_renewed_at_once(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dragoman.upstream import refresh

    monkeypatch.setattr(refresh, "LOOK_SECONDS", 3600.0)
    async with simulated() as up:
        rows = table(up, database_url)
        async with beside(tmp_path, rows) as store:
            await put(store, up, tmp_path, "one", exp=time.time() + 60)
        async with gateway(tmp_path, rows, stored=True):

            async def renewed() -> bool:
                return refreshes(up) > 0

            await until(renewed)
            assert refreshes(up) == 1


async def test_credentials_that_no_key_opens_are_one_log_line(tmp_path: Path, database_url: str) -> None:
    async with simulated() as up:
        rows = table(up, database_url)
        async with beside(tmp_path, rows) as store:
            await put(store, up, tmp_path, "one")
            from dragoman.store.ring import Ring

            foreign = Accounts(store.database, Ring(["another secret"]), store.facts.pepper)
            spec = AccountSpec("odd", "openai", f"{up.url}/v1")
            await foreign.add(spec, Credentials("sk-sim-default"), time.time())
        async with gateway(tmp_path, rows, stored=True) as house:
            assert names(house) == ["one"]
            assert (await ask(house)).status == 200
            assert house.log.getvalue().count("account_unreadable") == 1
