"""The phase of a text: what an answer leaves of it, and what a later turn makes of that."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.messages.outcome import Outcome
from dragoman.translate.messages.phases import COMMENTARY, FINAL, Phases, Said, hashed, mark, told
from dragoman.wire.responses import Phase
from tests.support.streams import (
    Event,
    added,
    call_events,
    completed,
    context,
    created,
    delta,
    done,
    incomplete,
    message,
    run,
    search_events,
    text_events,
)


def known(text: str, phase: str, *, before_call: bool = False) -> dict[str, str]:
    return {mark(hashed(text), before_call=before_call): phase}


def phases(*events: Event, **plan: Any) -> dict[str, str]:
    """What an answer leaves."""
    return run(events, context(plan=plan)).automaton.outcome.phases


# -- on the way up ---------------------------------------------------------------------------------------


def test_a_known_text_has_its_phase_and_an_unknown_one_the_likely_one() -> None:
    history = Phases(known("On my way.", COMMENTARY) | known("Done.", FINAL, before_call=True))
    assert history.of("On my way.", before_call=False) == COMMENTARY
    assert history.of("Done.", before_call=True) == FINAL
    assert history.guessed == {}
    assert history.of("Never heard.", before_call=True) == COMMENTARY
    assert history.of("Never heard.", before_call=False) == FINAL
    assert history.guessed == known("Never heard.", COMMENTARY, before_call=True) | known(
        "Never heard.", FINAL
    )


def test_half_a_character_has_a_hash_too() -> None:
    assert hashed("\ud83d") != hashed("?")


@pytest.mark.parametrize(
    ("item", "before", "phase"),
    [
        ({"phase": "commentary"}, None, COMMENTARY),
        ({"phase": "final_answer"}, COMMENTARY, FINAL),
        ({"phase": None}, COMMENTARY, COMMENTARY),
        ({}, None, None),
        ({"phase": "aside"}, None, None),
        ({"phase": ["commentary"]}, COMMENTARY, None),
    ],
)
def test_what_an_upstream_tells(item: Event, before: Phase | None, phase: Phase | None) -> None:
    """A word that is none of the contract's is not sent back: nobody knows whether it would be taken."""
    assert told(item, before) == phase


# -- on the way down -------------------------------------------------------------------------------------


def test_the_phase_of_a_finished_message_is_noted() -> None:
    first, second = text_events(0, "m0", "Look", "ing."), text_events(1, "m1", "Found.")
    first[0]["item"]["phase"] = "commentary"
    second[-1]["item"]["phase"] = "final_answer"
    third = text_events(2, "m2", "Bye.")
    expected = known("Looking.", COMMENTARY) | known("Found.", FINAL)
    assert phases(created(), *first, *second, *third, completed()) == expected


def test_a_phase_that_only_the_terminal_event_has() -> None:
    end = completed([message("m", "Found.", phase="commentary")])
    assert phases(created(), end) == known("Found.", COMMENTARY)
    bare = delta("output_text", "m", 0, "Found.")
    assert phases(created(), bare, end) == known("Found.", COMMENTARY)
    last = completed([message("m", "Found.")])
    assert phases(created(), bare, last) == {}


def test_a_message_that_never_ended_has_the_phase_it_began_with() -> None:
    began = added(0, message("m", phase="commentary"))
    text = delta("output_text", "m", 0, "Half a")
    assert phases(created(), began, text, incomplete("max_output_tokens")) == known("Half a", COMMENTARY)
    assert phases(created(), added(0, message("m")), text, incomplete("max_output_tokens")) == {}


def test_an_unknown_word_is_not_kept() -> None:
    events = text_events(0, "m", "Found.")
    events[-1]["item"]["phase"] = "aside"
    assert phases(created(), *events, completed()) == {}


def test_a_message_that_gave_way_learns_its_phase_late() -> None:
    """Its text is over, the next item is shown, and then comes its last shape."""
    *begun, last = text_events(0, "m", "Looking.")
    last["item"]["phase"] = "commentary"
    events = [created(), *begun, *call_events(1, 1, "Read", "{}")]
    assert phases(*events, completed()) == {}
    assert phases(*events, last, completed()) == known("Looking.", COMMENTARY, before_call=True)


def test_what_stands_behind_a_text_is_part_of_its_mark() -> None:
    one, two, three = (
        text_events(0, "m0", "One."),
        text_events(2, "m2", "Two."),
        text_events(4, "m4", "Three."),
    )
    for said in (one, two, three):
        said[-1]["item"]["phase"] = FINAL
    search, call = search_events(1, "ws", "https://example.com"), call_events(3, 3, "Read", "{}")
    before = known("One.", FINAL, before_call=True) | known("Two.", FINAL, before_call=True)
    events = [created(), *one, *search, *two, *call, *three, completed()]
    assert phases(*events) == before | known("Three.", FINAL)


def test_each_part_is_a_text_of_its_own() -> None:
    item = message("m", "One.", "", "Two.", phase="commentary")
    expected = known("One.", COMMENTARY) | known("Two.", COMMENTARY)
    assert phases(created(), added(0, message("m")), done(0, item), completed()) == expected


def test_a_text_that_was_cut_here_is_not_known() -> None:
    end = completed([message("m", "one END two", phase="commentary")])
    assert phases(created(), end, stop_sequences=["END"]) == {}
    assert phases(created(), end, visible_cap=2) == {}
    assert phases(created(), end, visible_cap=3) == known("one END two", COMMENTARY)


def test_of_two_texts_that_are_the_same_the_first_counts() -> None:
    outcome = Outcome()
    outcome.said = [Said("a", 0, COMMENTARY), Said("a", 0, FINAL), Said("b", 0, None)]
    assert outcome.phases == {"a": COMMENTARY}
    outcome.server_calls = 1
    assert outcome.phases == {"a+": COMMENTARY}
