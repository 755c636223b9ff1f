"""The WebSocket of the benchmark's upstream: its frames, its order, and what it refuses."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.machine import free_port
from bench.measure import ask, build

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the bench's upstream is written in C")

PATIENCE = 30.0
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
MASK = bytes((0xA5, 0x0F, 0x33, 0x01))
BIRTH = re.compile(r"@@[0-9a-f]{16}@")
IDS = re.compile(r"(?<=_bench)[0-9]{34,36}")
HANDSHAKE = {
    "Host": "bench",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Authorization": "Bearer sk-upstream",
}


class Answer(NamedTuple):
    """One event as JSON, without its births and the number of its request."""

    event: dict[str, Any]
    births: int


class Upstream:
    """The compiled upstream, and questions to it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def stats(self) -> dict[str, int]:
        counters: dict[str, int] = json.loads(ask("127.0.0.1", self.port, "GET", "/__stats")[1])
        return counters

    def wait_for(self, **wanted: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while (found := {name: self.stats()[name] for name in wanted}) != wanted:
            assert time.monotonic() < deadline, f"{found} instead of {wanted}"
            time.sleep(0.01)

    def stream(self, body: dict[str, Any]) -> list[Answer]:
        """The events of an HTTP stream."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("POST", "/v1/responses", json.dumps(body), {"Authorization": "Bearer sk-upstream"})
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return [_answer(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


class Socket:
    """A client that writes its frames by hand."""

    def __init__(self, port: int, path: str = "/v1/codex/responses", **changed: str) -> None:
        self.raw = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._reader = self.raw.makefile("rb")
        fields = HANDSHAKE | {name.replace("_", "-"): value for name, value in changed.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
        self.raw.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        self.status = int(self._reader.readline().split()[1])
        self.fields: dict[str, str] = {}
        while line := self._reader.readline().decode().rstrip():
            name, value = line.split(": ", 1)
            self.fields[name.lower()] = value

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self.raw.close()

    def send(self, data: bytes, opcode: int = TEXT, *, last: bool = True, masked: bool = True) -> None:
        self.raw.sendall(frame(data, opcode, last=last, masked=masked))

    def receive(self) -> tuple[int, bytes]:
        """Opcode and data of the next frame, which is whole and not masked."""
        first, second = self._reader.read(2)
        assert first & 0xF0 == 0x80
        assert second < 128
        size = {126: 2, 127: 8}.get(second)
        length = second if size is None else int.from_bytes(self._reader.read(size), "big")
        return first & 15, self._reader.read(length)

    def answers(self) -> list[Answer]:
        """The events of one response."""
        found: list[Answer] = []
        while not found or found[-1].event["type"] not in ("response.completed", "error"):
            opcode, data = self.receive()
            assert opcode == TEXT
            found.append(_answer(data.decode()))
        return found

    def closed(self) -> bool:
        return self._reader.read() == b""


def frame(data: bytes, opcode: int, *, last: bool = True, masked: bool = True) -> bytes:
    """One frame of a client."""
    size = len(data)
    bit = 0x80 if masked else 0
    head = bytes((opcode | (0x80 if last else 0),))
    if size < 126:
        head += bytes((bit | size,))
    elif size < 65536:
        head += bytes((bit | 126,)) + size.to_bytes(2, "big")
    else:
        head += bytes((bit | 127,)) + size.to_bytes(8, "big")
    if not masked:
        return head + data
    return head + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(data))


def wish(deltas: int, pause_us: int = 0, size: int = 0, **more: Any) -> dict[str, Any]:
    text = f"{'x' * size} BENCH:n={deltas},s=30,d={pause_us};"
    return {"model": "gpt-5.1", "input": [{"role": "user", "content": text}], **more}


def create(deltas: int, pause_us: int = 0, size: int = 0, **more: Any) -> bytes:
    return json.dumps({"type": "response.create", **wish(deltas, pause_us, size), **more}).encode()


def _answer(text: str) -> Answer:
    return Answer(json.loads(IDS.sub("", BIRTH.sub("@", text))), len(BIRTH.findall(text)))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("bench"))["upstream"]


@pytest.fixture
def upstream(program: Path) -> Iterator[Upstream]:
    port = free_port()
    with subprocess.Popen([str(program), str(port)]) as process:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), PATIENCE).close()
                break
            except OSError:
                time.sleep(0.01)
        yield Upstream(port)
        process.kill()


def test_the_handshake_is_that_of_the_standard(upstream: Upstream) -> None:
    with Socket(upstream.port) as client:
        assert client.status == 101
        assert client.fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert "sec-websocket-extensions" not in client.fields


def test_responses_in_sequence_have_the_events_of_their_http_streams(upstream: Upstream) -> None:
    with Socket(upstream.port) as client:
        for deltas, size in ((1, 0), (3, 10), (20, 300), (5, 70_000), (2, 300_000)):
            client.send(create(deltas, size=size))
            assert client.answers() == upstream.stream(wish(deltas, size=size, stream=True))
    upstream.wait_for(requests=10, by_socket=5, refused=0, streams_open=0, cut=0)


def test_a_message_may_come_in_fragments_with_a_ping_between(upstream: Upstream) -> None:
    message = create(4, size=1000)
    with Socket(upstream.port) as client:
        client.send(message[:1], last=False)
        client.send(b"are you there", PING)
        assert client.receive() == (PONG, b"are you there")
        client.send(message[1:700], 0, last=False)
        client.send(b"", PONG)
        client.send(message[700:], 0)
        assert client.answers() == upstream.stream(wish(4, size=1000, stream=True))


def test_bytes_that_come_one_by_one_are_a_message_too(upstream: Upstream) -> None:
    with Socket(upstream.port) as client:
        for byte in frame(create(2), TEXT):
            client.raw.sendall(bytes((byte,)))
        assert sum(answer.births for answer in client.answers()) == 2 * 5


def test_what_is_asked_during_a_response_waits_for_its_end(upstream: Upstream) -> None:
    with Socket(upstream.port) as client:
        client.send(create(5, pause_us=20_000))
        client.raw.sendall(frame(create(3), TEXT) + frame(create(1), TEXT))
        deltas = [
            [answer.event["type"] for answer in client.answers()].count("response.output_text.delta")
            for _ in range(3)
        ]
        assert deltas == [5, 3, 1]


def test_a_ping_during_a_response_is_answered_before_its_end(upstream: Upstream) -> None:
    with Socket(upstream.port) as client:
        client.send(create(1_000_000, pause_us=20_000))
        client.receive()
        client.send(b"x" * 125, PING)
        while (found := client.receive())[0] == TEXT:
            pass
        assert found == (PONG, b"x" * 125)


@pytest.mark.parametrize("politely", [True, False])
def test_a_stream_is_gone_once_its_client_closes(upstream: Upstream, politely: bool) -> None:
    with Socket(upstream.port) as client:
        client.send(create(1_000_000, pause_us=1_000_000))
        upstream.wait_for(streams_open=1)
        if politely:
            client.send((1000).to_bytes(2, "big") + b"enough", CLOSE)
            while (found := client.receive())[0] == TEXT:
                pass
            assert found == (CLOSE, (1000).to_bytes(2, "big"))
            assert client.closed()
    upstream.wait_for(streams_open=0, cut=1)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(create(1), TEXT, masked=False), 1002),
        (frame(b"x", 0), 1002),
        (frame(b"x", 3), 1002),
        (frame(b"x" * 126, PING), 1002),
        (frame(b"x", PING, last=False), 1002),
        (frame(b"x", TEXT | 0x40), 1002),
        (frame(b"x", TEXT, last=False) * 2, 1002),
        (frame(b"x", 2), 1003),
        (bytes((0x81, 0xFF)) + (1 << 40).to_bytes(8, "big"), 1009),
    ],
    ids=[
        "unmasked",
        "no beginning",
        "opcode",
        "long ping",
        "half a ping",
        "compressed",
        "two",
        "binary",
        "large",
    ],
)
def test_what_breaks_the_protocol_ends_it_with_its_code(upstream: Upstream, data: bytes, code: int) -> None:
    with Socket(upstream.port) as client:
        client.raw.sendall(data)
        assert client.receive() == (CLOSE, code.to_bytes(2, "big"))
        assert client.closed()
    assert upstream.stats()["requests"] == 0


@pytest.mark.parametrize(
    "message",
    [
        b"[]",
        b"",
        json.dumps(wish(1)).encode(),
        create(1, stream=True),
        create(1, background=False),
        create(1, tool_use_id="x"),
        b'{"type": "response.create", "model": "gpt-5.1", "input": []}',
    ],
)
def test_a_message_of_another_dialect_is_refused_and_counted(upstream: Upstream, message: bytes) -> None:
    with Socket(upstream.port) as client:
        client.send(message)
        (refusal,) = client.answers()
        assert refusal.event["status"] == 400
        assert refusal.event["error"]["type"] == "invalid_request_error"
        client.send(create(1))
        assert client.answers()[-1].event["type"] == "response.completed"
    assert upstream.stats()["refused"] == 1


@pytest.mark.parametrize(
    ("path", "changed", "status"),
    [
        ("/v1/chat/completions", {}, 400),
        ("/v1/models", {}, 400),
        ("/v1/responses", {"Authorization": ""}, 400),
        ("/v1/responses", {"Sec_WebSocket_Key": "short"}, 400),
        ("/v1/responses", {"Sec_WebSocket_Key": ""}, 400),
        ("/v1/responses", {"Sec_WebSocket_Version": "8"}, 400),
        ("/v1/responses", {"Authorization": "Bearer sk-refuse-0123456789"}, 429),
    ],
)
def test_a_handshake_that_is_none_is_refused(
    upstream: Upstream, path: str, changed: dict[str, str], status: int
) -> None:
    with Socket(upstream.port, path, **changed) as client:
        assert client.status == status
    stats = upstream.stats()
    assert (stats["refused"], stats["limited"]) == ((1, 0) if status == 400 else (0, 1))
