"""`dragoman`: the verbs of the command line. Each verb imports what it needs when it is called."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from dragoman import __version__
from dragoman.cli import output
from dragoman.cli.options import FAILED, Config, DataDir, plainly

# Verb -> the module that has it, as `app` or by `register`. What stands below is always there.
_VERBS = {
    "claude": "claude",
    "doctor": "doctor.verb",
    "config": "config",
    "log": "log",
    "usage": "usage",
    "key": "key",
    "account": "account",
    "alias": "alias",
    "token": "token",
    "price": "price",
    "db": "db",
    "secrets": "keyring_verbs",
}
_OWN = ("serve", "simulate", "version")


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    config: Config = None,
    data_dir: DataDir = None,
    i_know_this_is_open: Annotated[
        bool, typer.Option("--i-know-this-is-open", help="Listen beyond loopback without any key.")
    ] = False,
    takeover: Annotated[
        bool,
        typer.Option(
            "--takeover", help="Take the place of the gateway of this data directory; no connection is lost."
        ),
    ] = False,
) -> None:
    """Serve the gateway."""
    from dragoman.cli import serve as verb

    with plainly():
        code = verb.run(host, port, config, data_dir, may_be_open=i_know_this_is_open, takeover=takeover)
        raise typer.Exit(code)


def simulate(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8788,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    scenario: Annotated[Path | None, typer.Option(help="JSON file with scenario rules.")] = None,
) -> None:
    """Serve the simulated Responses upstream alone."""
    from dragoman.simulator import server
    from dragoman.simulator.state import State

    try:
        rules = None if scenario is None else read_scenario(scenario)
        server.run(
            host, port, state=State(rules=rules), ready=lambda it: typer.echo(f"simulating at {it.url}")
        )
    except (OSError, ValueError) as error:
        typer.echo(f"dragoman: simulate: {error}", err=True)
        raise typer.Exit(2) from None


def read_scenario(path: Path) -> object:
    """The parsed rules of a scenario file. Raises ValueError for a file that holds no JSON."""
    from dragoman.wire import jsonio

    return jsonio.parse(path.read_bytes())


def version() -> None:
    """Print the version."""
    typer.echo(f"dragoman {__version__} (Python {sys.version.split()[0]})")


def _say_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


def _always(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and leave."),
    ] = False,
) -> None:
    """Its own text is the help that `application` gives."""


def application(only: str | None = None) -> typer.Typer:
    """The command line. With the name of one verb just that is added: others cost time, and memory that
    `serve` would keep."""
    app = typer.Typer(
        name="dragoman",
        callback=_always,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        help="Claude Code and every Anthropic client on OpenAI models.",
    )
    for own in (serve, simulate, version):
        app.command()(own)
    wanted = {only: _VERBS[only]} if only in _VERBS else {} if only in _OWN else _VERBS
    for name, place in wanted.items():
        verb = importlib.import_module(f"dragoman.cli.{place}")
        if isinstance(group := getattr(verb, "app", None), typer.Typer):
            app.add_typer(group, name=name)
        else:
            verb.register(app)
    return app


def main() -> None:
    """Entry point of the console script."""
    output.prepare()
    try:
        try:
            application(sys.argv[1] if len(sys.argv) > 1 else None)()
        finally:
            output.finish()
    except output.Undelivered as lost:
        typer.echo(f"dragoman: {lost}", err=True)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
