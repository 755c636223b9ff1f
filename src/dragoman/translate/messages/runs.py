"""Deltas that follow each other, as one: for an answer that is told only when it is whole.

An upstream cuts its text wherever it likes, and the answer is the same wherever it cuts. So who folds may
read a run of deltas of one text as a single delta. What more than its text an event holds (log
probabilities, half a character) keeps it by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

# Deltas, and what says which text they belong to.
_RUNS: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "response.output_text.delta": itemgetter("type", "item_id", "output_index", "content_index"),
    "response.function_call_arguments.delta": itemgetter("type", "item_id", "output_index"),
    "response.custom_tool_call_input.delta": itemgetter("type", "item_id", "output_index"),
    "response.reasoning_summary_text.delta": itemgetter("type", "item_id", "output_index", "summary_index"),
    "response.reasoning_text.delta": itemgetter("type", "item_id", "output_index", "content_index"),
}


def joined(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same answer in fewer events; what is no delta, or not a whole one, stays as it is."""
    out: list[dict[str, Any]] = []
    run: dict[str, Any] = {}  # the event that began the run; {} outside of one
    mark: tuple[Any, ...] = ()
    pieces: list[str] = []
    for event in events:
        delta = event.get("delta")
        if type(delta) is not str or event.get("logprobs") or not (delta.isascii() or _whole(delta)):
            now = ()
        else:
            now = _text(event)
        if now and now == mark:
            pieces.append(delta)
            continue
        _end(out, run, pieces)
        if now:
            run, mark, pieces = event, now, [delta]
        else:
            run, mark = {}, ()
            out.append(event)
    _end(out, run, pieces)
    return out


def _text(event: dict[str, Any]) -> tuple[Any, ...]:
    """Which text an event has more of; () for none."""
    kind = event.get("type")
    place = _RUNS.get(kind) if isinstance(kind, str) else None
    try:
        return () if place is None else place(event)
    except KeyError:
        return ()


def _end(out: list[dict[str, Any]], run: dict[str, Any], pieces: list[str]) -> None:
    if run:
        out.append(run if len(pieces) == 1 else {**run, "delta": "".join(pieces)})


def _whole(delta: str) -> bool:
    """Whether it holds no half of a character."""
    try:
        delta.encode()
    except UnicodeEncodeError:
        return False
    return True
