"""`dragoman token`: the set-up token of the admin API, and tokens of automation.

A token's text is printed once. Whoever may read the data directory may make one: this is also the way back in
for who has lost every password.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragoman.cli import errand
from dragoman.cli.options import MISUSED, Config, DataDir, Json, Stop

if TYPE_CHECKING:
    from dragoman.cli.errand import Place
    from dragoman.serving.store import Store
    from dragoman.store.tokens import Token

app = typer.Typer(no_args_is_help=True, help="Tokens of the admin API.")

_HEAD = ("name", "role", "state", "created", "expires", "last used")
_ACTOR = "cli"


@app.command()
def setup(config: Config = None, data_dir: DataDir = None) -> None:
    """Print a fresh set-up token: it makes one admin, once, within a day; an earlier one ends."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.store.tokens import Tokens

        now = time.time()
        text = await Tokens(_noting(store, "token.setup", "setup", now), store.facts.pepper).make_setup(now)
        errand.say(text)

    errand.over_store(config, data_dir, work)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the token is for.", show_default=False, metavar="NAME")],
    role: Annotated[
        str, typer.Option("--role", help="`admin`, or `viewer` for reading alone.", show_default=False)
    ],
    expires: Annotated[
        str | None, typer.Option("--expires", help="30d, 24h, a day, or a moment; otherwise never.")
    ] = None,
    as_json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Make a token for automation and print it; it is not to be had again."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import moments
        from dragoman.store.tokens import Tokens

        now = time.time()
        word, chosen = _name(name), _role(role)
        ends = None if expires is None else moments.end("--expires", expires, now)
        noting = _noting(store, "token.create", word, now, role=chosen, expires_at=ends)
        token, text = await Tokens(noting, store.facts.pepper).create(word, chosen, now, ends)
        with errand.handing_out() as lost:
            if as_json:
                errand.say_json({**_table(token, now), "token": text})
            else:
                errand.say(text)
        if lost:
            noting = _noting(store, "token.revoke", token.name, now)
            await Tokens(noting, store.facts.pepper).revoke(token.name)
            raise Stop(
                f"the token {token.name} was made, but its text could not be delivered: standard output: "
                f"{lost[0]}; it is revoked"
            )

    errand.over_store(config, data_dir, work)


@app.command("list")
def list_(as_json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """List the tokens of automation, expired ones too."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.store.tokens import Tokens

        now = time.time()
        found = await Tokens(store.database, store.facts.pepper).listed()
        if as_json:
            errand.say_json([_table(token, now) for token in found])
        else:
            errand.say_table(_HEAD, (_line(token, now) for token in found), "There are no tokens.")

    errand.over_store(config, data_dir, work)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name or id.", show_default=False, metavar="NAME")],
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Revoke a token: it opens nothing from now on."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.store.tokens import Tokens

        token = await Tokens(store.database, store.facts.pepper).get(name.strip())
        noting = _noting(store, "token.revoke", token.name, time.time())
        await Tokens(noting, store.facts.pepper).revoke(token.name)
        errand.say(f"The token {token.name} is revoked.")

    errand.over_store(config, data_dir, work)


def _noting(store: Store, action: str, name: str, now: float, **detail: Any) -> Any:
    from dragoman.store.audit import Entry, NotingDatabase

    told = {key: value for key, value in detail.items() if value is not None}
    return NotingDatabase(store.database, Entry(_ACTOR, action, f"token:{name}", now, told))


def _name(text: str) -> str:
    from dragoman.store.tokens import NAME

    word = text.strip()
    if NAME.fullmatch(word) is None:
        raise Stop(f"NAME {word!r}: must be 1 to 48 letters, digits and . _ @ -", MISUSED)
    return word


def _role(text: str) -> Any:
    if text not in ("admin", "viewer"):
        raise Stop(f"--role {text!r}: must be admin or viewer", MISUSED)
    return text


def _table(token: Token, now: float) -> dict[str, Any]:
    from dragoman.cli.moments import iso

    return {
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "state": _state(token, now),
        "created_at": iso(token.created_at),
        "expires_at": iso(token.expires_at),
        "last_used_at": iso(token.last_used_at),
    }


def _line(token: Token, now: float) -> tuple[str, ...]:
    from dragoman.cli.moments import shown

    return (
        token.name,
        token.role,
        _state(token, now),
        shown(token.created_at),
        shown(token.expires_at, "never"),
        shown(token.last_used_at, "never"),
    )


def _state(token: Token, now: float) -> str:
    return "expired" if token.expires_at is not None and token.expires_at <= now else "active"
