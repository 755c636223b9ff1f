"""Figures by label: right sums, and never more places than were allowed."""

from __future__ import annotations

from dragoman.telemetry.tally import Counts, Histogram


def test_sums_are_kept_by_label() -> None:
    counts = Counts(10)
    counts.add(("a",))
    counts.add(("a",), 4)
    counts.add(("b",))
    assert counts.read() == [(("a",), 5), (("b",), 1)]


def test_beyond_the_bound_open_labels_share_one_place_and_nothing_is_lost() -> None:
    counts = Counts(3, open_ends=(1,))
    for number in range(100):
        counts.add(("input", f"model-{number}"))
        counts.add(("output", f"model-{number}"))
    read = dict(counts.read())
    assert sum(read.values()) == 200
    assert len(read) == 5
    assert read[("input", "other")] == 98
    assert read[("output", "other")] == 99


def test_a_label_that_has_its_place_keeps_it() -> None:
    counts = Counts(1, open_ends=(0,))
    counts.add(("first",))
    counts.add(("second",))
    counts.add(("first",))
    assert dict(counts.read()) == {("first",): 2, ("other",): 1}


def test_a_value_on_a_bound_belongs_below_it() -> None:
    histogram = Histogram((1.0, 2.0), 10)
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        histogram.observe((), value)
    assert histogram.read() == [((), [2, 2, 1], 7.5)]


def test_histograms_are_bounded_too() -> None:
    histogram = Histogram((1.0,), 2, open_ends=(0,))
    for number in range(50):
        histogram.observe((f"model-{number}",), 0.5)
    read = {labels: counts for labels, counts, _ in histogram.read()}
    assert len(read) == 3
    assert read[("other",)] == [48, 0]


def test_what_was_read_does_not_change_any_more() -> None:
    counts, histogram = Counts(2), Histogram((1.0,), 2)
    counts.add(())
    histogram.observe((), 0.5)
    before = counts.read(), histogram.read()
    counts.add(())
    histogram.observe((), 0.5)
    assert before == ([((), 1)], [((), [1, 0], 0.5)])
