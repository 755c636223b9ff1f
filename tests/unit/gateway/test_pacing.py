"""The pacer: one lazy timer for holding back, pings and both time limits."""

from __future__ import annotations

import asyncio

import pytest

from dragoman.gateway.pacing import Expired, Limits, Pacer
from dragoman.web.door import new_loop

LONG = 60.0


class Client:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.news = asyncio.Event()

    async def hold(self) -> None:
        self._say("hold")

    async def ping(self) -> None:
        self._say("ping")

    def _say(self, word: str) -> None:
        self.said.append(word)
        self.news.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.said) < count:
                self.news.clear()
                await self.news.wait()


async def test_the_head_is_committed_after_the_hold_and_then_pings_follow() -> None:
    """B61: silence is filled with pings. behaviours S14."""
    client = Client()
    pacer = Pacer(Limits(LONG, LONG, ping=0.01, hold=0.01), client.hold, client.ping)
    pacer.attempt()
    await client.until(3)
    await pacer.close()
    assert client.said[:3] == ["hold", "ping", "ping"]


async def test_no_ping_before_the_head_is_out_when_the_hold_is_long() -> None:
    client = Client()
    pacer = Pacer(Limits(LONG, LONG, ping=0.001, hold=LONG), client.hold, client.ping)
    pacer.attempt()
    await asyncio.sleep(0.05)
    assert client.said == []
    pacer.held()
    await client.until(1)
    await pacer.close()
    assert client.said[0] == "ping"


async def test_the_first_event_limit_cancels_the_attempt_and_says_why() -> None:
    pacer = Pacer(Limits(first_event=0.01, idle=LONG), None, None)
    pacer.attempt()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(30)
    assert pacer.expired is Expired.FIRST_EVENT
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    await pacer.close()


@pytest.mark.parametrize(("own", "reason"), [(0.01, Expired.FIRST_EVENT), (LONG, Expired.DEADLINE)])
async def test_the_time_of_the_request_ends_an_attempt_if_it_is_the_shorter(
    own: float, reason: Expired
) -> None:
    pacer = Pacer(Limits(first_event=own, idle=LONG), None, None)
    pacer.attempt(0.02)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(30)
    assert pacer.expired is reason
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    pacer.attempt()
    assert pacer.expired is None
    await pacer.close()


async def test_the_time_of_the_request_bounds_no_answer_that_has_begun() -> None:
    pacer = Pacer(Limits(first_event=LONG, idle=LONG), None, None)
    pacer.attempt(0.02)
    pacer.touch()
    await asyncio.sleep(0.2)
    assert pacer.expired is None
    await pacer.close()


async def test_silence_after_the_first_bytes_counts_against_the_idle_limit() -> None:
    pacer = Pacer(Limits(first_event=LONG, idle=0.02), None, None)
    pacer.attempt()
    pacer.touch()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(30)
    assert pacer.expired is Expired.IDLE
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    await pacer.close()


@pytest.mark.parametrize("limits", [Limits(first_event=0.05, idle=LONG), Limits(LONG, idle=0.05)])
async def test_between_two_attempts_no_limit_runs(limits: Limits) -> None:
    """Waiting for an account is nobody's silence, however long it takes."""
    pacer = Pacer(limits, None, None)
    pacer.rest()
    pacer.attempt()
    pacer.rest()
    await asyncio.sleep(0.2)
    assert pacer.expired is None
    pacer.attempt()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(LONG)
    assert pacer.expired is (Expired.IDLE if limits.first_event == LONG else Expired.FIRST_EVENT)
    await pacer.close()


async def test_between_two_attempts_the_client_hears_pings() -> None:
    client = Client()
    pacer = Pacer(Limits(LONG, idle=0.05, ping=0.02, hold=0.02), client.hold, client.ping)
    pacer.attempt()
    pacer.rest()
    await client.until(6)
    assert pacer.expired is None
    await pacer.close()


async def test_a_ping_that_cannot_be_written_is_no_fault() -> None:
    async def broken() -> None:
        raise ConnectionResetError

    pacer = Pacer(Limits(LONG, LONG, ping=0.01, hold=LONG), None, broken)
    pacer.attempt()
    await asyncio.sleep(0.1)
    await pacer.close()
    assert pacer.expired is None
    assert not pacer.busy


async def test_writers_wait_for_a_ping_that_is_under_way() -> None:
    gate = asyncio.Event()
    order: list[str] = []

    async def slow() -> None:
        await gate.wait()
        order.append("ping")

    pacer = Pacer(Limits(LONG, LONG, ping=0.01, hold=LONG), None, slow)
    pacer.attempt()
    async with asyncio.timeout(30):
        while not pacer.busy:
            await asyncio.sleep(0.005)
    gate.set()
    await pacer.settled()
    order.append("text")
    await pacer.close()
    assert order == ["ping", "text"]


async def test_closing_ends_a_ping_that_hangs() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    pacer = Pacer(Limits(LONG, LONG, ping=0.01, hold=LONG), None, stuck)
    pacer.attempt()
    async with asyncio.timeout(30):
        while not pacer.busy:
            await asyncio.sleep(0.005)
    await pacer.close()
    assert not pacer.busy


async def test_no_limit_of_the_upstream_runs_while_the_client_is_waited_for() -> None:
    """Reliability R5: a slow reader is not its upstream's silence."""
    pacer = Pacer(Limits(LONG, idle=0.02), None, None)
    pacer.attempt()
    pacer.touch()
    pacer.writing = True
    await asyncio.sleep(0.2)
    assert pacer.expired is None
    pacer.wrote()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(LONG)
    assert pacer.expired is Expired.IDLE
    await pacer.close()


def test_a_hold_longer_than_the_ping_on_the_servers_own_loop() -> None:
    """behaviours S14: uvloop's timers of a time that has passed are no timers."""

    async def run() -> list[str]:
        client = Client()

        async def hold() -> None:
            pacer.held()
            await client.hold()

        pacer = Pacer(Limits(LONG, LONG, ping=0.01, hold=0.05), hold, client.ping)
        pacer.attempt()
        await client.until(3)
        await pacer.close()
        return client.said[:3]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(run()) == ["hold", "ping", "ping"]
