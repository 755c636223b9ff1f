"""`dragoman alias`: which upstream model a requested name stands for.

It writes the store's aliases and shows the file's beside them. How a name is resolved is `translate.models`'.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragoman.cli import errand
from dragoman.cli.options import MISUSED, Config, DataDir, Json, Stop

if TYPE_CHECKING:
    from dragoman.cli.errand import Place
    from dragoman.cli.served import Entry, Served
    from dragoman.serving.store import Store
    from dragoman.translate.models import Alias, Resolution

app = typer.Typer(no_args_is_help=True, help="Aliases: which upstream model a requested name stands for.")

Name = Annotated[
    str, typer.Argument(help="Requested name, exact or a glob.", show_default=False, metavar="NAME")
]
_WIDTH = 256


@app.command("set")
def set_(
    name: Name,
    target: Annotated[
        str,
        typer.Argument(
            help="Upstream model, optionally with `@effort`.", show_default=False, metavar="TARGET"
        ),
    ],
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Add an alias, or change the target of one where it stands."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import served

        alias = _alias(name, target)
        entry = served.Entry(alias, served.STORE, None)
        told = {"target": entry.target}
        noting = store.noting("alias.set", f"alias:{alias.pattern}", time.time(), told)
        await noting.aliases.set(alias.pattern, entry.target)
        errand.say(f"{alias.pattern} -> {entry.target}")
        _tell(await served.served(here.settings, store), alias)

    errand.over_store(config, data_dir, work)


@app.command("list")
def list_(as_json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """List the aliases of store and file in the order that counts."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import served

        entries = (await served.served(here.settings, store)).entries
        # Exact names go before every glob, whatever their place.
        ordered = sorted(entries, key=lambda entry: entry.alias.is_glob)
        if as_json:
            errand.say_json([_table(entry) for entry in ordered])
            return
        lines = [
            (
                entry.alias.pattern,
                entry.target,
                entry.source,
                "yes" if entry.shadowed_by is None else f"no: {entry.shadowed_by} goes before it",
            )
            for entry in ordered
        ]
        errand.say_table(
            ("name", "target", "from", "counts"), lines, "No alias: dragoman alias set NAME MODEL"
        )

    errand.over_store(config, data_dir, work)


@app.command()
def remove(name: Name, config: Config = None, data_dir: DataDir = None) -> None:
    """Remove an alias of the store."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import served

        word = name.strip()
        if word not in await store.aliases.listed():
            for entry in (await served.served(here.settings, store)).entries:
                if entry.alias.pattern == word:
                    raise Stop(f"{word!r} is an alias of the configuration file: it is removed there")
        await store.noting("alias.remove", f"alias:{word}", time.time()).aliases.remove(word)
        errand.say(f"The alias {word} is removed.")

    errand.over_store(config, data_dir, work)


@app.command()
def test(
    name: Annotated[
        str, typer.Argument(help="A model's name as a client sends it.", show_default=False, metavar="NAME")
    ],
    as_json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show what a requested name leads to, and by which rule."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import served
        from dragoman.translate.models import resolve
        from dragoman.wire.errors import Refused

        what = await served.served(here.settings, store)
        try:
            found = resolve(name, what.aliases, what.listed)
        except Refused as refusal:
            raise Stop(refusal.failure.message) from None
        told = _resolved(name, found, _by(name, found, what), here, what)
        if as_json:
            errand.say_json(told)
        else:
            errand.say_fields((key.replace("_", " "), _text(value)) for key, value in told.items())

    errand.over_store(config, data_dir, work)


def _alias(name: str, target: str) -> Alias:
    """The alias that was said. Raises Stop."""
    from dragoman.translate.models import parse_aliases
    from dragoman.wire.errors import Refused

    for what, word in (("NAME", name), ("TARGET", target)):
        if not word.strip().isprintable() or len(word.strip()) > _WIDTH:
            raise Stop(f"{what}: must be at most {_WIDTH} printable characters", MISUSED)
    try:
        return parse_aliases({name: target})[0]
    except Refused as refusal:
        raise Stop(refusal.failure.message, MISUSED) from None


def _tell(here: Served, alias: Alias) -> None:
    """What an operator may not have meant."""
    for entry in here.entries:
        if entry.shadowed_by is None:
            continue
        if entry.alias == alias and entry.source == "store":
            errand.warn(f"{entry.shadowed_by!r} goes before it: this alias is never reached")
        elif entry.shadowed_by == alias.pattern and entry.source != "store":
            where = "demo" if entry.source == "demo" else "configuration file"
            errand.warn(f"it goes before {entry.alias.pattern!r} of the {where}")
    if here.listed is not None and alias.model not in here.listed:
        errand.warn(f"no account lists the model {alias.model!r}")


def _table(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.alias.pattern,
        "model": entry.alias.model,
        "effort": entry.alias.effort,
        "source": entry.source,
        "glob": entry.alias.is_glob,
        "shadowed_by": entry.shadowed_by,
    }


def _by(name: str, found: Resolution, here: Served) -> Entry | None:
    """The alias that a resolution came from, where one did."""
    from dragoman.translate.models import resolve

    if found.via not in ("alias", "glob", "published"):
        return None
    for entry in here.entries:
        # Alone, an alias leads to the same place by the same rule only if it is the one.
        if entry.alias.model != found.model or entry.alias.effort != found.effort:
            continue
        alone = resolve(name, (entry.alias,), None)
        if alone == found:
            return entry
    return None


def _resolved(name: str, found: Resolution, entry: Entry | None, here: Place, what: Served) -> dict[str, Any]:
    from dragoman.translate.models import clamp_effort, profile

    known = profile(found.model)
    wanted = found.effort or here.settings.anthropic.default_effort
    accounts = [one for one, models in what.accounts.items() if models is None or found.model in models]
    return {
        "requested": name,
        "model": found.model,
        "rule": found.via,
        "alias": None if entry is None else entry.alias.pattern,
        "source": None if entry is None else entry.source,
        "effort": clamp_effort(wanted, known) or known.default_effort,
        "context_window": known.context_window,
        "max_output_tokens": known.max_output_tokens,
        "accounts": accounts if what.accounts else ["simulated"],
    }


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if value is None else str(value)
