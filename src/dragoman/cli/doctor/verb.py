"""`dragoman doctor`: the verb's options, and how findings are shown."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from dragoman.cli.options import FINDINGS, Config, DataDir, Json, KeyEnv, KeyFile, Url, plainly

if TYPE_CHECKING:
    from dragoman.cli.doctor.findings import Finding


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("doctor")(doctor)


def doctor(
    as_json: Json = False,
    fix_none: Annotated[
        bool, typer.Option("--fix-none", help="Leave out the remedies; nothing is ever repaired.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no account.")] = False,
    cache_check: Annotated[
        bool,
        typer.Option(
            "--cache-check",
            help="Ask a real account three times (about 6,000 input tokens) and look at its prompt cache.",
        ),
    ] = False,
    model: Annotated[str | None, typer.Option(help="Model that the stream and cache checks ask for.")] = None,
    url: Url = None,
    key_env: KeyEnv = None,
    key_file: KeyFile = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Find and explain what is wrong; exit code 4 when there is an error. Nothing is changed.

    With a running gateway a short answer is asked for, which costs about 200 output tokens of a real account.
    """
    from dragoman.cli.doctor import checkup, findings

    with plainly():
        request = checkup.Request(config, data_dir, url, key_env, key_file, offline, cache_check, model)
        visit = checkup.visit_of(request)
    found: list[Finding] = []
    for finding in checkup.run(visit):
        found.append(finding)
        if not as_json:
            typer.echo(_line(finding, fix=not fix_none))
    level = findings.worst(found)
    if as_json:
        typer.echo(_json(found, level, fix=not fix_none))
    elif level == "ok":
        typer.echo("all is well")
    raise typer.Exit(FINDINGS if level == "error" else 0)


def _line(finding: Finding, *, fix: bool) -> str:
    told = f"{finding.level:<5}  {finding.id:<20}  {finding.sentence}"
    if fix and finding.fix is not None:
        told += f"\n{'':<29}fix: {finding.fix}\n{'':<29}see: {finding.docs}"
    return told


def _json(found: Iterable[Finding], level: str, *, fix: bool) -> str:
    rows = [
        {
            "id": one.id,
            "level": one.level,
            "sentence": one.sentence,
            **({"fix": one.fix} if fix else {}),
            "docs": one.docs,
        }
        for one in found
    ]
    return json.dumps({"level": level, "findings": rows}, ensure_ascii=False, indent=2)
