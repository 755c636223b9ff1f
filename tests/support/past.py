"""A month of invented requests of a small team: rows of the log, the same for the same moment.

Working days have their hours, conversations grow turn by turn and read what the turn before wrote, now and
then a prefix breaks, an upstream fails, or somebody leaves. Nothing in it is measured.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Any

from dragoman.gateway.ports import Row

DAY = 86_400
# Key, requested model, upstream model, account, conversations on a working day, client.
TEAM = (
    ("laptop", "claude-sonnet-5-5", "gpt-5.5", "team-plan", 5, "claude-cli/2.1.330"),
    ("notebook", "claude-opus-4-8", "gpt-5.5", "team-plan", 3, "claude-cli/2.1.330"),
    ("ci", "claude-haiku-4-5", "gpt-5.4-mini", "platform", 6, "anthropic-python/2.12.0"),
)
# Nano-dollars a token: fresh input, cached, output.
PRICES = {"gpt-5.5": (5_000, 500, 30_000), "gpt-5.4-mini": (750, 75, 4_500)}
ANTHROPIC = {
    "claude-sonnet-5-5": (3_000, 300, 15_000),
    "claude-opus-4-8": (5_000, 500, 25_000),
    "claude-haiku-4-5": (1_000, 100, 5_000),
}


def month(now: float, *, days: int = 30, zone: int = 0, gap: float = 1800) -> list[Row]:
    """The days before `now`, in epoch seconds, up to `gap` seconds before it. Today is a working day.

    `zone` is how many hours the team's clocks are ahead of UTC.
    """
    chance = random.Random("a month of a small team")
    made: list[Row] = []
    today = now - (now + zone * 3600) % DAY
    for back in range(days, -1, -1):
        morning = today - back * DAY
        quiet = 0.2 if back % 7 in (3, 4) else 1.0  # few work on two days of seven
        for person in TEAM:
            for number in range(round(person[4] * quiet * chance.uniform(0.6, 1.4))):
                begin = morning + 6 * 3600 + chance.random() * 11 * 3600
                made += _conversation(chance, person, begin, f"{person[0]} {back} {number}")
        # A night's job, so that no day is empty.
        made += _conversation(chance, TEAM[2], morning + 3 * 3600, f"nightly {back}")
    return [row for row in made if row.time < now - gap]


def _conversation(chance: random.Random, person: tuple[Any, ...], begin: float, name: str) -> Iterator[Row]:
    key, requested, upstream, account, _, client = person
    digest = hashlib.sha256(name.encode()).hexdigest()
    context, read, at = chance.randint(9_000, 16_000), 0, begin
    for turn in range(1 if key == "ci" else chance.randint(4, 22)):
        at += chance.uniform(8, 150)
        output = chance.randint(60, 2400)
        broke = turn > 3 and chance.random() < 0.03
        cached = 0 if broke else read - read % 128
        first = 350 + (context - cached) * 0.09 + chance.random() * 900
        values: dict[str, Any] = {
            "request_id": f"req_{digest[:16]}{turn:04d}",
            "uid": f"{digest[:16]}-{turn}",
            "time": at,
            "key": key,
            "client": client,
            "requested_model": requested,
            "upstream_model": upstream,
            "effort": None if key == "ci" else "medium",
            "account": account,
            "lineage": digest[:24],
            "session_hash": digest[24:56],
            "conversation_hash": digest[32:64],
            "lane": "main",
            "stream": True,
            "status": 200,
            "outcome": "ok",
            "stop_reason": "end_turn" if chance.random() < 0.4 else "tool_use",
            "queue_ms": 0.1,
            "connect_ms": chance.choice((0.0, 0.0, 0.0, 41.0)),
        }
        fate = chance.random()
        if fate < 0.012:
            failed = {"status": 502, "outcome": "upstream_error", "error_type": "api_error"}
            yield Row(**{**values, **failed, "stop_reason": None, "duration_ms": 900 + first})
            continue
        if fate < 0.02:
            values |= {"outcome": "client_gone", "stop_reason": None}
        verdict = "first_turn" if turn == 0 else "messages_changed(0)" if broke else "hit"
        yield Row(
            **values,
            input_tokens=context,
            cached_tokens=cached,
            output_tokens=output,
            reasoning_tokens=output // 3,
            usage_source="measured",
            cost_nano=_cost(PRICES[upstream], context, cached, output),
            anthropic_cost_nano=_cost(ANTHROPIC[requested], context, cached, output),
            first_byte_ms=first * 0.6,
            first_token_ms=first,
            duration_ms=first + output * chance.uniform(8, 14),
            cache_verdict=verdict,
        )
        read = context
        context += output + chance.randint(200, 5200)


def _cost(prices: tuple[int, int, int], context: int, cached: int, output: int) -> int:
    fresh, again, out = prices
    return (context - cached) * fresh + cached * again + output * out
