"""What happened, over the admin API: the request log, usage, the live feed, accounts, the overview."""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path
from typing import Any

import pytest

from dragoman.gateway.ports import Row
from dragoman.store.tokens import Tokens
from dragoman.store.walk import FIELDS
from dragoman.telemetry.live import WATCHERS
from dragoman.wire import jsonio, sse
from tests.support.admin import API, Administered, Client, administered
from tests.support.databases import Kind

KEYS = [{"name": name, "key": f"sk-drg-of-{name}"} for name in ("laptop", "ci")]


@pytest.fixture
def settings(kind: Kind, database_url: str) -> dict[str, Any]:
    """Each test runs on both databases, with two keys."""
    return {"database": {"url": database_url}, "keys": KEYS}


async def ask(house: Administered, name: str = "laptop", model: str = "claude-test", **more: str) -> str:
    """One request; the id it has in the log."""
    reply = await house.gateway.post(
        "/v1/messages",
        {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "SECRET PROMPT"}]},
        {"x-api-key": f"sk-drg-of-{name}", **more},
    )
    await house.house.writer.flush()
    return reply.headers["request-id"]


async def pages(client: Client, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await client.get(f"/log?limit=2{query}{cursor}")).json
        found += page["data"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


# -- log ---------------------------------------------------------------------------------------------------


async def test_the_log_is_paged_filtered_and_found_by_id(tmp_path: Path, settings: dict[str, Any]) -> None:
    """B100"""
    async with administered(tmp_path, settings) as house:
        viewer = await house.token("viewer")
        ids = [await ask(house, name) for name in ("laptop", "ci", "laptop", "ci", "laptop")]
        rows = await pages(viewer)
        assert [row["request_id"] for row in rows] == ids[::-1]
        assert set(rows[0]) == set(FIELDS)
        assert rows[0]["input_tokens"] > 0
        assert rows[0]["cost_usd"] > 0
        assert [row["request_id"] for row in await pages(viewer, "&key=ci")] == [ids[3], ids[1]]
        assert await pages(viewer, "&key=ci&outcome=refused") == []
        assert len(await pages(viewer, "&since=2001-01-01T00:00:00Z&status=200")) == 5
        assert await pages(viewer, "&until=2001-01-01T00:00:00Z") == []
        assert len(await pages(viewer, f"&search={ids[0]}")) == 1
        one = await viewer.get(f"/log/{ids[0]}")
        assert [row["key"] for row in one.json["data"]] == ["laptop"]
        assert (await viewer.get("/log/req_nowhere")).status == 404
        assert "SECRET" not in (await viewer.get("/log?limit=500")).body.decode()


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("cursor=nonsense", "cursor"),
        ("cursor=%00", None),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("status=abc", "status"),
        ("since=yesterday", "since"),
        ("since=2030-01-01T00:00:00", "since"),
        ("until=0001-01-01T00:00:00Z", "until"),
        (f"key={'x' * 257}", "key"),
    ],
)
async def test_a_wrong_filter_is_named(tmp_path: Path, query: str, path: str | None) -> None:
    async with administered(tmp_path) as house:
        reply = await (await house.token("viewer")).get(f"/log?{query}")
        assert reply.status == 400
        assert reply.json["error"].get("path") == path


