"""One turn explained: where time and money went, what the cache did, the turns beside it; and a session.

What it says follows from the row, the turn before it and today's prices; whether those are still the ones
that were charged is told. Nothing is filled in: what is not known is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from dragoman.budget.pricing import Consumption, cost
from dragoman.budget.split import PartName, Split, split
from dragoman.cache.verdict import Story, missed, read_story
from dragoman.store import reading
from dragoman.store.walk import Filter
from dragoman.web.admin.envelope import BadField
from dragoman.web.admin.fields import NANO, Limit
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.log import LogRow
from dragoman.web.admin.routing import House, room, who
from dragoman.wire.errors import Failure, Kind, Refused

router = room("log")

PICO = 1_000_000_000_000
# Of an id that several requests have, so many are explained.
_EXPLAINED = 10

SpanName = Literal[
    "gateway", "queue", "attempts", "connect", "first_byte", "first_token", "rest", "unanswered"
]


class Span(BaseModel):
    """A stretch of a request's time.

    `queue` waits for a place; `attempts` are failed ones and pauses between them; `connect` is from sending
    to the head of the answer; `first_byte` from there to the first event; `first_token` from there to the
    first content; `rest` is the answer. `gateway` is a request that asked no upstream, `unanswered` one that
    waited and got no event.
    """

    name: SpanName
    ms: float


class CostPart(BaseModel):
    """Tokens at one rate; `usd_per_million` is USD per million tokens."""

    name: PartName
    tokens: int
    usd_per_million: float
    usd: float


class CostSplit(BaseModel):
    """The parts of the cost at today's price. `as_charged`: they add up to what was charged."""

    parts: list[CostPart]
    as_charged: bool
    cache_saved_usd: float = Field(description="Below zero where storing cost more than reading saved.")
    miss_usd: float | None = Field(description="What the missed tokens cost more; always an estimate.")


class CacheStory(BaseModel):
    """A verdict in its parts. `expected_tokens` is null where nothing was expected of the cache."""

    verdict: str
    words: str
    inferred: bool
    expected_tokens: int | None
    expected_estimated: bool
    first_difference: str | None
    missed_tokens: int | None
    missed_estimated: bool


class Neighbour(BaseModel):
    """A turn of the same conversation."""

    model_config = ConfigDict(extra="ignore")

    request_id: str
    time: str = Field(json_schema_extra={"format": "date-time"})
    input_tokens: int
    duration_ms: float | None


class TurnExplained(BaseModel):
    """A row of the log, and what follows from it. `spans` is empty where no time is known; `longest` the name
    of the longest. `cost` is null without a price or without usage, `cache` without a verdict.
    """

    row: LogRow
    spans: list[Span]
    longest: SpanName | None
    cost: CostSplit | None
    cache: CacheStory | None
    before: Neighbour | None
    after: Neighbour | None


class Explained(BaseModel):
    """The newest first where several requests have one id; the ten newest are explained."""

    data: list[TurnExplained]


class SessionTurn(BaseModel):
    """A turn in short."""

    model_config = ConfigDict(extra="ignore")

    request_id: str
    time: str = Field(json_schema_extra={"format": "date-time"})
    lane: str
    conversation_hash: str | None
    requested_model: str
    upstream_model: str
    account: str
    status: int
    outcome: str
    error_type: str | None
    usage_source: str
    input_tokens: int
    cached_tokens: int
    written_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_usd: float | None
    cache_verdict: str | None
    first_token_ms: float | None
    duration_ms: float | None
    failed_attempts: int


class SessionPage(BaseModel):
    """Turns of all lanes, newest first; `next` is the `cursor` of what follows, null at the end."""

    data: list[SessionTurn]
    next: str | None


@router.get("/log/{request_id}/explained", openapi_extra=who("viewer"), summary="One request explained")
async def explained(admin: House, request_id: Annotated[str, Path(max_length=128)]) -> Explained:
    """404 for an id that is not in the log (any more)."""
    rows = await reading.one(admin.database, request_id)
    if not rows:
        raise Refused(Failure(Kind.NOT_FOUND, "No request of this id is in the log.", should_retry=False))
    return Explained(data=[await _explained(admin, row) for row in rows[:_EXPLAINED]])


@router.get("/log/sessions/{session_hash}", openapi_extra=who("viewer"), summary="The turns of a session")
async def session(
    admin: House,
    session_hash: Annotated[str, Path(max_length=64)],
    cursor: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    limit: Annotated[Limit, Query()] = 200,
) -> SessionPage:
    """Empty for a session that is not in the log (any more)."""
    try:
        page = await reading.page(admin.database, Filter(session_hash=session_hash), cursor, limit)
    except reading.InvalidCursor as error:
        raise BadField("cursor", str(error).removeprefix("cursor: ")) from None
    turns = [{**row, "failed_attempts": len(row["attempts"])} for row in page.rows]
    return SessionPage(data=[SessionTurn.model_validate(turn) for turn in turns], next=page.next)


