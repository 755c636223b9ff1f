"""`dragoman key`: client keys made, listed, changed, rotated and revoked.

A key's text is printed once, when it is made. Keys of the configuration file are shown and never changed. A
running gateway follows the store by itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from dragoman.cli import errand
from dragoman.cli.keyoptions import Said
from dragoman.cli.options import FAILED, MISUSED, Config, DataDir, Json, Stop, taking

if TYPE_CHECKING:
    from dragoman.cli.errand import Place
    from dragoman.cli.keyview import Shown
    from dragoman.serving.store import Store
    from dragoman.store.clientkeys import ClientKey, KeySpec

app = typer.Typer(no_args_is_help=True, help="Client keys: make, list, change, limit, rotate, revoke.")

Name = Annotated[str, typer.Argument(help="Name of the key.", show_default=False, metavar="NAME")]
Anyway = Annotated[bool, typer.Option("--anyway", help="Take globs and groups that match nothing here.")]


@app.command()
@taking(Said)
def create(
    *,
    name: Name,
    said: Said,
    anyway: Anyway = False,
    save: Annotated[
        bool, typer.Option("--save", help="Also keep the key in `client-key` of the data directory.")
    ] = False,
    as_json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, once."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import keyspec, keyview
        from dragoman.store.clientkeys import KeySpec, described

        now = time.time()
        spec = keyspec.over(said, KeySpec(keyspec.name_of(name)), now)
        _refuse_of_file(here, spec.name)
        if save:
            _refuse_kept(here)
        warnings = await _judge(here, store, spec, said, anyway=anyway)
        await _refuse_taken(store, spec.name)
        noting = store.noting("key.create", f"key:{spec.name}", now, described(spec))
        key, text = await noting.keys.create(spec, now)
        made = keyview.of_store(key)
        with errand.handing_out() as lost:
            if as_json:
                errand.say_json({**made.table(now), "key": text})
            else:
                errand.say(f"The key {spec.name!r}, shown this once and never again:", "", f"  {text}", "")
        if lost:
            await store.noting("key.revoke", f"key:{spec.name}", now).keys.revoke(spec.name, now)
            raise Stop(
                f"the key {spec.name!r} was made, but its text could not be delivered: standard output: "
                f"{lost[0]}; it is revoked, make another under a new name"
            )
        for line in warnings:
            errand.warn(line)
        if save:
            _keep(here, text, quiet=as_json)

    errand.over_store(config, data_dir, work)


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Revoked keys too.")] = False,
    as_json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """List the keys, those of the configuration file included."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import keyview

        now = time.time()
        keys = keyview.of_file(here.settings)
        keys += [keyview.of_store(key) for key in await store.keys.listed() if everything or not key.revoked]
        if as_json:
            errand.say_json([key.table(now) for key in keys])
        else:
            lines = [key.line(now) for key in keys]
            errand.say_table(keyview.HEAD, lines, "No key: dragoman key create NAME")

    errand.over_store(config, data_dir, work)


