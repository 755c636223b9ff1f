from __future__ import annotations

from dragoman.translate.messages.outcome import Outcome, tally


def test_names_that_a_peer_invents_do_not_grow_the_table() -> None:
    """B71."""
    outcome = Outcome()
    for n in range(1000):
        tally(outcome.ignored, f"response.invented.{n}")
        tally(outcome.ignored, "response.invented.0")
    assert len(outcome.ignored) <= 65
    assert sum(outcome.ignored.values()) == 2000
    assert outcome.ignored["response.invented.0"] == 1001


def test_an_untouched_outcome_claims_nothing() -> None:
    outcome = Outcome()
    assert (outcome.usage.source, outcome.stop_reason, outcome.arguments) == ("none", None, {})
