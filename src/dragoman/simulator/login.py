"""The log-in endpoints of ChatGPT accounts: authorize, token, device code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from dragoman.simulator.doors import STATE
from dragoman.simulator.refusal import Answer
from dragoman.wire import jsonio


def routes() -> list[web.RouteDef]:
    """All log-in routes."""
    return [
        web.get("/oauth/authorize", _authorize),
        web.post("/oauth/token", _token),
        web.post("/api/accounts/deviceauth/usercode", _user_code),
        web.post("/api/accounts/deviceauth/token", _device_token),
        web.get("/codex/device", _device_page),
    ]


async def _authorize(request: web.Request) -> web.Response:
    outcome = request.app[STATE].grants.authorize(request.query)
    if isinstance(outcome, Answer):
        return _json(outcome)
    return web.Response(status=302, headers={"location": outcome})


async def _token(request: web.Request) -> web.Response:
    state = request.app[STATE]
    body = await _body(request)
    return _json(state.grants.token(body, state.accounts, state.clock.now()))


async def _user_code(request: web.Request) -> web.Response:
    state = request.app[STATE]
    client_id = str((await _body(request)).get("client_id", ""))
    return _json(state.grants.begin_device(client_id, state.clock.now()))


async def _device_token(request: web.Request) -> web.Response:
    state = request.app[STATE]
    return _json(state.grants.poll_device(await _body(request), state.clock.now()))


async def _device_page(request: web.Request) -> web.Response:
    return web.Response(text="Simulated: this device login is approved by itself.\n")


async def _body(request: web.Request) -> Mapping[str, Any]:
    """A form or a JSON object; anything else counts as empty."""
    if request.content_type == "application/json":
        try:
            parsed = jsonio.parse(await request.read())
        except jsonio.InvalidJson:
            return {}
        return parsed if isinstance(parsed, dict) else {}
    form = await request.post()
    return {name: str(value) for name, value in form.items()}


def _json(answer: Answer) -> web.Response:
    headers = {"cache-control": "no-store", **answer.headers}
    return web.json_response(answer.body, status=answer.status, headers=headers, dumps=jsonio.dump_text)