@app.command()
def show(name: Name, as_json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Show one key, without its text."""

    async def work(here: Place, store: Store) -> None:
        key, now = await _find(here, store, name), time.time()
        if as_json:
            errand.say_json(key.table(now))
        else:
            errand.say_fields(key.fields(now))

    errand.over_store(config, data_dir, work)


@app.command()
@taking(Said)
def change(
    *,
    name: Name,
    said: Said,
    clear: Annotated[
        list[str] | None,
        typer.Option(
            "--clear",
            help="Take back models, tags, limits, default-effort, enforced-effort, max-effort, "
            "concurrency, account-groups or expires; repeatable.",
        ),
    ] = None,
    anyway: Anyway = False,
    as_json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Change what is given; everything else stays."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import keyspec

        if not clear and said == Said():
            raise Stop("nothing to change was given, see dragoman key change --help", MISUSED)
        present = await _stored(here, store, name)
        spec = keyspec.over(said, keyspec.cleared(present.spec, clear or ()), time.time())
        await _replace(here, store, spec, said, anyway=anyway, as_json=as_json)

    errand.over_store(config, data_dir, work)


@app.command()
def rotate(
    name: Name,
    overlap: Annotated[
        str, typer.Option("--overlap", help="How long the old key still works; 0: no more.")
    ] = ("24h"),
    as_json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Give a key a new text; the old one works on for a while."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import keyview, moments

        now = time.time()
        seconds = moments.duration("--overlap", overlap)
        old = await _stored(here, store, name)
        told = {"overlap_seconds": seconds}
        noting = store.noting("key.rotate", f"key:{old.spec.name}", now, told)
        key, text = await noting.keys.rotate(old.spec.name, seconds, now)
        until = moments.shown(key.previous_until)
        ends = f"The old one works until {until}." if seconds else "The old one works no more."
        with errand.handing_out() as lost:
            if as_json:
                errand.say_json({**keyview.of_store(key).table(now), "key": text})
            else:
                errand.say(
                    f"The new key of {key.spec.name!r}, shown this once and never again:",
                    "",
                    f"  {text}",
                    "",
                    ends,
                )
        if lost:
            raise Stop(
                f"the key {key.spec.name!r} has a new text, which could not be delivered: standard output: "
                f"{lost[0]}; rotate it again. {ends}"
            )
        _tell_kept(here, old.hint)

    errand.over_store(config, data_dir, work)


@app.command()
def revoke(name: Name, as_json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """End a key for good; its rows stay in the log."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import keyview, moments

        now = time.time()
        before = await _stored(here, store, name, ended=True)
        noting = store.noting("key.revoke", f"key:{before.spec.name}", now)
        key = await noting.keys.revoke(before.spec.name, now)
        if as_json:
            errand.say_json(keyview.of_store(key).table(now))
        elif not before.revoked:
            errand.say(f"The key {key.spec.name!r} is revoked.")
        else:
            errand.say(f"The key {key.spec.name!r} was revoked before, {moments.shown(key.revoked_at)}.")
        _tell_kept(here, key.hint)

    errand.over_store(config, data_dir, work)


@app.command()
def limits(
    name: Name,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Limit the key has from now on, instead of all others; repeatable."),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take every limit back.")] = False,
    anyway: Anyway = False,
    as_json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show a key's limits and what is used of them, or set them."""

    async def work(here: Place, store: Store) -> None:
        from dataclasses import replace

        from dragoman.cli import keyspec

        if set_ and clear:
            raise Stop("--set and --clear: give one of the two", MISUSED)
        if set_ or clear:
            present = await _stored(here, store, name)
            wanted = keyspec.read_limits("--set", set_ or ())
            said = Said(limits=set_)
            await _replace(
                here,
                store,
                replace(present.spec, limits=wanted),
                said,
                anyway=anyway,
                option="--set",
                quiet=True,
            )
        await _show_limits(await _find(here, store, name), store, as_json=as_json)

    errand.over_store(config, data_dir, work)


async def _show_limits(key: Shown, store: Store, *, as_json: bool) -> None:
    from dragoman.cli import keyview

    found = await keyview.standing(store.database, key.spec, time.time())
    if as_json:
        errand.say_json([one.table() for one in found])
    else:
        lines = [one.line() for one in found]
        errand.say_table(keyview.LIMITS_HEAD, lines, f"The key {key.spec.name!r} has no limits.")


async def _replace(
    here: Place,
    store: Store,
    spec: KeySpec,
    said: Said,
    *,
    anyway: bool,
    as_json: bool = False,
    option: str = "--limit",
    quiet: bool = False,
) -> None:
    from dragoman.cli import keyview

    warnings = await _judge(here, store, spec, said, anyway=anyway, option=option)
    from dragoman.store.clientkeys import described

    noting = store.noting("key.change", f"key:{spec.name}", time.time(), described(spec))
    key = keyview.of_store(await noting.keys.change(spec.name, spec))
    for line in warnings:
        errand.warn(line)
    if quiet:
        return
    now = time.time()
    if as_json:
        errand.say_json(key.table(now))
    else:
        errand.say_fields(key.fields(now))


