"""The gate between keys: whose turn it is, who gives way, and what one key may hold."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from dragoman.gateway.flow import KNOWN, RESERVED, SHARE, Gate
from dragoman.wire.errors import Kind, Refused


def gate(size: int, queue: int = 100, seconds: float = 30.0) -> Gate:
    return Gate(size, queue, seconds, lambda: 0.5)


class Guests:
    """People of several keys at one gate; each stays until it is let out."""

    def __init__(self, door: Gate) -> None:
        self.door = door
        self.inside: list[str] = []
        self.refused: list[str] = []
        self._exits: dict[str, list[asyncio.Event]] = {}
        self._tasks: list[asyncio.Future[None]] = []

    async def come(self, key: str, count: int = 1) -> None:
        """So many arrive; returns when each has a place, waits, or was sent away."""
        for _ in range(count):
            self._tasks.append(asyncio.ensure_future(self._visit(key)))
        await self.settle()

    async def let_out(self, key: str, count: int = 1) -> None:
        for _ in range(count):
            self._exits[key].pop(0).set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def close(self) -> None:
        for exits in self._exits.values():
            while exits:
                exits.pop(0).set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self.door.in_flight == self.door.waiting == 0
        assert not self.door.places
        assert not any(self.door.held.values())

    async def _visit(self, key: str) -> None:
        leave = asyncio.Event()
        try:
            async with self.door.place(key):
                self.inside.append(key)
                self._exits.setdefault(key, []).append(leave)
                await leave.wait()
                self.inside.remove(key)
        except Refused as refusal:
            assert refusal.failure.kind is Kind.OVERLOADED
            assert 1 <= (refusal.failure.retry_after or 0) <= 10
            self.refused.append(key)


async def test_places_that_come_free_go_round_the_keys() -> None:
    """reliability R3: a key with one request does not wait behind a key with fifty."""
    guests = Guests(gate(2))
    await guests.come("greedy", 52)
    await guests.come("small")
    await guests.come("other")
    await guests.let_out("greedy")
    assert Counter(guests.inside) == {"greedy": 1, "small": 1}
    await guests.let_out("small")
    assert Counter(guests.inside) == {"greedy": 1, "other": 1}
    await guests.let_out("other")
    assert Counter(guests.inside) == {"greedy": 2}
    await guests.close()


async def test_a_key_has_at_most_its_share_while_others_wait() -> None:
    """reliability R3: half of the places; alone it may have all of them."""
    guests = Guests(gate(10))
    await guests.come("greedy", 30)
    assert Counter(guests.inside) == {"greedy": 10}
    await guests.come("second", 30)
    for _ in range(5):
        await guests.let_out("greedy")
    assert Counter(guests.inside) == {"greedy": 5, "second": 5}
    for _ in range(5):
        await guests.let_out("second")
        assert max(Counter(guests.inside).values()) == 10 * SHARE
    await guests.close()


async def test_the_share_leaves_no_place_empty() -> None:
    """When those above their share are the only ones who wait, they get what is free."""
    guests = Guests(gate(4))
    await guests.come("greedy", 6)
    await guests.come("small")
    await guests.let_out("greedy")
    await guests.let_out("small")
    await guests.let_out("greedy")
    assert Counter(guests.inside) == {"greedy": 4}
    await guests.close()


async def test_where_several_keys_are_known_a_small_one_finds_a_place_at_once() -> None:
    """reliability R3: the last places are not for a key that holds its share already."""
    size = 2 * RESERVED
    guests = Guests(gate(size))
    await guests.come("small")
    await guests.let_out("small")
    await guests.come("greedy", 400 - size)
    assert Counter(guests.inside) == {"greedy": size - 2}
    assert guests.door.waiting == 100
    await guests.come("small", 2)
    assert Counter(guests.inside) == {"greedy": size - 2, "small": 2}
    await guests.let_out("small")
    assert Counter(guests.inside) == {"greedy": size - 2, "small": 1}
    await guests.close()


async def test_one_key_alone_may_have_every_place() -> None:
    guests = Guests(gate(2 * RESERVED, queue=8))
    await guests.come("", 2 * RESERVED + 9)
    assert (guests.door.in_flight, guests.door.waiting) == (2 * RESERVED, 8)
    assert guests.refused == [""]
    await guests.close()


async def test_who_gives_way_when_the_queue_is_full() -> None:
    """reliability R3: the last of the key with the most waiting; the small key is not refused."""
    guests = Guests(gate(1, queue=4))
    await guests.come("greedy", 5)
    await guests.come("small", 2)
    assert guests.refused == ["greedy", "greedy"]
    await guests.come("greedy")
    await guests.come("small")
    assert guests.refused == ["greedy", "greedy", "greedy", "small"]
    await guests.let_out("greedy")
    await guests.let_out("greedy")
    assert guests.inside == ["small"]
    await guests.close()


async def test_of_keys_that_wait_alike_the_one_inside_gives_way() -> None:
    guests = Guests(gate(1, queue=1))
    await guests.come("inside", 2)
    await guests.come("outside")
    assert guests.refused == ["inside"]
    await guests.come("third")
    assert guests.refused == ["inside", "third"]
    await guests.close()


async def test_the_greedy_key_is_refused_and_nobody_else() -> None:
    """reliability R1, R3: one key with 400 requests and one with 5, as many places and seats as by default
    in a quarter."""
    door = gate(256, queue=64)
    refused: Counter[str] = Counter()
    done: Counter[str] = Counter()

    async def visit(key: str) -> None:
        try:
            async with door.place(key):
                for _ in range(20):
                    await asyncio.sleep(0)
                done[key] += 1
        except Refused:
            refused[key] += 1

    visits = [visit("greedy") for _ in range(400)] + [visit("small") for _ in range(5)]
    await asyncio.gather(*visits)
    assert refused == {"greedy": 400 + 5 - 256 - 64}
    assert done["small"] == 5
    assert door.in_flight == door.waiting == 0


@pytest.mark.parametrize("seed", range(20))
async def test_nothing_is_lost_whatever_comes_and_goes(seed: int) -> None:
    """reliability S9: guests that leave, wait too long, are sent away or fail give everything back."""
    dice = random.Random(seed)
    door = Gate(4, 6, 0.002, dice.random)
    keys = "abc"

    async def visit() -> None:
        async with door.place(dice.choice(keys)):
            assert door.in_flight <= 4
            assert door.waiting <= 6
            assert sum(door.held.values()) == door.in_flight
            await asyncio.sleep(dice.choice((0, 0, 0.001, 0.003)))
            if dice.random() < 0.2:
                raise ValueError("inside")

    tasks = []
    for _ in range(200):
        task = asyncio.ensure_future(visit())
        tasks.append(task)
        if dice.random() < 0.2:
            asyncio.get_running_loop().call_later(dice.choice((0, 0.001)), task.cancel)
        if dice.random() < 0.4:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert door.in_flight == door.waiting == 0
    assert not door.places
    assert not any(door.held.values())


async def test_a_guest_that_is_sent_away_and_leaves_at_once_is_counted_once() -> None:
    guests = Guests(gate(1, queue=1))
    await guests.come("greedy")
    leaving = asyncio.ensure_future(guests._visit("greedy"))
    await guests.settle()
    staying = asyncio.ensure_future(guests._visit("small"))
    await asyncio.sleep(0)
    leaving.cancel()  # it was displaced, but has not run yet
    await asyncio.wait([leaving])
    assert guests.door.waiting == 1
    await guests.let_out("greedy")
    assert guests.inside == ["small"]
    staying.cancel()
    await asyncio.wait([staying])
    await guests.close()


async def test_names_of_keys_are_not_kept_without_bound() -> None:
    door = gate(4)
    async with door.place("stays"):
        for number in range(KNOWN + 50):
            async with door.place(str(number)):
                pass
        assert len(door.held) <= KNOWN
        assert door.held["stays"] == 1
    assert door.in_flight == 0


async def test_a_place_names_its_key_and_its_task() -> None:
    door = gate(2)
    async with door.place("laptop"):
        (place,) = door.places
        assert (place.key, place.owner) == ("laptop", asyncio.current_task())
