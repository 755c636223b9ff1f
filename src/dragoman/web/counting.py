"""The door of counting: how many tokens a request would be, in the words of the surface it came in on.

No place is taken, no row is written, nothing is generated. What is counted, and how a request is checked, is
a function that is handed in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from dragoman.gateway.house import House
from dragoman.gateway.ports import Principal
from dragoman.telemetry.logs import Logger
from dragoman.web import body, reply
from dragoman.web.incoming import Incoming
from dragoman.wire.errors import Failure, Kind, Refused

_FAULT = Failure(Kind.INTERNAL, "The gateway met an internal fault while counting.")

# The answer for a parsed request of a principal's; header fields by lower-case name. Raises Refused.
Count = Callable[[House, Principal, Mapping[str, str], dict[str, Any]], Awaitable[dict[str, Any]]]


class CountingDoor:
    """Serves the counting requests of one surface; `envelope` is whose error object a refusal wears."""

    def __init__(
        self, house: House, logger: Logger, limit: int, envelope: reply.Dialect, count: Count
    ) -> None:
        self._house = house
        self._logger = logger
        self._limit = limit
        self._envelope = envelope
        self._count = count

    async def __call__(self, incoming: Incoming) -> None:
        try:
            principal = self._house.keys.authenticate(incoming.headers)
            content = await body.read(incoming.scope, incoming.receive, limit=self._limit)
            request = await body.json_object(incoming.scope, content, self._house.pieces)
            answer = await self._count(self._house, principal, incoming.headers, request)
            told = reply.id_fields(incoming.request_id, self._envelope)
            await reply.send_json(incoming.send, 200, answer, told)
        except Refused as refusal:
            await self._refuse(incoming, refusal.failure)
        except body.ClientGone:
            return
        except Exception as error:
            self._logger.error("fault", request_id=incoming.request_id, exc=error)
            await self._refuse(incoming, _FAULT)

    async def _refuse(self, incoming: Incoming, failure: Failure) -> None:
        await reply.send_failure(incoming.send, failure, incoming.request_id, self._envelope)
