"""The golden answers of Chat Completions, as bytes.

Each folder of tests/golden/chat/stream is one behaviour: what an upstream sent (upstream.sse) to a request
known by context.json, what a streaming client gets (client.sse), what another one gets or why there is no
answer (completion.json), and the rule in words (note.md).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.chats import Answer, check, context, run_bytes
from tests.support.chunks import pieces

GOLDEN = Path(__file__).parents[3] / "golden" / "chat" / "stream"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())

# Cut at every byte in every run.
CUT = ("text-and-parallel-calls", "stop-sequence-across-deltas", "citations-keep-their-places")


def frame_of(name: str) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((GOLDEN / name / "context.json").read_text())
    return known


def answer_of(name: str, chunks: list[bytes] | None = None) -> Answer:
    known = frame_of(name)
    started = known.pop("started", False)
    data = (GOLDEN / name / "upstream.sse").read_bytes()
    return run_bytes([data] if chunks is None else chunks, context(**known), started=started)


def plain(answer: Answer) -> dict[str, Any]:
    """The answer as one document: the completion, or why there is none."""
    failure = answer.automaton.failure
    if failure is None:
        return answer.completion
    told = answer.automaton.told
    fields = {name: getattr(failure, name) for name in ("cause", "message", "status", "code", "param")}
    return {"failure": fields, "told": None if told is None else told.openai()}


@pytest.mark.parametrize("name", CASES)
def test_golden_chat_stream(name: str, rewrite_golden: bool) -> None:
    """What every case's note says, byte for byte."""
    folder = GOLDEN / name
    answer = answer_of(name)
    written = json.dumps(plain(answer), indent=2, ensure_ascii=False) + "\n"
    if rewrite_golden:
        (folder / "client.sse").write_bytes(answer.sse)
        (folder / "completion.json").write_text(written)
    assert answer.sse == (folder / "client.sse").read_bytes()
    assert written == (folder / "completion.json").read_text()
    assert (folder / "note.md").read_text().strip()


@pytest.mark.parametrize("name", CASES)
def test_golden_chat_streams_hold_the_grammar(name: str) -> None:
    check(answer_of(name), started=frame_of(name).get("started", False))


@pytest.mark.parametrize("name", CASES)
def test_golden_chat_streams_do_not_depend_on_the_cut_of_their_bytes(name: str) -> None:
    data = (GOLDEN / name / "upstream.sse").read_bytes()
    whole = answer_of(name).chunks
    for cut in pieces(data):
        assert answer_of(name, cut).chunks == whole


@pytest.mark.parametrize("name", CUT)
def test_a_chat_stream_cut_at_any_byte_ends_once_and_never_well(name: str) -> None:
    data = (GOLDEN / name / "upstream.sse").read_bytes()
    whole = answer_of(name).chunks
    for at in range(len(data)):
        answer = answer_of(name, [data[:at]])
        check(answer)
        if answer.finish:  # only with the terminal event in hand, or where the answer was ended here
            assert [chunk["choices"] for chunk in answer.chunks] == [chunk["choices"] for chunk in whole]
        elif answer.chunks:
            assert answer.chunks[:-1] == whole[: len(answer.chunks) - 1]
            assert "error" in answer.chunks[-1]
