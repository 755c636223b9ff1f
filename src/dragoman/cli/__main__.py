"""`dragoman`: the verbs of the command line. Each verb imports what it needs when it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dragoman import __version__
from dragoman.cli import alias, claude, config, db, key, keyring_verbs, log, price, token, usage
from dragoman.cli.doctor import verb as doctor
from dragoman.cli.options import Config, DataDir, plainly

app = typer.Typer(
    name="dragoman",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Claude Code and every Anthropic client on OpenAI models.",
)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    config: Config = None,
    data_dir: DataDir = None,
    i_know_this_is_open: Annotated[
        bool, typer.Option("--i-know-this-is-open", help="Listen beyond loopback without any key.")
    ] = False,
) -> None:
    """Serve the gateway."""
    from dragoman.cli import serve as verb

    with plainly():
        raise typer.Exit(verb.run(host, port, config, data_dir, may_be_open=i_know_this_is_open))


@app.command()
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


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"dragoman {__version__} (Python {sys.version.split()[0]})")


claude.register(app)
doctor.register(app)
config.register(app)
app.add_typer(log.app, name="log")
app.command()(usage.usage)
app.add_typer(key.app, name="key")
app.add_typer(alias.app, name="alias")
app.add_typer(token.app, name="token")
app.add_typer(price.app, name="price")
app.add_typer(db.app, name="db")
app.add_typer(keyring_verbs.app, name="secrets")


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
