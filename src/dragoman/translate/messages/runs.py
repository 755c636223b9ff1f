"""Deltas that follow each other, as one: for an answer that is told only when it is whole.

An upstream cuts its text wherever it likes, and the answer is the same wherever it cuts. So who folds may
read a run of deltas of one text as a single delta. What more than its text an event holds (log
probabilities, half a character) keeps it by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_RUNS = frozenset(
    {
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_text.delta",
    }
)


def joined(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same answer in fewer events; what is no delta stays as it is."""
    out: list[dict[str, Any]] = []
    run: dict[str, Any] | None = None  # the event that began the run
    mark: tuple[Any, ...] = ()
    pieces: list[str] = []
    for event in events:
        kind, delta = event.get("type"), event.get("delta")
        if type(delta) is str and type(kind) is str and kind in _RUNS and _alone(event, delta):
            now = _mark(event)
            if run is not None and now == mark:
                pieces.append(delta)
                continue
            _end(out, run, pieces)
            run, mark, pieces = event, now, [delta]
        else:
            _end(out, run, pieces)
            run = None
            out.append(event)
    _end(out, run, pieces)
    return out


def _end(out: list[dict[str, Any]], run: dict[str, Any] | None, pieces: list[str]) -> None:
    if run is not None:
        out.append(run if len(pieces) == 1 else {**run, "delta": "".join(pieces)})


def _alone(event: dict[str, Any], delta: str) -> bool:
    """Whether the event is its text and nothing else."""
    return not event.get("logprobs") and (delta.isascii() or _whole(delta))


def _whole(delta: str) -> bool:
    try:
        delta.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mark(event: dict[str, Any]) -> tuple[Any, ...]:
    """Which text the delta belongs to."""
    get = event.get
    return (event["type"], get("item_id"), get("output_index"), get("content_index"), get("summary_index"))
