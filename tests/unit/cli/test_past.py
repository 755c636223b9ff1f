"""Moments that people type: so long ago, or a date."""

from __future__ import annotations

import pytest

from dragoman.cli.past import moment

NOW = 1_783_080_000.0  # 2026-07-03 12:00:00 UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW - 90),
        ("30m", NOW - 1800),
        ("24h", NOW - 86_400),
        (" 7d ", NOW - 7 * 86_400),
        ("2w", NOW - 14 * 86_400),
        ("0s", NOW),
        ("2026-07-03", NOW - 12 * 3600),
        ("2026-07-03T12:00:00Z", NOW),
        ("2026-07-03 12:00", NOW),
        ("2026-07-03t14:00:00.500+02:00", NOW + 0.5),
        ("999999999w", 0.0),
        ("1812-09-14", 0.0),
    ],
)
def test_both_forms_are_understood(text: str, expected: float) -> None:
    assert moment(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    ["", "d", "7", "7x", "-7d", "1.5h", "7 d", "yesterday", "2026-13-01", "20260703", "2026-W27-5"],
)
def test_anything_else_is_answered_with_both_forms(text: str) -> None:
    with pytest.raises(ValueError, match="neither a duration such as 7d or 24h nor a date such as"):
        moment(text, NOW)
