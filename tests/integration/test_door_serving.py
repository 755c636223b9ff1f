"""The server's own life: binding, starting, draining, ending, and what its signals do."""

from __future__ import annotations

import asyncio
import errno
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dragoman.web import door as front
from dragoman.web.door import Limits, StartFailed, listen
from tests.support.frontdoor import (
    LOOPS,
    PATIENCE,
    Client,
    Echo,
    Receive,
    Scope,
    Send,
    request,
    respond,
    serving,
)

_HEAD = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.fixture(params=sorted(LOOPS))
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Slow:
    """Streams one part, waits to be released, streams another; tells what happened to it."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.events: queue.Queue[str] = queue.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/quick":
            await respond(send, b"quick")
            return
        try:
            if scope["path"] != "/unanswered":
                await send(_HEAD)
                await send({"type": "http.response.body", "body": b"first", "more_body": True})
            self.events.put("begun")
            while not self.release.is_set():
                await asyncio.sleep(0.01)
            await send({"type": "http.response.body", "body": b"second"})
            self.events.put("whole")
        except asyncio.CancelledError:
            self.events.put("cancelled")
            if scope["path"] == "/last-words":
                await send({"type": "http.response.body", "body": b"error"})
                return
            raise


def _draining(client: Client) -> None:
    """Waits until the server has noticed."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if client.get("/quick").answer().header("connection") == "close":
            return
    raise AssertionError("the server does not drain")


def test_what_is_in_flight_comes_to_its_end_and_new_work_is_still_answered(loop: str) -> None:
    """The application refuses new work in words; the connection is not kept."""
    app = Slow()
    noticed = threading.Event()
    with (
        serving(app, loop=loop, drain_seconds=PATIENCE, on_draining=noticed.set) as door,
        door.connect() as busy,
        door.connect() as idle,
        door.connect() as fresh,
    ):
        assert idle.get("/quick").answer().body == b"quick"
        busy.get("/")
        assert app.events.get(timeout=PATIENCE) == "begun"
        door.stop()
        assert noticed.wait(PATIENCE)
        assert idle.closed()
        with door.connect() as late:
            _draining(late)
        fresh.sock.close()
        app.release.set()
        assert busy.answer().body == b"firstsecond"
        assert busy.closed()
        door.join()
    assert app.events.get_nowait() == "whole"


def test_a_half_sent_request_may_end_during_the_drain(loop: str) -> None:
    app = Slow()
    with (
        serving(app, loop=loop, drain_seconds=PATIENCE) as door,
        door.connect() as busy,
        door.connect() as half,
    ):
        busy.get("/")
        assert app.events.get(timeout=PATIENCE) == "begun"
        half.get("/quick").answer()
        half.send(b"GET /quick HT")
        with door.connect() as other:
            other.get("/quick").answer()  # a round trip: the half has arrived
            door.stop()
            assert other.closed()
        answer = half.send(b"TP/1.1\r\nHost: x\r\n\r\n").answer()
        assert (answer.body, answer.header("connection")) == (b"quick", "close")
        app.release.set()
        assert busy.answer().complete
        door.join()


@pytest.mark.parametrize("way", ["deadline", "second-call"])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", (200, b"first", False)),
        ("/last-words", (200, b"firsterror", True)),
        ("/unanswered", (529, None, True)),
    ],
)
def test_after_the_drain_requests_are_cancelled_and_may_say_last_words(
    path: str, expected: tuple[int, bytes | None, bool], way: str, loop: str
) -> None:
    """An answer cut by the end is visibly cut; one that had not begun is a true 529."""
    app = Slow()
    seconds = 0.05 if way == "deadline" else PATIENCE
    with serving(app, loop=loop, drain_seconds=seconds) as door, door.connect() as client:
        client.get(path)
        assert app.events.get(timeout=PATIENCE) == "begun"
        door.stop()
        if way == "second-call":
            door.stop()
        answer = client.answer()
        status, body, complete = expected
        assert (answer.status, answer.complete) == (status, complete)
        if body is not None:
            assert answer.body == body
        else:
            assert b'"overloaded_error"' in answer.body
            assert answer.header("retry-after") == "1"
        door.join()
    assert app.events.get_nowait() == "cancelled"


