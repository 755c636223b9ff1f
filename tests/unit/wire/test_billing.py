"""The billing line in front of or behind a system prompt."""

from __future__ import annotations

import pytest

from dragoman.wire.billing import billing_line, without_billing

LINE = "x-anthropic-billing-header: cc_version=2.1.330.24d; cch=aaaaa;"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (LINE, ""),
        (f"{LINE}\nBe brief.", "Be brief."),
        (f"{LINE}\n\nBe brief.", "\nBe brief."),
        (f"Be brief.\n{LINE}", "Be brief."),
        (f"{LINE}\nBe brief.\n{LINE}", "Be brief."),
        (f"Be brief.\n{LINE}\nAnd kind.", f"Be brief.\n{LINE}\nAnd kind."),
        (f"Explain {LINE}", f"Explain {LINE}"),
        ("Be brief.", "Be brief."),
        ("", ""),
    ],
)
def test_the_line_is_taken_from_the_beginning_and_the_end_alone(text: str, left: str) -> None:
    """B3, B4, B5."""
    assert without_billing(text) == left


def test_the_line_itself_can_be_read() -> None:
    assert billing_line(f"{LINE}\nBe brief.") == LINE
    assert billing_line(f"Be brief.\n{LINE}") == ""
