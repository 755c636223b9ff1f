"""The upstream accounts of the configuration and what each was used for lately: read-only, no secrets."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from dragoman.store import series
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import House, room, who
from dragoman.web.admin.usage import Sums

router = room("accounts")

_HOUR = 3600.0


class AccountRecord(BaseModel):
    """An account in the order of trial; `models` null passes any name on."""

    name: str
    kind: str
    base_url: str | None
    models: list[str] | None
    simulated: bool
    usage: Sums | None


class Accounts(BaseModel):
    """`hours` is the time that `usage` is the sum of, in whole hours."""

    data: list[AccountRecord]
    hours: int


@router.get(
    "/accounts",
    openapi_extra=who("viewer"),
    summary="List upstream accounts",
    response_model_exclude_unset=True,
)
async def accounts(
    admin: House, hours: Annotated[int, Query(ge=1, le=24 * 366, description="Usage of so many hours.")] = 24
) -> Accounts:
    """`usage` is null for an account that served nothing in that time."""
    since = admin.now - hours * _HOUR
    sums = {row["account"]: row for row in await series.totals(admin.database, since, None, "account")}
    data = _configured(admin)
    for account in data:
        if (found := sums.get(account.name)) is not None:
            account.usage = Sums.model_validate(found)
    return Accounts(data=data, hours=hours)


def _configured(admin: AdminHouse) -> list[AccountRecord]:
    rows = [
        AccountRecord(
            name=row.name,
            kind=row.kind,
            base_url=row.base_url,
            models=row.models,
            simulated=False,
            usage=None,
        )
        for row in admin.settings.accounts
    ]
    if not rows and admin.house.simulated:
        rows = [
            AccountRecord(
                name="simulated", kind="openai", base_url=None, models=None, simulated=True, usage=None
            )
        ]
    return rows
