"""On both databases: pins come back newest first, the later use wins, and old ones go in small steps."""

from __future__ import annotations

from dragoman.store.engine import Database
from dragoman.store.pins import BATCH, DAY, Pin, Pins


async def test_pins_come_back_newest_first(database: Database) -> None:
    pins = Pins(database)
    await pins.save([])
    first, second, third = (Pin(f"a{n}", "work", float(n), float(n)) for n in range(3))
    await pins.save([second, third, first])
    assert await pins.load(10) == [third, second, first]
    assert await pins.load(2) == [third, second]
    assert await pins.load(10, since=1.0) == [third, second]
    assert await pins.find("a1") == second
    assert await pins.find("a9") is None


async def test_the_later_use_wins_in_whatever_order_it_is_written(database: Database) -> None:
    """Two processes write behind their requests; the older word may come last."""
    pins = Pins(database)
    old, new = Pin("a", "work", 5.0), Pin("a", "home", 7.0)
    await pins.save([new])
    await pins.save([old])
    assert await pins.load(10) == [Pin("a", "home", 7.0, 7.0)]
    await pins.save([Pin("a", "home", 9.0), old, new])
    assert await pins.load(10) == [Pin("a", "home", 9.0, 7.0)], "on that account since 7"
    await pins.save([Pin("a", "work", 10.0)])
    assert await pins.load(10) == [Pin("a", "work", 10.0, 10.0)]


async def test_a_pin_is_forgotten_unless_another_process_used_it_later(database: Database) -> None:
    pins = Pins(database)
    await pins.save([Pin("a", "work", 5.0), Pin("b", "work", 5.0), Pin("c", "work", 5.0)])
    await pins.save([Pin("a", None, 4.0), Pin("b", None, 5.0), Pin("d", None, 9.0), Pin("c", "home", 6.0)])
    assert [(pin.affinity, pin.account) for pin in await pins.load(10)] == [("c", "home"), ("a", "work")]


async def test_old_pins_go_in_bounded_steps(database: Database) -> None:
    pins = Pins(database)
    await pins.save(Pin(f"old{n}", "work", float(n)) for n in range(BATCH + 3))
    await pins.save([Pin("new", "work", 10 * DAY)])
    now = 10 * DAY + BATCH + 3
    assert [await pins.prune(now, 10) for _ in range(3)] == [BATCH, 3, 0]
    assert [pin.affinity for pin in await pins.load(10)] == ["new"]
