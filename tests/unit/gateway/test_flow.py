"""The gate: bounded places, a bounded queue, and no place that is lost."""

from __future__ import annotations

import asyncio

import pytest

from dragoman.gateway.flow import Gate
from dragoman.wire.errors import Kind, Refused


def gate(size: int = 1, queue: int = 1, seconds: float = 30.0) -> Gate:
    return Gate(size, queue, seconds, lambda: 0.5)


async def test_a_place_is_given_back_on_every_way_out() -> None:
    door = gate()
    async with door.place():
        assert door.in_flight == 1
    with pytest.raises(ValueError, match="inside"):
        async with door.place():
            raise ValueError("inside")
    assert door.in_flight == 0


async def test_who_waits_gets_the_place_in_order() -> None:
    door = gate(queue=2)
    seen: list[str] = []

    async def guest(name: str) -> None:
        async with door.place():
            seen.append(name)

    async with door.place():
        waiting = [asyncio.ensure_future(guest(name)) for name in ("first", "second")]
        while door.waiting < 2:
            await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert seen == ["first", "second"]
    assert door.in_flight == 0


async def test_a_full_queue_refuses_with_529_and_a_short_wait() -> None:
    door = gate(queue=0)
    async with door.place():
        with pytest.raises(Refused) as caught:
            async with door.place():
                pytest.fail("there was no place")
    failure = caught.value.failure
    assert failure.kind is Kind.OVERLOADED
    assert failure.status == 529
    assert failure.retry_after is not None
    assert 1 <= failure.retry_after <= 10


async def test_waiting_too_long_is_refused_and_frees_the_queue() -> None:
    door = gate(seconds=0.01)
    async with door.place():
        with pytest.raises(Refused) as caught:
            async with door.place():
                pytest.fail("there was no place")
        assert caught.value.failure.kind is Kind.OVERLOADED
        assert door.waiting == 0
    assert door.in_flight == 0


async def test_a_guest_that_leaves_while_waiting_takes_no_place() -> None:
    door = gate()

    async def guest() -> None:
        async with door.place():
            pytest.fail("the guest had left")

    async with door.place():
        waiting = asyncio.ensure_future(guest())
        while door.waiting < 1:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert door.waiting == 0
    assert door.in_flight == 0


async def test_a_place_that_comes_at_the_moment_of_leaving_is_passed_on() -> None:
    door = gate(queue=2)
    entered: list[str] = []

    async def guest(name: str) -> None:
        async with door.place():
            entered.append(name)

    async with door.place():
        leaving = asyncio.ensure_future(guest("leaving"))
        staying = asyncio.ensure_future(guest("staying"))
        while door.waiting < 2:
            await asyncio.sleep(0)
    leaving.cancel()  # its turn has just come, but it has not run yet
    await asyncio.wait([leaving, staying])
    assert entered == ["staying"]
    assert door.in_flight == 0


async def test_a_draining_gate_refuses_new_guests() -> None:
    door = gate()
    door.close()
    assert door.leaving
    with pytest.raises(Refused) as caught:
        async with door.place():
            pytest.fail("the gate is closed")
    assert caught.value.failure.kind is Kind.OVERLOADED


async def test_a_gate_that_a_successor_stands_beside_still_lets_in() -> None:
    """reliability S6: who is connected here is served to the end."""
    door = gate()
    door.retire()
    assert door.leaving
    async with door.place():
        assert door.in_flight == 1
