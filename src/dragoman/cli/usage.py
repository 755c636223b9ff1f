"""`dragoman usage`: what was used, by model, key, account or time, from sums that outlive the log's rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dragoman.cli.options import Config, DataDir, Json, plainly

if TYPE_CHECKING:
    from dragoman.serving.store import Store
    from dragoman.store.series import Bucket, Dimension

By = Literal["model", "upstream-model", "key", "account", "outcome"]
Span = Literal["hour", "day", "week", "month"]
# What is typed -> the column.
_BY: dict[str, Dimension] = {
    "model": "requested_model",
    "upstream-model": "upstream_model",
    "key": "key",
    "account": "account",
    "outcome": "outcome",
}


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(usage)


def usage(
    since: Annotated[
        str, typer.Option("--since", help="From when on: 24h or 7d ago, or 2026-07-31; in whole hours, UTC.")
    ] = "7d",
    until: Annotated[str | None, typer.Option("--until", help="Up to when, given in the same way.")] = None,
    by: Annotated[
        By | None,
        typer.Option("--by", help="One line for each: model, upstream-model, key, account, outcome."),
    ] = None,
    bucket: Annotated[
        Span | None, typer.Option("--bucket", help="One line for each: hour, day, week, month.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Only this client key, by name.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only this requested model.")] = None,
    as_json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Sum up requests, tokens and costs; by model where nothing else is asked for."""
    from dragoman.cli.ledger import at, over_store

    with plainly():
        begin, end = at("--since", since), at("--until", until)
    chosen = None if by is None and bucket is not None else _BY[by or "model"]
    where: dict[Dimension, str] = {}
    if key is not None:
        where["key"] = key
    if model is not None:
        where["requested_model"] = model

    async def work(store: Store) -> None:
        rows, whole = await _sums(store, begin, end, bucket, chosen, where)
        _print(rows, whole, bucket, chosen, as_json=as_json)

    over_store(config, data_dir, work)


async def _sums(
    store: Store,
    since: float | None,
    until: float | None,
    bucket: Bucket | None,
    by: Dimension | None,
    where: dict[Dimension, str],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from dragoman.store.series import series, totals

    whole = (await totals(store.database, since, until, None, where))[0]
    if bucket is not None:
        return await series(store.database, since, until, bucket, by, where), whole
    return await totals(store.database, since, until, by, where), whole


def _print(
    rows: list[dict[str, Any]],
    whole: dict[str, Any],
    bucket: Bucket | None,
    by: Dimension | None,
    *,
    as_json: bool,
) -> None:
    from dragoman.cli.ledger import write_lines

    if as_json:
        write_lines([json.dumps(rows, indent=2)])
        return
    names = [*(["time"] if bucket else []), *([by] if by else [])]
    head = [*(name.upper().replace("_", " ") for name in names), *_HEADINGS]
    lines = [[*(_place(name, row[name], bucket) for name in names), *_figures(row)] for row in rows]
    total = [*(["total", *[""] * (len(names) - 1)]), *_figures(whole)]
    write_lines(_table([head, *lines, total], len(names)))
    if whole["unpriced"]:
        write_lines([f"Requests without a known price, not in the cost: {whole['unpriced']:,}."])


_HEADINGS = ("REQUESTS", "ERRORS", "IN", "CACHED", "OUT", "REASONING", "COST", "ANTHROPIC", "FIRST")


def _figures(row: dict[str, Any]) -> list[str]:
    from dragoman.cli.rowtext import dollars, span

    share = f"{row['cached_tokens'] / row['input_tokens']:.0%}" if row["input_tokens"] else "–"
    return [
        f"{row['requests']:,}",
        f"{row['errors']:,}",
        f"{row['input_tokens']:,}",
        share,
        f"{row['output_tokens']:,}",
        f"{row['reasoning_tokens']:,}",
        dollars(row["cost_usd"]),
        dollars(row["anthropic_cost_usd"]),
        span(row["first_token_ms"]),
    ]


def _place(name: str, value: str, bucket: Bucket | None) -> str:
    from dragoman.cli.ledger import printable

    if name == "time":
        return {"hour": value[:16].replace("T", " "), "month": value[:7]}.get(bucket or "", value[:10])
    return printable(value) or "–"


def _table(lines: Sequence[Sequence[str]], left: int) -> list[str]:
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
