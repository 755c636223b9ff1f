"""The verdict on times of arrival: in pieces, all at once, or too quick to tell."""

from __future__ import annotations

import pytest

from dragoman.cli.doctor.streaming import judge, said

HEAD = b"event: message_start\n\n"
TEXT = b"event: content_block_delta\n\n"
END = b"event: message_stop\n\n"


@pytest.mark.parametrize(
    ("arrived", "level", "told"),
    [
        ([(1.0, HEAD), (1.1, TEXT), (2.0, TEXT), (2.1, END)], "ok", "in pieces over 1.0 s"),
        ([(0.05, HEAD + TEXT), (0.5, END)], "ok", "in pieces"),
        ([(10.0, HEAD + TEXT), (10.6, END)], "ok", "in pieces"),
        ([(2.0, HEAD + TEXT + END)], "warn", "all at once"),
        ([(2.0, HEAD + TEXT), (2.01, TEXT), (2.02, END)], "warn", "all at once"),
        ([(0.01, HEAD + TEXT), (0.02, END)], "ok", "too quick to tell"),
        ([(0.5, HEAD), (2.0, TEXT + END)], "warn", "all at once"),
        ([(1.0, HEAD), (2.0, TEXT)], "error", "did not come to its end"),
        ([], "error", "did not come to its end"),
    ],
)
def test_the_verdict(arrived: list[tuple[float, bytes]], level: str, told: str) -> None:
    finding = judge(0.0, arrived, has_length=False)
    assert (finding.id, finding.level) == ("stream", level)
    assert told in finding.sentence


def test_a_length_gives_the_collector_away() -> None:
    finding = judge(0.0, [(0.01, TEXT), (5.0, END)], has_length=True)
    assert finding.level == "warn"


def test_the_message_of_an_error_is_told_and_nothing_else() -> None:
    assert said({"type": "error", "error": {"message": "no such model"}}) == "no such model"
    odds: list[object] = [None, [], {"error": "x"}, {"error": {"message": 1}}]
    for odd in odds:
        assert said(odd) == "no reason given"
