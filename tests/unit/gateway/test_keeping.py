"""A short memory: bounded, with an age, and the longest unused goes first."""

from __future__ import annotations

from dragoman.gateway.keeping import Keeping


def test_what_is_asked_for_is_kept_longer() -> None:
    held: Keeping[str, int] = Keeping(2, 10.0)
    held.put("a", 1, 0.0)
    assert held.get("a", 9.0) == 1
    assert held.get("a", 18.0) == 1
    assert held.get("a", 28.0) is None
    assert held.get("b", 0.0) is None


def test_of_too_many_the_longest_unused_goes() -> None:
    held: Keeping[str, int] = Keeping(2, 10.0)
    for name in ("a", "b"):
        held.put(name, 1, 0.0)
    held.get("a", 1.0)
    held.put("c", 1, 1.0)
    assert held.get("b", 2.0) is None
    assert (held.get("a", 2.0), held.get("c", 2.0), len(held)) == (1, 1, 2)


def test_a_new_value_takes_the_place_of_the_old() -> None:
    held: Keeping[str, int] = Keeping(1, 10.0)
    held.put("a", 1, 0.0)
    held.put("a", 2, 0.0)
    assert held.get("a", 0.0) == 2
