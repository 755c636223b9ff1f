"""What stands before every route of the admin API: login first, then anything else.

Whoever is not logged in learns nothing but that, not even which paths exist. It bounds bodies, puts the
security headers on every answer and turns what was not foreseen into a 500 that says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException

from dragoman.store.engine import StoreError
from dragoman.web import reply
from dragoman.web.admin.auth import SAFE, Doorman, check_origin
from dragoman.web.admin.envelope import SECURITY, envelope, of_store
from dragoman.web.admin.house import AdminHouse
from dragoman.web.incoming import Incoming, Message
from dragoman.wire.errors import Failure, Kind, Refused

API = "/admin/api"
BODY_BYTES = 256 * 1024
CALLER = "dragoman.caller"
REQUEST_ID = "dragoman.request_id"
FAULT = Failure(Kind.INTERNAL, "The gateway met an internal fault.")
_OURS = frozenset(name for name, _ in SECURITY)


class Guard:
    """`app` is the ASGI application behind it; `open_` are (method, path) pairs that need no login."""

    def __init__(
        self, admin: AdminHouse, doorman: Doorman, app: Any, open_: frozenset[tuple[str, str]]
    ) -> None:
        self._admin = admin
        self._app = app
        self._open = open_
        self._doorman = doorman

    async def __call__(self, incoming: Incoming) -> None:
        answer = _Answer(incoming)
        try:
            await self._serve(incoming, answer)
        except Refused as refused:
            await answer.fail(refused.failure)
        except StoreError as error:
            await answer.fail(of_store(error))
        except Exception as error:
            self._admin.logger.error("admin_fault", request_id=incoming.request_id, exc=error)
            await answer.fail(FAULT)

    async def _serve(self, incoming: Incoming, answer: _Answer) -> None:
        path = incoming.path
        if path != API and not path.startswith(API + "/"):
            raise Refused(Failure(Kind.NOT_FOUND, f"There is nothing at {path[:200]}."))
        scope: dict[str, Any] = {**incoming.scope, REQUEST_ID: incoming.request_id}
        if (incoming.method, path) in self._open:
            if incoming.method not in SAFE:
                check_origin(incoming.headers)
        else:
            scope[CALLER] = await self._doorman.caller(incoming.method, incoming.headers)
        if "\0" in path or b"%00" in scope.get("query_string", b""):
            raise Refused(Failure(Kind.INVALID_REQUEST, "The address holds a NUL character."))
        await self._app(scope, _bounded(incoming), answer.send)


def _bounded(incoming: Incoming) -> Any:
    read = 0

    async def receive() -> Message:
        nonlocal read
        message = await incoming.receive()
        read += len(message.get("body", b""))
        if read > BODY_BYTES:
            raise HTTPException(413)  # the one kind of error that FastAPI lets through here
        return message

    return receive


class _Answer:
    """The way out: every head gets the security headers and the request's id."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._began = False
        self._ended = False

    async def send(self, message: Message) -> None:
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        if message["type"] == "http.response.start":
            self._began = True
            ids = reply.failure_headers(FAULT, self._incoming.request_id)
            kept = [(name, value) for name, value in message.get("headers", ()) if name not in _OURS]
            message["headers"] = [*kept, *SECURITY, *_fields(ids)]
        await self._incoming.send(message)

    async def fail(self, failure: Failure, path: str | None = None) -> None:
        """Answers with a failure; of an answer that has begun nothing can be said any more: it is cut."""
        if self._ended:  # it was said already
            return
        if self._began:
            raise ConnectionAbortedError("the answer had begun")
        body = envelope(failure, self._incoming.request_id, path)
        await reply.send_json(self.send, failure.status, body, failure.headers())


def _fields(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