async def test_an_export_holds_every_row_oldest_first(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        viewer = await house.token("viewer")
        empty = await viewer.get("/log/export?format=csv")
        assert empty.body.decode().strip() == ",".join(FIELDS)
        ids = [await ask(house, name) for name in ("laptop", "ci", "laptop")]
        lines = await viewer.get("/log/export")
        assert lines.headers["content-type"] == "application/x-ndjson"
        assert lines.headers["content-disposition"] == 'attachment; filename="dragoman-log.jsonl"'
        assert [jsonio.parse(line)["request_id"] for line in lines.body.splitlines()] == ids
        assert lines.body.isascii()
        table = await viewer.get("/log/export?format=csv&key=laptop")
        records = list(csv.DictReader(io.StringIO(table.body.decode())))
        assert [record["request_id"] for record in records] == [ids[0], ids[2]]
        assert (await viewer.get("/log/export?format=xml")).json["error"]["path"] == "format"


async def test_facets_tell_what_there_is_to_filter_by(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        viewer = await house.token("viewer")
        for name in ("laptop", "ci", "laptop"):
            await ask(house, name)
        facets = (await viewer.get("/log/facets")).json["data"]
        assert facets["key"] == [{"value": "laptop", "requests": 2}, {"value": "ci", "requests": 1}]
        assert (await viewer.get("/log/facets?until=2001-01-01T00:00:00Z")).json["data"]["key"] == []
        told = (await viewer.get("/log/facets")).json["verdicts"]
        assert {"hit", "tools_changed", "likely_server_side"} <= set(told)


# -- usage -------------------------------------------------------------------------------------------------


async def test_usage_is_told_in_buckets_and_in_total(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        viewer = await house.token("viewer")
        for name in ("laptop", "ci", "laptop"):
            await ask(house, name)
        rows = await pages(viewer)
        usage = (await viewer.get("/usage?bucket=hour&by=key")).json
        assert usage["total"]["requests"] == 3
        assert "time" not in usage["total"]
        sums: dict[str, int] = {}
        for row in usage["data"]:  # the hour may have ended in between
            assert row["time"].endswith("00:00.000Z") or row["time"].endswith(":00:00Z")
            sums[row["key"]] = sums.get(row["key"], 0) + row["requests"]
        assert sums == {"laptop": 2, "ci": 1}
        total = (await viewer.get("/usage/totals?by=upstream_model")).json
        assert total["data"][0]["upstream_model"] == "gpt-5.5"
        assert total["data"][0]["input_tokens"] == sum(row["input_tokens"] for row in rows)
        assert total["data"][0]["cost_usd"] == pytest.approx(sum(row["cost_usd"] for row in rows))
        only = (await viewer.get("/usage/totals?key=ci")).json
        assert (only["total"]["requests"], only["data"]) == (1, [])
        accounts = (await viewer.get("/accounts?hours=2")).json
        assert accounts["data"][0]["name"] == "simulated"
        assert accounts["data"][0]["usage"]["requests"] == 3


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("bucket=year", "bucket"),
        ("by=client", "by"),
        ("bucket=hour&since=2020-01-01T00:00:00Z", "since"),
        ("until=never", "until"),
    ],
)
async def test_a_wrong_question_about_usage_is_named(tmp_path: Path, query: str, path: str) -> None:
    async with administered(tmp_path) as house:
        reply = await (await house.token("viewer")).get(f"/usage?{query}")
        assert (reply.status, reply.json["error"]["path"]) == (400, path)


async def test_accounts_are_shown_without_their_secrets(tmp_path: Path) -> None:
    account = {
        "name": "work",
        "kind": "openai",
        "base_url": "http://127.0.0.1:9/v1",
        "api_key": "sk-upstream-secret",
        "organization": "org-secret",
        "models": ["gpt-5.5"],
    }
    async with administered(tmp_path, {"accounts": [account], "keys": KEYS}) as house:
        reply = await (await house.token("viewer")).get("/accounts")
        (row,) = reply.json["data"]
        assert (row["name"], row["kind"], row["origin"]) == ("work", "openai", "config")
        assert (row["base_url"], row["models"]) == ("http://127.0.0.1:9/v1", ["gpt-5.5"])
        assert (row["status"], row["simulated"], row["usage"]) == ("active", False, None)
        assert "secret" not in reply.body.decode()


# -- the gateway -------------------------------------------------------------------------------------------


async def test_the_overview_names_what_is_not_well(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        viewer = await house.token("viewer")
        house.house.health.ill("db_write", "database is locked")
        house.clock.ahead += 90
        told = (await viewer.get("/overview")).json
        assert told["ill"] == {"db_write": "database is locked"}
        assert told["uptime_seconds"] >= 90
        assert (told["status"], told["upstream"], told["database"]) == ("ready", "simulated", "sqlite")
        assert told["ledger"]["waiting_rows"] == 0
        house.gateway.assembly.house.gate.close()
        assert (await viewer.get("/health")).json["status"] == "draining"


async def test_settings_are_shown_as_the_composition_root_tells_them(tmp_path: Path) -> None:
    rows = [
        {"key": "server.port", "value": 8787, "origin": "default", "source": None},
        {"key": "accounts.work.api_key", "value": "(set, not shown)", "origin": "file", "source": "a.toml"},
    ]
    async with administered(tmp_path, settings_view=lambda: rows) as house:
        assert (await (await house.token("viewer")).get("/settings")).json["data"] == rows


# -- live --------------------------------------------------------------------------------------------------


class Feed:
    """Reads a feed as it comes."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._decoder = sse.Decoder()
        self.waiting: list[Any] = []
        self.raw = b""

    async def next(self) -> Any:
        """The next event; None at the end."""
        async with asyncio.timeout(30):
            while not self.waiting:
                part = await self._response.content.readany()
                if not part:
                    return None
                self.raw += part
                self.waiting += self._decoder.feed(part)
        return self.waiting.pop(0)


def watching(house: Administered, client: Client) -> Any:
    headers = {**client.headers, **({"cookie": client.cookie} if client.cookie else {})}
    return house.gateway.session.get(f"{house.url}{API}/live", headers=headers)


async def watched(house: Administered, count: int = 1) -> None:
    async with asyncio.timeout(30):
        while house.house.live.watchers != count:
            await asyncio.sleep(0.01)


async def test_who_watches_sees_each_row_as_the_log_has_it(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        viewer = await house.token("viewer")
        async with watching(house, viewer) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-accel-buffering"] == "no"
            await watched(house)
            feed = Feed(response)
            for name in ("laptop", "ci"):
                await ask(house, name)
                event = await feed.next()
                assert event.name == "row"
                told = jsonio.parse(event.data)
                (stored,) = (await viewer.get(f"/log/{told['request_id']}")).json["data"]
                assert told == stored
                assert told["key"] == name
        await watched(house, 0)


async def test_a_feed_ends_when_the_gateway_drains(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        viewer = await house.token("viewer")
        async with watching(house, viewer) as response:
            await watched(house)
            house.gateway.assembly.house.gate.close()
            assert await Feed(response).next() is None
        async with watching(house, viewer) as response:
            assert response.status == 503


async def test_a_feed_ends_with_the_login(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        async with watching(house, ada) as response:
            await watched(house)
            feed = Feed(response)
            house.clock.ahead += 16
            while b": still here" not in feed.raw:
                feed.raw += await response.content.readany()
            assert (await ada.post("/logout")).status == 204
            assert await feed.next() is None, "without waiting for the next sign of life"
        await watched(house, 0)


async def test_a_feed_ends_with_its_token(tmp_path: Path) -> None:
    """Also one that always has something to tell; nothing that ends afterwards is shown."""
    async with administered(tmp_path) as house:
        viewer = await house.token("viewer")
        async with watching(house, viewer) as response:
            await watched(house)
            await Tokens(house.store.database, house.store.facts.pepper).revoke("test-viewer")
            async with asyncio.timeout(60):
                while house.house.live.watchers:
                    house.house.live.record(Row("req_x", 1.0))
                    await asyncio.sleep(0.01)
            house.house.live.record(Row("req_afterwards", 1.0))
            raw = await response.content.read()
            assert b"req_x" in raw and b"req_afterwards" not in raw


async def test_a_reader_that_does_not_read_is_let_go(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        viewer = await house.token("viewer")
        async with watching(house, viewer):
            await watched(house)
            async with asyncio.timeout(60):
                while house.house.live.watchers:
                    for _ in range(100):
                        house.house.live.record(Row("req_x", 1.0, cache_story="x" * 2000))
                    await asyncio.sleep(0)


async def test_only_so_many_watch(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        viewer = await house.token("viewer")
        places = [house.house.live.watching() for _ in range(WATCHERS)]
        for place in places:
            place.__enter__()
        async with watching(house, viewer) as response:
            assert response.status == 429
        for place in places:
            place.__exit__(None, None, None)
