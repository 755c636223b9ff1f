"""The server at the front: it binds, accepts, and on a signal lets what is in flight come to its end.

Built on uvicorn's configuration and lifespan; connections are `protocol.DoorProtocol`. It prints and logs
nothing about itself and decides nothing about requests: an application that wants to refuse new work while
draining is told so by `on_draining`. Where a successor has taken over its sockets nothing is refused at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar, cast

from uvicorn.server import ServerState

from dragoman.web.limits import Limits
from dragoman.web.protocol import DoorConfig, DoorProtocol, Drain
from dragoman.web.reply import fresh_request_id

__all__ = ["DoorProtocol", "Drain", "Limits", "Server", "StartFailed", "listen", "new_loop", "run", "serve"]

T = TypeVar("T")

_BACKLOG = 2048
_POLL = 0.02
_LIMITS = Limits()


class StartFailed(RuntimeError):
    """The application refused to start."""


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's event loop where it exists, else asyncio's."""
    try:
        loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
    except ImportError:
        return asyncio.new_event_loop()
    return loop


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


def listen(host: str, port: int, *, reuse_port: bool = False) -> list[socket.socket]:
    """Binds every address of `host`, all on one port (0: a free one).

    Raises OSError when one cannot be bound, except that a machine without IPv6 may still name ::1 localhost.
    """
    infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    missing: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(infos):
        try:
            sock = _bind(family, kind, protocol, (address[0], port, *address[2:]), reuse_port)
        except OSError as error:
            if family == socket.AF_INET6 and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                missing = error
                continue
            for earlier in bound:
                earlier.close()
            raise
        bound.append(sock)
        port = sock.getsockname()[1]
    if not bound:
        raise missing or OSError(errno.EADDRNOTAVAIL, f"{host} has no address")
    return bound


