"""What an application may answer through the door: heads that are whole, bodies as long as they say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.frontdoor import serving

Fields = list[tuple[bytes, bytes]]


def answering(*messages: dict[str, Any]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            for message in messages:
                await send(message)

    return app


def start(*fields: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(fields)}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b", b"a\x7fb"], ids=repr)
def test_a_field_that_would_split_the_answer_is_not_sent(value: bytes) -> None:
    with serving(answering(start((b"x-told", value)), body(b"x"))) as door, door.connect() as client:
        answer = client.get("/").answer()
        assert answer.status == 500
        assert b"set-cookie" not in answer.body


@pytest.mark.parametrize("told", [b"a\tb", "é".encode("latin-1"), b""], ids=repr)
def test_other_fields_arrive_as_they_are(told: bytes) -> None:
    app = answering(start((b"x-told", told), (b"content-length", b"1")), body(b"x"))
    with serving(app) as door, door.connect() as client:
        answer = client.get("/").answer()
        assert (answer.status, answer.body) == (200, b"x")


@pytest.mark.parametrize(
    "messages",
    [
        [body(b"x")],
        [start(), start()],
        [start((b"content-length", b"1")), body(b"xx")],
        [start((b"content-length", b"2")), body(b"x")],
    ],
    ids=["no start", "two starts", "too long", "too short"],
)
def test_an_answer_that_breaks_the_protocol_is_never_passed_off_as_whole(messages: list[Any]) -> None:
    with serving(answering(*messages)) as door, door.connect() as client:
        client.get("/")
        received = client.rest()
        assert b" 500 " in received or not received.endswith(b"\r\n\r\nxx")
        assert b"0\r\n\r\n" not in received


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_no_coding(status: int) -> None:
    with serving(answering(start(status=status), body(b""))) as door, door.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        received = client.rest()
        assert b"transfer-encoding" not in received
        assert received.endswith(b"\r\n\r\n")
