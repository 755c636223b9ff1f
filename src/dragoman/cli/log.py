"""`dragoman log`: the request log on the terminal and for other programs.

It opens the store itself, whether a gateway runs or not, and changes nothing in it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dragoman.cli.options import Config, DataDir, Stop, plainly, taking

if TYPE_CHECKING:
    from dragoman.serving.store import Store
    from dragoman.store.reading import Filter

app = typer.Typer(no_args_is_help=True, help="Read the request log.")

JsonLines = Annotated[bool, typer.Option("--json", help="Print JSON, one ASCII object a line.")]

_POLL_SECONDS = 0.5
_BLOCK = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters as they were typed."""

    key: Annotated[str | None, typer.Option("--key", help="Only this client key, by name.")] = None
    model: Annotated[str | None, typer.Option("--model", help="Only this requested model.")] = None
    upstream_model: Annotated[
        str | None, typer.Option("--upstream-model", help="Only this upstream model.")
    ] = None
    account: Annotated[str | None, typer.Option("--account", help="Only this account, by name.")] = None
    outcome: Annotated[
        Literal["ok", "refused", "upstream_error", "client_gone", "aborted"] | None,
        typer.Option(
            "--outcome", help="Only what ended so: ok, refused, upstream_error, client_gone, aborted."
        ),
    ] = None
    status: Annotated[
        int | None,
        typer.Option("--status", min=100, max=599, help="Only this HTTP status."),
    ] = None
    session: Annotated[
        str | None, typer.Option("--session", help="Only this session, by its whole hash.")
    ] = None
    verdict: Annotated[
        str | None, typer.Option("--verdict", help="Only this cache verdict, such as hit or tools_changed.")
    ] = None
    search: Annotated[
        str | None,
        typer.Option(
            "--search", help="A request id, six digits of a hash, part of a model, client or error."
        ),
    ] = None
    since: Annotated[
        str | None, typer.Option("--since", help="Not before this: 24h or 7d ago, or 2026-07-31T12:00:00Z.")
    ] = None
    until: Annotated[
        str | None, typer.Option("--until", help="Before this moment, given in the same way.")
    ] = None

    def filter(self) -> Filter:
        """What the store is asked for. Raises Stop for a moment that is none."""
        from dragoman.cli.ledger import at
        from dragoman.store.reading import Filter

        return Filter(
            key=self.key,
            requested_model=self.model,
            upstream_model=self.upstream_model,
            account=self.account,
            outcome=self.outcome,
            status=self.status,
            session_hash=self.session,
            cache_verdict=self.verdict,
            search=self.search,
            since=at("--since", self.since),
            until=at("--until", self.until),
        )


@app.command()
@taking(Wanted)
def tail(
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with every request that ends.")
    ] = False,
    count: Annotated[
        int, typer.Option("--lines", "-n", min=0, max=100_000, help="How many of the newest requests.")
    ] = 20,
    said: Wanted,
    as_json: JsonLines = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show the newest requests, the newest last."""
    from dragoman.cli.ledger import over_store

    with plainly():
        wanted = said.filter()
    over_store(
        config,
        data_dir,
        lambda store: _tail(store, wanted, count, follow=follow, as_json=as_json),
        endless=follow,
    )


@app.command()
def show(
    request_id: Annotated[
        str, typer.Argument(metavar="REQUEST_ID", help="The request's id, as `log tail` and answers show it.")
    ],
    as_json: JsonLines = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Tell everything that is known of one request."""
    from dragoman.cli.ledger import over_store

    over_store(config, data_dir, lambda store: _show(store, request_id, as_json=as_json))


@app.command()
@taking(Wanted)
def export(
    *,
    form: Annotated[
        Literal["jsonl", "csv"], typer.Option("--format", help="jsonl: one ASCII object a line; or csv.")
    ] = "jsonl",
    said: Wanted,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Write all requests to standard output, the oldest first."""
    from dragoman.cli.ledger import over_store

    with plainly():
        wanted = said.filter()
    over_store(config, data_dir, lambda store: _export(store, wanted, form))


async def _tail(store: Store, wanted: Filter, count: int, *, follow: bool, as_json: bool) -> None:
    from dragoman.cli.ledger import write, write_lines
    from dragoman.cli.rowtext import Columns
    from dragoman.store.export import json_lines
    from dragoman.store.feed import Feed

    feed = Feed(store.database, wanted)
    rows = await feed.open(count)
    columns = Columns(rows)
    if not as_json:
        if not rows and not follow:
            if not count:
                return  # none were asked for
            why = "no request has ended yet" if wanted == type(wanted)() else "no request in the log fits"
            typer.echo(f"dragoman: {why}", err=True)
            return
        write_lines([columns.header()])
    while True:
        if rows and as_json:
            write(json_lines(rows))
        elif rows:
            write_lines(columns.line(row) for row in rows)
        if not follow:
            return
        await asyncio.sleep(_POLL_SECONDS)
        rows = await feed.poll()


async def _show(store: Store, request_id: str, *, as_json: bool) -> None:
    from dragoman.cli.ledger import printable, write, write_lines
    from dragoman.cli.rowtext import story
    from dragoman.store.export import json_lines
    from dragoman.store.reading import one

    rows = await one(store.database, request_id)
    if not rows:
        raise Stop(f"no request {printable(request_id)!r} is in the log")
    if as_json:
        write(json_lines(rows))
    else:
        write_lines(line for row in rows for line in story(row))


async def _export(store: Store, wanted: Filter, form: str) -> None:
    from dragoman.cli.ledger import write
    from dragoman.store import export as forms
    from dragoman.store.reading import everything

    lines = forms.csv_lines if form == "csv" else forms.json_lines
    if form == "csv":
        write(forms.csv_header())
    block: list[dict[str, Any]] = []
    async for row in everything(store.database, wanted):
        block.append(row)
        if len(block) == _BLOCK:
            write(lines(block))
            block.clear()
    write(lines(block))
