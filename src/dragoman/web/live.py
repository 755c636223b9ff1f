"""Liveness, readiness and the small calls that clients make besides their work.

None of these asks for a key, touches the upstream or writes a log row. Readiness is told by the caller: this
module decides only how it is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dragoman.web import reply
from dragoman.web.incoming import Incoming

Readiness = Callable[[], tuple[bool, Mapping[str, object]]]

# More telemetry than this is not even read.
_EVENTS_LIMIT = 1024 * 1024


async def healthz(incoming: Incoming) -> None:
    """200 as long as the event loop turns."""
    await reply.send_json(incoming.send, 200, {"status": "ok"}, _id(incoming))


async def readyz(readiness: Readiness, incoming: Incoming) -> None:
    """200 while requests can be served, else 503; the body names every part that is not well."""
    ready, told = readiness()
    await reply.send_json(incoming.send, 200 if ready else 503, dict(told), _id(incoming))


async def hello(incoming: Incoming) -> None:
    """What clients connect to before their first request: any answer will do."""
    await reply.send_empty(incoming.send, 200, _id(incoming))


async def event_logging(incoming: Incoming) -> None:
    """Takes a client's telemetry and drops it unread beyond a bound; nothing is kept or passed on."""
    read = 0
    while read < _EVENTS_LIMIT:
        message = await incoming.receive()
        if message["type"] == "http.disconnect":
            return
        read += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    await reply.send_json(incoming.send, 200, {"status": "ok"}, _id(incoming))


def _id(incoming: Incoming) -> dict[str, str]:
    return {"request-id": incoming.request_id}
