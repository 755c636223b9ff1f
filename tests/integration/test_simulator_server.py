"""Starting, stopping and WebSocket mode of the simulator."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from dragoman.simulator import server
from dragoman.simulator.server import Running, start
from dragoman.simulator.state import State
from tests.support.simulated import call, check_event, codex_request, output, request, user

BEARER = {"authorization": "Bearer sk-test"}


async def test_two_servers_have_their_own_ports_and_states() -> None:
    one, other = await start("127.0.0.1", 0), await start("127.0.0.1", 0)
    assert one.url != other.url
    assert one.state is not other.state
    assert one.url == f"http://127.0.0.1:{one.port}"
    await one.close()
    await other.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", one.port)


async def test_a_taken_port_is_an_error() -> None:
    running = await start("127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        await start("127.0.0.1", running.port)
    await running.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_an_ipv6_address_is_written_in_brackets() -> None:
    try:
        running = await start("::1", 0)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    assert running.url.startswith("http://[::1]:")
    await running.close()


def test_run_serves_until_it_is_told_to_stop() -> None:
    seen: dict[str, Any] = {}

    def ask(running: Running) -> None:
        def act() -> None:
            with urllib.request.urlopen(f"{running.url}/__sim/healthz", timeout=10) as answer:
                seen.update(json.loads(answer.read()))
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=act).start()

    server.run("127.0.0.1", 0, state=State(), ready=ask)
    assert seen["simulated"] is True


def test_run_needs_no_one_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[bool] = []

    class Impatient(asyncio.Event):
        async def wait(self) -> Any:
            waited.append(True)
            return True

    monkeypatch.setattr(asyncio, "Event", Impatient)
    server.run("127.0.0.1", 0)
    assert waited  # it served until its stop, and came back


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    started = await start("127.0.0.1", 0, state=State({"speed": 0}))
    yield started
    await started.close()


class Socket:
    """One WebSocket to the simulator."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.raw = socket

    async def ask(self, body: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        """Sends a create frame; the frames up to the terminal one."""
        frame = {key: value for key, value in body.items() if key != "stream"}
        await self.raw.send_json({"type": "response.create", **frame, **more})
        return await self.frames()

    async def frames(self) -> list[dict[str, Any]]:
        found = []
        while True:
            found.append(await self.raw.receive_json(timeout=20))
            if found[-1]["type"] in ("response.completed", "response.failed", "response.incomplete", "error"):
                return found


@pytest.fixture
async def connected(running: Running) -> AsyncIterator[Socket]:
    async with (
        aiohttp.ClientSession(headers=BEARER) as session,
        session.ws_connect(f"{running.url}/v1/responses") as raw,
    ):
        yield Socket(raw)


async def test_each_event_is_one_frame(connected: Socket, running: Running) -> None:
    frames = await connected.ask(request(user("hello")))
    for frame in frames:
        check_event(frame)
    assert frames[-1]["type"] == "response.completed"
    record = running.state.log.records[-1]
    assert (record.method, record.status, record.ended) == ("WS", 200, "complete")


async def test_a_connection_continues_by_id_although_nothing_is_stored(
    connected: Socket, running: Running
) -> None:
    first = await connected.ask(request(user("hello")))
    identity = first[-1]["response"]["id"]
    second = await connected.ask(request(user("more")), previous_response_id=identity)
    assert second[-1]["response"]["usage"]["input_tokens"] > first[-1]["response"]["usage"]["input_tokens"]
    wrong = await connected.ask(request(user("more")), previous_response_id="resp_0")
    assert wrong[-1]["error"]["code"] == "previous_response_not_found"
    assert wrong[-1]["status"] == 400


async def test_the_codex_flavour_over_a_socket(running: Running) -> None:
    async with (
        aiohttp.ClientSession(headers={**BEARER, "session-id": "s"}) as session,
        session.ws_connect(f"{running.url}/backend-api/codex/responses") as raw,
    ):
        connected = Socket(raw)
        first = await connected.ask(codex_request(user("run `ls`")))
        assert set(first[-1]["response"]) == {"id", "usage", "end_turn"}
        body = codex_request(user("more"), previous_response_id=first[-1]["response"]["id"])
        assert (await connected.ask(body))[-1]["type"] == "response.completed"


async def test_stream_ids_and_warm_up(connected: Socket) -> None:
    frames = await connected.ask(request(user("hello")), stream_id="lane-1", generate=False)
    assert {frame["stream_id"] for frame in frames} == {"lane-1"}
    assert frames[-1]["response"]["output"] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "could not parse"),
        ("[]", "must be an object"),
        ('{"type":"other"}', "must be an object of type"),
        ('{"type":"response.create","stream":true}', "Unknown parameter: 'stream'"),
        ('{"type":"response.create","model":"gpt-5.5","input":"x","bogus":1}', "'bogus'"),
    ],
)
async def test_wrong_frames_are_answered_and_counted(
    connected: Socket, running: Running, text: str, words: str
) -> None:
    await connected.raw.send_str(text)
    [frame] = await connected.frames()
    assert words in frame["error"]["message"]
    assert running.state.report()["breaches"] == 1
    assert (await connected.ask(request()))[-1]["type"] == "response.completed"


async def test_refusals_that_are_no_breach(connected: Socket, running: Running) -> None:
    assert (await connected.ask(request(model="claude-x")))[-1]["status"] == 404
    running.state.load([{"preset": "websocket_60min", "times": 1}, {"preset": "502_html", "times": 1}])
    assert (await connected.ask(request()))[-1]["error"]["code"] == "websocket_connection_limit_reached"
    assert (await connected.ask(request()))[-1]["status"] == 502
    orphan = await connected.ask(request(output("c")))
    assert "No tool call found" in orphan[-1]["error"]["message"]
    assert (await connected.ask(request(call("c"), output("c"))))[-1]["type"] == "response.completed"
    assert running.state.report()["breaches"] == 1


async def test_a_connection_lasts_an_hour(connected: Socket, running: Running) -> None:
    running.state.clock.advance(3600)
    frames = await connected.ask(request())
    assert frames[-1]["error"]["code"] == "websocket_connection_limit_reached"
    message = await connected.raw.receive(timeout=20)
    assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


@pytest.mark.parametrize("kind", ["disconnect", "rst"])
async def test_a_socket_can_be_cut(connected: Socket, running: Running, kind: str) -> None:
    running.state.load(
        [{"steps": [{"comment": "x"}, {"sleep_ms": 1}, {"message": "y"}], "fault": {"kind": kind}}]
    )
    await connected.raw.send_json(
        {"type": "response.create", "model": "gpt-5.5", "input": "x", "store": False}
    )
    for _ in range(3):
        await connected.raw.receive_json(timeout=20)
    message = await connected.raw.receive(timeout=20)
    assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
    assert running.state.log.records[-1].ended == f"fault:{kind}"


async def test_other_frames_end_the_connection(connected: Socket) -> None:
    await connected.raw.send_bytes(b"x")
    message = await connected.raw.receive(timeout=20)
    assert message.type is aiohttp.WSMsgType.CLOSE


async def test_failures_are_frames_too(connected: Socket, running: Running) -> None:
    running.state.load([{"preset": "failed_midstream_server_error"}])
    assert (await connected.ask(request()))[-1]["type"] == "response.failed"
