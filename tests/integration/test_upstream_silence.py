"""What counts as silence of an upstream, and what becomes of connections that an upstream dropped."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.inprocess import gateway
from tests.support.upstream import Talk, answer, completed, created, delta, frame, upstream

LIMITS = {"upstream": {"first_event_seconds": 1.0, "idle_seconds": 1.0}}


def house(url: str, **more: Any) -> dict[str, Any]:
    one = {"name": "a", "kind": "openai", "base_url": url, "api_key": "sk-upstream"}
    return {"accounts": [one], **more}


async def test_comments_of_an_upstream_are_signs_of_life(tmp_path: Path) -> None:
    """Reliability R6: the limits count upstream bytes, and a keep-alive comment is one."""

    async def alive(talk: Talk) -> None:
        await talk.head()
        for _ in range(6):
            await talk.chunk(b": keep-alive\n\n")
            await asyncio.sleep(0.4)
        await talk.events(created(), delta("Hello"))
        for _ in range(6):
            await talk.chunk(b": keep-alive\n\n")
            await asyncio.sleep(0.4)
        await talk.events(completed())
        await talk.end()

    async with upstream() as up, gateway(tmp_path, house(up.url, **LIMITS)) as one:
        up.play(alive)
        streamed, whole = await asyncio.gather(one.ask(), one.ask(stream=False))
        assert streamed.types[-1] == "message_stop"
        assert whole.json["content"][0]["text"] == "Hello"


async def test_an_event_that_comes_slowly_is_no_silence(tmp_path: Path) -> None:
    """Reliability R6: half an event is life as well."""

    async def slow(talk: Talk) -> None:
        await talk.head()
        await talk.events(created())
        event = frame(delta("Hello"))
        step = len(event) // 6
        for start in range(0, len(event), step):
            await talk.chunk(event[start : start + step])
            await asyncio.sleep(0.4)
        await talk.events(completed())
        await talk.end()

    async with upstream() as up, gateway(tmp_path, house(up.url, **LIMITS)) as one:
        up.play(slow)
        reply = await one.ask()
        assert (reply.text, reply.types[-1]) == ("Hello", "message_stop")


async def test_a_client_that_reads_slowly_is_not_the_upstreams_silence(tmp_path: Path) -> None:
    """Reliability R5: while the client is waited for nobody reads the upstream, so no limit of its runs."""

    async def plenty(talk: Talk) -> None:
        await talk.head()
        await talk.events(created())
        for _ in range(400):
            await talk.events(delta("x" * 65_536))
        await talk.events(completed())
        await talk.end()

    limits = {"upstream": {"idle_seconds": 0.5}, "server": {"ping_seconds": 0.2}}
    async with upstream() as up, gateway(tmp_path, house(up.url, **limits)) as one:
        up.play(plenty)
        question = {"model": "claude-x", "max_tokens": 10, "stream": True}
        question |= {"messages": [{"role": "user", "content": "Hi"}]}
        async with one.session.post(one.url + "/v1/messages", json=question) as response:
            await asyncio.sleep(2)
            body = await response.read()
        assert body.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


async def test_an_upstream_that_drops_kept_connections_costs_no_request(tmp_path: Path) -> None:
    """Every kept connection of an upstream that restarted is dead: the second attempt takes a new one."""
    served: set[asyncio.StreamWriter] = set()

    async def once(talk: Talk) -> None:
        if talk.writer in served:
            await talk.reset()
            return
        served.add(talk.writer)
        await asyncio.sleep(0.2)  # so that the questions need a connection each
        await answer(talk)

    async with upstream() as up, gateway(tmp_path, house(up.url)) as one:
        up.play(once)
        for _ in range(3):
            replies = await asyncio.gather(*(one.ask() for _ in range(6)))
            assert {reply.text for reply in replies} == {"Hello there"}


LIMIT = b'{"error": {"message": "no", "code": "rate_limit_exceeded"}}'


@pytest.mark.parametrize("words", [b"", LIMIT[:20], LIMIT], ids=["none", "half", "all"])
async def test_a_refusal_that_does_not_end_is_known_by_its_status(tmp_path: Path, words: bytes) -> None:
    """E5, B83: nobody waits a minute for the words of a refusal, and half of them are shown to nobody."""

    async def refusal(talk: Talk) -> None:
        head = "HTTP/1.1 429 Too Many\r\ncontent-type: application/json\r\nretry-after: 7\r\n\r\n"
        await talk.say(head.encode() + words)
        await talk.until_gone()

    async with upstream(refusal) as up, gateway(tmp_path, house(up.url)) as one:
        reply = await one.ask()
        row = await one.row()
    assert (reply.status, reply.headers["retry-after"]) == (429, "7")
    assert reply.json["error"]["message"] == "The upstream's rate limit is reached."
    code = "rate_limit_exceeded" if words == LIMIT else None
    assert [(found["status"], found["code"]) for found in row.attempts] == [(429, code)]
    assert len(up.seen) == 1


async def test_after_a_refusal_that_does_not_end_another_account_is_asked(tmp_path: Path) -> None:
    """B83: as after any other."""

    async def refusal(talk: Talk) -> None:
        await talk.say(b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\n<html>")
        await talk.until_gone()

    async with upstream(refusal) as up, upstream() as other:
        both = house(up.url)
        both["accounts"].append(both["accounts"][0] | {"name": "b", "base_url": other.url, "priority": -1})
        async with gateway(tmp_path, both) as one:
            assert (await one.ask()).text == "Hello there"
