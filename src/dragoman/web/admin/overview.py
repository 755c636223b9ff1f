"""How the gateway does, its settings, and who changed what. Read-only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel

from dragoman.store import audit as trail
from dragoman.web.admin.fields import Limit, at
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import House, room, who

router = room("gateway")


class Health(BaseModel):
    """`ill` names every part that is not well, with the reason."""

    status: Literal["ready", "draining"]
    ill: dict[str, str]
    in_flight: int
    waiting: int


class Ledger(BaseModel):
    """The writer behind the requests: rows the database does not have yet, and what became of the others."""

    waiting_rows: int
    written_rows: int
    dropped_texts: int
    refused_rows: int


class Overview(Health):
    """One look at the gateway."""

    version: str
    started_at: datetime
    uptime_seconds: float
    upstream: Literal["simulated", "configured"]
    database: Literal["sqlite", "postgresql"]
    ledger: Ledger
    live_watchers: int


class Setting(BaseModel):
    """`origin`: `flag`, `environment`, `file` or `default`; `source`: which of them. Secrets are masked."""

    key: str
    value: Any
    origin: str
    source: str | None = None


class Settings(BaseModel):
    """Every key of the configuration. They are changed where they are, not here."""

    data: list[Setting]


class Change(BaseModel):
    """An entry of the audit trail."""

    id: int
    time: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class Changes(BaseModel):
    """A page, newest first; `next` is the `before` of the following one."""

    data: list[Change]
    next: int | None


@router.get("/health", openapi_extra=who("viewer"), summary="What is not well")
async def health(admin: House) -> Health:
    """As `/readyz` has it, with reasons."""
    return Health(**_health(admin))


@router.get("/overview", openapi_extra=who("viewer"), summary="One look at the gateway")
async def overview(admin: House) -> Overview:
    """Figures of this process, not of others on the same database."""
    writer = admin.writer
    return Overview(
        **_health(admin),
        version=admin.version,
        started_at=at(admin.started_at),
        uptime_seconds=max(0.0, admin.now - admin.started_at),
        upstream="simulated" if admin.house.simulated else "configured",
        database=admin.database.dialect,
        ledger=Ledger(
            waiting_rows=writer.waiting,
            written_rows=writer.written,
            dropped_texts=writer.dropped_texts,
            refused_rows=writer.refused,
        ),
        live_watchers=admin.live.watchers,
    )


@router.get("/settings", openapi_extra=who("viewer"), summary="Settings and where they come from")
async def settings(admin: House) -> Settings:
    """Read-only: they live in the file and the environment."""
    return Settings(data=[Setting.model_validate(dict(row)) for row in admin.settings_view()])


@router.get("/audit", openapi_extra=who("admin"), summary="Who changed what")
async def audit(
    admin: House,
    limit: Annotated[Limit, Query()] = 50,
    before: Annotated[int | None, Query(ge=0, le=2**63 - 1, description="`next` of the page before.")] = None,
) -> Changes:
    """Newest first."""
    found, following = await trail.page(admin.database, limit=limit, before=before)
    data = [
        Change(
            id=noted.id,
            time=at(noted.entry.time),
            actor=noted.entry.actor,
            action=noted.entry.action,
            subject=noted.entry.subject,
            detail=dict(noted.entry.detail),
        )
        for noted in found
    ]
    return Changes(data=data, next=following)


def _health(admin: AdminHouse) -> dict[str, Any]:
    gate = admin.house.gate
    return {
        "status": "draining" if gate.draining else "ready",
        "ill": admin.health.parts,
        "in_flight": gate.in_flight,
        "waiting": gate.waiting,
    }
