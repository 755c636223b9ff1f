"""A front door served on a thread of its own, and a raw-socket client: what tests of the door stand on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from dragoman.web.door import Drain, Limits, Server, listen, new_loop
from dragoman.web.protocol import DoorConfig

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATIENCE = 30.0
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": new_loop,
}


@dataclass
class Door:
    """A running server, seen from another thread."""

    address: tuple[str, int]
    server: Server
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    errors: list[BaseException] = field(default_factory=list)

    def connect(self, receive_buffer: int | None = None) -> Client:
        return Client(self.address, receive_buffer)

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed already
            self.loop.call_soon_threadsafe(self.server.stop)

    def join(self) -> None:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the server did not come to its end"


@contextlib.contextmanager
def serving(
    app: App,
    *,
    limits: Limits | None = None,
    loop: str = "uvloop",
    drain_seconds: float = 0.0,
    host_allowed: Callable[[str], bool] | None = None,
    on_draining: Callable[[], None] | None = None,
    keep_listening: bool = True,
) -> Iterator[Door]:
    """Runs `app` behind a door on an ephemeral port until the block ends."""
    ready: threading.Event = threading.Event()
    made: list[Door] = []
    failed: list[BaseException] = []
    sockets = listen("127.0.0.1", 0)

    async def main() -> None:
        config = DoorConfig(
            app,
            limits=limits or Limits(last_words_seconds=10.0),
            host_allowed=host_allowed,
            fresh_id=lambda: "req_fresh",
            drain=Drain(),
        )
        server = Server(
            config,
            sockets,
            drain_seconds=drain_seconds,
            on_draining=on_draining,
            keep_listening=keep_listening,
        )
        address = sockets[0].getsockname()
        made.append(Door(address, server, asyncio.get_running_loop(), threading.current_thread()))
        await server.serve(ready.set)

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                runner.run(main())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="front door")
    thread.start()
    try:
        assert ready.wait(PATIENCE), "the server did not start"
        if failed:
            raise failed[0]
        yield made[0]
    finally:
        if made:
            made[0].stop()
            made[0].stop()  # no drain: tests that want one wait for it themselves
        thread.join(PATIENCE)
        for sock in sockets:
            sock.close()
    assert not thread.is_alive(), "the server did not come to its end"
    assert not failed, failed


@dataclass
class Answer:
    """One response as it came: `complete` is false where its body was cut."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    complete: bool = True

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name} stands {len(values)} times"
        return values[0] if values else None


class Client:
    """A socket that says exactly what it is told and reads HTTP/1.1 answers."""

    def __init__(self, address: tuple[str, int], receive_buffer: int | None = None) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(PATIENCE)
        try:
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> Client:
        self.sock.sendall(data)
        return self

    def get(self, path: str = "/", *headers: str) -> Client:
        return self.send(request("GET", path, *headers))

    def post(self, path: str, body: bytes, *headers: str) -> Client:
        return self.send(request("POST", path, f"content-length: {len(body)}", *headers) + body)

    def finish(self) -> Client:
        """Half-close: FIN without closing the receiving side."""
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def reset(self) -> None:
        """Leaves with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def read(self) -> bytes:
        """Some more bytes; b"" at the end, however the end came."""
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            return b""
        self._buffer += data
        return data

    def until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            assert self.read(), f"ended before {mark!r}: {self._buffer[-500:]!r}"
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def closed(self) -> bool:
        """Waits for the end of the connection; true when nothing more was said."""
        while self.read():
            pass
        left, self._buffer = self._buffer, b""
        return not left

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        while self.read():
            pass
        left, self._buffer = self._buffer, b""
        return left

    def answer(self, *, head: bool = False) -> Answer:
        """The next answer; `head` says that it has no body whatever its headers claim."""
        first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        pairs = [line.split(": ", 1) for line in lines]
        got = Answer(status, [(name.lower(), value) for name, value in pairs])
        if head or status < 200 or status in (204, 304):
            return got
        if got.header("transfer-encoding") == "chunked":
            self._chunks(got)
        elif (length := got.header("content-length")) is not None:
            while len(self._buffer) < int(length) and self.read():
                pass
            got.body, self._buffer = self._buffer[: int(length)], self._buffer[int(length) :]
            got.complete = len(got.body) == int(length)
        else:
            got.body = self.rest()
        return got

    def _chunks(self, got: Answer) -> None:
        while True:
            try:
                size = int(self.until(b"\r\n"), 16)
                data = self._exactly(size + 2)[:-2]
            except AssertionError:
                got.complete = False
                return
            if size == 0:
                return
            got.body += data

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            assert self.read(), "ended inside a chunk"
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data


def request(method: str, target: str, *headers: str, version: str = "1.1", host: str | None = "x") -> bytes:
    """A request head; `host=None` leaves the Host field out."""
    lines = [f"{method} {target} HTTP/{version}", *([] if host is None else [f"Host: {host}"]), *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunked(*parts: bytes, trailer: bytes = b"") -> bytes:
    """A chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailer + b"\r\n"


class Echo:
    """An application that remembers what reached it and answers with the body it read."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.bodies: list[bytes] = []
        self.disconnects = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.scopes.append(scope)
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnects += 1
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self.bodies.append(body)
        await respond(send, body)

    @property
    def paths(self) -> list[str]:
        return [scope["path"] for scope in self.scopes]

    def header(self, name: str, index: int = -1) -> list[str]:
        fields = self.scopes[index]["headers"]
        return [value.decode("latin-1") for key, value in fields if key == name.encode()]


async def respond(send: Send, body: bytes = b"", status: int = 200) -> None:
    """A complete answer of known length."""
    head = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
