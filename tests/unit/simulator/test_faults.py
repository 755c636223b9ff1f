"""Faults as values."""

from __future__ import annotations

import pytest

from dragoman.simulator.faults import KINDS, Fault, find, parse_faults
from dragoman.simulator.steps import InvalidScenario


def test_one_or_many_or_none() -> None:
    assert parse_faults(None, "f") == ()
    assert parse_faults("crlf", "f") == (Fault("crlf"),)
    assert parse_faults({"kind": "stall", "seconds": 2}, "f") == (Fault("stall", {"seconds": 2}),)
    assert len(parse_faults(["crlf", "gzip"], "f")) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_named_alone(kind: str) -> None:
    assert parse_faults(kind, "f") == (Fault(kind),)


def test_a_list_names_the_place_of_the_wrong_one() -> None:
    with pytest.raises(InvalidScenario, match=r"f\[1\]"):
        parse_faults(["crlf", 5], "f")


def test_finding_the_first_of_some_kinds() -> None:
    faults = (Fault("crlf"), Fault("rst", {"after_events": 1}), Fault("end"))
    assert find(faults, "end", "rst") == faults[1]
    assert find(faults, "gzip") is None
