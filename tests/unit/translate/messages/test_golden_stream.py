"""The golden answers: the specification of the answer half, as bytes.

Each folder of tests/golden/stream is one behaviour: what an upstream sent (upstream.sse) to a request
known by context.json, what a streaming client gets (client.sse), what another one gets or why there is no
answer (message.json), and the rule in words with the behaviours it proves (note.md).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dragoman.wire import sse
from dragoman.wire.grammar import Grammar
from tests.support.chunks import pieces
from tests.support.streams import Answer, context, run_bytes

GOLDEN = Path(__file__).parents[3] / "golden" / "stream"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())

# Cut at every byte in every run; the soak round cuts all of them.
CUT = (
    "error-in-a-call",
    "everything",
    "incomplete-in-a-call",
    "server-crlf-and-comments",
    "stop-sequence-across-blocks",
    "text-multibyte",
    "tool-arguments-broken-in-the-middle",
    "tool-arguments-half-a-character",
    "tool-parallel-interleaved",
)


def frame_of(name: str) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((GOLDEN / name / "context.json").read_text())
    return known


def answer_of(name: str, chunks: list[bytes] | None = None) -> Answer:
    known = frame_of(name)
    started, foreseen = known.pop("started", False), known.pop("foreseen", False)
    if chunks is not None:
        return run_bytes(chunks, context(**known), started=started)
    data = (GOLDEN / name / "upstream.sse").read_bytes()
    return run_bytes([data], context(**known), started=started, foreseen=foreseen)


def plain(answer: Answer) -> dict[str, Any]:
    """The answer as one document: the message, or why there is none, and who has to know what else."""
    automaton = answer.automaton
    failure = automaton.failure
    if failure is None:
        return answer.message if "message_start" in answer.kinds else {"continued": answer.kinds}
    fields = {name: getattr(failure, name) for name in ("cause", "message", "status", "code", "param")}
    told = None if automaton.told is None else automaton.told.anthropic()
    return {"failure": fields, "told": told}


def written(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_golden_stream(name: str, rewrite_golden: bool) -> None:
    """What every case's note says, byte for byte. The notes hold these ids:

    B9 B16 B26 B36 B37 B42 B43 B48 B50 B51 B52 B53 B54 B55 B56 B57 B58 B59 B60 B62 B63 B64 B65 B66 B67 B68
    B69 B70 B71 B74 B75 B84 B85 B95
    D2 D3 D4 D10 D11 D13 D14 D15 D16 D17 D18 D19 D20 D21 D22 D25 D39
    behaviours S1, behaviours S3, behaviours S4, behaviours S5, behaviours S6, behaviours S7, behaviours S8,
    behaviours S10, behaviours S11, behaviours S12, behaviours S16, behaviours S17, behaviours S18,
    behaviours S19, behaviours S20, behaviours T1, behaviours T7, behaviours T8, behaviours T9,
    behaviours T11, behaviours C8, behaviours C9, behaviours C18, behaviours C21, behaviours E14
    """
    folder = GOLDEN / name
    answer = answer_of(name)
    if rewrite_golden:
        (folder / "client.sse").write_bytes(answer.sse)
        (folder / "message.json").write_text(written(plain(answer)))
    assert answer.sse == (folder / "client.sse").read_bytes()
    assert written(plain(answer)) == (folder / "message.json").read_text()


@pytest.mark.parametrize("name", CASES)
def test_golden_streams_hold_the_grammar(name: str) -> None:
    grammar = Grammar()
    events = answer_of(name).events
    if frame_of(name).get("started"):
        grammar.started = True
    for event in events:
        grammar.check(event)
    assert grammar.complete or not events


@pytest.mark.parametrize("name", CASES)
def test_golden_streams_do_not_depend_on_the_cut_of_their_bytes(name: str) -> None:
    """B70, behaviours S17; but for the figures of an answer that is ended here, where they came in time."""
    data = (GOLDEN / name / "upstream.sse").read_bytes()
    whole = answer_of(name, [data]).events
    for cut in pieces(data):
        assert answer_of(name, cut).events == whole


def test_golden_notes_and_ids_agree() -> None:
    """Every id of a note stands in the docstring above, from where the index of behaviours takes it."""
    pattern = r"\b[BD]\d+\b|behaviours [STCE]\d+"
    noted = {
        found for name in CASES for found in re.findall(pattern, (GOLDEN / name / "note.md").read_text())
    }
    assert noted == set(re.findall(pattern, test_golden_stream.__doc__ or ""))


@pytest.mark.parametrize("name", CASES)
def test_golden_folders_are_complete(name: str) -> None:
    names = {file.name for file in (GOLDEN / name).iterdir()}
    assert names == {"client.sse", "context.json", "message.json", "note.md", "upstream.sse"}


# -- the cut law -----------------------------------------------------------------------------------------


def law_of_cuts(name: str) -> None:
    """Whatever was cut off, the answer ends in exactly one of message_stop and error, or has not begun."""
    data = (GOLDEN / name / "upstream.sse").read_bytes()
    known = frame_of(name)
    known.pop("started", None)
    known.pop("foreseen", None)
    whole = run_bytes([data], context(**known))
    frame = context(**known)
    for at in range(len(data)):
        answer = run_bytes([data[:at]], frame)
        kinds = answer.kinds
        ends = kinds.count("message_stop") + kinds.count("error")
        assert ends == (1 if kinds else 0), f"cut at {at}"
        if not kinds:
            assert answer.automaton.failure is not None
            continue
        assert kinds[0] == "message_start"
        if kinds[-1] == "message_stop":
            # Only with the terminal event in hand, or where the answer was ended here: then nothing is lost.
            assert answer.events == whole.events, f"cut at {at}"
            continue
        assert kinds[-1] == "error"
        assert answer.automaton.outcome.stop_reason is None
        assert "message_delta" not in kinds
        # What was written before the cut is the beginning of the whole answer.
        assert answer.events[:-1] == whole.events[: len(answer.events) - 1], f"cut at {at}"


@pytest.mark.parametrize("name", CUT)
def test_a_stream_cut_at_any_byte_ends_once_and_never_well(name: str) -> None:
    """B69, D20, behaviours S10; reliability E2 and E3: a call cut in its JSON is never finished."""
    law_of_cuts(name)


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(set(CASES) - set(CUT)))
def test_every_golden_stream_cut_at_any_byte_ends_once(name: str) -> None:
    law_of_cuts(name)


def test_the_bytes_of_a_golden_stream_are_frames_that_name_their_type() -> None:
    """behaviours S15."""
    found = sse.Decoder().feed((GOLDEN / "everything" / "client.sse").read_bytes())
    assert all(json.loads(event.data)["type"] == event.name for event in found)
