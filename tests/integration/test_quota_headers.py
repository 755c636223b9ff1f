"""What upstreams tell of quotas reaches the observer: headers of every answer, events of streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from dragoman.gateway.ports import Account, UpstreamError
from dragoman.simulator import server
from dragoman.simulator.state import State
from dragoman.translate.messages.plan import UpstreamKind
from dragoman.upstream.client import HttpUpstream
from dragoman.upstream.roads import Road
from dragoman.wire import jsonio
from tests.support.simulated import codex_request, request


@dataclass
class Heard:
    """Notes everything."""

    answers: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def headers(self, account: Account, status: int, headers: Mapping[str, str]) -> None:
        self.answers.append((account.name, status, {name.lower(): value for name, value in headers.items()}))

    def event(self, account: Account, event: Mapping[str, Any]) -> None:
        self.events.append((account.name, dict(event)))


async def ask(upstream: HttpUpstream, account: Account, body: dict[str, Any]) -> int:
    count = 0
    async with upstream.open(account, jsonio.dump(body), {}) as answer:
        async for events in answer.events():
            count += len(events)
        answer.complete = True
    return count


@pytest.mark.parametrize(("kind", "quota"), [("chatgpt", "x-codex-"), ("openai", "x-ratelimit-")])
async def test_the_observer_hears_of_good_answers_and_of_refusals(kind: UpstreamKind, quota: str) -> None:
    running = await server.start("127.0.0.1", 0, state=State({"rate_limits_event": True}))
    heard, account = Heard(), Account("a", kind, "tag")
    if kind == "chatgpt":
        road = Road(f"{running.url}/backend-api", {"authorization": "Bearer at"}, "/codex/responses", None)
        body = codex_request()
    else:
        road, body = Road(f"{running.url}/v1", {"authorization": "Bearer sk"}), request()
    upstream = HttpUpstream({"a": road}, user_agent="t", connect_seconds=20, observer=heard)
    try:
        assert await ask(upstream, account, body) > 3
        running.state.load([{"preset": "429_usage_limit_reached"}])
        with pytest.raises(UpstreamError):
            await ask(upstream, account, body)
    finally:
        await upstream.close()
        await running.close()
    assert [(name, status) for name, status, _ in heard.answers] == [("a", 200), ("a", 429)]
    assert all(any(name.startswith(quota) for name in fields) for _, _, fields in heard.answers)
    expected = ["codex.rate_limits"] if kind == "chatgpt" else []
    assert [event["type"] for _, event in heard.events] == expected
