"""The janitor: what it takes for a leak, and that it can find one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import pytest

from dragoman.gateway.flow import Gate
from dragoman.gateway.janitor import Held, Janitor, lost

WAIT = 30.0


def nothing() -> None:
    return


def held(
    what: Literal["place", "call"], whose: str, owner: asyncio.Future[Any] | None, lease: object = None
) -> Held:
    return Held(what, whose, owner, lease or object(), nothing)


async def done() -> asyncio.Future[Any]:
    task = asyncio.ensure_future(asyncio.sleep(0))
    await task
    return task


async def test_what_a_living_task_holds_is_no_leak() -> None:
    me = asyncio.current_task()
    assert lost([held("place", "a", me), held("call", "x", me), held("call", "y", me)]) == []
    assert lost([]) == []


async def test_what_an_ended_task_holds_is_one() -> None:
    """reliability S9."""
    gone, me = await done(), asyncio.current_task()
    place, call = held("place", "a", gone), held("call", "x", gone)
    assert lost([place, held("place", "b", me), call]) == [place, call]


async def test_calls_of_unknown_owners_need_a_place_each() -> None:
    me = asyncio.current_task()
    first, second = held("call", "x", None), held("call", "y", None)
    places = [held("place", "a", me), held("place", "b", me)]
    assert lost([*places, first, second]) == []
    assert lost([places[0], first, second]) == [first]
    assert lost([*places, first, second, held("call", "z", me)]) == [first]
    assert lost([first, second]) == [first, second]
    assert lost([held("call", "z", me)]) == []  # named: somebody is there who will give it back


class Watched:
    """A gate, its janitor, and what that one told."""

    def __init__(self) -> None:
        self.gate = Gate(2, 0, 1.0, lambda: 0.5)
        self.told: list[Sequence[Held]] = []
        self.janitor = Janitor(self.leases, self.told.append, seconds=0.001)

    def leases(self) -> list[Held]:
        return [
            Held("place", place.key, place.owner, place, place.give_back) for place in list(self.gate.places)
        ]

    async def leak(self, key: str) -> None:
        """A task takes a place and ends without giving it back, as no code should."""

        async def careless() -> None:
            await self.gate.place(key).__aenter__()

        await asyncio.ensure_future(careless())


async def test_a_leak_is_told_and_the_place_is_there_again() -> None:
    """reliability S9: it is loud, and it does not wear the gateway out."""
    watched = Watched()
    await watched.leak("laptop")
    async with watched.gate.place("other"):
        assert watched.gate.in_flight == 2
        assert watched.janitor.look() == []  # it may be on its way back
        (found,) = watched.janitor.look()
        assert (found.what, found.whose) == ("place", "laptop")
        assert watched.told == [[found]]
        assert watched.gate.in_flight == 1
        assert watched.janitor.look() == []
    assert watched.janitor.found == 1
    assert watched.gate.in_flight == 0


async def test_a_place_that_comes_back_late_is_not_given_back_twice() -> None:
    watched = Watched()
    place = watched.gate.place("late")

    async def careless() -> None:
        await place.__aenter__()

    await asyncio.ensure_future(careless())
    watched.janitor.look()
    assert len(watched.janitor.look()) == 1
    await place.__aexit__(None, None, None)
    assert (watched.gate.in_flight, watched.gate.free) == (0, 2)


async def test_one_that_came_back_between_two_looks_is_no_leak() -> None:
    watched = Watched()
    place = watched.gate.place("late")

    async def careless() -> None:
        await place.__aenter__()

    await asyncio.ensure_future(careless())
    watched.janitor.look()
    await place.__aexit__(None, None, None)
    assert watched.janitor.look() == []
    assert watched.janitor.found == 0


async def test_as_a_job_it_looks_by_itself_until_it_is_stopped() -> None:
    watched = Watched()
    await watched.janitor.stop()
    watched.janitor.start()
    await watched.leak("laptop")
    async with asyncio.timeout(WAIT):
        while not watched.told:
            await asyncio.sleep(0.001)
    await watched.janitor.stop()
    assert len(watched.told) == 1, "a leak is told once, however often it looks"


@pytest.mark.parametrize("rounds", [3])
async def test_without_a_leak_it_tells_nothing(rounds: int) -> None:
    watched = Watched()
    for _ in range(rounds):
        async with watched.gate.place("a"), watched.gate.place("b"):
            assert watched.janitor.look() == []
        assert watched.janitor.look() == []
    assert watched.told == []
