"""The public paths: one table from path and method to a door, and what a stranger there is told.

The path alone decides (never `request.url` or Host). Every route names its auth class; a test walks the
table. Unknown paths and methods leave in the envelope of the surface they were asked on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, NamedTuple

from dragoman.web.console import PREFIX as CONSOLE
from dragoman.web.console import is_console
from dragoman.web.incoming import Incoming
from dragoman.web.reply import Dialect
from dragoman.wire.errors import Failure, Kind

Door = Callable[[Incoming], Awaitable[None]]
# open: anyone; key: a client key where keys exist (the door itself asks for it, before the body);
# metrics: a caller on this machine, or an admin token.
Auth = Literal["open", "key", "metrics"]


class Route(NamedTuple):
    """What answers on a path."""

    auth: Auth
    methods: Mapping[str, Door]


# Clients are configured with and without /v1, and with Anthropic's prefix of other gateways.
MESSAGES_PATHS = ("/v1/messages", "/anthropic/v1/messages", "/messages", "/anthropic/messages")
MODELS_PATHS = ("/v1/models", "/anthropic/v1/models", "/models")
# Codex speaks to its own backend's paths, where it is told that this is one.
CODEX = "/backend-api/codex"
RESPONSES_PATHS = ("/v1/responses", "/responses", f"{CODEX}/responses", f"{CODEX}/v1/responses")
CODEX_MODELS_PATHS = (f"{CODEX}/models", f"{CODEX}/v1/models")
# Where clients ask what their key may still use: ours, and those under which Codex asks its backend.
USAGE_PATHS = ("/v1/usage",)
CODEX_USAGE_PATHS = ("/api/codex/usage", f"{CODEX}/usage", "/backend-api/wham/usage")
CHAT_PATHS = ("/v1/chat/completions", "/chat/completions")
_LATER = ("/batches", "/files")
_OPENAI = ("/responses", "/chat/completions", "/backend-api/", "/api/codex/")


class Router:
    """Exact paths, one prefix whose last part is a model id, and one below which the console's files are."""

    def __init__(self, routes: Mapping[str, Route], models: Mapping[str, Door]) -> None:
        self._routes = dict(routes)
        self._models = models

    @property
    def routes(self) -> Mapping[str, Route]:
        return self._routes

    def route(self, path: str) -> Route | None:
        """What answers on a path, whatever the method."""
        found = self._routes.get(path) or self._routes.get(path.rstrip("/") or "/")
        return self._routes.get(CONSOLE) if found is None and is_console(path) else found

    def find(self, method: str, path: str) -> Door | Failure:
        """The door for a request, or why there is none."""
        route = self.route(path)
        if route is not None:
            door = route.methods.get(method)
            if door is not None:
                return door
            return Failure(Kind.METHOD_NOT_ALLOWED, f"{path} does not take {method}.", should_retry=False)
        if method in ("GET", "HEAD") and _model_id(path) is not None:
            return self._models["GET"]
        if _below_responses(path):
            return Failure(
                Kind.NOT_FOUND,
                "This gateway keeps no responses: none can be fetched, listed, cancelled or deleted.",
            )
        if any(part in path for part in _LATER):
            return Failure(Kind.NOT_FOUND, "Message Batches and Files are not offered by this gateway.")
        return Failure(Kind.NOT_FOUND, f"There is nothing at {path[:200]}.")


def _below_responses(path: str) -> bool:
    return any(path.startswith(prefix + "/") for prefix in RESPONSES_PATHS)


def _model_id(path: str) -> str | None:
    for prefix in MODELS_PATHS:
        if path.startswith(prefix + "/"):
            return path[len(prefix) + 1 :]
    return None


def model_id(path: str) -> str:
    """The id in `/v1/models/{id}`; ids may hold slashes."""
    return _model_id(path) or ""


def allowed(router: Router, path: str) -> str:
    """The methods of a path, for the `allow` field of a 405."""
    route = router.route(path)
    return ", ".join(sorted(route.methods)) if route is not None else ""


def speaks_anthropic(path: str, headers: Mapping[str, str]) -> bool:
    """Whether an error on this path wears Anthropic's envelope.

    The surface decides; on paths of neither surface the fields that only Anthropic's clients send.
    """
    if "/messages" in path or path.startswith("/anthropic"):
        return True
    if speaks_openai(path):
        return False
    return "anthropic-version" in headers or "x-api-key" in headers


def speaks_openai(path: str) -> bool:
    """Whether a path belongs to OpenAI's surface, whatever else was sent."""
    return "/messages" not in path and any(part in path for part in _OPENAI)


def envelope(path: str, headers: Mapping[str, str]) -> Dialect:
    """Whose error object a failure on this path wears."""
    return "anthropic" if speaks_anthropic(path, headers) else "openai"
