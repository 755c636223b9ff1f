"""Running figures in plain dicts: counts and histograms by label values, bounded in number.

An addition costs a fraction of a microsecond, so that a finished request may make a dozen. Who reads gets
copies. What the figures are called and when they grow is decided elsewhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

OTHER = "other"
Labels = tuple[str, ...]


class _Bounded:
    """Which label values get a place of their own: the first `most`; later ones share OTHER.

    Only the values at `open_ends` are replaced: the others come from closed lists and bound themselves.
    """

    __slots__ = ("_most", "_open_ends")

    def __init__(self, most: int, open_ends: Sequence[int]) -> None:
        self._most = most
        self._open_ends = frozenset(open_ends)

    def _place(self, labels: Labels, taken: int) -> Labels:
        if taken < self._most:
            return labels
        return tuple(OTHER if at in self._open_ends else value for at, value in enumerate(labels))


class Counts(_Bounded):
    """Sums of whole numbers by label values."""

    __slots__ = ("_sums",)

    def __init__(self, most: int, open_ends: Sequence[int] = ()) -> None:
        super().__init__(most, open_ends)
        self._sums: dict[Labels, int] = {}

    def add(self, labels: Labels, amount: int = 1) -> None:
        """Adds to the sum of these labels."""
        sums = self._sums
        if labels in sums:
            sums[labels] += amount
        else:
            place = self._place(labels, len(sums))
            sums[place] = sums.get(place, 0) + amount

    def read(self) -> list[tuple[Labels, int]]:
        """Labels and sums, in the order in which they first came."""
        return list(self._sums.items())


class Histogram(_Bounded):
    """Observations by label values, counted into buckets. `bounds` ascend; the last bucket is open."""

    __slots__ = ("_rows", "bounds")

    def __init__(self, bounds: Sequence[float], most: int, open_ends: Sequence[int] = ()) -> None:
        super().__init__(most, open_ends)
        self.bounds = tuple(bounds)
        self._rows: dict[Labels, tuple[list[int], list[float]]] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Counts one value."""
        row = self._rows.get(labels)
        if row is None:
            place = self._place(labels, len(self._rows))
            row = self._rows.setdefault(place, ([0] * (len(self.bounds) + 1), [0.0]))
        row[0][bisect_left(self.bounds, value)] += 1
        row[1][0] += value

    def read(self) -> list[tuple[Labels, list[int], float]]:
        """Labels, observations per bucket (not cumulative) and the sum of what was observed."""
        return [(labels, list(counts), total[0]) for labels, (counts, total) in list(self._rows.items())]
