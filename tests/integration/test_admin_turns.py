"""One turn explained, and the turns of a session, over the admin API."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from dragoman.gateway.ports import Row
from tests.support.admin import Administered, administered
from tests.support.databases import Kind
from tests.support.ledger import put, row

SESSION = {"session_hash": "5" * 32, "conversation_hash": "c" * 32}
PRICE = {"input": 5, "cached": 0.5, "written": 6.25, "output": 30}
CHANGED = (
    "1024 of 6000 input tokens read from cache (about 1024 expected): "
    "tools were added, removed, reordered or edited (first difference: tools[3])"
)


@pytest.fixture
def settings(kind: Kind, database_url: str) -> dict[str, Any]:
    """Each test runs on both databases, with one price."""
    return {"database": {"url": database_url}, "prices": {"gpt-priced": PRICE}}


def turn(number: int, **more: Any) -> Row:
    """A turn of one session; what it cost fits its price."""
    values: dict[str, Any] = {
        "upstream_model": "gpt-priced",
        "input_tokens": 6000,
        "cached_tokens": 1024,
        "output_tokens": 100,
        "reasoning_tokens": 40,
        "cost_nano": 4976 * 5000 + 1024 * 500 + 100 * 30_000,
        "cache_verdict": "tools_changed",
        "cache_story": CHANGED,
        "queue_ms": 5.0,
        "connect_ms": 100.0,
        "first_byte_ms": 120.0,
        "first_token_ms": 700.0,
        "duration_ms": 900.0,
    }
    return row(number, **(values | SESSION | more))


async def explained(house: Administered, name: str) -> dict[str, Any]:
    reply = await (await house.token("viewer", f"viewer-{name}")).get(f"/log/{name}/explained")
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json["data"][0]
    return found


async def test_a_turn_says_where_time_and_money_went(tmp_path: Path, settings: dict[str, Any]) -> None:
    """B115: parts, what the cache saved, what the miss cost, and the turns beside it."""
    async with administered(tmp_path, settings) as house:
        await put(house.house.database, [turn(1, input_tokens=5000, duration_ms=800.0), turn(2), turn(3)])
        told = await explained(house, "req_2")
        assert [part["name"] for part in told["cost"]["parts"]] == [
            *("fresh", "cached", "written", "output", "reasoning")
        ]
        assert [part["tokens"] for part in told["cost"]["parts"]] == [4976, 1024, 0, 60, 40]
        assert [part["usd_per_million"] for part in told["cost"]["parts"]] == [5, 0.5, 6.25, 30, 30]
        total = math.fsum(part["usd"] for part in told["cost"]["parts"])
        assert total == pytest.approx(told["row"]["cost_usd"])
        assert told["cost"]["as_charged"] is True
        assert told["cost"]["cache_saved_usd"] == pytest.approx(1024 * 4.5e-6)
        assert told["cost"]["miss_usd"] == pytest.approx((5000 - 1024) * 4.5e-6)
        assert told["cache"] == {
            "verdict": "tools_changed",
            "words": "tools were added, removed, reordered or edited",
            "inferred": False,
            "expected_tokens": 1024,
            "expected_estimated": True,
            "first_difference": "tools[3]",
            "missed_tokens": 3976,
            "missed_estimated": True,
        }
        assert told["longest"] == "first_token"
        assert sum(span["ms"] for span in told["spans"]) == told["row"]["duration_ms"]
        assert (told["before"]["request_id"], told["before"]["duration_ms"]) == ("req_1", 800)
        assert told["after"]["request_id"] == "req_3"
        first, last = await explained(house, "req_1"), await explained(house, "req_3")
        assert (first["before"], last["after"]) == (None, None)
        assert first["cache"]["missed_tokens"] is None


async def test_what_is_not_known_is_null_and_never_nothing(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        nothing = {"usage_source": "none", "input_tokens": 0, "cached_tokens": 0, "output_tokens": 0}
        bare = {"cost_nano": None, "session_hash": None, "conversation_hash": None}
        await put(
            house.house.database,
            [
                turn(1, upstream_model="unknown-model", **bare),
                turn(2, **nothing, **bare, cache_verdict=None, cache_story=None, duration_ms=None),
                # A price that came later or has changed since: the parts are not what was charged.
                turn(3, cost_nano=None),
                turn(4, cost_nano=17),
                turn(5, usage_source="estimated"),
                turn(6, cache_story="written by another version"),
            ],
        )
        unpriced = await explained(house, "req_1")
        assert (unpriced["cost"], unpriced["row"]["cost_usd"]) == (None, None)
        assert (unpriced["before"], unpriced["after"]) == (None, None)
        aborted = await explained(house, "req_2")
        assert (aborted["cost"], aborted["cache"]) == (None, None)
        assert (aborted["spans"], aborted["longest"]) == ([], None)
        assert (await explained(house, "req_3"))["cost"]["as_charged"] is False
        assert (await explained(house, "req_4"))["cost"]["as_charged"] is False
        estimated = await explained(house, "req_5")
        assert (estimated["cache"]["missed_tokens"], estimated["cost"]["miss_usd"]) == (None, None)
        other = (await explained(house, "req_6"))["cache"]
        assert (other["words"], other["expected_tokens"]) == ("written by another version", None)


async def test_requests_that_share_an_id_are_all_explained(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        viewer = await house.token("viewer")
        await put(house.house.database, [turn(number, request_id="mine") for number in range(12)])
        found = (await viewer.get("/log/mine/explained")).json["data"]
        assert len(found) == 10
        assert found[0]["row"]["time"] > found[1]["row"]["time"]
        assert (await viewer.get("/log/nobodys/explained")).status == 404


async def test_a_session_is_told_turn_by_turn(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        viewer = await house.token("viewer")
        agent = {"lane": "agent", "conversation_hash": "d" * 32}
        failed = [{"account": "work", "cause": "overloaded", "status": 503, "code": None}]
        await put(
            house.house.database,
            [turn(1), turn(2, **agent, attempts=failed), turn(3), turn(4, session_hash="6" * 32)],
        )
        first = (await viewer.get(f"/log/sessions/{'5' * 32}?limit=2")).json
        assert [(one["request_id"], one["lane"], one["failed_attempts"]) for one in first["data"]] == [
            ("req_3", "main", 0),
            ("req_2", "agent", 1),
        ]
        rest = (await viewer.get(f"/log/sessions/{'5' * 32}?limit=2&cursor={first['next']}")).json
        assert [one["request_id"] for one in rest["data"]] == ["req_1"]
        assert rest["next"] is None
        assert (await viewer.get("/log/sessions/none")).json == {"data": [], "next": None}
        wrong = await viewer.get("/log/sessions/none?cursor=nonsense")
        assert (wrong.status, wrong.json["error"]["path"]) == (400, "cursor")


async def test_turns_of_the_simulator_are_explained(tmp_path: Path) -> None:
    """Rows as the gateway itself writes them."""
    async with administered(tmp_path, {"keys": [{"name": "laptop", "key": "sk-drg-of-laptop"}]}) as house:
        names = []
        for said in ("one", "two"):
            reply = await house.gateway.post(
                "/v1/messages",
                {
                    "model": "claude-test",
                    "max_tokens": 50,
                    "system": "word " * 2000,
                    "messages": [{"role": "user", "content": said}],
                },
                {
                    "x-api-key": "sk-drg-of-laptop",
                    "x-claude-code-session-id": "11111111-2222-3333-4444-555555555555",
                },
            )
            names.append(reply.headers["request-id"])
        await house.house.writer.flush()
        told = await explained(house, names[1])
        assert told["before"]["request_id"] == names[0]
        assert told["cache"]["words"]
        assert told["cost"]["as_charged"] is True
        assert {span["name"] for span in told["spans"]} >= {"queue", "connect", "rest"}
