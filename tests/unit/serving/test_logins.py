"""Refreshes are counted by what came of them, and pass through as they are."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.serving.logins import CountedIssuer
from dragoman.upstream.oauth import Granted, Problem, Trouble


class Scripted:
    """Gives these answers one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def refresh(self, refresh_token: str) -> Any:
        self.asked.append(refresh_token)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_outcomes_are_counted() -> None:
    granted = Granted("access", "refresh", None)
    dead = Problem(Trouble.PERMANENT, "Log in again.")
    issuer, outcomes = Scripted(granted, dead, granted, OSError("cut")), dict[str, int]()
    counted = CountedIssuer(issuer, outcomes)  # type: ignore[arg-type]
    assert await counted.refresh("one") is granted
    assert await counted.refresh("two") is dead
    assert await counted.refresh("three") is granted
    with pytest.raises(OSError, match="cut"):
        await counted.refresh("four")
    assert issuer.asked == ["one", "two", "three", "four"]
    assert outcomes == {"renewed": 2, "permanent": 1}
