"""What counts as a request at the front door: framing, Host, targets, trailers, upgrades, pipelining.

Each row of the table of known server weaknesses stands here with the answer that this door gives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.frontdoor import LOOPS, Answer, Client, Door, Echo, chunked, request, serving


@pytest.fixture(params=sorted(LOOPS))
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def door(echo: Echo, loop: str) -> Iterator[Door]:
    with serving(echo, loop=loop) as served:
        yield served


@pytest.fixture
def client(door: Door) -> Iterator[Client]:
    with door.connect() as connected:
        yield connected


def _refused(answer: Answer, status: int, error_type: str = "invalid_request_error") -> None:
    assert answer.status == status
    told = json.loads(answer.body)
    assert told["type"] == "error"
    assert told["error"]["type"] == error_type
    assert told["request_id"] == answer.header("request-id") == answer.header("x-request-id")
    assert answer.header("connection") == "close"
    assert answer.header("cache-control") == "no-store"


_CL = "Content-Length"
_TE = "Transfer-Encoding"
_MALFORMED: dict[str, bytes] = {
    "length-and-chunked": request("POST", "/", f"{_CL}: 4", f"{_TE}: chunked") + b"0\r\n\r\n",
    "chunked-and-length": request("POST", "/", f"{_TE}: chunked", f"{_CL}: 4") + b"0\r\n\r\n",
    "two-different-lengths": request("POST", "/", f"{_CL}: 5", f"{_CL}: 6") + b"abcdef",
    "same-length-twice": request("POST", "/", f"{_CL}: 5", f"{_CL}: 5") + b"abcde",
    "list-of-lengths": request("POST", "/", f"{_CL}: 5, 5") + b"abcde",
    "signed-length": request("POST", "/", f"{_CL}: +5") + b"abcde",
    "negative-length": request("POST", "/", f"{_CL}: -5") + b"abcde",
    "hex-length": request("POST", "/", f"{_CL}: 0x5") + b"abcde",
    "empty-length": request("POST", "/", f"{_CL}:") + b"abcde",
    "overflowing-length": request("POST", "/", f"{_CL}: 99999999999999999999"),
    "unknown-coding": request("POST", "/", f"{_TE}: xchunked") + chunked(b"a"),
    "coding-before-chunked": request("POST", "/", f"{_TE}: gzip, chunked") + chunked(b"a"),
    "coding-after-chunked": request("POST", "/", f"{_TE}: chunked, identity") + chunked(b"a"),
    "coding-in-two-fields": request("POST", "/", f"{_TE}: gzip", f"{_TE}: chunked") + chunked(b"a"),
    "chunked-twice": request("POST", "/", f"{_TE}: chunked", f"{_TE}: chunked") + chunked(b"a"),
    "chunked-with-vertical-tab": request("POST", "/", f"{_TE}: \x0bchunked") + chunked(b"a"),
    "identity-coding": request("POST", "/", f"{_TE}: identity") + b"a",
    "empty-coding": request("POST", "/", f"{_TE}: ") + b"a",
    "chunked-in-http-1.0": request("POST", "/", f"{_TE}: chunked", version="1.0") + chunked(b"a"),
    "folded-field": request("GET", "/", "X-A: a\r\n b"),
    "bare-line-feeds": b"GET / HTTP/1.1\nHost: x\n\n",
    "bare-carriage-return": request("GET", "/", "X-A: a\rb"),
    "nul-in-value": request("GET", "/", "X-A: a\x00b"),
    "space-before-colon": request("GET", "/", "X-A : a"),
    "empty-field-name": request("GET", "/", ": a"),
    "no-version": b"GET /\r\n\r\n",
    "version-0.9": request("GET", "/", version="0.9"),
    "version-2.0": request("GET", "/", version="2.0"),
    "version-1.2": request("GET", "/", version="1.2"),
    "h2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "raw-utf8-target": "GET /\u00e9 HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "no-host": request("GET", "/", host=None),
    "two-hosts": request("GET", "/", "Host: y"),
    "same-host-twice": request("GET", "/", "Host: x"),
    "host-with-path": request("GET", "/", host="x/v1/models?"),
    "host-with-user": request("GET", "/", host="user@x"),
    "host-with-space": request("GET", "/", host="a b"),
    "host-with-list": request("GET", "/", host="a,b"),
    "empty-host": request("GET", "/", host=""),
    "host-with-bad-port": request("GET", "/", host="x:80a"),
    "host-open-bracket": request("GET", "/", host="[::1"),
    "target-with-user": request("GET", "http://user@x/"),
    "target-of-other-scheme": request("GET", "ftp://x/"),
    "target-with-bad-port": request("GET", "http://x:99999999/"),
}


@pytest.mark.parametrize("raw", _MALFORMED.values(), ids=_MALFORMED.keys())
def test_ambiguous_or_malformed_requests_are_refused_and_the_connection_ends(
    raw: bytes, client: Client, echo: Echo
) -> None:
    """Request smuggling needs two readings of one message: there is only one reading here."""
    smuggled = request("GET", "/smuggled")
    _refused(client.send(raw + smuggled).answer(), 400)
    assert client.closed()
    assert "/smuggled" not in echo.paths
    assert echo.bodies == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"zz\r\nabcd\r\n0\r\n\r\n", id="bad-size"),
        pytest.param(b"4\r\nabcdX\r\n0\r\n\r\n", id="missing-line-end"),
        pytest.param(b"4 \r\nabcd\r\n0\r\n\r\n", id="space-after-size"),
        pytest.param(b"4\nabcd\n0\n\n", id="bare-line-feeds"),
        pytest.param(b"ffffffffffffffff1\r\nabcd\r\n", id="overflowing-size"),
        pytest.param(b"-1\r\nabcd\r\n0\r\n\r\n", id="negative-size"),
        pytest.param(b"2\r\nab\r\n0\r\nContent-Length: 5\r\n\r\n", id="framing-field-in-trailer"),
    ],
)
def test_broken_chunks_are_a_400_and_never_a_fault_of_the_application(
    body: bytes, client: Client, echo: Echo
) -> None:
    client.send(request("POST", "/", "Transfer-Encoding: chunked") + body + request("GET", "/smuggled"))
    _refused(client.answer(), 400)
    assert client.closed()
    assert echo.bodies == []
    assert "/smuggled" not in echo.paths


def test_broken_chunks_after_the_application_began_to_read_are_a_400_too(client: Client, echo: Echo) -> None:
    client.send(request("POST", "/", "Transfer-Encoding: chunked", "Expect: 100-continue"))
    assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"  # so it is reading
    client.send(b"4\r\nabcd\r\nnonsense\r\n")
    _refused(client.answer(), 400)
    assert client.closed()
    assert echo.bodies == []


def test_chunked_bodies_arrive_whole_with_extensions_dropped(client: Client, echo: Echo) -> None:
    client.send(
        request("POST", "/", "Transfer-Encoding: Chunked") + b'4;a=b;c="d"\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n'
    )
    assert client.answer().body == b"abcdefg"
    assert client.get("/next").answer().status == 200
    assert echo.paths == ["/", "/next"]


def test_trailers_never_become_headers(client: Client, echo: Echo) -> None:
    """Neither of this request nor of the next one, whether that comes later or in the same segment."""
    head = request("POST", "/", "Transfer-Encoding: chunked")
    body = chunked(b"hi", trailer=b"X-Api-Key: evil\r\nX-Last: evil\r\n")
    client.send(head + body + request("GET", "/same-segment"))
    assert client.answer().body == b"hi"
    assert client.answer().status == 200
    assert client.send(head + body).answer().body == b"hi"
    assert client.get("/later").answer().status == 200
    assert echo.paths == ["/", "/same-segment", "/", "/later"]
    for index in range(4):
        assert echo.header("x-api-key", index) == echo.header("x-last", index) == []


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/v1/models?limit=1000", "/v1/models", b"limit=1000"),
        ("http://elsewhere:81/v1/models?a=b", "/v1/models", b"a=b"),
        ("HTTPS://elsewhere/", "/", b""),
        ("http://elsewhere", "/", b""),
        ("http://elsewhere?a=b", "/", b"a=b"),
        ("/a%20b/%C3%A9", "/a b/\u00e9", b""),
        ("/a?b?c", "/a", b"b?c"),
        ("/a#fragment?x", "/a", b""),
        ("//evil/v1", "//evil/v1", b""),
        ("*", "*", b""),
    ],
)
def test_the_path_alone_is_taken_from_a_target(
    target: str, path: str, query: bytes, client: Client, echo: Echo
) -> None:
    assert client.send(request("OPTIONS", target)).answer().status == 200
    assert echo.scopes[0]["path"] == path
    assert echo.scopes[0]["query_string"] == query


@pytest.mark.parametrize(
    "host", ["x", "x:8787", "127.0.0.1:1", "[::1]", "[::1]:8787", "my_service", "a.b-c.d", "a."]
)
def test_ordinary_hosts_are_taken(host: str, client: Client) -> None:
    assert client.send(request("GET", "/", host=host)).answer().status == 200


def test_http_1_0_needs_no_host_and_ends_with_the_connection(client: Client) -> None:
    answer = client.send(request("GET", "/", version="1.0", host=None)).answer()
    assert answer.status == 200
    assert answer.header("connection") == "close"
    assert client.closed()


@pytest.mark.parametrize(
    ("raw", "allowed"),
    [
        (request("GET", "/", host="LocalHost:8787"), True),
        (request("GET", "/", host="[::1]:8787"), True),
        (request("GET", "/", host="evil.example"), False),
        (request("GET", "/", host="localhost.evil.example"), False),
        (request("GET", "http://evil.example/", host="localhost"), False),
        (request("GET", "/", version="1.0", host="evil.example"), False),
    ],
)
def test_a_host_that_is_not_ours_is_misdirected(raw: bytes, allowed: bool, loop: str) -> None:
    """reliability X8: a rebound name gets 421 on every path, also by way of an absolute target."""
    echo = Echo()
    ours = ("localhost", "[::1]")
    with (
        serving(echo, loop=loop, host_allowed=lambda name: name in ours) as door,
        door.connect() as client,
    ):
        answer = client.send(raw).answer()
    if allowed:
        assert answer.status == 200
    else:
        _refused(answer, 421)
        assert echo.paths == []


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("split", [0, 1, 2, 3])
def test_an_offer_of_another_protocol_is_ignored_without_losing_the_body(
    framing: str, split: int, client: Client, echo: Echo
) -> None:
    """JetBrains and Ktor clients offer h2c with every request."""
    offer = ("Connection: Upgrade, HTTP2-Settings, keep-alive", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    if framing == "length":
        head, body = request("POST", "/offer", *offer, "Content-Length: 4"), b"abcd"
    else:
        head, body = request("POST", "/offer", *offer, "Transfer-Encoding: chunked"), chunked(b"abcd")
    client.send(head + body[:split])
    if split:
        client.send(body[split:])
    else:
        client.send(body + request("GET", "/behind"))
        assert client.answer().body == b"abcd"
        assert client.answer().status == 200
        assert echo.paths == ["/offer", "/behind"]
        return
    assert client.answer().body == b"abcd"
    assert echo.header("upgrade") == echo.header("http2-settings") == []
    assert echo.header("connection") == ["keep-alive"]
    assert client.send(request("GET", "/again", *offer)).answer().status == 200
    assert echo.paths == ["/offer", "/again"]


def test_many_offers_in_one_segment_are_all_answered(client: Client, echo: Echo) -> None:
    offer = request("GET", "/o", "Connection: Upgrade", "Upgrade: h2c")
    client.send(offer * 5)
    assert [client.answer().status for _ in range(5)] == [200] * 5
    assert echo.header("connection") == []


def test_a_websocket_is_declined_in_words(client: Client, echo: Echo) -> None:
    """426 is what clients that try a WebSocket first take as the sign to go on with HTTP."""
    answer = client.send(
        request(
            "GET", "/v1/responses", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"
        )
    ).answer()
    assert (answer.status, answer.header("upgrade")) == (426, "HTTP/1.1")
    assert json.loads(answer.body)["error"]["code"] == "not_supported"  # OpenAI's envelope on its paths
    assert client.closed()
    assert echo.paths == []


def test_connect_is_refused(client: Client, echo: Echo) -> None:
    answer = client.send(request("CONNECT", "elsewhere:443") + b"\x16\x03\x01").answer()
    _refused(answer, 405, "not_found_error")
    assert answer.header("allow") == "GET, HEAD, POST"
    assert echo.paths == []


def test_a_client_that_expects_100_continue_gets_it_when_the_body_is_wanted(client: Client) -> None:
    client.send(request("POST", "/", "Content-Length: 2", "Expect: 100-Continue"))
    assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
    assert client.send(b"hi").answer().body == b"hi"
    assert client.get("/next").answer().status == 200


def test_an_old_client_is_never_sent_100_continue(client: Client) -> None:
    client.send(request("POST", "/", "Content-Length: 2", "Expect: 100-continue", version="1.0") + b"hi")
    assert client.answer().status == 200


def test_pipelined_requests_are_answered_in_order(client: Client, echo: Echo) -> None:
    first = request("POST", "/0", "Content-Length: 3") + b"abc"
    second = request("POST", "/1", "Transfer-Encoding: chunked") + chunked(b"de", b"f")
    client.send(first + second + request("GET", "/2") + b"GET /3 HT")
    assert [client.answer().body for _ in range(3)] == [b"abc", b"def", b""]
    client.send(b"TP/1.1\r\nHost: x\r\n\r\n")
    assert client.answer().status == 200
    assert echo.paths == ["/0", "/1", "/2", "/3"]


def test_a_pipelined_body_that_comes_in_parts_is_whole(client: Client, echo: Echo) -> None:
    body = bytes(range(256)) * 2000
    client.send(request("GET", "/0") + request("POST", "/1", f"Content-Length: {len(body)}") + body[:1000])
    client.send(body[1000:] + request("GET", "/2"))
    assert client.answer().status == 200
    assert client.answer().body == body
    assert client.answer().status == 200
    assert echo.paths == ["/0", "/1", "/2"]


def test_what_follows_a_last_request_is_not_read(client: Client, echo: Echo) -> None:
    client.send(request("GET", "/last", "Connection: close") + request("GET", "/smuggled"))
    assert client.answer().header("connection") == "close"
    assert client.closed()
    assert echo.paths == ["/last"]


def test_a_request_before_garbage_is_still_answered(client: Client, echo: Echo) -> None:
    """The garbage must not break into the first answer, and ends the connection after it."""
    client.send(request("GET", "/0") + request("GET", "/1") + b"\x00garbage\r\n\r\n")
    assert client.answer().status == 200
    assert client.answer().header("connection") == "close"
    assert client.closed()
    assert echo.paths == ["/0", "/1"]


def test_a_request_before_a_broken_body_is_still_answered(client: Client, echo: Echo) -> None:
    broken = request("POST", "/1", "Transfer-Encoding: chunked") + b"zz\r\n"
    client.send(request("GET", "/0") + broken)
    assert client.answer().header("connection") == "close"
    assert client.closed()
    assert echo.paths == ["/0"]


def test_more_pipelined_requests_than_anyone_needs_end_the_connection(client: Client, echo: Echo) -> None:
    client.send(request("GET", "/") * 200)
    answered = 0
    while True:
        answer = client.answer()
        assert answer.status == 200
        answered += 1
        if answer.header("connection") == "close":
            break
    assert client.closed()
    assert answered == len(echo.paths) == 17  # the one in work and those that wait


def test_blank_lines_before_a_request_are_forgiven(client: Client) -> None:
    assert client.send(b"\r\n\r\n" + request("GET", "/")).answer().status == 200
    assert client.send(b"\r\n").send(request("GET", "/")).answer().status == 200


def test_answers_say_nothing_about_the_server(client: Client) -> None:
    answer = client.get("/").answer()
    assert answer.header("server") is None
    assert answer.header("date") is None


def test_the_callers_request_id_is_used_only_when_it_is_harmless(door: Door) -> None:
    for given, expected in (
        ("client-1:a_b.C", "client-1:a_b.C"),
        ("a b", "req_fresh"),
        ("x" * 129, "req_fresh"),
    ):
        with door.connect() as client:
            client.send(request("GET", "/", f"X-Request-Id: {given}", f"{_TE}: nonsense"))
            assert client.answer().header("request-id") == expected
