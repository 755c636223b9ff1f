"""Usage over time and in total, from the hourly sums, which outlive the rows of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict

from dragoman.store import series
from dragoman.store.series import Bucket, Dimension
from dragoman.web.admin.envelope import BadField
from dragoman.web.admin.fields import Model, When, seconds_of
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import House, room, who

router = room("usage")

# More buckets than anybody can look at, fewer than would hold the loop up.
_MOST = {"hour": 31 * 86_400, "day": 1100 * 86_400, "week": 8000 * 86_400, "month": 40_000 * 86_400}
_DEFAULT = {"hour": 2 * 86_400, "day": 30 * 86_400, "week": 180 * 86_400, "month": 366 * 86_400}


class Sums(BaseModel):
    """Sums of requests. `counted` are those with usage, `unpriced` those of them without a price; costs and
    means are null where nothing is known. Beside the sums stand `time` (where the bucket begins) and the
    value of the dimension that was asked for.
    """

    model_config = ConfigDict(extra="ignore")

    time: str | None = None
    key: str | None = None
    requested_model: str | None = None
    upstream_model: str | None = None
    account: str | None = None
    outcome: str | None = None
    requests: int
    counted: int
    input_tokens: int
    cached_tokens: int
    written_tokens: int
    output_tokens: int
    reasoning_tokens: int
    unpriced: int
    estimated: int
    cost_usd: float | None
    anthropic_cost_usd: float | None
    errors: int
    first_token_ms: float | None
    duration_ms: float | None


class Usage(BaseModel):
    """`total` is over all of the time, `data` its buckets or, without `bucket`, the values of `by`."""

    total: Sums
    data: list[Sums]


Since = Annotated[When | None, Query(description="From this time on, in whole hours.")]
Until = Annotated[When | None, Query(description="Up to this time; without it up to now.")]
Only = Annotated[Model | None, Query(description="Only with this value.")]


def _where(
    key: Only = None,
    requested_model: Only = None,
    upstream_model: Only = None,
    account: Only = None,
    outcome: Only = None,
) -> dict[Dimension, str]:
    given: dict[Dimension, str | None] = {
        "key": key,
        "requested_model": requested_model,
        "upstream_model": upstream_model,
        "account": account,
        "outcome": outcome,
    }
    return {name: value for name, value in given.items() if value is not None}


Where = Annotated[Mapping[Dimension, str], Depends(_where)]


@router.get(
    "/usage", openapi_extra=who("viewer"), summary="Usage over time", response_model_exclude_unset=True
)
async def usage(
    admin: House,
    where: Where,
    bucket: Annotated[Bucket, Query(description="Width of a bucket; weeks begin on Monday, UTC.")] = "day",
    by: Annotated[Dimension | None, Query(description="One series for each value of this.")] = None,
    since: Since = None,
    until: Until = None,
) -> Usage:
    """Buckets without requests are left out. Without `since`: two days of hours, thirty days, half a year of
    weeks, a year of months."""
    start = seconds_of(since)
    end = seconds_of(until)
    if start is None:
        start = (end or admin.now) - _DEFAULT[bucket]
    if (end or admin.now) - start > _MOST[bucket]:
        raise BadField("since", f"is too far back for buckets of one {bucket}")
    found = await series.series(admin.database, start, end, bucket, by, where)
    return Usage(
        total=await _total(admin, start, end, where), data=[Sums.model_validate(row) for row in found]
    )


@router.get(
    "/usage/totals",
    openapi_extra=who("viewer"),
    summary="Usage in total",
    response_model_exclude_unset=True,
)
async def totals(
    admin: House,
    where: Where,
    by: Annotated[Dimension | None, Query(description="One row for each value of this.")] = None,
    since: Since = None,
    until: Until = None,
) -> Usage:
    """The value with the most requests first. Without `since`: everything."""
    start, end = seconds_of(since), seconds_of(until)
    found = [] if by is None else await series.totals(admin.database, start, end, by, where)
    return Usage(
        total=await _total(admin, start, end, where), data=[Sums.model_validate(row) for row in found]
    )


async def _total(
    admin: AdminHouse, start: float | None, end: float | None, where: Mapping[Dimension, str]
) -> Sums:
    (total,) = await series.totals(admin.database, start, end, None, where)
    return Sums.model_validate(total)
