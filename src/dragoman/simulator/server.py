"""The simulator's server: routes, start, stop.

`start` serves inside a running loop and returns at once; `run` serves until it is interrupted. Both flavours,
the log-in endpoints and the admin interface share one address; bind it to loopback only.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable

from aiohttp import web

from dragoman.simulator import admin, doors, login, websocket
from dragoman.simulator.doors import STATE, door
from dragoman.simulator.incoming import MAX_BODY
from dragoman.simulator.refusal import error_body
from dragoman.simulator.state import State

_MAX_HEADER = 64 * 1024
_SHUTDOWN_SECONDS = 0.5


class Running:
    """A simulator that listens. `url` has no path; the flavours are at /v1 and /backend-api."""

    def __init__(self, runner: web.AppRunner, state: State, host: str) -> None:
        self._runner = runner
        self._host = host
        self._port = 0
        self._site: web.SockSite | None = None
        self._closed_doors: set[asyncio.Task[None]] = set()
        self.state = state
        state.refuse = self._refuse

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    async def listen(self, port: int) -> None:
        """Opens the socket. Port 0 takes a free one. Raises OSError where the address is taken."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, port))
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._site = web.SockSite(self._runner, listener, backlog=1024)
        await self._site.start()

    async def close(self) -> None:
        """Stops listening and drops what is open."""
        for task in self._closed_doors:
            task.cancel()
        await asyncio.gather(*self._closed_doors, return_exceptions=True)
        await self._runner.cleanup()

    def _refuse(self, seconds: float) -> None:
        """Connections are refused for so long (real time)."""
        task = asyncio.get_running_loop().create_task(self._reopen_after(seconds))
        self._closed_doors.add(task)
        task.add_done_callback(self._closed_doors.discard)

    async def _reopen_after(self, seconds: float) -> None:
        if self._site is None:
            return
        site, self._site = self._site, None
        await site.stop()
        await asyncio.sleep(seconds)
        await self.listen(self._port)


async def start(host: str, port: int, *, state: State | None = None) -> Running:
    """Serves in the running loop. Port 0 takes a free one; `Running.close` ends it."""
    state = state or State()
    runner = web.AppRunner(
        application(state),
        access_log=None,
        auto_decompress=False,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        max_line_size=_MAX_HEADER,
        max_field_size=_MAX_HEADER,
    )
    await runner.setup()
    running = Running(runner, state, host)
    try:
        await running.listen(port)
    except OSError:
        await runner.cleanup()
        raise
    return running


def run(
    host: str, port: int, *, state: State | None = None, ready: Callable[[Running], None] | None = None
) -> None:
    """Serves until SIGINT or SIGTERM. `ready` is called once the socket listens."""

    async def serve() -> None:
        running = await start(host, port, state=state)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # no signal handlers on this platform's loop
                loop.add_signal_handler(number, stop.set)
        if ready is not None:
            ready(running)
        await stop.wait()
        await running.close()

    asyncio.run(serve())


def application(state: State) -> web.Application:
    """The aiohttp application of one state."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_not_found])
    app[STATE] = state
    v1, codex = "/v1", "/backend-api"
    app.add_routes(
        [
            web.post(f"{v1}/responses", door(doors.create("api"))),
            web.get(f"{v1}/responses", door(websocket.create("api"))),
            web.post(f"{v1}/responses/input_tokens", door(doors.count)),
            web.post(f"{v1}/responses/compact", door(doors.compact("api"))),
            web.get(f"{v1}/responses/{{id}}", door(doors.stored)),
            web.delete(f"{v1}/responses/{{id}}", door(doors.stored)),
            web.post(f"{v1}/responses/{{id}}/cancel", door(doors.stored)),
            web.get(f"{v1}/responses/{{id}}/input_items", door(doors.stored)),
            web.get(f"{v1}/models", door(doors.models)),
            web.get(f"{v1}/models/{{model}}", door(doors.models)),
            web.post(f"{codex}/codex/responses", door(doors.create("codex"))),
            web.get(f"{codex}/codex/responses", door(websocket.create("codex"))),
            web.post(f"{codex}/codex/responses/compact", door(doors.compact("codex"))),
            web.get(f"{codex}/codex/models", door(doors.codex_catalogue)),
            web.get(f"{codex}/wham/usage", door(doors.usage)),
            *login.routes(),
            *admin.routes(),
        ]
    )
    return app


@web.middleware
async def _not_found(request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
    """JSON instead of aiohttp's plain text for paths and methods that do not exist."""
    try:
        return await handler(request)  # type: ignore[misc,no-any-return]
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
        if request.path.startswith("/backend-api"):
            return web.json_response({"detail": error.reason}, status=error.status)
        text = f"Invalid URL ({request.method} {request.path})"
        return web.json_response(error_body(text), status=error.status)
    except web.HTTPRequestEntityTooLarge:
        return web.json_response(error_body("Request body is too large."), status=413)
