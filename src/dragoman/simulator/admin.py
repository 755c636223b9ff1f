"""The admin interface under /__sim/: what was received, what the cache holds, scripts, switches, time.

It is for tests on a loopback address and asks nobody for a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from dragoman.simulator.accounts import describe
from dragoman.simulator.doors import STATE
from dragoman.simulator.state import PARTS, State
from dragoman.simulator.steps import InvalidScenario
from dragoman.simulator.switches import change
from dragoman.wire import jsonio


def routes() -> list[web.RouteDef]:
    """All admin routes."""
    return [
        web.get("/__sim/healthz", _health),
        web.get("/__sim/requests", _requests),
        web.get("/__sim/cache", _cache),
        web.get("/__sim/accounts", _accounts),
        web.get("/__sim/report", _report),
        web.get("/__sim/switches", _switches),
        web.get("/__sim/scenario", _scenario),
        web.post("/__sim/scenario", _posted(_load)),
        web.post("/__sim/accounts", _posted(_put)),
        web.post("/__sim/switches", _posted(_switch)),
        web.post("/__sim/clock", _posted(_clock)),
        web.post("/__sim/cache", _posted(_evict)),
        web.post("/__sim/reset", _posted(_reset)),
    ]


def _json(body: Any, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, dumps=jsonio.dump_text)


async def _health(request: web.Request) -> web.Response:
    return _json({"status": "ok", "simulated": True, "active": request.app[STATE].log.active})


async def _requests(request: web.Request) -> web.Response:
    log = request.app[STATE].log
    try:
        since = int(request.query.get("since", "0"))
    except ValueError:
        return _json({"error": "since: must be an integer"}, 400)
    return _json({"total": log.total, "requests": [record.shown() for record in log.since(since)]})


async def _cache(request: web.Request) -> web.Response:
    return _json(request.app[STATE].cache.census())


async def _accounts(request: web.Request) -> web.Response:
    return _json([describe(account) for account in request.app[STATE].accounts])


async def _report(request: web.Request) -> web.Response:
    return _json(request.app[STATE].report())


async def _switches(request: web.Request) -> web.Response:
    return _json(asdict(request.app[STATE].switches))


async def _scenario(request: web.Request) -> web.Response:
    return _json({"rules": request.app[STATE].scenario.source})


def _posted(act: Any) -> Any:
    """A handler that parses the body and turns a ValueError into a 400 that says what is wrong."""

    async def handle(request: web.Request) -> web.Response:
        raw = await request.read()
        try:
            wanted = jsonio.parse(raw) if raw.strip() else {}
            return _json(act(request.app[STATE], wanted))
        except (jsonio.InvalidJson, InvalidScenario, ValueError) as error:
            return _json({"error": str(error)}, 400)

    return handle


def _object(wanted: Any) -> Mapping[str, Any]:
    if not isinstance(wanted, dict):
        raise ValueError("the body must be an object")
    return wanted


def _load(state: State, wanted: Any) -> Any:
    state.load(wanted)
    return {"rules": len(state.scenario.rules)}


def _put(state: State, wanted: Any) -> Any:
    listed = wanted if isinstance(wanted, list) else [wanted]
    return [describe(state.accounts.put(_object(one))) for one in listed]


def _switch(state: State, wanted: Any) -> Any:
    change(state.switches, _object(wanted))
    return asdict(state.switches)


def _clock(state: State, wanted: Any) -> Any:
    asked = _object(wanted)
    for key, value in asked.items():
        if key not in ("advance", "freeze"):
            raise ValueError(f"no key {key!r}; there are: advance, freeze")
        if key == "advance" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError("advance: seconds")
    if "freeze" in asked:
        state.clock.freeze(bool(asked["freeze"]))
    if "advance" in asked:
        state.clock.advance(float(asked["advance"]))
    return {"now": state.clock.now(), "frozen": state.clock.frozen}


def _evict(state: State, wanted: Any) -> Any:
    if _object(wanted).get("evict_now") is not True:
        raise ValueError('the one thing to say here is {"evict_now": true}')
    state.cache.evict()
    return {"evicted": True}


def _reset(state: State, wanted: Any) -> Any:
    asked = _object(wanted)
    only = asked.get("only")
    if set(asked) - {"only"} or (only is not None and not isinstance(only, list)):
        raise ValueError(f"only: a list of {', '.join(PARTS)}")
    state.reset(only)
    return {"reset": list(only or PARTS)}