def test_stuck_readers_do_not_hold_the_end_up(loop: str) -> None:
    """A stock server stays alive for as long as its clients refuse to read."""
    begun: queue.Queue[bool] = queue.Queue()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send(_HEAD)
            begun.put(True)
            while True:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

    limits = Limits(last_words_seconds=0.1)
    with serving(app, loop=loop, drain_seconds=0.05, limits=limits) as door:
        clients = [door.connect(receive_buffer=4096).get("/") for _ in range(20)]
        for _ in clients:
            begun.get(timeout=PATIENCE)
        door.stop()
        door.join()
        for client in clients:
            client.sock.close()


def test_an_application_that_ignores_its_end_is_left_behind(loop: str) -> None:
    begun = threading.Event()
    release = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            begun.set()
            while not release.is_set():
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    continue

    limits = Limits(last_words_seconds=0.1)
    with serving(app, loop=loop, limits=limits) as door, door.connect() as client:
        client.get("/")
        assert begun.wait(PATIENCE)
        door.stop()
        assert client.closed()
        release.set()
        door.join()


def test_an_idle_server_ends_at_once(loop: str) -> None:
    with serving(Echo(), loop=loop, drain_seconds=PATIENCE * 10) as door, door.connect() as client:
        assert client.get("/").answer().status == 200
        door.stop()
        assert client.closed()
        door.join()


def test_a_server_that_shares_its_port_leaves_it_at_once(loop: str) -> None:
    """The successor listens on the same socket: connections are its to take."""
    app = Slow()
    with (
        serving(app, loop=loop, drain_seconds=PATIENCE, keep_listening=False) as door,
        door.connect() as busy,
    ):
        busy.get("/")
        assert app.events.get(timeout=PATIENCE) == "begun"
        door.stop()
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                door.connect().sock.close()
            except OSError:
                break
            time.sleep(0.02)
        else:
            raise AssertionError("the draining server still listens")
        app.release.set()
        assert busy.answer().body == b"firstsecond"
        door.join()


class Living:
    """An application with a lifespan."""

    def __init__(self, *, start: bool = True) -> None:
        self.events: list[str] = []
        self._start = start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await respond(send, scope["state"]["greeting"])
            return
        await receive()
        if not self._start:
            await send({"type": "lifespan.startup.failed", "message": "no"})
            return
        scope["state"]["greeting"] = b"hello"
        self.events.append("start")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.events.append("end")
        await send({"type": "lifespan.shutdown.complete"})


def test_the_applications_lifespan_is_kept_also_when_the_end_is_forced(loop: str) -> None:
    app = Living()
    with serving(app, loop=loop, drain_seconds=PATIENCE) as door, door.connect() as client:
        assert client.get("/").answer().body == b"hello"
        door.stop()
        door.stop()
        door.join()
    assert app.events == ["start", "end"]


def test_an_application_that_does_not_start_is_not_served() -> None:
    with pytest.raises(StartFailed), serving(Living(start=False)):
        pass


def test_a_port_in_use_is_an_error_before_the_application_starts() -> None:
    app = Living()
    held = listen("127.0.0.1", 0)[0]
    held.listen()
    try:
        with pytest.raises(OSError) as raised:
            front.run(front.serve(app, port=held.getsockname()[1]))
    finally:
        held.close()
    assert raised.value.errno == errno.EADDRINUSE
    assert app.events == []


def test_localhost_is_every_address_of_it_on_one_port() -> None:
    sockets = listen("localhost", 0)
    try:
        assert {sock.getsockname()[1] for sock in sockets} == {sockets[0].getsockname()[1]}
        assert "127.0.0.1" in {sock.getsockname()[0] for sock in sockets}
    finally:
        for sock in sockets:
            sock.close()


def test_ipv6_alone_is_served_where_it_exists() -> None:
    try:
        (sock,) = listen("::1", 0)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with sock:
        assert sock.family == socket.AF_INET6
        assert sock.getsockname()[0] == "::1"


def test_other_threads_leave_signals_alone() -> None:
    def enter() -> None:
        with front._signals(lambda: None, lambda: None):
            done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(PATIENCE)
    assert done == [True]


def test_without_uvloop_asyncios_loop_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = front.new_loop()
    loop.close()
    assert isinstance(loop, asyncio.SelectorEventLoop)


def test_two_servers_may_share_a_port_when_asked() -> None:
    first = listen("127.0.0.1", 0, reuse_port=True)
    second = listen("127.0.0.1", first[0].getsockname()[1], reuse_port=True)
    assert second[0].getsockname() == first[0].getsockname()
    for sock in (*first, *second):
        sock.close()


