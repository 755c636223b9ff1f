"""How upstreams are reached: certificates, proxies, redirects."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from dragoman.gateway.ports import Account, UpstreamError
from dragoman.translate.messages.failure import Cause
from dragoman.upstream import client as client_module
from dragoman.upstream.client import HttpUpstream
from dragoman.upstream.roads import Road
from tests.support.upstream import Talk, Upstream, status, upstream

CERTIFICATE = Path(__file__).parent.parent / "fixtures" / "localhost.pem"
ACCOUNT = Account("a", "openai", "tag")


async def ask(client: HttpUpstream) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with client.open(ACCOUNT, b"{}", {}) as answer:
        async for events in answer.events():
            found += events
        answer.complete = True
    return found


def reach(url: str, **more: Any) -> HttpUpstream:
    road = Road(url, {"authorization": "Bearer sk-x"})
    return HttpUpstream({"a": road}, user_agent="dragoman/test", connect_seconds=20, **more)


async def test_a_ca_file_is_trusted_and_nothing_else() -> None:
    one = Upstream()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_suffix(".key"))
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        trusting = reach(f"https://localhost:{port}/v1", ca_file=str(CERTIFICATE))
        assert (await ask(trusting))[-1]["type"] == "response.completed"
        await trusting.close()
        careful = reach(f"https://localhost:{port}/v1")
        with pytest.raises(UpstreamError) as caught:
            await ask(careful)
        assert caught.value.failure.cause is Cause.TRANSPORT
        await careful.close()
    finally:
        server.close()


async def test_the_environments_proxy_is_obeyed_except_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream() as proxy, upstream() as local:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "direct.invalid")
        through = reach("http://model.invalid/v1")
        assert (await ask(through))[-1]["type"] == "response.completed"
        assert proxy.seen[0].path == "http://model.invalid/v1/responses"
        await through.close()

        loopback = reach(local.url)
        await ask(loopback)
        assert len(local.seen) == 1
        assert len(proxy.seen) == 1
        await loopback.close()

        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")  # as curl takes it
        bare = reach("http://model.invalid/v1")
        assert (await ask(bare))[-1]["type"] == "response.completed"
        proxy.seen.pop()
        await bare.close()

        excepted = reach("http://direct.invalid/v1")
        with pytest.raises(UpstreamError):
            await ask(excepted)
        assert len(proxy.seen) == 1
        await excepted.close()


async def test_a_redirect_is_not_followed() -> None:
    """Credentials stay with the address they were given for."""
    async with upstream() as one, upstream() as canary:
        one.play(status(307, {}, {"location": f"{canary.url}/responses"}))
        client = reach(one.url)
        with pytest.raises(UpstreamError):
            await ask(client)
        await client.close()
        assert canary.seen == []


class Renewing:
    """Roads of one account whose token can be renewed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.given: list[str] = []

    def get(self, name: str) -> Road:
        return Road(self.url, {"authorization": "Bearer old"}, token="old")

    async def ready(self, name: str) -> Road:
        raise AssertionError("it is there at once")

    async def renewed(self, name: str, road: Road) -> Road:
        return Road(self.url, {"authorization": "Bearer new"}, token="new")

    def hopeless(self, name: str, road: Road) -> None:
        self.given.append(road.token or "")


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("app_session_terminated", Cause.LOGIN),
        ("account_session_expired", Cause.LOGIN),
        ("account_auth_invalidated", Cause.LOGIN),
        ("token_invalidated", Cause.LOGIN),
        ("token_expired", Cause.CREDENTIALS),
        ("invalid_api_key", Cause.CREDENTIALS),
        (None, Cause.CREDENTIALS),
        ("account_deactivated", Cause.DEAD),
    ],
)
async def test_a_new_token_that_is_refused_too_ends_the_login_only_where_that_is_said(
    code: str | None, cause: Cause
) -> None:
    async with upstream() as one:
        one.play(
            status(401, {"error": {"message": "no", "code": "token_expired"}}),
            status(401, {"error": {"message": "no", "code": code}}),
        )
        roads = Renewing(one.url)
        client = HttpUpstream(roads, user_agent="dragoman/test", connect_seconds=20)
        with pytest.raises(UpstreamError) as caught:
            await ask(client)
        await client.close()
    assert (caught.value.failure.cause, caught.value.failure.status) == (cause, 401)
    assert roads.given == ([] if cause is Cause.DEAD else ["new"])
    assert [seen.headers["authorization"] for seen in one.seen] == ["Bearer old", "Bearer new"]


async def test_a_count_that_fails_is_no_error() -> None:
    async with upstream() as one:
        client = reach(one.url)
        assert await client.count(ACCOUNT, {"model": "m"}) is None  # an event stream is no count
        await client.close()
    client = reach("http://127.0.0.1:1/v1")
    assert await client.count(ACCOUNT, {"model": "m"}) is None
    await client.close()


async def test_a_count_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "COUNT_SECONDS", 0.05)
    async with upstream(Talk.until_gone) as one:
        client = reach(one.url)
        assert await client.count(ACCOUNT, {"model": "m"}) is None
        assert [seen.path for seen in one.seen] == ["/v1/responses/input_tokens"]
        await client.close()
