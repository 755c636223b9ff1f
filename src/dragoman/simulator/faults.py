"""Faults: the ways in which a connection or a stream can go wrong, as scripted values.

Each has a kind and a few numbers; delivery.py commits them at the transport. Combining several is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman.simulator.steps import InvalidScenario

_PLACE = ("after_events", "after_bytes", "mid_event")

# Fault kind -> the keys its object may have besides `kind`.
KINDS: dict[str, tuple[str, ...]] = {
    "http": ("status", "body", "headers", "retry_after"),
    "disconnect": _PLACE,
    "rst": _PLACE,
    "end": _PLACE,
    "stall": ("after_events", "seconds"),
    "slow_headers": ("seconds",),
    "slow_drip": ("bytes_per_s",),
    "garbage_event": ("after_events", "text"),
    "split_utf8": (),
    "slice": ("bytes",),
    "crlf": (),
    "duplicate_terminal": (),
    "no_done_item": (),
    "omit_output_in_completed": ("value",),
    "gzip": (),
    "content_type": ("value",),
    "connect_refused": ("seconds",),
    "goaway": (),
}
# Where a fault cuts the stream: the transport closed, reset, or the body ended as if all were well.
CUTS = ("disconnect", "rst", "end")


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    args: Mapping[str, Any] = field(default_factory=dict)

    def number(self, key: str, default: float = 0.0) -> float:
        return float(self.args.get(key, default))


def parse_faults(raw: Any, path: str) -> tuple[Fault, ...]:
    """Reads one fault or a list of them. Raises InvalidScenario."""
    if raw is None:
        return ()
    listed = raw if isinstance(raw, list) else [raw]
    return tuple(
        _fault(one, f"{path}[{index}]" if raw is listed else path) for index, one in enumerate(listed)
    )


def _fault(raw: Any, path: str) -> Fault:
    if isinstance(raw, str):
        raw = {"kind": raw}
    if not isinstance(raw, dict) or raw.get("kind") not in KINDS:
        raise InvalidScenario(f"{path}: a fault's kind is one of {', '.join(KINDS)}")
    kind = raw["kind"]
    args = {key: value for key, value in raw.items() if key != "kind"}
    for key, value in args.items():
        if key not in KINDS[kind]:
            raise InvalidScenario(
                f"{path}: {kind} has no {key!r}; there are: {', '.join(KINDS[kind]) or 'none'}"
            )
        numeric = key in ("after_events", "after_bytes", "seconds", "bytes_per_s", "bytes", "status")
        if numeric and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise InvalidScenario(f"{path}.{key}: must be a number, not negative")
    return Fault(kind, args)


def find(faults: Sequence[Fault], *kinds: str) -> Fault | None:
    """The first fault of one of these kinds."""
    return next((fault for fault in faults if fault.kind in kinds), None)
