"""Log-in at the issuer: the flows against the simulator, and every way in which an answer can be none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from dragoman.simulator import server
from dragoman.simulator.server import Running
from dragoman.simulator.state import State
from dragoman.upstream.authfile import claims_of
from dragoman.upstream.calls import CallFailed, Calls, Reply
from dragoman.upstream.oauth import (
    CALLBACK,
    Device,
    Granted,
    Issuer,
    Problem,
    Trouble,
    Wait,
    challenge,
    verifier,
)

VERIFIER = verifier(bytes(range(32)))
DEVICE = Device("http://i/codex/device", "ABCD-EFGH", "dev-1", 5.0, 1000.0)


@asynccontextmanager
async def issuing() -> AsyncIterator[tuple[Running, Issuer]]:
    running = await server.start("127.0.0.1", 0, state=State({}))
    calls = Calls(user_agent="dragoman/test")
    try:
        yield running, Issuer(calls, running.url, "app_x", running.state.clock.now)
    finally:
        await calls.close()
        await running.close()


class Scripted:
    """An issuer that answers as told, and notes what it was asked."""

    def __init__(self, *answers: Reply | CallFailed) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    async def post_json(
        self, url: str, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Reply:
        return self._next("json", url, document)

    async def post_form(self, url: str, form: Mapping[str, str]) -> Reply:
        return self._next("form", url, form)

    def _next(self, kind: str, url: str, sent: Any) -> Reply:
        self.asked.append((kind, url, sent))
        answer = self.answers.pop(0)
        if isinstance(answer, CallFailed):
            raise answer
        return answer


def reply(status: int, document: Any = None) -> Reply:
    return Reply(status, {}, json.dumps(document).encode(), document)


def issuer(*answers: Reply | CallFailed, now: float = 0.0) -> tuple[Issuer, Scripted]:
    desk = Scripted(*answers)
    return Issuer(desk, "https://issuer.example/", "app_x", lambda: now), desk


def test_pkce_is_the_published_example() -> None:
    """RFC 7636, appendix B."""
    octets = [116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186]
    octets += [22, 212, 37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121]
    made = verifier(bytes(octets))
    assert made == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge(made) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    with pytest.raises(ValueError, match="32 random bytes"):
        verifier(b"short")


async def test_a_browser_login_ends_with_tokens_of_the_account() -> None:
    async with issuing() as (_, desk), aiohttp.ClientSession() as browser:
        url = desk.authorize_url("st-1", challenge(VERIFIER))
        query = parse_qs(urlsplit(url).query)
        assert query["scope"] == ["openid profile email offline_access"]
        assert query["redirect_uri"] == [CALLBACK]
        assert query["id_token_add_organizations"] == query["codex_cli_simplified_flow"] == ["true"]
        async with browser.get(f"{url}&account=acct-7", allow_redirects=False) as response:
            back = parse_qs(urlsplit(response.headers["location"]).query)
        assert back["state"] == ["st-1"]
        granted = await desk.exchange(back["code"][0], VERIFIER)
        assert isinstance(granted, Granted)
        assert claims_of(granted.id_token).account_id == "acct-7"
        again = await desk.exchange(back["code"][0], VERIFIER)
        assert isinstance(again, Problem)
        assert (again.trouble, again.code) == (Trouble.EXPIRED, "invalid_grant")
        assert "Start the login again" in again.sentence


async def test_a_refresh_gives_new_tokens_and_a_second_use_is_final() -> None:
    async with issuing() as (running, desk):
        running.state.accounts.put({"id": "a", "kind": "codex", "access": "at", "refresh": "rt-old"})
        granted = await desk.refresh("rt-old")
        assert isinstance(granted, Granted)
        assert granted.refresh_token not in (None, "rt-old")
        reused = await desk.refresh("rt-old")
        assert isinstance(reused, Problem)
        assert (reused.trouble, reused.code) == (Trouble.PERMANENT, "refresh_token_reused")
        unknown = await desk.refresh("rt-nobody")
        assert isinstance(unknown, Problem)
        assert (unknown.trouble, unknown.code) == (Trouble.PERMANENT, "invalid_grant")
        assert "rt-" not in reused.sentence + unknown.sentence + repr(granted)


async def test_a_device_login_waits_and_then_ends_with_tokens() -> None:
    async with issuing() as (_, desk):
        device = await desk.device_start()
        assert isinstance(device, Device)
        assert device.url.endswith("/codex/device")
        assert await desk.device_poll(device) == Wait(1.0)
        granted = await desk.device_poll(device)
        assert isinstance(granted, Granted)
        assert claims_of(granted.access_token).account_id == "chatgpt"
        gone = await desk.device_poll(device)
        assert gone == Wait(1.0)  # 404 is what the issuer says while it does not know yet, too


async def test_what_is_sent_has_the_issuers_own_form() -> None:
    desk, asked = issuer(*[reply(400, {"error": "x"})] * 3)
    await desk.exchange("c", "v", "http://localhost:1455/auth/callback")
    await desk.refresh("r")
    await desk.device_start()
    assert asked.asked == [
        (
            "form",
            "https://issuer.example/oauth/token",
            {
                "grant_type": "authorization_code",
                "client_id": "app_x",
                "code": "c",
                "code_verifier": "v",
                "redirect_uri": CALLBACK,
            },
        ),
        (
            "json",
            "https://issuer.example/oauth/token",
            {
                "grant_type": "refresh_token",
                "client_id": "app_x",
                "refresh_token": "r",
                "scope": "openid profile email",
            },
        ),
        ("json", "https://issuer.example/api/accounts/deviceauth/usercode", {"client_id": "app_x"}),
    ]


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (reply(400, {"error": "invalid_grant"}), Trouble.PERMANENT),
        (reply(401, {"error": {"code": "refresh_token_expired", "message": "m"}}), Trouble.PERMANENT),
        (reply(401, {"error": {"code": "refresh_token_reused"}}), Trouble.PERMANENT),
        (reply(401, {"error": {"type": "refresh_token_invalidated"}}), Trouble.PERMANENT),
        (reply(403, {"code": "account_deactivated"}), Trouble.PERMANENT),
        (reply(400, {"error": "invalid_client"}), Trouble.REFUSED),
        (reply(400, {"error": "x\r\ny" * 40}), Trouble.REFUSED),
        (reply(403), Trouble.REFUSED),
        (reply(429, {"error": "slow_down"}), Trouble.REFUSED),
        (reply(500), Trouble.REFUSED),
        (reply(503, {"error": "invalid"}), Trouble.REFUSED),
        (reply(302), Trouble.WRONG_ISSUER),
        (reply(404, {"detail": "x"}), Trouble.WRONG_ISSUER),
        (reply(405), Trouble.WRONG_ISSUER),
        (reply(200), Trouble.DOUBTFUL),
        (reply(200, []), Trouble.DOUBTFUL),
        (reply(200, {"access_token": 5}), Trouble.DOUBTFUL),
        (CallFailed("ClientConnectorError", sent=False), Trouble.NOT_SENT),
        (CallFailed("ServerDisconnectedError", sent=True), Trouble.DOUBTFUL),
        (CallFailed("no answer in time", sent=True), Trouble.DOUBTFUL),
    ],
)
async def test_every_answer_of_a_refresh_has_its_class(answer: Reply | CallFailed, trouble: Trouble) -> None:
    desk, asked = issuer(answer)
    problem = await desk.refresh("rt-secret")
    assert isinstance(problem, Problem)
    assert problem.trouble is trouble
    assert problem.sentence.endswith(".") and "\n" not in problem.sentence
    assert "rt-secret" not in repr(problem)
    assert len(asked.asked) == 1


async def test_a_login_without_refresh_token_is_none() -> None:
    desk, _ = issuer(reply(200, {"access_token": "a"}))
    problem = await desk.exchange("c", "v")
    assert isinstance(problem, Problem)
    assert "refresh token" in problem.sentence


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (reply(403, {"error": "authorization_pending"}), Wait(5.0)),
        (reply(404), Wait(5.0)),
        (reply(400, {"error": "authorization_pending"}), Wait(5.0)),
        (reply(400, {"error": {"code": "slow_down"}}), Wait(10.0)),
        (reply(200, {"status": "pending"}), Wait(5.0)),
        (reply(429), Wait(5.0)),
        (reply(502), Wait(5.0)),
        (CallFailed("ServerDisconnectedError", sent=True), Wait(5.0)),
        (reply(400, {"error": "expired_token"}), Trouble.EXPIRED),
        (reply(403, {"error": "access_denied"}), Trouble.REFUSED),
        (reply(400, {"error": "invalid_request"}), Trouble.REFUSED),
        (reply(200, {"authorization_code": "c"}), Trouble.WRONG_ISSUER),
        (reply(302), Trouble.WRONG_ISSUER),
    ],
)
async def test_every_answer_of_a_device_poll(answer: Reply | CallFailed, outcome: Wait | Trouble) -> None:
    desk, _ = issuer(answer)
    found = await desk.device_poll(DEVICE)
    assert (found.trouble if isinstance(found, Problem) else found) == outcome


async def test_a_device_login_ends_by_itself_and_may_not_be_enabled() -> None:
    late, asked = issuer(now=1000.0)
    found = await late.device_poll(DEVICE)
    assert isinstance(found, Problem) and found.trouble is Trouble.EXPIRED
    assert not asked.asked
    off, _ = issuer(reply(404, {"detail": "Not found"}))
    found_off = await off.device_start()
    assert isinstance(found_off, Problem) and found_off.trouble is Trouble.NOT_ENABLED
    assert "browser" in found_off.sentence


@pytest.mark.parametrize(
    ("fields", "interval", "ends"),
    [
        ({"interval": "7", "expires_in": 60}, 7.0, 160.0),
        ({"interval": 0, "expires_at": 400}, 1.0, 400.0),
        ({"interval": "x", "expires_at": "1970-01-01T00:05:00Z"}, 5.0, 300.0),
        ({"interval": 9999, "expires_in": -1, "expires_at": "never"}, 60.0, 1000.0),
        ({}, 5.0, 1000.0),
    ],
)
async def test_interval_and_end_of_a_device_login(
    fields: dict[str, Any], interval: float, ends: float
) -> None:
    desk, _ = issuer(reply(200, {"user_code": "U", "device_auth_id": "D", **fields}), now=100.0)
    device = await desk.device_start()
    assert isinstance(device, Device)
    assert (device.interval, device.expires_at) == (interval, ends)


# -- the wire --------------------------------------------------------------------------------------------

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(script: Script) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await script(reader, writer)
        writer.close()

    host = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{host.sockets[0].getsockname()[1]}"
    finally:
        host.close()


async def asked(url: str) -> Granted | Problem:
    calls = Calls(user_agent="dragoman/test")
    try:
        return await Issuer(calls, url, "app_x", lambda: 0.0).refresh("rt-secret")
    finally:
        await calls.close()


async def test_a_connection_that_was_never_made_is_not_sent() -> None:
    async with listening(_silent) as url:
        pass
    problem = await asked(url)
    assert isinstance(problem, Problem) and problem.trouble is Trouble.NOT_SENT


async def test_whoever_hangs_up_after_the_connection_may_have_heard() -> None:
    for script in (_hang_up_at_once, _hang_up_after_reading, _half_an_answer):
        async with listening(script) as url:
            problem = await asked(url)
        assert isinstance(problem, Problem)
        assert problem.trouble is Trouble.DOUBTFUL, script
        assert "rt-secret" not in problem.sentence


async def test_a_redirect_is_not_followed_and_cookies_are_not_kept() -> None:
    heads: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            b"HTTP/1.1 307 Moved\r\nlocation: /elsewhere\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
        )
        await writer.drain()

    async with listening(redirect) as url:
        calls = Calls(user_agent="dragoman/test")
        desk = Issuer(calls, url, "app_x", lambda: 0.0)
        for _ in range(2):
            problem = await desk.refresh("rt-secret")
            assert isinstance(problem, Problem) and problem.trouble is Trouble.WRONG_ISSUER
        await calls.close()
    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() for head in heads)


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    return


async def _hang_up_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def _hang_up_after_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def _half_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{"access_token": ')
    await writer.drain()
