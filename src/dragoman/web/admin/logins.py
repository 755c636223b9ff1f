"""Open sessions: one's own for everybody, all of them for admins. A session's token is never told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel

from dragoman.store.clientkeys import NotThere
from dragoman.store.people import Login
from dragoman.web.admin.auth import Caller
from dragoman.web.admin.fields import Id, at
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import House, Who, room, who

router = room("people")


class LoginRecord(BaseModel):
    """A session that is open; `current` is the one that asks."""

    id: str
    user: str
    created_at: datetime
    expires_at: datetime
    current: bool


class Logins(BaseModel):
    """The newest first."""

    data: list[LoginRecord]


@router.get("/sessions", openapi_extra=who("viewer"), summary="List open sessions")
async def sessions(admin: House, caller: Who) -> Logins:
    """An admin sees everybody's, a viewer their own; tokens of automation have none."""
    own = None if caller.session is None else caller.session.mark
    return Logins(
        data=[
            LoginRecord(
                id=one.id,
                user=one.user,
                created_at=at(one.created_at),
                expires_at=at(one.expires_at),
                current=one.mark == own,
            )
            for one in await _logins(admin, caller)
        ]
    )


@router.delete("/sessions/{session}", status_code=204, openapi_extra=who("viewer"), summary="End a session")
async def end_session(
    session: Annotated[Id, Path(description="Id of the list.")], admin: House, caller: Who
) -> None:
    """404 for one that has ended, or that is not the viewer's own."""
    found = next((one for one in await _logins(admin, caller) if one.id == session), None)
    if found is None:
        raise NotThere("there is no such session")
    database = admin.noting(caller.actor, "session.end", f"user:{found.user}")
    await admin.people(database).close_session(found.mark)


async def _logins(admin: AdminHouse, caller: Caller) -> list[Login]:
    if caller.role == "admin":
        return await admin.people().logins(admin.now)
    return [] if caller.session is None else await admin.people().logins(admin.now, caller.id)
