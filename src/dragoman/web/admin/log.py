"""The request log: pages, one request, the values to filter by, and all of it for other programs.

Rows are what the store has; prompt text and keys are in none of them. A page may be short and still have a
`next`: a step looks at a bounded number of rows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal, get_args

from fastapi import Depends, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from dragoman.cache import verdict
from dragoman.store import export, reading
from dragoman.store.walk import Filter
from dragoman.web.admin.envelope import BadField
from dragoman.web.admin.fields import Limit, When, seconds_of
from dragoman.web.admin.routing import House, room, who
from dragoman.wire.errors import Failure, Kind, Refused

router = room("log")

Text = Annotated[str | None, Query(max_length=256)]
_BATCH = 200
_DAY = 86_400.0


class LogRow(BaseModel):
    """One generation request, also a refused one; the fields are those of the log's own page."""

    request_id: str
    time: str = Field(json_schema_extra={"format": "date-time"})
    key: str
    client: str
    requested_model: str
    upstream_model: str
    effort: str | None
    account: str
    attempts: list[dict[str, Any]]
    lineage: str
    session_hash: str | None
    conversation_hash: str | None
    lane: str
    status: int
    outcome: str
    error_type: str | None
    stop_reason: str | None
    input_tokens: int
    cached_tokens: int
    written_tokens: int
    output_tokens: int
    reasoning_tokens: int
    usage_source: str
    cost_usd: float | None
    anthropic_cost_usd: float | None
    queue_ms: float | None
    connect_ms: float | None
    first_byte_ms: float | None
    first_token_ms: float | None
    duration_ms: float | None
    ignored_fields: list[str]
    cache_verdict: str | None
    cache_story: str | None
    repaired: list[str]
    dropped_reasoning: int
    stream: bool
    route: str
    service_tier: str | None
    choice: str
    move: str
    lost_usd: float


class LogPage(BaseModel):
    """Newest first; `next` is the `cursor` of what follows, null at the end of the log."""

    data: list[LogRow]
    next: str | None


class Found(BaseModel):
    """The rows of one request id: several where a client chose the same id again."""

    data: list[LogRow]


class FacetValue(BaseModel):
    """A value and how many requests had it."""

    value: str
    requests: int


class Facets(BaseModel):
    """The most frequent values of each field."""

    data: dict[str, list[FacetValue]]
    verdicts: list[str] = Field(description="Every cache verdict that there can be, without numbers.")


def _filter(
    key: Text = None,
    requested_model: Text = None,
    upstream_model: Text = None,
    account: Text = None,
    outcome: Text = None,
    status: Annotated[int | None, Query(ge=0, le=999)] = None,
    error_type: Text = None,
    session_hash: Text = None,
    conversation_hash: Text = None,
    request_id: Text = None,
    cache_verdict: Text = None,
    lane: Text = None,
    client: Annotated[str | None, Query(max_length=256, description="The beginning of it.")] = None,
    since: Annotated[When | None, Query()] = None,
    until: Annotated[When | None, Query()] = None,
    search: Annotated[
        str | None,
        Query(
            max_length=256, description="A request id, a hash's beginning, or a part of a model or client."
        ),
    ] = None,
) -> Filter:
    return Filter(
        key=key,
        requested_model=requested_model,
        upstream_model=upstream_model,
        account=account,
        outcome=outcome,
        status=status,
        error_type=error_type,
        session_hash=session_hash,
        conversation_hash=conversation_hash,
        request_id=request_id,
        cache_verdict=cache_verdict,
        lane=lane,
        client=client,
        since=seconds_of(since),
        until=seconds_of(until),
        search=search,
    )


Wanted = Annotated[Filter, Depends(_filter)]


@router.get("/log", openapi_extra=who("viewer"), summary="The request log")
async def log(
    admin: House,
    wanted: Wanted,
    cursor: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    limit: Annotated[Limit, Query()] = 50,
) -> LogPage:
    """All given filters hold; texts are compared exactly."""
    try:
        page = await reading.page(admin.database, wanted, cursor, limit)
    except reading.InvalidCursor as error:
        raise BadField("cursor", str(error).removeprefix("cursor: ")) from None
    return LogPage(data=[LogRow.model_validate(row) for row in page.rows], next=page.next)


@router.get("/log/facets", openapi_extra=who("viewer"), summary="Values to filter by")
async def facets(
    admin: House,
    since: Annotated[When | None, Query()] = None,
    until: Annotated[When | None, Query()] = None,
) -> Facets:
    """Counted in whole hours; without `since` of the last thirty days."""
    start = seconds_of(since)
    if start is None:
        start = (seconds_of(until) or admin.now) - 30 * _DAY
    found = await reading.facets(admin.database, start, seconds_of(until))
    return Facets(
        data={
            name: [FacetValue(value=value, requests=count) for value, count in values]
            for name, values in found.items()
        },
        verdicts=list(get_args(verdict.Name)),
    )


@router.get(
    "/log/export",
    openapi_extra=who("viewer"),
    summary="All rows, oldest first",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One JSON object a line, or CSV.",
            "content": {"application/x-ndjson": {}, "text/csv": {}},
        }
    },
)
async def exported(
    admin: House, wanted: Wanted, form: Annotated[Literal["jsonl", "csv"], Query(alias="format")] = "jsonl"
) -> StreamingResponse:
    """Without a limit; rows that come meanwhile are not in it."""
    rows = reading.everything(admin.database, wanted)
    media = "application/x-ndjson" if form == "jsonl" else "text/csv; charset=utf-8"
    name = f'attachment; filename="dragoman-log.{form}"'
    # The first rows are read before the head is sent, so that a store that is down is told by the status.
    text = _lines(rows, form)
    first = await anext(text, b"")
    return StreamingResponse(_behind(first, text), media_type=media, headers={"content-disposition": name})


@router.get("/log/{request_id}", openapi_extra=who("viewer"), summary="One request")
async def one(admin: House, request_id: Annotated[str, Path(max_length=128)]) -> Found:
    """404 for an id that is not in the log (any more)."""
    rows = await reading.one(admin.database, request_id)
    if not rows:
        raise Refused(Failure(Kind.NOT_FOUND, "No request of this id is in the log.", should_retry=False))
    return Found(data=[LogRow.model_validate(row) for row in rows])


async def _lines(rows: AsyncIterator[dict[str, Any]], form: str) -> AsyncIterator[bytes]:
    said, head = (export.csv_lines, export.csv_header()) if form == "csv" else (export.json_lines, b"")
    batch: list[dict[str, Any]] = []
    async for row in rows:
        batch.append(row)
        if len(batch) >= _BATCH:
            yield head + said(batch)
            head, batch = b"", []
    if head or batch:
        yield head + said(batch)


async def _behind(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part
