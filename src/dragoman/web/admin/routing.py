"""Routes of the admin API: each declares who may ask, and the declaration is what is enforced.

A route without one cannot be made. Bodies are read by the gateway's strict JSON reader.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor

from dragoman.web.admin.auth import Auth, Caller
from dragoman.web.admin.envelope import BadField
from dragoman.web.admin.guard import API, CALLER
from dragoman.web.admin.house import AdminHouse
from dragoman.wire import jsonio
from dragoman.wire.errors import Failure, Kind, Refused

AUTH = "x-auth"


class _Named(Convertor[str]):
    """A name in a path, which may hold slashes but does not end with one of the deeds that follow a name."""

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Key(_Named):
    regex = r"(?:(?!/rotate$).)+"


class _Account(_Named):
    regex = r"(?:(?!/(?:pause|resume|test)$).)+"


# What ends so is found by its id.
register_url_convertor("key", _Key())
register_url_convertor("account", _Account())


class Problem(BaseModel):
    """What went wrong; `path` names the field where one is to blame."""

    type: str
    message: str
    path: str | None = None


class Failed(BaseModel):
    """The envelope of every error."""

    error: Problem
    request_id: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Failed, "description": "Refused; the message says why."},
    "5XX": {"model": Failed, "description": "A part of the gateway does not answer now."},
}


class _StrictRequest(Request):
    """A body is strict JSON, as everywhere at this gateway."""

    async def json(self) -> Any:
        try:
            return jsonio.parse(await self.body())
        except jsonio.InvalidJson as error:
            problem = {
                "type": "json_invalid",
                "loc": ("body",),
                "msg": f"is not JSON: {error}",
                "input": None,
            }
            raise RequestValidationError([problem]) from None


class Declared(APIRoute):
    """A route that knows its auth class."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.auth: Auth = (self.openapi_extra or {})[AUTH]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()
        declared: Auth = (self.openapi_extra or {})[AUTH]
        known = _parameters(self.dependant)

        async def handler(request: Request) -> Response:
            if declared != "open":
                # The guard has let nobody in without a caller; a route beside the guard fails here.
                caller: Caller = request.scope[CALLER]
                if declared == "admin" and caller.role != "admin":
                    raise Refused(Failure(Kind.PERMISSION, "This needs the role admin.", should_retry=False))
            for name in request.query_params:
                if name not in known:
                    raise BadField(name[:64], _not_known(known, name))
            return await inner(_StrictRequest(request.scope, request.receive))

        return handler


def _parameters(dependant: Dependant) -> frozenset[str]:
    """What the query of a route may hold, by its own declaration and those it depends on."""
    names = {field.alias for field in dependant.query_params}
    return frozenset(names.union(*map(_parameters, dependant.dependencies)))


def _not_known(known: Collection[str], name: str) -> str:
    """A filter that is misspelt would otherwise give everything."""
    near = difflib.get_close_matches(name[:64], sorted(known), 1, 0.0)
    return f"is not known here; the nearest is {near[0]}" if near else "is not known here"


def room(tag: str) -> APIRouter:
    """A router for one noun."""
    return APIRouter(prefix=API, route_class=Declared, responses=PROBLEMS, tags=[tag])


def who(auth: Auth) -> dict[str, Any]:
    """The declaration: `open` to anyone, `viewer` to whoever is logged in, `admin` to admins."""
    needs: dict[str, Any] = {} if auth == "open" else {"security": [{"session": []}, {"token": []}]}
    return {AUTH: auth, **needs}


def _house(request: Request) -> AdminHouse:
    admin: AdminHouse = request.app.state.admin
    return admin


def _caller(request: Request) -> Caller:
    caller: Caller = request.scope[CALLER]
    return caller


House = Annotated[AdminHouse, Depends(_house)]
Who = Annotated[Caller, Depends(_caller)]
