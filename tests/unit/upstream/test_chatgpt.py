"""How a ChatGPT account is called, its side pages, and roads that change under way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from dragoman.gateway.ports import UpstreamError
from dragoman.simulator import server
from dragoman.simulator.server import Running
from dragoman.simulator.state import State
from dragoman.translate.messages.failure import Cause
from dragoman.upstream.authfile import Login, login_of
from dragoman.upstream.calls import Calls
from dragoman.upstream.chatgpt import Backend, Presented, dressing
from dragoman.upstream.memory import MemoryTokens
from dragoman.upstream.oauth import Issuer
from dragoman.upstream.refresh import TokenKeeper
from dragoman.upstream.roads import LiveRoads, Road
from tests.support.logins import FAR, jwt

LOGIN = login_of(jwt(FAR, jti="one"), "rt-one", None, account_id="acct-1")


def test_the_headers_are_those_of_the_backend_and_name_no_account_that_has_no_id() -> None:
    dress = dressing(Presented("dragoman", "1.2.3", "9"))
    road = dress("one", "http://host/backend-api", LOGIN)
    assert str(road.target) == "http://host/backend-api/codex/responses"
    assert road.count is None
    assert dict(road.headers) == {
        "authorization": f"Bearer {LOGIN.access_token}",
        "chatgpt-account-id": "acct-1",
        "originator": "dragoman",
        "version": "1.2.3",
    }
    assert LOGIN.access_token not in repr(road)
    unnamed = login_of("opaque", "rt", jwt(FAR, email="a@example.com"))
    assert "chatgpt-account-id" not in dress("two", "http://host", unnamed).headers
    assert dress("two", "http://host", unnamed).pool != road.pool


@dataclass
class Place:
    running: Running
    roads: LiveRoads
    backend: Backend
    keeper: TokenKeeper
    calls: Calls
    pauses: list[float]

    def scripted(self, *rules: dict[str, Any]) -> None:
        self.running.state.load(list(rules))


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    running = await server.start("127.0.0.1", 0, state=State({"strict_keys": True}))
    running.state.accounts.put(
        {"id": "acct-1", "kind": "codex", "access": LOGIN.access_token, "refresh": "rt-one"}
    )
    calls, store = Calls(user_agent="dragoman/test"), MemoryTokens()
    now = running.state.clock.now
    keeper = TokenKeeper(
        Issuer(calls, running.url, "app_x", now), store, now=now, monotonic=now, jitter=lambda: 0.0
    )
    presented = Presented("dragoman", "1.2.3")
    roads = LiveRoads(keeper, dressing(presented))
    store.put("one", LOGIN)
    roads.put_login("one", f"{running.url}/backend-api", LOGIN)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    try:
        yield Place(
            running, roads, Backend(calls, roads, presented, now=now, sleep=sleep), keeper, calls, pauses
        )
    finally:
        await keeper.stop()
        await calls.close()
        await running.close()


async def test_usage_comes_as_it_is() -> None:
    async with place() as here:
        page = await here.backend.fetch_usage("one")
    assert page.document is not None
    assert page.document["plan_type"] == "plus"
    assert page.document["rate_limit"]["primary_window"]["limit_window_seconds"] == 18_000
    assert page.headers["x-codex-plan-type"] == "plus"


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_busy_backend_is_asked_twice_more(status: int) -> None:
    fault = {"kind": "http", "status": status, "body": {"detail": "busy"}}
    rule = {"match": {"endpoint": "usage"}, "fault": fault}
    async with place() as here:
        here.scripted({**rule, "times": 2})
        assert (await here.backend.fetch_usage("one")).document is not None
        assert here.pauses == [0.5, 2.0]
        here.scripted(rule)
        with pytest.raises(UpstreamError):
            await here.backend.fetch_usage("one")
        assert len(here.pauses) == 4


async def test_what_will_not_change_is_not_asked_again() -> None:
    fault = {"kind": "http", "status": 403, "body": {"error": {"code": "account_deactivated"}}}
    async with place() as here:
        here.scripted({"match": {"endpoint": "usage"}, "fault": fault})
        with pytest.raises(UpstreamError) as caught:
            await here.backend.fetch_usage("one")
        assert here.pauses == []
    assert caught.value.failure.cause is Cause.DEAD


async def test_the_catalogue_is_asked_for_with_the_version_and_its_etag() -> None:
    fault = {"kind": "http", "status": 304, "body": {}}
    async with place() as here:
        page = await here.backend.fetch_models("one")
        assert page.document is not None
        assert "gpt-5.5" in {row["slug"] for row in page.document["models"]}
        assert page.etag
        here.scripted(
            {"match": {"endpoint": "models", "headers": {"if-none-match": "simul"}}, "fault": fault}
        )
        same = await here.backend.fetch_models("one", page.etag)
        assert (same.document, same.etag) == (None, page.etag)
        here.scripted({"match": {"endpoint": "models"}, "fault": {**fault, "status": 200}})
        with pytest.raises(UpstreamError) as caught:
            await here.backend.fetch_models("one")
    assert caught.value.failure.cause is Cause.PROTOCOL


async def test_a_side_page_renews_an_ended_token_once() -> None:
    async with place() as here:
        here.running.state.accounts.put({"id": "acct-1", "expires": 1.0})
        assert (await here.backend.fetch_usage("one")).document is not None
        account = here.running.state.accounts.get("acct-1")
        assert account is not None and account.retired == ["rt-one"]


async def test_accounts_come_and_go_while_roads_are_asked() -> None:
    async with place() as here:
        first = here.roads.get("one")
        assert first is not None and first is here.roads.get("one")
        renewed = await here.roads.renewed("one", first)
        assert renewed is not None and renewed.token != first.token
        assert here.roads.get("one") is renewed
        here.roads.put_login("one", "http://elsewhere", LOGIN)
        moved = here.roads.get("one")
        assert moved is not None and moved.url == "http://elsewhere"
        here.roads.put("key", Road("http://host/v1", {"authorization": "Bearer sk"}))
        keyed = here.roads.get("key")
        assert keyed is not None and keyed.token is None
        assert await here.roads.renewed("key", keyed) is None
        here.roads.hopeless("key", keyed)
        for name in ("one", "key", "never"):
            here.roads.remove(name)
            assert here.roads.get(name) is None
            with pytest.raises(UpstreamError, match="no longer here"):
                await here.roads.ready(name)
        assert await here.roads.renewed("one", first) is None


async def test_an_account_whose_login_is_over_fails_as_such() -> None:
    async with place() as here:
        here.running.state.accounts.put(
            {"id": "acct-1", "expires": 1.0, "refresh_fails": "refresh_token_expired"}
        )
        with pytest.raises(UpstreamError) as caught:
            await here.backend.fetch_usage("one")
        assert caught.value.failure.cause is Cause.LOGIN
        with pytest.raises(UpstreamError) as again:
            await here.roads.ready("one")
        assert again.value.failure.cause is Cause.LOGIN


async def test_an_issuer_that_is_away_is_no_fault_of_the_login() -> None:
    old: Login = login_of(jwt(1.0), "rt-one", None, account_id="acct-1")
    async with place() as here:
        # What listens there is no issuer at all.
        here.keeper._issuer = Issuer(here.calls, f"{here.running.url}/v1", "x", lambda: 0.0)
        here.roads.put_login("two", f"{here.running.url}/backend-api", old)
        with pytest.raises(UpstreamError) as caught:
            await here.roads.ready("two")
    assert caught.value.failure.cause is Cause.TRANSPORT
    assert "chatgpt.issuer" in caught.value.failure.message