async def _explained(admin: AdminHouse, row: dict[str, Any]) -> TurnExplained:
    before: list[dict[str, Any]] = []
    after: list[dict[str, Any]] = []
    if row["conversation_hash"]:
        moment = datetime.fromisoformat(row["time"]).timestamp()
        before, after = await reading.around(admin.database, row["conversation_hash"], moment)
    told = _cache(row, next((one["input_tokens"] for one in before if one["usage_source"] != "none"), None))
    found = spans(row)
    return TurnExplained(
        row=LogRow.model_validate(row),
        spans=[Span(name=name, ms=ms) for name, ms in found],
        longest=max(found, key=lambda one: one[1])[0] if any(ms for _, ms in found) else None,
        cost=_cost(admin, row, None if told is None else told.missed_tokens),
        cache=told,
        before=Neighbour.model_validate(before[0]) if before else None,
        after=Neighbour.model_validate(after[0]) if after else None,
    )


def spans(row: Mapping[str, Any]) -> list[tuple[SpanName, float]]:
    """A row's time as stretches that follow each other and add up to the whole of it."""
    whole = row["duration_ms"]
    if whole is None:
        return []
    if row["queue_ms"] is None or not (row["account"] or row["attempts"]):
        waited = min(whole, row["queue_ms"] or 0.0)
        stretches: list[tuple[SpanName, float]] = [("queue", waited), ("gateway", whole - waited)]
        return [one for one in stretches if one[1] > 0]
    queue, connect = row["queue_ms"], row["connect_ms"] or 0.0
    first_byte, first_token = row["first_byte_ms"], row["first_token_ms"]
    # An attempt that broke off behind its content was the last one.
    failed = len(row["attempts"]) - (row["outcome"] == "upstream_error" and first_token is not None)
    if first_byte is None:
        lost: SpanName = "attempts" if failed else "unanswered"
        return _filled([("queue", queue), (lost, max(0.0, whole - queue))], whole)
    between = max(0.0, first_byte - queue - connect)
    stretches = [("queue", queue)]
    if failed > 0:
        stretches += [("attempts", between), ("connect", connect)]
    else:
        stretches += [("connect", connect), ("first_byte", between)]
    if first_token is not None:
        stretches.append(("first_token", max(0.0, first_token - first_byte)))
    return _filled(stretches, whole)


def _filled(stretches: list[tuple[SpanName, float]], whole: float) -> list[tuple[SpanName, float]]:
    """Cut where they are longer than the whole, and with the rest of it."""
    found: list[tuple[SpanName, float]] = []
    left = whole
    for name, ms in stretches:
        found.append((name, min(ms, left)))
        left -= found[-1][1]
    if stretches[-1][0] not in ("attempts", "unanswered"):
        found.append(("rest", left))
    return found


def _cache(row: Mapping[str, Any], before_input: int | None) -> CacheStory | None:
    verdict = row["cache_verdict"]
    if not verdict:
        return None
    story = read_story(row["cache_story"] or "")
    lost = None
    if row["usage_source"] == "measured":
        lost = missed(verdict, story, row["cached_tokens"], row["input_tokens"], before_input)
    told = story or Story(row["cache_story"] or "", inferred=False, expected=0, estimated=False, segment="")
    return CacheStory(
        verdict=verdict,
        words=told.words,
        inferred=told.inferred,
        expected_tokens=told.expected or None,
        expected_estimated=told.estimated,
        first_difference=told.segment or None,
        missed_tokens=None if lost is None else lost[0],
        missed_estimated=lost is not None and lost[1],
    )


def _cost(admin: AdminHouse, row: Mapping[str, Any], lost: int | None) -> CostSplit | None:
    price = admin.house.admission.prices.upstream(row["upstream_model"]) if row["upstream_model"] else None
    if row["usage_source"] == "none" or price is None:
        return None
    names = ("input_tokens", "cached_tokens", "written_tokens", "output_tokens")
    used = Consumption(*(row[name] for name in names))
    charged = row["cost_usd"]
    found = split(price, used, row["reasoning_tokens"], row["service_tier"])
    return CostSplit(
        parts=_parts(found),
        as_charged=charged is not None and round(charged * NANO) == cost(price, used, row["service_tier"]),
        cache_saved_usd=found.saved / PICO,
        miss_usd=None if lost is None else found.miss(lost) / PICO,
    )


def _parts(found: Split) -> list[CostPart]:
    return [
        CostPart(name=name, tokens=part.tokens, usd_per_million=part.rate / 1e6, usd=part.pico / PICO)
        for name, part in found.parts.items()
    ]
