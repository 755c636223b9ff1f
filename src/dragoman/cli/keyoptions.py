"""The options that say what a key may do, as they were given. They are read and judged in `keyspec`.

The command line needs them when it is built, so nothing heavy is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True, slots=True)
class Said:
    """None or empty: not given."""

    models: Annotated[
        list[str] | None, typer.Option("--models", help="Name or glob the key may request; repeatable.")
    ] = None
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Word to group keys by; repeatable.")] = None
    limits: Annotated[
        list[str] | None,
        typer.Option("--limit", help="`measure/per=max[@glob]`, or the same as a JSON object; repeatable."),
    ] = None
    default_effort: Annotated[
        str | None, typer.Option("--default-effort", help="Effort where the request and the alias name none.")
    ] = None
    enforced_effort: Annotated[
        str | None, typer.Option("--enforced-effort", help="Effort of every request, whatever it asks for.")
    ] = None
    max_effort: Annotated[
        str | None, typer.Option("--max-effort", help="Highest effort that may be asked for.")
    ] = None
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", min=1, max=100_000, help="Requests in flight at the same time."),
    ] = None
    account_groups: Annotated[
        list[str] | None,
        typer.Option("--account-group", help="Group of accounts that serves the key; repeatable."),
    ] = None
    expires: Annotated[
        str | None,
        typer.Option("--expires", help="When the key ends: 30d, 2027-01-31 or a moment with its zone."),
    ] = None
    active: Annotated[
        bool | None,
        typer.Option("--on/--off", help="Whether it may be used; one that is off gets 401 until it is on."),
    ] = None
