"""`dragoman account`: the accounts of the pool, put in, looked at, tried, taken out.

Accounts of the configuration file are shown and never changed. No token and no key is printed, but by
`export`, which is there for that. A running gateway follows the store by itself.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dragoman.cli import errand
from dragoman.cli.options import FAILED, MISUSED, Config, DataDir, Json, Stop

if TYPE_CHECKING:
    from dragoman.cli.errand import Place
    from dragoman.serving.store import Store

app = typer.Typer(
    no_args_is_help=True,
    help="Accounts of the pool: log in, import, add, list, try, pause, change, export, remove.",
)

Name = Annotated[str, typer.Argument(help="Name of the account.", show_default=False, metavar="NAME")]
Models = Annotated[
    list[str] | None, typer.Option("--models", help="Model that the account serves; repeatable.")
]
Weight = Annotated[
    float | None, typer.Option("--weight", min=0, max=1000, help="Share of new work, 1 by default.")
]
Priority = Annotated[
    int | None,
    typer.Option("--priority", min=-1000, max=1000, help="The highest goes first, 0 by default."),
]
Group = Annotated[str | None, typer.Option("--group", help='Group that keys can be bound to; "" for none.')]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", min=0, max=100_000, help="Requests in flight at once; 0: no bound."),
]


@app.command()
def login(
    name: Name,
    browser: Annotated[
        bool, typer.Option("--browser", help="In the browser of this machine (the default).")
    ] = False,
    device: Annotated[
        bool, typer.Option("--device", help="With a code that is entered in any browser.")
    ] = False,
    paste: Annotated[
        bool, typer.Option("--paste", help="In any browser; the address it ends at is pasted here.")
    ] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser, show the address.")] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Log in to a ChatGPT account; one that is there already is renewed."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import accountdesk, accountlogin
        from dragoman.onboarding.intake import LOGIN

        if sum((browser, device, paste)) > 1:
            raise Stop("--browser, --device and --paste: give one of the three", MISUSED)
        now = time.time()
        with accountdesk.refusing():
            desk = accountdesk.Desk(here, store)
            await desk.intake(now).begin(name)
            async with desk.issuer() as issuer:
                if device:
                    found = await accountlogin.by_device(issuer)
                else:
                    found = await accountlogin.by_browser(issuer, paste=paste, show=not (no_open or paste))
            now = time.time()
            added = await desk.intake(now).login(name, desk.backend, found, now, LOGIN)
        accountdesk.say_taken(added, name)

    errand.over_store(config, data_dir, work)


@app.command("import")
def import_(
    where: Annotated[
        list[str] | None,
        typer.Argument(
            help="Name of the account (else one is made of its e-mail), and the file; `-` reads it from "
            "standard input.",
            show_default=False,
            metavar="[NAME] PATH",
        ),
    ] = None,
    codex: Annotated[
        bool, typer.Option("--codex", help="Instead of a PATH: the login of Codex, ~/.codex/auth.json.")
    ] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Take in the auth.json of a Codex login."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import accountdesk
        from dragoman.onboarding.intake import IMPORT

        name, path = accountdesk.name_and_path(where or [], codex=codex)
        now = time.time()
        with accountdesk.refusing():
            login = accountdesk.read_login(path)
            desk = accountdesk.Desk(here, store)
            added = await desk.intake(now).login(name, desk.backend, login, now, IMPORT)
        accountdesk.say_taken(added, name)
        errand.warn(
            "refresh tokens are single use: no other program may go on with this login, or it ends for both"
        )

    errand.over_store(config, data_dir, work)


@app.command()
def add(
    name: Name,
    kind: Annotated[
        str, typer.Option("--kind", help="`openai`, or `responses` for any Responses-compatible server.")
    ] = "openai",
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", help="Address up to and without /responses; openai has a default."),
    ] = None,
    key_env: Annotated[
        str | None, typer.Option("--key-env", help="Environment variable that holds the key now.")
    ] = None,
    key_stdin: Annotated[bool, typer.Option("--key-stdin", help="Read the key from standard input.")] = False,
    organization: Annotated[
        str | None, typer.Option("--organization", help="Sent as OpenAI-Organization.")
    ] = None,
    project: Annotated[str | None, typer.Option("--project", help="Sent as OpenAI-Project.")] = None,
    models: Models = None,
    weight: Weight = None,
    priority: Priority = None,
    group: Group = None,
    concurrency: Concurrency = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Add an account with an API key. The key is kept sealed; it is never an argument."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import accountdesk
        from dragoman.store.accounts import AccountSpec

        now = time.time()
        with accountdesk.refusing():
            desk = accountdesk.Desk(here, store)
            spec = AccountSpec(
                name,
                accountdesk.kind_of(kind),
                desk.address(kind, base_url),
                weight=1.0 if weight is None else weight,
                priority=priority or 0,
                group=accountdesk.group_of(group or ""),
                concurrency=concurrency or None,
                models=accountdesk.models_of(models),
            )
            said = accountdesk.key_of(kind, key_env, organization, project, stdin=key_stdin)
            added = await desk.intake(now).key(spec, said, now)
        accountdesk.say_taken(added, name)

    errand.over_store(config, data_dir, work, variables=[key_env])


@app.command("list")
def list_(as_json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """List the accounts, those of the configuration file first."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import accountview

        rows = await accountview.every(here.settings, store, time.time())
        if as_json:
            errand.say_json([row.table() for row in rows])
        else:
            empty = "No account: dragoman account login NAME, or dragoman account add NAME"
            errand.say_table(accountview.HEAD, [row.line() for row in rows], empty)
            for row in rows:
                for line in row.worries():
                    errand.warn(line)

    errand.over_store(config, data_dir, work)


