"""`dragoman config`: the group's options. What it tells is found by `origins` and `configured`."""

from __future__ import annotations

from typing import Annotated

import typer

from dragoman.cli.options import MISUSED, Config, DataDir, Json, plainly

group = typer.Typer(name="config", no_args_is_help=True, help="Show and check the configuration.")


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group)


@group.command()
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    as_json: Json = False,
    host: Annotated[str | None, typer.Option(help="As serve would be given it.")] = None,
    port: Annotated[int | None, typer.Option(help="As serve would be given it.")] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show every setting as it holds; secrets are never shown."""
    from dragoman.cli import origins

    with plainly():
        given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
        rows = origins.rows(config, {"server": given} if given else {})
        rows.append(origins.data_directory(data_dir))
    typer.echo(origins.as_json(rows) if as_json else origins.as_text(rows, origin=origin), nl=False)


@group.command()
def check(config: Config = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Judge the configuration without starting anything: one line per problem, and then exit code 2."""
    from dragoman.cli import origins

    found = origins.problems(config, data_dir)
    if as_json:
        typer.echo(origins.as_json(found), nl=False)
    else:
        for line in found:
            typer.echo(f"dragoman: {line}", err=True)
        if not found:
            typer.echo("the configuration is in order")
    raise typer.Exit(MISUSED if found else 0)
