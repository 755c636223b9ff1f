"""The system prompt without the billing line."""

from __future__ import annotations

import pytest

from dragoman.translate.messages.system import system_texts
from dragoman.wire.billing import without_billing

LINE = "x-anthropic-billing-header: cc_version=2.1.330.24d; cch=aaaaa;"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (LINE, ""),
        (f"{LINE}\nYou are terse.", "You are terse."),
        (f"{LINE}\n\nYou are terse.\n", "\nYou are terse.\n"),
        (f"You are terse.\n{LINE}", "You are terse."),
        (f"{LINE}\nYou are terse.\n{LINE}", "You are terse."),
        (f"You say {LINE}", f"You say {LINE}"),
        (f"a\n{LINE}\nb", f"a\n{LINE}\nb"),
        ("", ""),
    ],
)
def test_the_billing_line_goes_from_the_beginning_and_the_end_alone(text: str, left: str) -> None:
    """B3, B4, B5"""
    assert without_billing(text) == left


def test_a_string_and_its_one_block_are_the_same() -> None:
    """B2"""
    assert system_texts("S") == system_texts([{"type": "text", "text": "S"}]) == ["S"]
    assert system_texts(None) == system_texts([]) == system_texts([{"type": "text", "text": LINE}]) == []
