from __future__ import annotations

from typing import Any

import pytest

from dragoman.gateway.messages import Messages
from tests.support.turns import ACCOUNT, admit, house
from tests.support.upstream import completed, created, delta

NO_EDITS: dict[str, Any] = {"applied_edits": []}


def answer(**fields: Any) -> dict[str, Any]:
    question = {"role": "user", "content": "What do you see at sea?"}
    asked = {"model": "gpt-5.5", "max_tokens": 5000, "messages": [question], **fields}
    turn = admit(Messages(), house(), asked)
    events = turn.immediate()
    if events is None:
        turn.prepare(ACCOUNT, frozenset(), False, started=False)
        events = turn.feed([created(), delta("Water."), completed()])
    whole: dict[str, Any] = turn.fold(events)
    return whole


@pytest.mark.parametrize("limit", [0, 5000], ids=["no-generation", "generation"])
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, None),
        ({"context_management": None}, None),
        ({"context_management": {}}, NO_EDITS),
        ({"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}, NO_EDITS),
    ],
    ids=["absent", "null", "empty", "edits"],
)
def test_who_asks_for_edits_is_told_that_none_was_applied(
    fields: dict[str, Any], told: dict[str, Any] | None, limit: int
) -> None:
    """B38. A null is as good as none, and an answer without generation tells it like any other."""
    assert answer(max_tokens=limit, **fields)["context_management"] == told
