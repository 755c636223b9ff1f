"""Who may read the metrics: the peer's address counts, never a header that names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dragoman.web.incoming import Incoming, Message
from dragoman.web.metrics import MetricsDoor, is_loopback_peer, nobody
from dragoman.wire import jsonio
from dragoman.wire.errors import Failure, Kind

NEAR = ("127.0.0.1", 50000)
FAR = ("192.0.2.7", 50000)


async def scrape(accept: str) -> tuple[bytes, str]:
    return b"figures for " + accept.encode(), "text/plain"


async def admins(headers: Mapping[str, str]) -> bool:
    return headers.get("authorization") == "Bearer admin"


def at_home(headers: Mapping[str, str]) -> Failure | None:
    if headers.get("host", "localhost") == "localhost":
        return None
    return Failure(Kind.MISDIRECTED, "not here")


async def ask(
    client: Any, headers: dict[str, str] | None = None, is_admin: Any = admins
) -> tuple[int, dict[str, str], bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    scope = {"type": "http", "client": client}
    incoming = Incoming(scope, receive, send, "/metrics", "GET", headers or {}, "req_1")
    await MetricsDoor(scrape, is_admin, at_home)(incoming)
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], fields, sent[1]["body"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
async def test_a_caller_on_this_machine_may_read(host: str) -> None:
    status, fields, body = await ask((host, 1), {"accept": "me"})
    assert (status, body) == (200, b"figures for me")
    assert fields["content-type"] == "text/plain"
    assert fields["cache-control"] == "no-store"
    assert fields["request-id"] == "req_1"


@pytest.mark.parametrize("client", [FAR, ("2001:db8::1", 1), ("::ffff:192.0.2.7", 1), ("", 0), None])
async def test_anybody_else_is_refused_in_openais_envelope(client: Any) -> None:
    status, _, body = await ask(client)
    assert status == 401
    assert jsonio.parse(body)["error"]["code"] == "invalid_api_key"
    assert "figures" not in body.decode()


@pytest.mark.parametrize(
    "field",
    ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host", "x-forwarded-proto", "via"],
)
@pytest.mark.parametrize("value", ["192.0.2.7", "127.0.0.1", ""])
async def test_what_a_proxy_relayed_is_not_from_this_machine(field: str, value: str) -> None:
    assert (await ask(NEAR, {field: value}))[0] == 401


@pytest.mark.parametrize("headers", [{"host": "127.0.0.1"}, {"x-forwarded-for": "127.0.0.1"}])
async def test_no_header_makes_a_far_caller_a_near_one(headers: dict[str, str]) -> None:
    assert (await ask(FAR, headers))[0] == 401


async def test_a_page_that_rebound_its_name_is_refused() -> None:
    assert (await ask(NEAR, {"host": "evil.example"}))[0] == 401


async def test_an_admin_token_reads_from_anywhere() -> None:
    token = {"authorization": "Bearer admin"}
    assert (await ask(FAR, token))[0] == 200
    assert (await ask(NEAR, {**token, "x-forwarded-for": "192.0.2.7"}))[0] == 200
    assert (await ask(FAR, {"authorization": "Bearer other"}))[0] == 401


async def test_without_admin_tokens_none_is_right() -> None:
    assert (await ask(FAR, {"authorization": "Bearer admin"}, nobody))[0] == 401


def test_a_peer_without_an_address_is_not_near() -> None:
    assert not is_loopback_peer({"client": ("/run/socket", 0)})
    assert not is_loopback_peer({})
