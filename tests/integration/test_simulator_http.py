"""The simulator over a real loopback connection: doors, refusals, side endpoints, admin."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import zstandard

from dragoman.simulator.schema import schemas
from dragoman.simulator.server import Running, start
from dragoman.simulator.state import State
from tests.support.simulated import (
    call,
    check_event,
    codex_request,
    events_of,
    oracle,
    output,
    request,
    text_of_tokens,
    tool,
    user,
)

BEARER = {"authorization": "Bearer sk-test"}
CODEX = "/backend-api/codex/responses"


class Client:
    """A client of one running simulator."""

    def __init__(self, running: Running, session: aiohttp.ClientSession) -> None:
        self.running = running
        self.session = session

    @property
    def state(self) -> State:
        return self.running.state

    async def send(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        fields = {**BEARER, **{name.replace("_", "-"): value for name, value in headers.items()}}
        kind = "data" if isinstance(body, bytes) else "json"
        given = {} if body is None else {kind: body}
        async with self.session.request(method, self.running.url + path, headers=fields, **given) as answer:
            lowered = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, lowered, await answer.read()

    async def post(
        self, body: Any, path: str = "/v1/responses", **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        status, fields, raw = await self.send("POST", path, body, **headers)
        return status, fields, json.loads(raw) if "json" in fields["content-type"] else raw

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        status, _, raw = await self.send("GET", path, **headers)
        return status, json.loads(raw)

    async def stream(self, body: Any, path: str = "/v1/responses", **headers: str) -> list[dict[str, Any]]:
        status, fields, raw = await self.send("POST", path, body, **headers)
        assert (status, fields["content-type"]) == (200, "text/event-stream")
        return events_of(raw)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    running = await start("127.0.0.1", 0, state=State({"speed": 0}))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as session:
        yield Client(running, session)
    await running.close()


async def test_a_stream_of_the_public_flavour(client: Client) -> None:
    events = await client.stream(request(user("hello"), reasoning={"summary": "auto"}))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        check_event(event)
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"][0]["summary"]


async def test_a_stream_of_the_codex_flavour(client: Client) -> None:
    status, fields, raw = await client.post(codex_request(user("hello")), CODEX, session_id="s1")
    assert status == 200
    assert fields["x-codex-primary-window-minutes"] == "300"
    assert fields["x-codex-turn-state"]
    assert set(events_of(raw)[-1]["response"]) == {"id", "usage", "end_turn"}


async def test_a_plain_answer_equals_its_stream(client: Client) -> None:
    rule = {"steps": [{"reasoning": {"tokens": 5, "sealed": False}}, {"message": "same words"}]}
    client.state.load([rule])
    status, fields, plain = await client.post(request(stream=False))
    assert (status, fields["x-request-id"][:4]) == (200, "req_")
    oracle("Response").validate(plain)
    streamed = (await client.stream(request()))[-1]["response"]
    assert [item["type"] for item in plain["output"]] == [item["type"] for item in streamed["output"]]
    assert plain["usage"] == streamed["usage"]


@pytest.mark.parametrize(
    ("terminal", "status", "code"),
    [
        ({"failed": {"code": "rate_limit_exceeded", "message": "wait"}}, 429, "rate_limit_exceeded"),
        ({"failed": {"code": "context_length_exceeded"}}, 400, "context_length_exceeded"),
        ("error_event", 500, "server_error"),
    ],
)
async def test_a_plain_answer_that_fails_is_a_status(
    client: Client, terminal: Any, status: int, code: str
) -> None:
    client.state.load([{"terminal": terminal}])
    got, _, body = await client.post(request(stream=False))
    assert (got, body["error"]["code"]) == (status, code)


async def test_a_background_response_is_queued_and_kept(client: Client) -> None:
    _, _, queued = await client.post(request(stream=False, background=True, store=True))
    assert queued["status"] == "queued"
    status, kept = await client.get(f"/v1/responses/{queued['id']}")
    assert (status, kept["status"]) == (200, "completed")


async def test_stored_responses_can_be_read_continued_and_deleted(client: Client) -> None:
    _, _, first = await client.post(request(user("hello"), stream=False, store=True))
    _, page = await client.get(f"/v1/responses/{first['id']}/input_items")
    assert [item["role"] for item in page["data"]] == ["user"]
    body = request(user("more"), stream=False, store=True, previous_response_id=first["id"])
    _, _, second = await client.post(body)
    assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"]
    status, _, _ = await client.post(None, f"/v1/responses/{first['id']}/cancel")
    assert status == 200
    status, _, raw = await client.send("DELETE", f"/v1/responses/{first['id']}")
    assert (status, json.loads(raw)["deleted"]) == (200, True)
    assert (await client.get(f"/v1/responses/{first['id']}"))[0] == 404
    assert (await client.get(f"/v1/responses/{second['id']}", authorization="Bearer other"))[0] == 404


@pytest.mark.parametrize(
    ("coding", "squeeze"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.ZstdCompressor().compress)],
)
async def test_compressed_requests_are_read(client: Client, coding: str, squeeze: Any) -> None:
    raw = squeeze(json.dumps(request(stream=False)).encode())
    status, _, _ = await client.post(raw, content_type="application/json", content_encoding=coding)
    assert status == 200
    _, shown = await client.get("/__sim/requests")
    assert json.loads(shown["requests"][0]["body"])["model"] == "gpt-5.5"
    assert shown["requests"][0]["raw_base64"]


@pytest.mark.parametrize(
    ("raw", "headers", "rule"),
    [
        (b"{}", {"content_encoding": "br"}, "content_encoding"),
        (b"not gzip", {"content_encoding": "gzip"}, "content_encoding"),
        (b"not deflate", {"content_encoding": "deflate"}, "content_encoding"),
        (b"not zstd", {"content_encoding": "zstd"}, "content_encoding"),
        (b"{}", {"content_type": "text/plain"}, "content_type"),
        (b'{"a":NaN}', {}, "json"),
        (b"", {}, "json"),
        (b"[]", {}, "body"),
    ],
)
async def test_unreadable_bodies_are_breaches(
    client: Client, raw: bytes, headers: dict[str, str], rule: str
) -> None:
    status, _, body = await client.post(raw, **{"content_type": "application/json", **headers})
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert client.state.report()["breaches_by_rule"] == {rule: 1}


async def test_a_breach_is_refused_listed_and_logged(client: Client) -> None:
    status, fields, body = await client.post(request(user("a", cache_control={})))
    assert (status, body["error"]["param"]) == (400, "input[0].content[0].cache_control")
    assert fields["x-request-id"]
    await client.post(codex_request(temperature=1), CODEX)
    _, report = await client.get("/__sim/report")
    assert report["breaches_by_rule"] == {"cache_control": 1, "unsupported_parameter": 1}
    assert [row["n"] for row in report["breach_list"]] == [1, 2]
    _, log = await client.get("/__sim/requests?since=1")
    assert [(row["status"], row["breach"], row["ended"]) for row in log["requests"]] == [
        (400, "unsupported_parameter", "refused")
    ]


async def test_headers_of_the_client_are_noted_without_refusal(client: Client) -> None:
    status, _, _ = await client.post(request(stream=False), x_api_key="k", anthropic_version="2023-06-01")
    assert status == 200
    await client.get("/v1/models", x_claude_code_session_id="s")
    report = client.state.report()
    assert report["forbidden_headers"] == {
        "x-api-key": 1,
        "anthropic-version": 1,
        "x-claude-code-session-id": 1,
    }
    assert report["breaches_by_rule"] == {"forbidden_header": 3}


async def test_scripted_and_account_refusals_are_no_breaches(client: Client) -> None:
    client.state.load([{"preset": "429_rate_limit", "times": 1}, {"preset": "502_html", "times": 1}])
    status, fields, _ = await client.post(request())
    assert (status, fields["retry-after"]) == (429, "2")
    status, fields, raw = await client.post(request())
    assert (status, fields["content-type"]) == (502, "text/html; charset=UTF-8")
    assert raw.startswith(b"<!DOCTYPE html>")
    status, _, _ = await client.post(request(model="claude-x"))
    assert status == 404
    status, _, _ = await client.post(request(), authorization="")
    assert status == 401
    assert client.state.report()["breaches"] == 0


async def test_input_tokens_are_those_of_the_real_request(client: Client) -> None:
    counted = {"model": "gpt-5.5", "input": [user("hello"), call("c"), output("c")], "tools": [tool()]}
    _, _, body = await client.post(counted, "/v1/responses/input_tokens")
    oracle("TokenCountsResource").validate(body)
    _, _, answer = await client.post({**request(stream=False), **counted})
    assert body["input_tokens"] == answer["usage"]["input_tokens"]
    status, _, _ = await client.post({**counted, "bogus": 1}, "/v1/responses/input_tokens")
    assert status == 400


@pytest.mark.parametrize("path", ["/v1/responses/compact", f"{CODEX}/compact"])
async def test_a_compaction_keeps_the_users_words_and_can_be_replayed(client: Client, path: str) -> None:
    items = [user("hello"), {"role": "user", "content": "plain"}, call("c"), output("c")]
    _, _, body = await client.post({"model": "gpt-5.5", "input": items}, path)
    schemas().check("CompactResource", {**body, "output": []})
    assert [item["type"] for item in body["output"]] == ["message", "message", "compaction"]
    sealed = body["output"][-1]
    follow = codex_request if "backend" in path else request
    where = CODEX if "backend" in path else "/v1/responses"
    events = await client.stream(follow(sealed, user("go on")), where)
    assert events[-1]["type"] == "response.completed"


async def test_model_lists(client: Client) -> None:
    status, listed = await client.get("/v1/models")
    assert status == 200
    oracle("ListModelsResponse").validate(listed)
    assert (await client.get("/v1/models/gpt-5.5"))[1]["id"] == "gpt-5.5"
    assert (await client.get("/v1/models/none"))[0] == 404
    _, catalogue = await client.get("/backend-api/codex/models?client_version=0.169.0")
    assert catalogue["models"][0]["slug"] == "gpt-5.6-sol"
    _, page = await client.get("/backend-api/wham/usage")
    assert page["rate_limit"]["primary_window"]["limit_window_seconds"] == 18_000


@pytest.mark.parametrize(
    ("endpoint", "method", "path"),
    [
        ("models", "GET", "/v1/models"),
        ("models", "GET", "/backend-api/codex/models"),
        ("usage", "GET", "/backend-api/wham/usage"),
        ("input_tokens", "POST", "/v1/responses/input_tokens"),
        ("compact", "POST", "/v1/responses/compact"),
    ],
)
async def test_side_endpoints_can_be_scripted(client: Client, endpoint: str, method: str, path: str) -> None:
    body = {"model": "gpt-5.5", "input": "x"} if method == "POST" else None
    match = {"endpoint": endpoint}
    tries = 2 if method == "GET" else 1  # aiohttp repeats a GET by itself when the connection broke
    client.state.load(
        [
            {"match": match, "preset": "503_overloaded", "times": 1},
            {"match": match, "fault": {"kind": "http", "status": 418}, "times": 1},
            {"match": match, "fault": "rst", "times": tries},
            {"match": match, "fault": "disconnect", "times": tries},
            {"match": match, "fault": {"kind": "slow_headers", "seconds": 0.01}, "times": 1},
            {"match": match, "preset": "failed_midstream_server_error", "times": 1},
        ]
    )
    statuses: list[int | str] = []
    for _ in range(7):
        try:
            statuses.append((await client.send(method, path, body))[0])
        except aiohttp.ClientError:
            statuses.append("gone")
    assert statuses == [503, 418, "gone", "gone", 200, 200, 200]


async def test_wrong_paths_and_methods_are_json(client: Client) -> None:
    status, body = await client.get("/v1/nothing")
    assert (status, body["error"]["message"]) == (404, "Invalid URL (GET /v1/nothing)")
    status, body = await client.get("/backend-api/nothing")
    assert (status, body) == (404, {"detail": "Not Found"})
    status, _, raw = await client.send("PUT", "/v1/responses", {})
    assert (status, json.loads(raw)["error"]["type"]) == (405, "invalid_request_error")
    status, body = await client.get("/v1/responses")
    assert status == 405


async def test_a_body_over_the_limit_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from dragoman.simulator import server

    monkeypatch.setattr(server, "MAX_BODY", 1000)
    running = await start("127.0.0.1", 0)
    small = Client(running, client.session)
    status, _, body = await small.post(request(user("x" * 2000)))
    assert (status, body["error"]["message"]) == (413, "Request body is too large.")
    await running.close()


async def test_the_limits_of_an_account_show_on_every_answer(client: Client) -> None:
    await client.post({"id": "x", "key": "sk-test", "rpm": 2}, "/__sim/accounts")
    await client.post({"freeze": True}, "/__sim/clock")
    left = []
    for _ in range(3):
        status, fields, _ = await client.post(request(stream=False))
        left.append((status, fields["x-ratelimit-remaining-requests"]))
    assert left == [(200, "1"), (200, "0"), (429, "0")]
    await client.post({"advance": 30}, "/__sim/clock")
    assert (await client.post(request(stream=False)))[0] == 200


async def test_codex_usage_fills_its_windows(client: Client) -> None:
    account = {
        "id": "acc",
        "kind": "codex",
        "access": "sk-test",
        "primary_quota": 5000,
        "secondary_quota": 100000,
    }
    await client.post(account, "/__sim/accounts")
    seen = []
    for _ in range(3):
        status, fields, _ = await client.post(codex_request(user(text_of_tokens(3000))), CODEX)
        seen.append((status, float(fields["x-codex-primary-used-percent"])))
    assert seen[0] == (200, 0.0)
    assert seen[1][0] == 200 and 60 < seen[1][1] < 70
    assert seen[2] == (429, 100.0)
    await client.post({"advance": 18_000}, "/__sim/clock")
    assert (await client.post(codex_request(), CODEX))[0] == 200


async def test_admin_clock_switches_cache_and_reset(client: Client) -> None:
    status, body = await client.get("/__sim/healthz")
    assert (status, body["simulated"]) == (200, True)
    _, _, now = await client.post({"freeze": True}, "/__sim/clock")
    _, _, later = await client.post({"advance": 600}, "/__sim/clock")
    assert later["now"] - now["now"] == 600
    _, _, thawed = await client.post({"freeze": False}, "/__sim/clock")
    assert thawed["frozen"] is False
    _, _, switched = await client.post({"floor": "none"}, "/__sim/switches")
    assert switched["floor"] == "none"
    assert (await client.get("/__sim/switches"))[1]["floor"] == "none"
    await client.post(request(user(text_of_tokens(2000))))
    _, census = await client.get("/__sim/cache")
    assert sum(row["entries"] for rows in census.values() for row in rows) == 15
    assert (await client.post({"evict_now": True}, "/__sim/cache"))[2] == {"evicted": True}
    assert (await client.get("/__sim/cache"))[1] == {}
    _, accounts = await client.get("/__sim/accounts")
    assert accounts[0]["id"] == "default"
    _, _, done = await client.post({"only": ["log"]}, "/__sim/reset")
    assert done == {"reset": ["log"]}
    assert (await client.get("/__sim/requests"))[1]["requests"] == []
    assert (await client.post(None, "/__sim/reset"))[2]["reset"]


async def test_admin_scenario(client: Client) -> None:
    _, _, loaded = await client.post([{"steps": [{"message": "scripted"}]}], "/__sim/scenario")
    assert loaded == {"rules": 1}
    events = await client.stream(request())
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "scripted"
    assert (await client.get("/__sim/scenario"))[1]["rules"] == [{"steps": [{"message": "scripted"}]}]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("scenario", [{"mach": 1}], "no key 'mach'"),
        ("scenario", b"{", "unexpected end"),
        ("accounts", {"id": 5}, "needs an 'id'"),
        ("accounts", ["x"], "must be an object"),
        ("switches", {"sped": 1}, "no switch named 'sped'"),
        ("switches", [], "must be an object"),
        ("clock", {"advance": "much"}, "advance: seconds"),
        ("clock", {"advance": -1}, "only goes forward"),
        ("clock", {"set": 1}, "no key 'set'"),
        ("cache", {}, "evict_now"),
        ("reset", {"only": ["x"]}, "nothing named 'x'"),
        ("reset", {"all": True}, "only: a list of"),
    ],
)
async def test_admin_mistakes_are_answered_in_words(client: Client, path: str, body: Any, words: str) -> None:
    status, _, answer = await client.post(body, f"/__sim/{path}")
    assert status == 400
    assert words in answer["error"]
    assert (await client.get("/__sim/requests?since=x"))[0] == 400


async def test_log_in_and_refresh_over_http(client: Client) -> None:
    url = client.running.url
    query = {
        "response_type": "code",
        "redirect_uri": "http://localhost/cb",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "state": "s",
        "account": "mine",
    }
    async with client.session.get(f"{url}/oauth/authorize", params=query, allow_redirects=False) as answer:
        assert answer.status == 302
        code = answer.headers["location"].partition("code=")[2].partition("&")[0]
    async with client.session.get(f"{url}/oauth/authorize") as answer:
        assert answer.status == 400
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "redirect_uri": "http://localhost/cb",
    }
    async with client.session.post(f"{url}/oauth/token", data=form) as answer:
        tokens = await answer.json()
    _, _, fresh = await client.post(
        {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, "/oauth/token"
    )
    bearer = f"Bearer {fresh['access_token']}"
    status, _, _ = await client.post(codex_request(), CODEX, authorization=bearer)
    assert status == 200
    assert client.state.log.records[-1].account == "mine"
    await client.post({"advance": 11 * 86_400}, "/__sim/clock")
    status, _, body = await client.post(codex_request(), CODEX, authorization=bearer)
    assert (status, body["error"]["code"]) == (401, "token_expired")
    for raw in (b"not json", b"[1]"):
        status, _, _ = await client.post(raw, "/oauth/token", content_type="application/json")
        assert status == 400


async def test_device_log_in_over_http(client: Client) -> None:
    base = "/api/accounts/deviceauth"
    _, _, begun = await client.post({"client_id": "app"}, f"{base}/usercode")
    poll = {"device_auth_id": begun["device_auth_id"], "user_code": begun["user_code"]}
    assert (await client.post(poll, f"{base}/token"))[0] == 403
    status, _, granted = await client.post(poll, f"{base}/token")
    assert (status, set(granted)) == (200, {"authorization_code", "code_verifier"})
    status, _, raw = await client.send("GET", "/codex/device")
    assert (status, b"Simulated" in raw) == (200, True)


async def test_many_streams_at_once(client: Client) -> None:
    client.state.load([{"steps": [{"message": {"text": "word " * 2000}}]}])
    answers = await asyncio.gather(*(client.stream(request(user(str(n)))) for n in range(20)))
    assert all(events[-1]["type"] == "response.completed" for events in answers)
    assert client.state.log.active == 0
    assert client.state.log.most_active > 1
