"""Finished requests as they happen, as server-sent events. A reader that is too slow is let go.

A feed ends when the gateway drains, and when whoever watches is no longer logged in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from dragoman.gateway.ports import Row
from dragoman.store import rows as columns_of
from dragoman.store.engine import StoreError
from dragoman.store.walk import SHOWN, shown
from dragoman.telemetry.live import Full, Live, Watcher
from dragoman.web.admin.auth import Doorman
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import House, room, who
from dragoman.web.incoming import headers_of
from dragoman.wire import jsonio
from dragoman.wire.errors import Failure, Kind, Refused

router = room("log")

KEEP_ALIVE_SECONDS = 15.0
# How soon a feed notices that the gateway drains, or that its reader may watch no more.
_LOOK_SECONDS = 1.0
_HEADERS = {"x-accel-buffering": "no"}


@router.get(
    "/live",
    openapi_extra=who("viewer"),
    summary="Rows as they are finished",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `row` with a row of the log as data; comments keep the line open.",
            "content": {"text/event-stream": {}},
        }
    },
)
async def live(request: Request, admin: House) -> StreamingResponse:
    """A reader that falls behind gets the event `dropped` and the end; what it missed is in the log."""
    if admin.house.gate.leaving:
        raise Refused(Failure(Kind.UNAVAILABLE, "The gateway is shutting down.", retry_after=5))
    if admin.live.full:
        raise Refused(Failure(Kind.RATE_LIMIT, "Too many watch already.", retry_after=30))
    return StreamingResponse(
        _events(admin, admin.live, headers_of(request.scope)),
        media_type="text/event-stream",
        headers=_HEADERS,
    )


async def _events(admin: AdminHouse, live: Live, headers: dict[str, str]) -> AsyncIterator[bytes]:
    doorman = Doorman(admin)
    clock = admin.house.clock
    try:
        with live.watching() as watcher:
            yield b": watching\n\n"
            said = asked = clock.monotonic()
            while not watcher.closed and not admin.house.gate.leaving:
                found = await watcher.take(asked + _LOOK_SECONDS - clock.monotonic())
                now = clock.monotonic()
                if now - asked >= _LOOK_SECONDS:
                    if not await _still_welcome(doorman, headers):
                        return
                    asked = now
                if found:
                    yield b"".join(map(event, found))
                elif now - said >= KEEP_ALIVE_SECONDS:
                    yield b": still here\n\n"
                else:
                    continue
                said = now
            yield _last(watcher)
    except Full:  # somebody was faster
        return


def event(row: Row) -> bytes:
    """One row as an event, in the same form as the log has it."""
    values = columns_of.columns(row)
    told: dict[str, Any] = shown([values[column.name] for column in SHOWN])
    return b"event: row\ndata: " + jsonio.dump_line(told) + b"\n\n"


def _last(watcher: Watcher) -> bytes:
    return b"event: dropped\ndata: {}\n\n" if watcher.dropped else b": the end\n\n"


async def _still_welcome(doorman: Doorman, headers: dict[str, str]) -> bool:
    try:
        await doorman.caller("GET", headers)
    except Refused:
        return False
    except StoreError:  # nobody is thrown out because the store does not answer
        return True
    return True