def test_a_machine_without_ipv6_still_serves_localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    bind = front._bind

    def without_ipv6(family: int, *rest: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "no")
        return bind(family, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(front, "_bind", without_ipv6)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: rows)
    (sock,) = listen("localhost", 0)
    sock.close()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: rows[:1])
    with pytest.raises(OSError, match="no"):
        listen("localhost", 0)


def test_serving_says_where_and_ends_with_a_signal() -> None:
    told: list[str] = []
    draining: list[bool] = []

    def started(address: str) -> None:
        told.append(address)
        signal.raise_signal(signal.SIGTERM)

    front.run(
        front.serve(
            Living(), host="127.0.0.1", port=0, on_started=started, on_draining=lambda: draining.append(True)
        )
    )
    assert len(told) == 1
    assert told[0].startswith("http://127.0.0.1:")
    assert draining == [True]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sockets_may_be_passed_in_and_ipv6_is_written_in_brackets() -> None:
    told: list[str] = []

    def started(address: str) -> None:
        told.append(address)
        signal.raise_signal(signal.SIGINT)

    bound = listen("127.0.0.1", 0)
    port = bound[0].getsockname()[1]
    front.run(front.serve(Living(), host="::1", sockets=bound, on_started=started))
    assert told == [f"http://[::1]:{port}"]
    assert bound[0].fileno() == -1


_PROGRAM = """
import asyncio, sys
from dragoman.web import door

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    try:
        await asyncio.sleep(float(scope["path"][1:]))
    except asyncio.CancelledError:
        await send({"type": "http.response.body", "body": b"cancelled"})
        raise
    await send({"type": "http.response.body", "body": b"second"})

def say(text):
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()

door.run(door.serve(
    app, port=0, drain_seconds=60, on_started=say, on_draining=lambda: say("draining"),
))
say("over")
"""


def _with_process(
    act: Callable[[subprocess.Popen[str], Client], None],
) -> tuple[int, str, str]:
    """Runs the program, lets `act` talk to it, returns exit code and what it printed afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(front.__file__).parents[2])},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line.startswith("http://127.0.0.1:"), process.communicate()
        with Client(("127.0.0.1", int(line.rpartition(":")[2]))) as client:
            act(process, client)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_drains_and_the_process_ends_well(number: signal.Signals) -> None:
    def act(process: subprocess.Popen[str], client: Client) -> None:
        client.get("/0.5")
        client.until(b"first\r\n")
        process.send_signal(number)
        assert client.until(b"0\r\n\r\n") == b"6\r\nsecond\r\n"

    assert _with_process(act) == (0, "draining\nover\n", "")


def test_a_second_signal_ends_the_drain() -> None:
    def act(process: subprocess.Popen[str], client: Client) -> None:
        client.get("/600")
        client.until(b"first\r\n")
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "draining\n"
        process.send_signal(signal.SIGTERM)
        assert client.until(b"0\r\n\r\n") == b"9\r\ncancelled\r\n"

    assert _with_process(act) == (0, "over\n", "")


def test_a_terminal_that_closes_does_not_end_the_drain() -> None:
    """It sends SIGHUP more than once: through its shell, and to all that ran in it."""

    def act(process: subprocess.Popen[str], client: Client) -> None:
        client.get("/0.5")
        client.until(b"first\r\n")
        process.send_signal(signal.SIGHUP)
        assert process.stdout is not None
        assert process.stdout.readline() == "draining\n"
        process.send_signal(signal.SIGHUP)
        assert client.until(b"0\r\n\r\n") == b"6\r\nsecond\r\n"

    assert _with_process(act) == (0, "over\n", "")


def test_a_gateway_that_ignores_its_terminal_goes_on_without_it() -> None:
    """As under `nohup`."""

    def act(process: subprocess.Popen[str], client: Client) -> None:
        client.get("/0.5")
        client.until(b"first\r\n")
        process.send_signal(signal.SIGHUP)
        assert client.until(b"0\r\n\r\n") == b"6\r\nsecond\r\n"
        client.get("/0")
        client.until(b"first\r\n")
        process.send_signal(signal.SIGTERM)

    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert _with_process(act) == (0, "draining\nover\n", "")
    finally:
        signal.signal(signal.SIGHUP, ignored)


def test_a_head_alone_does_not_hold_the_end_up() -> None:
    def act(process: subprocess.Popen[str], client: Client) -> None:
        client.send(request("GET", "/")[:-2])
        process.send_signal(signal.SIGTERM)
        client.rest()

    assert _with_process(act) == (0, "draining\nover\n", "")
