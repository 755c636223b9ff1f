"""`dragoman claude`: the verb's options. The work is done by `launch`, imported when it is called."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from dragoman.cli.options import Config, DataDir, KeyEnv, KeyFile, Url, plainly


class ShellName(StrEnum):
    """The spellings of `--print-env`."""

    sh = "sh"
    fish = "fish"
    powershell = "powershell"


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("claude")(claude)


def claude(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGS]", help="Arguments of claude itself, after --.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model of the conversation.")] = None,
    opus: Annotated[str | None, typer.Option(help="Model of the opus tier.")] = None,
    sonnet: Annotated[str | None, typer.Option(help="Model of the sonnet tier.")] = None,
    haiku: Annotated[str | None, typer.Option(help="Model of the haiku tier and of side calls.")] = None,
    url: Url = None,
    key_env: KeyEnv = None,
    key_file: KeyFile = None,
    # As it was written: a path would lose its "./".
    executable: Annotated[
        str | None,
        typer.Option("--claude", metavar="PATH", help="The claude executable; otherwise the one on PATH."),
    ] = None,
    print_env: Annotated[
        bool, typer.Option("--print-env", help="Print the variables (the key, too) instead of starting.")
    ] = False,
    shell: Annotated[ShellName, typer.Option(help="Spelling of --print-env.")] = ShellName.sh,
    write_settings: Annotated[
        bool,
        typer.Option("--write-settings", help="Write the variables into ~/.claude/settings.json instead."),
    ] = False,
    project: Annotated[
        bool,
        typer.Option("--project", help="With --write-settings or --undo: ./.claude/settings.local.json."),
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Put the settings file back as it was before --write-settings.")
    ] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Start Claude Code on this gateway; nothing on disk is changed.

    The variables hold for that process only. Its exit code is passed on.
    """
    from dragoman.cli import launch

    tiers = {"opus": opus, "sonnet": sonnet, "haiku": haiku}
    with plainly():
        order = launch.Order(
            config=config,
            data_dir=data_dir,
            url=url,
            key_env=key_env,
            key_file=key_file,
            model=model,
            tiers={tier: name for tier, name in tiers.items() if name is not None},
            arguments=tuple(arguments or ()),
        )
        launch.check(print_env=print_env, write=write_settings, undo=undo, project=project)
        if undo:
            typer.echo(launch.undo(project))
        elif print_env:
            typer.echo(launch.print_env(order, shell.value), nl=False)
        elif write_settings:
            typer.echo(launch.write_settings(order, project))
        else:
            raise typer.Exit(launch.start(order, executable))
