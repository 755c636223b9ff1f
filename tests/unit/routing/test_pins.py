"""Whose conversation is where, and for how long that is remembered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragoman.routing.pins import KEPT_SECONDS, LIVE_SECONDS, TOUCH_SECONDS, Kept, Pins

NOW = 1_795_780_800.0


def test_a_pin_is_kept_for_a_day_after_its_last_use() -> None:
    pins = Pins()
    pins.put("s", "a", NOW)
    pins.use("s", NOW + KEPT_SECONDS)
    found = pins.get("s", NOW + 2 * KEPT_SECONDS)
    assert found is not None and found.account == "a"
    assert pins.get("s", NOW + 2 * KEPT_SECONDS + 1) is None
    assert len(pins) == 0
    assert pins.get("t", NOW) is None


def test_a_use_that_is_noted_late_takes_nothing_away() -> None:
    pins = Pins()
    pin = pins.put("s", "a", NOW)
    pins.use("s", NOW - 60)
    assert pin.used_at == NOW


def test_the_longest_unused_go_first() -> None:
    pins = Pins(3)
    for name in "abc":
        pins.put(name, "one", NOW)
    pins.use("a", NOW + 1)
    pins.put("d", "one", NOW + 2)
    assert [name for name in "abcd" if pins.get(name, NOW + 2)] == ["a", "c", "d"]
    assert pins.live == {"one": 3}


def test_a_store_is_told_of_changes_and_of_use_now_and_then() -> None:
    pins = Pins(1)
    pins.put("s", "a", NOW)
    assert pins.changed() == [Kept("s", "a", NOW)]
    pins.use("s", NOW + TOUCH_SECONDS - 1)
    assert pins.changed() == []
    pins.use("s", NOW + TOUCH_SECONDS)
    pins.put("s", "b", NOW + TOUCH_SECONDS + 1)
    assert pins.changed() == [Kept("s", "b", NOW + TOUCH_SECONDS + 1)]
    pins.put("t", "b", NOW + 400)
    assert set(pins.changed()) == {Kept("s", None, NOW + TOUCH_SECONDS + 1), Kept("t", "b", NOW + 400)}


def test_what_a_store_kept_is_taken_over() -> None:
    """B111."""
    pins = Pins()
    kept = [
        Kept("new", "a", NOW - 10),
        Kept("idle", "a", NOW - LIVE_SECONDS - 1),
        Kept("old", "a", NOW - KEPT_SECONDS - 1),
        Kept("gone", None, NOW),
        Kept("ahead", "b", NOW + 999),
    ]
    pins.load(kept, NOW)
    found = {name: pins.get(name, NOW) for name in ("new", "idle", "old", "gone", "ahead")}
    assert {name: pin and pin.account for name, pin in found.items()} == {
        "new": "a",
        "idle": "a",
        "old": None,
        "gone": None,
        "ahead": "b",
    }
    assert all(pin.warm for pin in found.values() if pin)
    assert pins.live == {"a": 1, "b": 1}
    assert pins.changed() == []


def test_what_is_newer_here_stays_and_what_is_newer_there_is_taken() -> None:
    pins = Pins()
    pin = pins.put("s", "a", NOW)
    pin.stand_in = "c"
    pins.load([Kept("s", "b", NOW - 1), Kept("s", "b", NOW)], NOW + 5)
    assert pins.get("s", NOW) is pin
    pins.load([Kept("s", "a", NOW + 2)], NOW + 5)
    again = pins.get("s", NOW + 5)
    assert again is not None and (again.account, again.stand_in) == ("a", "c")
    pins.load([Kept("s", "b", NOW + 3)], NOW + 5)
    moved = pins.get("s", NOW + 5)
    assert moved is not None and (moved.account, moved.stand_in) == ("b", None)
    assert pins.live == {"b": 1}


def test_loading_is_bounded_and_keeps_the_latest() -> None:
    pins = Pins(2)
    pins.load([Kept(str(n), "a", NOW - n) for n in range(5)], NOW)
    assert [n for n in range(5) if pins.get(str(n), NOW)] == [0, 1]


def test_a_sweep_lets_go_of_the_idle() -> None:
    pins = Pins()
    pins.put("s", "a", NOW)
    pins.put("t", "a", NOW + 100)
    pins.sweep(NOW + LIVE_SECONDS + 1)
    assert (pins.live, len(pins)) == ({"a": 1}, 2)
    pins.sweep(NOW + KEPT_SECONDS + 1)
    assert (pins.live, len(pins)) == ({}, 1)
    pins.sweep(NOW + KEPT_SECONDS + 101)
    assert len(pins) == 0
    assert {kept.account for kept in pins.changed()} == {None}


def test_what_comes_late_from_another_process_ends_in_its_own_time() -> None:
    pins = Pins()
    pins.put("s", "a", NOW)
    pins.load([Kept("t", "a", NOW - 1)], NOW)
    pins.sweep(NOW + LIVE_SECONDS)
    assert pins.live == {"a": 1}
    pins.sweep(NOW + KEPT_SECONDS)
    assert (pins.live, len(pins)) == ({}, 1)
    assert pins.get("s", NOW + KEPT_SECONDS) is not None


def test_what_nobody_asks_for_is_bounded() -> None:
    pins = Pins(3)
    for number in range(50):
        pins.put(str(number), "a", NOW + number)
    changed = pins.changed()
    assert len(changed) == 6
    assert {kept.affinity for kept in changed if kept.account} == {"47", "48", "49"}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "use", "get", "load", "sweep"]),
        st.sampled_from("stuvw"),
        st.sampled_from("abc"),
        st.sampled_from([0.0, 1.0, LIVE_SECONDS, KEPT_SECONDS]),
    ),
    max_size=40,
)


@given(STEPS)
def test_the_counts_are_those_of_the_pins(steps: list[tuple[str, str, str, float]]) -> None:
    pins, now = Pins(3), NOW
    for what, affinity, account, step in steps:
        now += step
        if what == "put":
            pins.put(affinity, account, now)
        elif what == "use" and pins.get(affinity, now):
            pins.use(affinity, now)
        elif what == "load":
            pins.load([Kept(affinity, account, now - 1)], now)
        elif what == "sweep":
            pins.sweep(now)
        assert len(pins) <= 3
    pins.sweep(now)
    expected: dict[str, int] = {}
    for affinity in "stuvw":
        pin = pins.get(affinity, now)
        if pin is not None and now - pin.used_at <= LIVE_SECONDS:
            expected[pin.account] = expected.get(pin.account, 0) + 1
    assert pins.live == expected