@app.command()
def show(name: Name, as_json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Show one account with what is known of its quota, without its credentials."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import accountview

        row = await accountview.one(here.settings, store, name, time.time())
        if as_json:
            errand.say_json({**row.table(), "quota": row.quota_table()})
        else:
            errand.say_fields([*row.fields(), *row.quota_fields()])

    errand.over_store(config, data_dir, work)


@app.command()
def test(name: Name, as_json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Ask the account's upstream something cheap, and say what works."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import accountdesk

        verdict = await accountdesk.tried(here, store, name)
        if as_json:
            errand.say_json(
                {
                    "name": name,
                    "works": verdict.works,
                    "sentence": verdict.sentence,
                    "fix": verdict.fix,
                    "quota": list(verdict.windows),
                }
            )
        else:
            errand.say(f"{name}: {verdict.sentence}.")
            if verdict.fix is not None:
                errand.say(f"What to do: {verdict.fix}.")
        if not verdict.works:
            raise typer.Exit(FAILED)

    errand.over_store(config, data_dir, work)


@app.command()
def pause(name: Name, config: Config = None, data_dir: DataDir = None) -> None:
    """Take an account out until it is resumed; what runs on it ends by itself."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import accountdesk

        accountdesk.refuse_of_file(here, name)
        noting = store.noting("account.pause", f"account:{name}", time.time())
        account = await noting.accounts.pause(name)
        errand.say(f"The account {account.name!r} is paused: it gets nothing new.")

    errand.over_store(config, data_dir, work)


@app.command()
def resume(name: Name, config: Config = None, data_dir: DataDir = None) -> None:
    """Give a paused account back to use; what was held against it is forgotten."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import accountdesk

        accountdesk.refuse_of_file(here, name)
        noting = store.noting("account.resume", f"account:{name}", time.time())
        account = await noting.accounts.resume(name)
        errand.say(f"The account {account.name!r} is in use.")

    errand.over_store(config, data_dir, work)


@app.command("set")
def set_(
    name: Name,
    weight: Weight = None,
    priority: Priority = None,
    group: Group = None,
    concurrency: Concurrency = None,
    models: Models = None,
    any_model: Annotated[
        bool, typer.Option("--any-model", help="Take the list of models back: any name is passed on.")
    ] = False,
    as_json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Change what is given; everything else stays."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import accountdesk, accountview

        if models and any_model:
            raise Stop("--models and --any-model: give one of the two", MISUSED)
        given = (weight, priority, group, concurrency, models)
        if all(one is None for one in given) and not any_model:
            raise Stop("nothing to change was given, see dragoman account set --help", MISUSED)
        accountdesk.refuse_of_file(here, name)
        with accountdesk.refusing():
            changed = await accountdesk.changed(
                store, name, weight, priority, group, concurrency, models, any_model=any_model
            )
        row = accountview.of_store(changed)
        if as_json:
            errand.say_json(row.table())
        else:
            errand.say_fields(row.fields())

    errand.over_store(config, data_dir, work)


@app.command()
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Really do it: its credentials are forgotten.")] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Forget an account and its credentials; its rows stay in the log."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import accountdesk

        accountdesk.refuse_of_file(here, name)
        account = await store.accounts.get(name)
        if not yes:
            raise Stop(f"this forgets the credentials of {account.name!r}: say --yes", MISUSED)
        noting = store.noting("account.remove", f"account:{account.name}", time.time())
        if account.configured:
            kept = {one.name for one in await store.accounts.listed(configured=True)} - {account.name}
            await noting.accounts.forget_shadows(kept)
        else:
            await noting.accounts.remove(account.name)
        errand.say(f"The account {account.name!r} is removed.")

    errand.over_store(config, data_dir, work)


@app.command()
def export(
    name: Name,
    output: Annotated[
        Path | None, typer.Option("--output", help="File to write, 0600; otherwise standard output.")
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Write the login of a ChatGPT account as a Codex auth.json. Whoever has it can use the account."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import accountdesk

        content = await accountdesk.exported(here, store, name)
        if output is not None:
            accountdesk.write_private(output, content)
        else:
            typer.echo(content.decode(), nl=False)
        errand.warn(
            "this is the login itself: whoever has it can use the account; refresh tokens are single use, so "
            f"pause or remove {name!r} here before another program goes on with it"
        )

    errand.over_store(config, data_dir, work)
