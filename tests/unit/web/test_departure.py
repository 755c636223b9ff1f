"""Who watches for a client's leaving is told once, whenever it began to watch."""

from __future__ import annotations

from dragoman.web.departure import Departure


def departure() -> tuple[Departure, list[str]]:
    told: list[str] = []
    return Departure(lambda: told.append("listening")), told


def test_a_watcher_is_told_once_and_takes_the_reading_up_again() -> None:
    leaving, told = departure()
    leaving.watch(lambda: told.append("gone"))
    assert told == ["listening"]
    leaving.happen()
    leaving.happen()
    assert told == ["listening", "gone"]


def test_who_watches_too_late_is_told_at_once() -> None:
    leaving, told = departure()
    leaving.happen()
    leaving.watch(lambda: told.append("gone"))
    assert told == ["gone"]


def test_who_asked_to_be_forgotten_is_not_told() -> None:
    leaving, told = departure()
    leaving.watch(lambda: told.append("gone"))
    leaving.forget()
    leaving.happen()
    assert told == ["listening"]
    assert leaving.happened
