"""The ASGI application and composition root: settings become a house, a house answers requests."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

from dragoman.gateway.house import House
from dragoman.telemetry.logs import Logger
from dragoman.translate.models import described, published
from dragoman.web import catalog, live, messages, reply, responses
from dragoman.web.admin import mount
from dragoman.web.allowance import AllowanceDoor
from dragoman.web.chat import CHAT
from dragoman.web.console import PREFIX as CONSOLE
from dragoman.web.console import ConsoleDoor, front
from dragoman.web.counting import CountingDoor
from dragoman.web.departure import EXTENSION, Departure
from dragoman.web.generation import GenerationDoor
from dragoman.web.incoming import Incoming, Message, Receive, Scope, Send, headers_of
from dragoman.web.metrics import IsAdmin, MetricsDoor, Scrape, nobody
from dragoman.web.routes import (
    CHAT_PATHS,
    CODEX_MODELS_PATHS,
    CODEX_USAGE_PATHS,
    MESSAGES_PATHS,
    MODELS_PATHS,
    RESPONSES_PATHS,
    USAGE_PATHS,
    Door,
    Route,
    Router,
    allowed,
    envelope,
    model_id,
)
from dragoman.wire.errors import Failure, Kind, Refused

# Told the header fields of every request as it arrives, in the task that serves it.
Begin = Callable[[Mapping[str, str]], None]

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class App:
    """ASGI callable. `keyless` tells whether any key exists, `ill` which parts are not well, and why.

    `admin` answers everything below /admin.
    """

    def __init__(
        self,
        house: House,
        logger: Logger,
        *,
        max_body_bytes: int,
        allowed_hosts: frozenset[str] = frozenset(),
        keyless: Callable[[], bool],
        scrape: Scrape,
        ill: Callable[[], Mapping[str, str]] = dict,
        is_admin: IsAdmin = nobody,
        begin: Begin | None = None,
        admin: Door | None = None,
    ) -> None:
        self._house = house
        self._logger = logger
        self._keyless = keyless
        self._ill = ill
        self.admin = admin
        self._hosts = _LOOPBACK_NAMES | {name.lower() for name in allowed_hosts}
        self._begin = begin
        self.router = self._router(max_body_bytes, MetricsDoor(scrape, is_admin, self._stranger))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = headers_of(scope)
        if self._begin is not None:
            self._begin(headers)
        path: str = scope["path"]
        request_id = self._request_id(scope, headers)
        incoming = Incoming(scope, receive, self._marking(send), path, scope["method"], headers, request_id)
        if self._keyless() and (refused := self._stranger(headers)) is not None:
            door = self.router.find(incoming.method, path)
            if isinstance(door, GenerationDoor):
                await door.turn_away(incoming, refused)
            else:
                await self._refuse(incoming, refused)
            return
        if self.admin is not None and mount.is_admin(path):
            await self.admin(incoming)
            return
        found = self.router.find(incoming.method, path)
        if isinstance(found, Failure):
            await self._refuse(incoming, found)
            return
        try:
            await found(incoming)
        except Refused as refusal:
            await self._refuse(incoming, refusal.failure)

    async def _refuse(self, incoming: Incoming, failure: Failure) -> None:
        if self.admin is not None and mount.is_admin(incoming.path):
            await mount.refuse(incoming, failure)
            return
        dialect = envelope(incoming.path, incoming.headers)
        fields = {}
        if failure.kind is Kind.METHOD_NOT_ALLOWED:
            fields["allow"] = allowed(self.router, incoming.path)
        await reply.send_failure(incoming.send, failure, incoming.request_id, dialect, fields)

    def _request_id(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """The same as the door's, which may refuse the rest of a request whose head came here."""
        departure: Departure = scope["extensions"][EXTENSION]
        if not departure.request_id:
            departure.request_id = reply.request_id(headers.get("x-request-id"), self._house.ids.request)
        return departure.request_id

    def _marking(self, send: Send) -> Send:
        """Every answer of a simulated house says so."""
        if not self._house.simulated:
            return send

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-dragoman-simulated", b"true")]
            await send(message)

        return marked

    def _stranger(self, headers: Mapping[str, str]) -> Failure | None:
        """Where only this machine may ask: no rebound Host name, no page of another origin."""
        name = _host_name(headers.get("host", ""))
        if name not in self._hosts and not _is_loopback(name):
            return Failure(
                Kind.MISDIRECTED, "This server answers for loopback names only while it has no keys."
            )
        origin = headers.get("origin")
        if origin is not None and not self._is_ours(origin):
            return Failure(Kind.PERMISSION, "Requests of another origin are refused while there are no keys.")
        return None

    def _is_ours(self, origin: str) -> bool:
        name = (urlsplit(origin).hostname or "").lower()
        return name in self._hosts or _is_loopback(name)

    def _router(self, limit: int, metrics: MetricsDoor) -> Router:
        house = self._house
        generation = GenerationDoor(house, self._logger, limit, messages.MESSAGES)
        count = CountingDoor(house, self._logger, limit, "anthropic", messages.count)
        models = partial(self._models)
        native = GenerationDoor(house, self._logger, limit, responses.RESPONSES)
        chat = GenerationDoor(house, self._logger, limit, CHAT)
        compaction = GenerationDoor(house, self._logger, limit, responses.COMPACTION)
        counting = CountingDoor(house, self._logger, limit, "openai", responses.count)
        console = ConsoleDoor()
        routes: dict[str, Route] = {
            "/healthz": Route("open", {"GET": live.healthz, "HEAD": live.healthz}),
            "/livez": Route("open", {"GET": live.healthz, "HEAD": live.healthz}),
            "/health/live": Route("open", {"GET": live.healthz, "HEAD": live.healthz}),
            "/": Route("open", {"GET": front, "HEAD": front}),
            CONSOLE: Route("open", {"GET": console, "HEAD": console}),
            "/metrics": Route("metrics", {"GET": metrics, "HEAD": metrics}),
        }
        ready = partial(live.readyz, self._readiness)
        for path in ("/readyz", "/health/ready"):
            routes[path] = Route("open", {"GET": ready, "HEAD": ready})
        for prefix in ("", "/anthropic"):
            routes[f"{prefix}/api/hello"] = Route("open", {"GET": live.hello, "HEAD": live.hello})
            for version in ("", "v2/"):
                path = f"{prefix}/api/event_logging/{version}batch"
                routes[path] = Route("open", {"POST": live.event_logging})
        routes["/anthropic"] = Route("open", {"GET": live.hello, "HEAD": live.hello})
        for path in MESSAGES_PATHS:
            routes[path] = Route("key", {"POST": generation})
            routes[f"{path}/count_tokens"] = Route("key", {"POST": count})
        for path in RESPONSES_PATHS:
            routes[path] = Route("key", {"POST": native})
            routes[f"{path}/compact"] = Route("key", {"POST": compaction})
            routes[f"{path}/input_tokens"] = Route("key", {"POST": counting})
        for path in CHAT_PATHS:
            routes[path] = Route("key", {"POST": chat})
        for path in CODEX_MODELS_PATHS:
            routes[path] = Route("key", {"GET": partial(self._codex_models)})
        for paths, codex in ((USAGE_PATHS, False), (CODEX_USAGE_PATHS, True)):
            for path in paths:
                routes[path] = Route("key", {"GET": AllowanceDoor(house, codex=codex)})
        for path in MODELS_PATHS:
            routes[path] = Route("key", {"GET": models})
        return Router(routes, {"GET": models})

    async def _models(self, incoming: Incoming) -> None:
        principal = self._house.keys.authenticate(incoming.headers)
        aliases, listed = self._house.aliases, self._house.accounts.offered()
        if wanted := model_id(incoming.path):
            row = described(wanted, aliases, listed, allowed=principal.models)
            rows = [] if row is None else [row]
        else:
            rows = published(aliases, listed, allowed=principal.models)
        await catalog.serve(incoming, rows, wanted)

    async def _codex_models(self, incoming: Incoming) -> None:
        principal = self._house.keys.authenticate(incoming.headers)
        rows = published(self._house.aliases, self._house.accounts.offered(), allowed=principal.models)
        await catalog.serve_codex(incoming, rows)

    def _readiness(self) -> tuple[bool, dict[str, object]]:
        """200 while requests can be served; names every part that is not well."""
        gate = self._house.gate
        told: dict[str, object] = {
            "status": "draining" if gate.draining else "ready",
            "upstream": "simulated" if self._house.simulated else "configured",
            "in_flight": gate.in_flight,
        }
        # Reasons are for the log: here any caller reads along.
        told |= dict.fromkeys(self._ill(), "degraded")
        return not gate.draining, told


def _host_name(host: str) -> str:
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
