"""The virtual clock."""

from __future__ import annotations

import pytest

from dragoman.simulator.clock import Clock


class Source:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_ticks_with_its_source_from_the_given_start() -> None:
    source = Source()
    clock = Clock(1000.0, source=source)
    source.now += 5
    assert clock.now() == 1005.0
    assert Clock(source=source).now() == source.now
    assert Clock(7.0, frozen=True).now() == 7.0


def test_advances_whether_it_ticks_or_not() -> None:
    source = Source()
    clock = Clock(1000.0, source=source)
    clock.advance(60)
    assert clock.now() == 1060.0
    clock.freeze()
    source.now += 9
    clock.advance(1)
    assert (clock.now(), clock.frozen) == (1061.0, True)


def test_goes_on_from_where_it_was_frozen() -> None:
    source = Source()
    clock = Clock(1000.0, source=source)
    clock.freeze()
    source.now += 50
    clock.freeze(False)
    source.now += 2
    assert (clock.now(), clock.frozen) == (1002.0, False)


def test_never_goes_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        Clock().advance(-1)
