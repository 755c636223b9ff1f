"""Refusals in both dialects."""

from __future__ import annotations

from dragoman.simulator.refusal import Answer, breach, denied, detail


def test_the_public_dialect() -> None:
    answer = breach("strict", "no", param="tools[0]", code="c").answer
    assert answer.body == {
        "error": {"message": "no", "type": "invalid_request_error", "param": "tools[0]", "code": "c"}
    }
    assert (answer.status, answer.breach, answer.message) == (400, "strict", "no")


def test_the_codex_dialect() -> None:
    answer = detail("store", "must").answer
    assert (answer.body, answer.message, answer.breach) == ({"detail": "must"}, "must", "store")


def test_a_denial_is_no_breach() -> None:
    answer = denied(429, "slow", "tokens", code="x", headers={"retry-after": "1"}).answer
    assert (answer.status, answer.breach, answer.headers) == (429, "", {"retry-after": "1"})
    assert Answer(500, {}).message == ""
