"""The life of a request through the whole house: endings of our own making, rows, doors."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dragoman.web.limits import Limits
from tests.support.inprocess import gateway
from tests.support.upstream import Talk, completed, created, delta, upstream

QUESTION = {"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}


def account(url: str) -> dict[str, Any]:
    return {"name": "a", "kind": "openai", "base_url": url, "api_key": "sk-upstream"}


async def endless(talk: Talk) -> None:
    """Begins an answer and never ends it."""
    await talk.head()
    await talk.events(created(), delta("Hello"))
    await talk.until_gone()


async def test_the_drain_ends_open_streams_with_an_error_event(tmp_path: Path) -> None:
    """Beyond the drain's time an open stream ends in words, not in silence."""
    async with upstream() as up:
        up.play(endless)
        async with gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
            question = asyncio.ensure_future(house.ask())
            async with asyncio.timeout(30):
                while not up.seen:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            house.stop()
            reply = await question
        assert reply.status == 200
        assert reply.types[-1] == "error"
        assert reply.events[-1]["error"]["type"] == "overloaded_error"
        assert house.rows[0].outcome == "upstream_error"


@pytest.mark.parametrize(
    ("path", "request_", "last"),
    [
        ("/v1/messages", QUESTION, "error"),
        ("/v1/responses", {"model": "gpt-5.5", "input": "Hi"}, "response.failed"),
        ("/v1/chat/completions", {"model": "gpt-5.5", "messages": QUESTION["messages"]}, "[DONE]"),
    ],
    ids=["messages", "responses", "chat"],
)
async def test_the_drain_ends_a_stream_as_its_dialect_ends_one(
    tmp_path: Path, path: str, request_: dict[str, Any], last: str
) -> None:
    """S5: with the id of the response that had begun, and numbers that go on."""
    async with upstream() as up:
        up.play(endless)
        async with gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
            question = asyncio.ensure_future(house.post(path, {**request_, "stream": True}))
            async with asyncio.timeout(30):
                while house.assembly.house.pieces.streams != 1:
                    await asyncio.sleep(0.01)
            house.stop()
            reply = await question
    assert reply.status == 200
    if last == "[DONE]":
        assert reply.frames[-1] == b"[DONE]"
        assert reply.events[-1]["error"]["type"] == "server_error"
    else:
        assert reply.types[-1] == last
    if last == "response.failed":
        assert reply.events[-1]["response"]["id"] == "resp_1"


async def test_a_stream_is_counted_while_its_client_reads_it(tmp_path: Path) -> None:
    """For its sake large requests come in pieces; a whole answer makes nobody wait."""
    go_on = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), delta("Hello"))
        await go_on.wait()
        await talk.events(completed())
        await talk.end()

    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        pieces = house.assembly.house.pieces
        for stream, counted in ((True, 1), (False, 0)):
            go_on.clear()
            up.play(slow)
            question = asyncio.ensure_future(house.ask(stream=stream))
            async with asyncio.timeout(30):
                while pieces.streams != counted or not up.seen:
                    await asyncio.sleep(0.01)
            go_on.set()
            assert (await question).status == 200
            assert pieces.streams == 0
            up.seen.clear()


async def test_max_tokens_zero_is_answered_without_a_generation(tmp_path: Path) -> None:
    """B38: empty content, stop_reason max_tokens, nothing sent upstream."""
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        whole = await house.ask(max_tokens=0, stream=False)
        assert (whole.json["content"], whole.json["stop_reason"]) == ([], "max_tokens")
        streamed = await house.ask(max_tokens=0)
        assert streamed.types == ["message_start", "message_delta", "message_stop"]
        assert up.seen == []
        assert (await house.row()).outcome == "ok"


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/anthropic/v1/messages", "/v1/messages/count_tokens", "/messages?beta=true"]
)
async def test_malformed_json_is_the_anthropic_envelope_on_every_path(tmp_path: Path, path: str) -> None:
    """B79. behaviours E13."""
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        reply = await house.post(path, b'{"model": ')
        assert reply.status == 400
        assert reply.json["type"] == "error"
        assert reply.json["error"]["type"] == "invalid_request_error"
        assert reply.headers["request-id"] == reply.json["request_id"]
        assert up.seen == []


