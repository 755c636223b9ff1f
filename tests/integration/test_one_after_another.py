"""One gateway, one failure after the other: each client hears of its own, and the first good answer comes.

What was learnt from one failure must not colour the next: a refused key that was mended, a limit that is
over, a road that holds again.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support import conversation
from tests.support.inprocess import Reply, gateway
from tests.support.upstream import Script, Talk, answer, created, failed, status, upstream


def said(code: str, message: str = "no") -> dict[str, Any]:
    return {"error": {"message": message, "code": code}}


def ending(code: str, message: str) -> Script:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), failed(code, message))
        await talk.end()

    return script


async def cut(talk: Talk) -> None:
    await talk.head()
    await talk.events(created())
    talk.writer.close()


async def hang_up(talk: Talk) -> None:
    talk.writer.close()


CASES: list[tuple[str, Script, int]] = [
    ("500", status(500), 502),
    ("503", status(503), 529),
    ("529", status(529), 529),
    ("401", status(401, said("invalid_api_key")), 502),
    ("403", status(403, said("forbidden")), 502),
    ("a bare 429", status(429, {"error": {"message": "slow"}}), 429),
    ("a rate limit", status(429, said("rate_limit_exceeded"), {"retry-after": "2"}), 429),
    ("no money", status(429, said("insufficient_quota")), 429),
    ("no such model", status(404, said("model_not_found", "The model does not exist")), 404),
    ("cut", cut, 502),
    ("hung up", hang_up, 502),
    ("overloaded inside", ending("server_is_overloaded", "busy"), 529),
    ("no money inside", ending("insufficient_quota", "You exceeded your current quota"), 429),
    ("a wrong request", status(400, said("invalid_request_error")), 400),
    ("garbage", status(200, b"garbage"), 502),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [1, 2])
async def test_each_failure_is_told_as_it_is_and_what_was_mended_serves(tmp_path: Path, count: int) -> None:
    """reliability E5, with one account and with two that fail alike."""
    async with AsyncExitStack() as stack:
        ups = [await stack.enter_async_context(upstream()) for _ in range(count)]
        accounts = [
            {"name": f"a{index}", "kind": "openai", "base_url": up.url, "api_key": f"sk-{index}"}
            for index, up in enumerate(ups)
        ]
        house = await stack.enter_async_context(gateway(tmp_path, {"accounts": accounts}))
        sessions = iter(range(1000))

        async def ask(script: Script) -> Reply:
            for up in ups:
                up.scripts = [script]
            named = {"x-claude-code-session-id": f"{next(sessions):08d}-1111-4111-8111-111111111111"}
            headers = {**conversation.headers(), **named}
            return await house.post("/v1/messages", conversation.request(0), headers)

        for name, script, expected in CASES:
            told = await ask(script)
            assert told.status == expected, (name, told.body)
            if name.startswith("no money"):
                assert told.headers["x-should-retry"] == "false"
            mended = await ask(answer)
            assert mended.status == 200, (name, mended.body)
        assert not any(house.assembly.house.pool.in_flight().values())
