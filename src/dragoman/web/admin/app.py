"""Puts the admin API together: every noun's routes, the errors' one envelope, the OpenAPI description.

FastAPI serves what is below /admin/api and nothing else; its own pages and redirects are off, because they
load from elsewhere and decide on URLs. Imported when the first request for it comes, see mount.py.
"""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from dragoman import __version__
from dragoman.store.engine import StoreError
from dragoman.web.admin import (
    accounts,
    connect,
    docs,
    entry,
    keys,
    live,
    log,
    logins,
    models,
    overview,
    people,
    signins,
    turns,
    usage,
)
from dragoman.web.admin.auth import COOKIE, CSRF_HEADER, Doorman
from dragoman.web.admin.envelope import BadField, envelope, of_store
from dragoman.web.admin.fields import PATTERNS
from dragoman.web.admin.guard import FAULT, REQUEST_ID, Guard
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import Declared
from dragoman.wire.errors import Failure, Kind, Refused

ROOMS = (
    entry,
    overview,
    connect,
    keys,
    accounts,
    signins,
    models,
    usage,
    log,
    turns,
    live,
    people,
    logins,
    docs,
)
_ABOUT = """\
Everything about a gateway but its traffic. Log in with `POST /admin/api/login`, which sets a cookie, and send
the `csrf_token` of `GET /admin/api/me` as `x-csrf-token` with every change; or send an admin token as
`Authorization: Bearer drg-adm-…`. Errors are `{"error": {"type", "message", "path"?}, "request_id"}`.
`x-auth` of each operation says who may call it: `open` anyone, `viewer` everyone who is logged in, `admin`
admins."""
# Statuses of Starlette's own refusals.
_KINDS = {
    400: Kind.INVALID_REQUEST,
    404: Kind.NOT_FOUND,
    405: Kind.METHOD_NOT_ALLOWED,
    413: Kind.TOO_LARGE,
}


def build(admin: AdminHouse, doorman: Doorman) -> Guard:
    """The guarded API over a house."""
    app = bare()
    app.state.admin = admin
    open_ = frozenset(
        (method, route.path)
        for route in routes(app)
        if route.auth == "open"
        for method in route.methods or ()
    )
    return Guard(admin, doorman, app, open_)


def bare() -> FastAPI:
    """The routes without a house: enough to be described."""
    app = FastAPI(
        title="dragoman admin API",
        version=__version__,
        description=_ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for room in ROOMS:
        app.router.routes.extend(cast("list[BaseRoute]", room.router.routes))
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(StoreError, _store)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)
    return app


def routes(app: FastAPI) -> list[Declared]:
    """Every route; each has its auth class."""
    return [route for route in app.router.routes if isinstance(route, Declared)]


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, with the two ways to log in."""
    if app.openapi_schema is None:
        made = app.openapi()
        made["components"]["securitySchemes"] = {
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": COOKIE,
                "description": f"Set by the login. Changes need `{CSRF_HEADER}` besides.",
            },
            "token": {"type": "http", "scheme": "bearer", "description": "An admin token, `drg-adm-…`."},
        }
    return app.openapi()


def _answer(
    request: Request, failure: Failure, path: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    body = envelope(failure, request.scope[REQUEST_ID], path)
    return JSONResponse(body, failure.status, {**failure.headers(), **(headers or {})})


async def _refused(request: Request, error: Exception) -> Response:
    path = error.path if isinstance(error, BadField) else None
    return _answer(request, cast("Refused", error).failure, path)


async def _store(request: Request, error: Exception) -> Response:
    failure = of_store(cast("StoreError", error))
    if failure.kind is Kind.UNAVAILABLE:
        request.app.state.admin.logger.warning(
            "admin_store_down", request_id=request.scope[REQUEST_ID], reason=str(error)
        )
    return _answer(request, failure)


async def _fault(request: Request, error: Exception) -> Response:
    """The guard logs it: it gets the error too."""
    return _answer(request, FAULT)


async def _invalid(request: Request, error: Exception) -> Response:
    """The first problem, by its path in the body or by the parameter's name."""
    problem = cast("RequestValidationError", error).errors()[0]
    path = ".".join(str(part) for part in problem["loc"][1:])
    said = str(problem["msg"]).removeprefix("Value error, ")
    said = _SAID.get(problem["type"], said[:1].lower() + said[1:])
    said = PATTERNS.get(problem.get("ctx", {}).get("pattern", ""), said)
    message = f"{path}: {said}" if path else f"The {problem['loc'][0]} {said}."
    return _answer(request, Failure(Kind.INVALID_REQUEST, message, should_retry=False), path or None)


_SAID = {
    "extra_forbidden": "is not known here",
    "missing": "is needed",
    "model_attributes_type": "must be a JSON object with content-type application/json",
}


async def _http(request: Request, error: Exception) -> Response:
    refusal = cast("HTTPException", error)
    kind = _KINDS.get(refusal.status_code, Kind.INVALID_REQUEST)
    path = request.scope["path"][:200]
    messages = {
        Kind.NOT_FOUND: f"There is nothing at {path}.",
        Kind.METHOD_NOT_ALLOWED: f"{path} does not take {request.method}.",
        Kind.TOO_LARGE: "The body is over the limit.",
    }
    failure = Failure(kind, messages.get(kind, "The request cannot be read."), should_retry=False)
    allow = {"allow": _methods(request)} if kind is Kind.METHOD_NOT_ALLOWED else {}
    return _answer(request, failure, headers=allow)


def _methods(request: Request) -> str:
    """Every method of a path; a route by itself knows only its own."""
    found = [
        route.methods or ()
        for route in routes(request.app)
        if route.matches(request.scope)[0] is not Match.NONE
    ]
    return ", ".join(sorted({method for methods in found for method in methods}))