async def test_the_key_is_checked_before_the_body(tmp_path: Path) -> None:
    """B90, B92, D32: an unknown key is refused whatever it sends; access is judged on the requested name."""
    keys = [{"name": "laptop", "key": "sk-drg-laptop", "models": ["claude-*"]}]
    async with upstream() as up:
        table = {"accounts": [account(up.url)], "keys": keys}
        async with gateway(tmp_path, table) as house:
            assert (await house.post("/v1/messages", b"{broken")).status == 401
            known = {"x-api-key": "sk-drg-laptop"}
            assert (await house.post("/v1/messages", QUESTION, known)).status == 200
            refused = await house.post("/v1/messages", {**QUESTION, "model": "gpt-5.5"}, known)
            assert (refused.status, refused.json["error"]["type"]) == (403, "permission_error")
            counted = await house.post("/v1/messages/count_tokens", {**QUESTION, "model": "gpt-5.5"}, known)
            assert counted.status == 403
            assert len(up.seen) == 1
            assert [row.outcome for row in house.rows] == ["refused", "ok", "refused"]


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/responses", "/v1/chat/completions"]
)
async def test_every_key_that_is_not_good_is_the_same_401(tmp_path: Path, path: str) -> None:
    """B90, reliability X1: missing, wrong and expired differ in the request's id alone."""
    keys = [
        {"name": "laptop", "key": "sk-drg-laptop"},
        {"name": "past", "key": "sk-drg-past", "expires_at": "2020-01-01T00:00:00Z"},
    ]
    shown: list[dict[str, str]] = [
        {},
        {"x-api-key": "sk-drg-wrong"},
        {"authorization": "Bearer sk-drg-past"},
        {"authorization": "Basic abc"},
    ]
    async with (
        upstream() as up,
        gateway(tmp_path, {"accounts": [account(up.url)], "keys": keys}) as house,
    ):
        told = []
        for headers in shown:
            answer = await house.post(path, QUESTION, {**headers, "x-request-id": "same"})
            assert answer.status == 401
            told.append((answer.body, answer.headers))
        assert all(one == told[0] for one in told)
        assert b"A valid API key of this gateway is needed" in told[0][0]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
