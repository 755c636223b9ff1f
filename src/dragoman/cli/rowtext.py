"""Rows of the request log in words and columns. It decides nothing but how a row looks on a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from dragoman.cli.ledger import printable

Row = Mapping[str, Any]
# Heading, least width, whether figures stand at the right.
COLUMNS = (
    ("TIME", 19, False),
    ("KEY", 8, False),
    ("MODEL", 32, False),
    ("OUTCOME", 14, False),
    ("IN", 7, True),
    ("CACHED", 7, True),
    ("OUT", 6, True),
    ("COST", 8, True),
    ("FIRST", 7, True),
    ("TOOK", 7, True),
    ("CACHE", 12, False),
    ("REQUEST", 0, False),
)
NOTHING = "–"


class Columns:
    """Lines of one width: as wide as the first rows need; longer cells later push only their own line."""

    def __init__(self, rows: Sequence[Row]) -> None:
        cells = [_cells(row) for row in rows]
        self._widths = [
            max([least, *(len(row[place]) for row in cells)]) for place, (_, least, _) in enumerate(COLUMNS)
        ]

    def header(self) -> str:
        """The headings."""
        return self._line([name for name, _, _ in COLUMNS])

    def line(self, row: Row) -> str:
        """One row."""
        return self._line(_cells(row))

    def _line(self, cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, (_, _, right) in zip(cells, self._widths, COLUMNS, strict=True)
        ]
        return "  ".join(padded).rstrip()


def story(row: Row) -> Iterator[str]:
    """Everything that is known of one request, a label and a sentence a line."""
    yield printable(f"{row['request_id']}  {row['time']}  {outcome(row)}")
    for label, text in _facts(row):
        if text:
            yield f"  {label:<10}{printable(text)}"


def _facts(row: Row) -> Iterable[tuple[str, str]]:
    how = "streamed" if row["stream"] else "in one piece"
    lane = f", lane {row['lane']}" if row["lane"] else ""
    yield "caller", f"key {row['key'] or NOTHING}, {row['client'] or 'unnamed client'}, {how}{lane}"
    yield "model", f"asked for {row['requested_model'] or NOTHING}, {_served(row)}"
    yield "routing", _routed(row)
    yield "outcome", _ended(row)
    yield "attempts", "; ".join(_attempt(one) for one in row["attempts"])
    yield "tokens", _tokens(row)
    yield "cost", _costs(row)
    yield "times", _times(row)
    verdict, told = row["cache_verdict"], row["cache_story"]
    yield "cache", f"{verdict}: {told}" if verdict and told else verdict or ""
    yield "ignored", ", ".join(row["ignored_fields"])
    yield "repaired", ", ".join(row["repaired"])
    if row["dropped_reasoning"]:
        yield "reasoning", f"{row['dropped_reasoning']} thinking blocks could not be sent back"
    yield "session", row["session_hash"] or ""
    yield "convers.", row["conversation_hash"] or ""
    yield "lineage", row["lineage"]


def _served(row: Row) -> str:
    if not row["upstream_model"]:
        return "which led to no upstream model"
    effort = f" at effort {row['effort']}" if row["effort"] else ""
    by = f"; account {row['account']}" if row["account"] else "; no account was asked"
    return f"served as {row['upstream_model']}{effort}{by}"


def _routed(row: Row) -> str:
    if not row["choice"]:
        return ""
    lost = f", {dollars(row['lost_usd'])} of cached input lost" if row["lost_usd"] else ""
    return f"{row['move']}: {row['choice']}{lost}"


def _ended(row: Row) -> str:
    words = {
        "ok": "answered",
        "refused": "refused before any upstream was asked",
        "upstream_error": "the upstream failed",
        "client_gone": "the client left before the end",
        "aborted": "the gateway's process ended before the request did",
    }
    parts = [f"{row['status']}, {words.get(row['outcome'], row['outcome'])}"]
    parts += [f"told {row['error_type']}"] if row["error_type"] else []
    parts += [f"stopped by {row['stop_reason']}"] if row["stop_reason"] else []
    return ", ".join(parts)


def _attempt(one: Any) -> str:
    if not isinstance(one, dict):
        return str(one)
    code = ", ".join(str(one[name]) for name in ("status", "code") if one.get(name) is not None)
    told = f"{one.get('account', NOTHING)} failed: {one.get('cause', 'unknown')}"
    return f"{told} ({code})" if code else told


def _tokens(row: Row) -> str:
    if row["usage_source"] == "none":
        return "none were used, or none are known"
    return (
        f"{row['input_tokens']:,} in "
        f"({row['cached_tokens']:,} from cache, {row['written_tokens']:,} written), "
        f"{row['output_tokens']:,} out ({row['reasoning_tokens']:,} reasoning), {row['usage_source']}"
    )


def _costs(row: Row) -> str:
    if row["usage_source"] == "none":
        return ""
    told = dollars(row["cost_usd"])
    if row["service_tier"] not in (None, "default", "auto"):
        told += f" at tier {row['service_tier']}"
    if row["cost_usd"] is None:
        told = f"unknown: {row['upstream_model'] or 'the model'} has no price"
    if row["anthropic_cost_usd"] is not None:
        told += f"; {row['requested_model']} itself would have cost {dollars(row['anthropic_cost_usd'])}"
    return told


def _times(row: Row) -> str:
    named = (
        ("queue", "queue_ms"),
        ("connect", "connect_ms"),
        ("first byte", "first_byte_ms"),
        ("first token", "first_token_ms"),
        ("whole", "duration_ms"),
    )
    return ", ".join(f"{name} {span(row[field])}" for name, field in named if row[field] is not None)


def outcome(row: Row) -> str:
    """Status and what it was."""
    return f"{row['status']} {row['error_type'] or row['outcome']}"


def dollars(value: float | None) -> str:
    """Money for people; `?` where it is not known."""
    if value is None:
        return "?"
    return f"${value:,.4f}" if value == 0 or value >= 0.0001 else f"${value:.7f}"


def span(milliseconds: float | None) -> str:
    """A duration for people."""
    if milliseconds is None:
        return NOTHING
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _cells(row: Row) -> list[str]:
    used = row["usage_source"] != "none"
    effort = f"@{row['effort']}" if row["effort"] else ""
    model = row["requested_model"] or NOTHING
    if row["upstream_model"]:
        model += f" → {row['upstream_model']}{effort}"
    cells = [
        _local(row["time"]),
        row["key"] or NOTHING,
        model,
        outcome(row),
        *(
            f"{row[name]:,}" if used else NOTHING
            for name in ("input_tokens", "cached_tokens", "output_tokens")
        ),
        dollars(row["cost_usd"]) if used else NOTHING,
        span(row["first_token_ms"]),
        span(row["duration_ms"]),
        row["cache_verdict"] or NOTHING,
        row["request_id"],
    ]
    return [printable(cell) for cell in cells]


def _local(moment: str) -> str:
    """The machine's own time, as people read logs."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(datetime.fromisoformat(moment).timestamp()))