async def _judge(
    here: Place, store: Store, spec: KeySpec, said: Said, *, anyway: bool, option: str = "--limit"
) -> list[str]:
    """Checks what was said against what is served here. Raises Stop; returns warnings."""
    if not said.models and not said.limits and not said.account_groups:
        return []
    from dragoman.cli import served

    what = await served.served(here.settings, store)
    if not anyway:
        if said.models:
            served.check_globs("--models", spec.models or (), what)
        if said.limits:
            globs = [limit.models for limit in spec.limits if limit.models is not None]
            served.check_globs(f"{option} models", globs, what)
        if said.account_groups:
            served.check_groups("--account-group", spec.account_groups or (), what)
    if all(limit.measure != "cost_usd" for limit in spec.limits):
        return []
    known = await served.prices(here.settings, store)
    return served.check_money(option, spec.limits, spec.models, what, known)


async def _find(here: Place, store: Store, name: str) -> Shown:
    from dragoman.cli import keyview

    for key in keyview.of_file(here.settings):
        if key.spec.name == name.strip():
            return key
    return keyview.of_store(await store.keys.get(name.strip()))


async def _stored(here: Place, store: Store, name: str, *, ended: bool = False) -> ClientKey:
    """A key that may be changed. Raises Stop for one of the file and, unless `ended`, for a revoked one."""
    _refuse_of_file(here, name.strip(), changing=True)
    key = await store.keys.get(name.strip())
    if key.revoked and not ended:
        raise Stop(f"the key {key.spec.name!r} is revoked")
    return key


def _refuse_of_file(here: Place, name: str, *, changing: bool = False) -> None:
    from dragoman.cli import keyview
    from dragoman.cli.served import DEMO

    for key in keyview.of_file(here.settings):
        if key.spec.name != name:
            continue
        if key.source == DEMO:
            raise Stop(f"{name!r} is the demo's own key, which goes when an account or a key is configured")
        told = f"{name!r} is a key of the configuration file"
        raise Stop(f"{told}: it is changed there" if changing else f"{told}: choose another name")


async def _refuse_taken(store: Store, name: str) -> None:
    """Says why a name that nobody sees in the list is taken; the repository refuses every other one."""
    if any(key.spec.name == name and key.revoked for key in await store.keys.listed()):
        raise Stop(f"{name!r} was the name of a key that is revoked: its rows are found by it, take another")


def _refuse_kept(here: Place) -> None:
    from dragoman.serving.secret import CLIENT_KEY

    if (file := here.data / CLIENT_KEY).exists():
        raise Stop(f"--save: {file} exists already: move it away first")


def _keep(here: Place, text: str, *, quiet: bool) -> None:
    """Writes the key's file, 0600. The key was shown before, so nothing is lost when that fails."""
    from dragoman.serving.secret import CLIENT_KEY, keep

    file = here.data / CLIENT_KEY
    if keep(file, text) != text:
        raise Stop(f"--save: {file} exists already: the key was made and not saved", FAILED)
    if not quiet:
        errand.say(f"It is kept in {file}, readable by you alone.")


def _tell_kept(here: Place, hint: str) -> None:
    """Says when the saved key is the one that has just lost its worth."""
    from dragoman.serving.secret import CLIENT_KEY, read
    from dragoman.settings import SettingsError

    file = here.data / CLIENT_KEY
    try:
        kept = file.exists() and read(file)
    except SettingsError:
        return
    if kept and kept.endswith(hint.lstrip("…")):
        errand.warn(f"{file} holds the old key: replace or remove it")