def _bind(family: int, kind: int, protocol: int, address: tuple[Any, ...], reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


class Server:
    """Serves one application on bound sockets until `stop` has been called and the drain is over."""

    def __init__(
        self,
        config: DoorConfig,
        sockets: Sequence[socket.socket],
        *,
        drain_seconds: float,
        keep_listening: bool = True,
        on_draining: Callable[[], None] | None = None,
    ) -> None:
        self._config = config
        self._sockets = sockets
        self._drain_seconds = drain_seconds
        self._keep_listening = keep_listening
        self._on_draining = on_draining
        self._handed_over = False
        self._state = ServerState()
        self._listeners: list[asyncio.AbstractServer] = []
        self._stopping = asyncio.Event()
        self._now = asyncio.Event()

    @property
    def connections(self) -> int:
        return len(self._state.connections)

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The sockets it listens on, for a successor; none once it is on its way out."""
        return () if self._stopping.is_set() else self._sockets

    def hand_over(self) -> None:
        """A successor listens on the same sockets: what is connected here is served to its end, then it ends.

        Requests that come on kept connections are served too; their answers say that the connection closes.
        For handlers of the loop; not thread-safe.
        """
        if not self._stopping.is_set():
            self._handed_over = True
            self._config.drain.begun = True
            self._stopping.set()

    def stop(self) -> None:
        """Begins the drain; the second call ends it. For signal handlers; not thread-safe."""
        if self._stopping.is_set() and not self._handed_over:
            self._now.set()
            return
        self._handed_over = False
        self._config.drain.begun = True
        self._stopping.set()
        if self._on_draining is not None:
            self._on_draining()

    def hang_up(self) -> None:
        """Begins the drain and never ends one: a terminal that closes says so more than once."""
        if not self._stopping.is_set() or self._handed_over:
            self.stop()

    async def serve(self, on_started: Callable[[], None]) -> None:
        """Runs from the application's start to its end. Raises StartFailed when it will not start."""
        self._config.load()
        lifespan = self._config.lifespan_class(self._config)
        await lifespan.startup()
        if lifespan.should_exit:
            raise StartFailed("the application failed to start")
        try:
            await self._open(lifespan.state)
            on_started()
            await self._stopping.wait()
            await self._drain()
        finally:
            await self._close()
            await lifespan.shutdown()

    async def _open(self, app_state: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()

        def connect() -> DoorProtocol:
            return DoorProtocol(self._config, self._state, app_state, loop)

        for sock in self._sockets:
            _bound_by_silence(sock, self._config.limits.stall_seconds)
            self._listeners.append(await loop.create_server(connect, sock=sock, backlog=_BACKLOG))

    async def _drain(self) -> None:
        """Lets requests in flight finish. Idle connections end now; where nobody else listens on the port,
        new ones are still taken, so that they are refused in words."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._drain_seconds
        if self._handed_over:
            await self._retire(deadline)
        if not self._keep_listening:
            await asyncio.sleep(_POLL)  # what the kernel has already accepted is taken first
            self._stop_listening()
        for connection in self._connections():
            connection.shutdown()
        while self._state.tasks and loop.time() < deadline and not self._now.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._now.wait(), _POLL)

    async def _retire(self, deadline: float) -> None:
        """Until every connection has come to its end by itself, or a signal wants it sooner.

        Whoever was not accepted yet stays in the kernel's queue, which the successor has too.
        """
        self._stop_listening()
        quiet, loop = self._config.limits.quiet_seconds, asyncio.get_running_loop()
        while self._state.connections and self._handed_over and loop.time() < deadline:
            for connection in self._connections():
                connection.retire(quiet)
            await asyncio.sleep(_POLL)

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()

    async def _close(self) -> None:
        """Cancels what is left, gives it time for its last words, then ends every connection."""
        self._stop_listening()
        patience = self._config.limits.last_words_seconds
        tasks = set(self._state.tasks)
        for task in tasks:
            task.cancel("the server is shutting down")
        if tasks:
            await asyncio.wait(tasks, timeout=patience)
        for connection in self._connections():
            connection.shutdown()
        await self._until(lambda: not any(c.unsent for c in self._connections()), patience)
        for connection in self._connections():
            connection.hang_up()
        await self._until(lambda: not self._state.connections, patience)
        for listener in self._listeners:
            await listener.wait_closed()

    def _connections(self) -> list[DoorProtocol]:
        return cast("list[DoorProtocol]", list(self._state.connections))

    @staticmethod
    async def _until(done: Callable[[], bool], patience: float) -> None:
        for _ in range(int(patience / _POLL) + 1):
            if done():
                return
            await asyncio.sleep(_POLL)


def _bound_by_silence(sock: socket.socket, seconds: float) -> None:
    """The kernel, too, gives up a peer that acknowledges nothing for so long (inherited on accept)."""
    if sock.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000)))


async def serve(
    app: Any,
    *,
    host: str = "127.0.0.1",
    port: int = 8787,
    sockets: Sequence[socket.socket] | None = None,
    reuse_port: bool = False,
    keep_listening: bool | None = None,
    limits: Limits = _LIMITS,
    drain_seconds: float = 120.0,
    host_allowed: Callable[[str], bool] | None = None,
    fresh_id: Callable[[], str] = fresh_request_id,
    on_started: Callable[[str], None] | None = None,
    on_draining: Callable[[], None] | None = None,
    on_made: Callable[[Server], None] | None = None,
) -> None:
    """Serves `app` until SIGTERM, SIGINT or SIGHUP, then drains; a second signal ends the drain, but SIGHUP.

    `on_started` gets `http://host:port` as soon as connections are accepted. Bound `sockets` may be passed
    in instead of host and port (rolling restarts); with them, or with `reuse_port`, a draining server leaves
    the port to its successor at once, unless `keep_listening` says otherwise. `on_made` gets the server
    before it serves. Raises OSError when the port cannot be had, StartFailed when the application does not
    start.
    """
    if keep_listening is None:
        keep_listening = sockets is None and not reuse_port
    bound = listen(host, port, reuse_port=reuse_port) if sockets is None else list(sockets)
    config = DoorConfig(app, limits=limits, host_allowed=host_allowed, fresh_id=fresh_id, drain=Drain())
    server = Server(
        config, bound, drain_seconds=drain_seconds, keep_listening=keep_listening, on_draining=on_draining
    )
    if on_made is not None:
        on_made(server)
    address = _address(host, bound[0])
    try:
        with _signals(server.stop, server.hang_up):
            await server.serve(lambda: on_started(address) if on_started is not None else None)
    finally:
        for sock in bound:
            sock.close()


def _address(host: str, sock: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{sock.getsockname()[1]}"


@contextlib.contextmanager
def _signals(stop: Callable[[], None], hang_up: Callable[[], None]) -> Iterator[None]:
    """All of them mean stop, in the main thread only (others cannot have them).

    Under `nohup`, which has SIGHUP ignored, it stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    heard = {signal.SIGTERM: stop, signal.SIGINT: stop}
    closed = getattr(signal, "SIGHUP", None)  # not on Windows
    if closed is not None and signal.getsignal(closed) is not signal.SIG_IGN:
        heard[closed] = hang_up
    for number, handler in heard.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in heard:
            loop.remove_signal_handler(number)