@pytest.mark.parametrize(
    ("framing", "sent", "status", "error_type"),
    [
        ("content-length: 500", b'{"model"', 408, "timeout_error"),
        ("transfer-encoding: chunked", b"zz\r\nabc\r\n", 400, "invalid_request_error"),
        ("transfer-encoding: chunked", b"3\r\nabcX0\r\n\r\n", 400, "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_an_upload_that_is_refused_in_the_middle_is_one_story(
    tmp_path: Path, path: str, framing: str, sent: bytes, status: int, error_type: str, *, at_once: bool
) -> None:
    """decisions, rows: the row has the answer's status and id; nobody who was sent away has left."""
    async with upstream() as up:
        limits = Limits(body_gap_seconds=0.2 if status == 408 else 30.0)
        async with gateway(tmp_path, {"accounts": [account(up.url)]}, limits=limits) as house:
            port = int(house.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            fields = f"host: 127.0.0.1\r\ncontent-type: application/json\r\n{framing}\r\n"
            writer.write(f"POST {path} HTTP/1.1\r\n{fields}\r\n".encode() + (sent if at_once else b""))
            if not at_once:
                await asyncio.sleep(0.05)
                writer.write(sent)
            answer = (await asyncio.wait_for(reader.read(), 30)).decode()
            writer.close()
            row = await house.row()
            assert answer.startswith(f"HTTP/1.1 {status} ")
            assert f"request-id: {row.request_id}\r\n" in answer
            assert (row.status, row.outcome, row.error_type) == (status, "refused", error_type)
            figures = (await house.get("/metrics")).body.decode()
            assert 'status_class="4xx"' in figures
            assert "dragoman_client_disconnects_total{" not in figures
            assert up.seen == []


async def test_a_refused_row_knows_that_a_stream_was_asked_for(tmp_path: Path) -> None:
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        for stream in (True, False):
            await house.ask(stream=stream, max_tokens=-1)
        assert [(row.status, row.stream) for row in house.rows] == [(400, True), (400, False)]


async def test_an_unknown_model_names_the_nearest(tmp_path: Path) -> None:
    """B88."""
    async with upstream() as up:
        one = {**account(up.url), "models": ["gpt-5.5"]}
        async with gateway(tmp_path, {"accounts": [one], "models": {"claude-sonnet": "gpt-5.5"}}) as house:
            reply = await house.post("/v1/messages", {**QUESTION, "model": "claude-sonet"})
            assert (reply.status, reply.json["error"]["type"]) == (404, "not_found_error")
            assert "claude-sonnet" in reply.json["error"]["message"]


async def test_a_wrong_method_names_the_right_ones(tmp_path: Path) -> None:
    """D38: 405 in the envelope, with `allow`."""
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        reply = await house.get("/v1/messages")
        assert reply.status == 405
        assert reply.headers["allow"] == "POST"
        assert reply.json["error"]["type"] == "not_found_error"


async def test_small_calls_are_answered_cheaply(tmp_path: Path) -> None:
    """B117, D42. behaviours E10."""
    async with upstream() as up:
        table = {"accounts": [account(up.url)], "keys": [{"name": "k", "key": "sk-drg-12345678"}]}
        async with gateway(tmp_path, table) as house:
            for path in ("/", "/api/hello"):
                async with house.session.head(house.url + path) as response:
                    assert response.status == 200
            for prefix in ("", "/anthropic"):
                for batch in ("batch", "v2/batch"):
                    told = await house.post(f"{prefix}/api/event_logging/{batch}", {"events": []})
                    assert told.status == 200
            assert (await house.get("/readyz")).json["status"] == "ready"
            assert (await house.get("/healthz")).status == 200
            assert up.seen == []
            assert house.rows == []


async def test_without_keys_only_this_machine_may_ask(tmp_path: Path) -> None:
    """A rebound name and a page of another origin are refused while there are no keys."""
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        rebound = await house.post("/v1/messages", QUESTION, {"host": "evil.example"})
        assert rebound.status == 421
        foreign = await house.post("/v1/messages", QUESTION, {"origin": "https://evil.example"})
        assert foreign.status == 403
        assert "access-control-allow-origin" not in foreign.headers
        ours = await house.post("/v1/messages", QUESTION, {"origin": "http://localhost:3000"})
        assert ours.status == 200
        told = [(row.status, row.outcome, row.error_type, row.route) for row in house.rows]
        assert told == [
            (421, "refused", "invalid_request_error", "messages"),
            (403, "refused", "permission_error", "messages"),
            (200, "ok", None, "messages"),
        ]
        assert house.rows[0].request_id == rebound.headers["request-id"]
        for path in ("/v1/models", "/v1/messages/count_tokens", "/nowhere"):
            assert (await house.post(path, QUESTION, {"host": "evil.example"})).status == 421
        chat = await house.post("/v1/chat/completions", QUESTION, {"host": "evil.example"})
        assert (chat.status, "code" in chat.json["error"]) == (421, True)
        assert [row.route for row in house.rows[3:]] == ["chat"]


async def test_the_model_list_wears_the_callers_shape(tmp_path: Path) -> None:
    """B116. behaviours E7."""
    async with upstream() as up:
        one = {**account(up.url), "models": ["gpt-5.5"]}
        async with gateway(tmp_path, {"accounts": [one], "models": {"claude-sonnet": "gpt-5.5"}}) as house:
            anthropic = (await house.get("/v1/models", {"anthropic-version": "2023-06-01"})).json
            ids = [row["id"] for row in anthropic["data"]]
            assert "claude-sonnet" in ids
            assert "claude-gpt-5.5" in ids
            assert anthropic["data"][0]["type"] == "model"
            assert anthropic["has_more"] is False
            openai = (await house.get("/v1/models")).json
            assert openai["object"] == "list"
            assert openai["data"][0]["object"] == "model"


async def test_the_log_holds_no_prompt_and_no_key(tmp_path: Path) -> None:
    async with upstream() as up:
        table = {"accounts": [account(up.url)], "keys": [{"name": "k", "key": "sk-drg-secret-1"}]}
        async with gateway(tmp_path, table) as house:
            await house.post(
                "/v1/messages",
                {
                    **QUESTION,
                    "messages": [{"role": "user", "content": "PROMPT-MARKER"}],
                    "system": "SYSTEM-MARKER",
                },
                {"x-api-key": "sk-drg-secret-1"},
            )
            await house.post("/v1/messages", b'{"PROMPT-MARKER', {"x-api-key": "sk-drg-secret-1"})
            log = house.log.getvalue()
            for marker in ("PROMPT-MARKER", "SYSTEM-MARKER", "sk-drg-secret-1", "sk-upstream"):
                assert marker not in log
