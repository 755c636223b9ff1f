"""`/metrics` of a whole gateway: what requests leave there, and who may read it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.inprocess import Gateway, gateway
from tests.support.upstream import Talk, answer, created, delta, status, upstream

QUESTION = {"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
KEYS = [{"name": "laptop", "key": "sk-drg-laptop-key"}]
KEY = {"x-api-key": "sk-drg-laptop-key"}


def account(url: str, name: str = "a") -> dict[str, Any]:
    return {"name": name, "kind": "openai", "base_url": url, "api_key": "sk-upstream"}


async def figures(house: Gateway) -> dict[str, float]:
    """Samples as `name{label="value"}`, labels in the order of the alphabet."""
    reply = await house.get("/metrics")
    assert reply.status == 200
    found = {}
    for family in text_string_to_metric_families(reply.body.decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[sample.name.removeprefix("dragoman_") + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


async def test_requests_of_all_endings_are_counted(tmp_path: Path) -> None:
    async with upstream() as first, upstream() as second:
        first.play(status(503), answer)
        table = {"accounts": [account(first.url, "a"), account(second.url, "b")], "keys": KEYS}
        async with gateway(tmp_path, table) as house:
            assert (await house.post("/v1/messages", {**QUESTION, "stream": True}, KEY)).status == 200
            assert (await house.post("/v1/messages", QUESTION, KEY)).status == 200
            assert (await house.post("/v1/messages", QUESTION, {"x-api-key": "sk-wrong"})).status == 401
            assert (await house.post("/v1/messages", {**QUESTION, "max_tokens": -1}, KEY)).status == 400
            await house.row(4)
            told = await figures(house)
    done = 'route="messages",status_class='
    assert told[f'requests_total{{error_type="none",model="gpt-5.5",{done}"2xx"}}'] == 2
    assert told[f'requests_total{{error_type="authentication_error",model="none",{done}"4xx"}}'] == 1
    assert told[f'requests_total{{error_type="invalid_request_error",model="none",{done}"4xx"}}'] == 1
    assert told['failovers_total{cause="overloaded"}'] == 1
    assert told['upstream_responses_total{account_kind="openai",status="503"}'] == 1
    assert told['upstream_responses_total{account_kind="openai",status="200"}'] == 2
    assert told['tokens_total{key_id="laptop",kind="input",model="gpt-5.5"}'] == 20
    assert told['request_duration_seconds_count{route="messages",stream="true"}'] == 1
    assert told['time_to_first_token_seconds_count{model="gpt-5.5"}'] == 2
    assert told["in_flight_requests"] == 0
    chosen = {name: value for name, value in told.items() if name.startswith("account_selections_total")}
    assert sum(chosen.values()) == 2
    assert all('policy="affinity"' in name for name in chosen)
    assert sum(told[f'accounts{{state="{state}"}}'] for state in ("ok", "cooling", "probing")) == 2
    assert told['overhead_seconds_count{phase="settle"}'] == 4
    assert told['overhead_seconds_count{phase="translate"}'] == 3
    assert told['overhead_seconds_count{phase="select"}'] >= 3


async def test_a_client_that_leaves_is_counted_and_seen_in_flight(tmp_path: Path) -> None:
    async def endless(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), {"type": "response.made_up"}, delta("Hello"))
        await talk.until_gone()

    async with upstream() as up:
        up.play(endless)
        async with gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
            question = asyncio.ensure_future(house.ask())
            async with asyncio.timeout(30):
                while (await figures(house))["in_flight_requests"] != 1:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            question.cancel()
            await house.row()
            told = await figures(house)
    assert told["in_flight_requests"] == 0
    assert told['client_disconnects_total{phase="streaming"}'] == 1
    assert told["unknown_upstream_events_total"] == 1


async def test_the_lag_of_the_loop_is_sampled(tmp_path: Path) -> None:
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        async with asyncio.timeout(60):
            while "event_loop_lag_seconds_count" not in await figures(house):
                await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"),
        ("*/*", "text/plain; version=0.0.4"),
    ],
)
async def test_the_format_is_the_one_asked_for(tmp_path: Path, accept: str, content_type: str) -> None:
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        reply = await house.get("/metrics", {"accept": accept})
        assert reply.headers["content-type"].startswith(content_type)
        assert reply.body.endswith(b"# EOF\n") == ("openmetrics" in content_type)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "192.0.2.7"},
        {"forwarded": "for=127.0.0.1"},
        {"host": "gateway.example"},
        {"origin": "https://evil.example"},
        {**KEY, "x-forwarded-for": "127.0.0.1"},
    ],
)
async def test_who_is_not_at_this_machine_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    """A client key opens nothing here either."""
    async with upstream() as up:
        table = {"accounts": [account(up.url)], "keys": KEYS}
        async with gateway(tmp_path, table) as house:
            reply = await house.get("/metrics", headers)
            assert reply.status == 401
            assert reply.json["error"]["code"] == "invalid_api_key"
            assert b"dragoman_" not in reply.body


async def test_reading_them_leaves_no_row_and_no_line(tmp_path: Path) -> None:
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}, level="debug") as house:
        assert (await house.get("/metrics")).status == 200
        async with house.session.head(house.url + "/metrics") as response:
            assert response.status == 200
        assert (await house.post("/metrics", {})).status == 405
        assert house.rows == []
        assert house.log.getvalue() == ""
