"""`dragoman price`: what upstream models cost, where the catalogue does not know it or knows it wrongly.

It writes the store's overrides, which go before the file's and the catalogue's. It guesses no price.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragoman.cli import errand
from dragoman.cli.options import MISUSED, Config, DataDir, Json, Stop

if TYPE_CHECKING:
    from dragoman.budget.pricing import Price
    from dragoman.cli.errand import Place
    from dragoman.serving.store import Store

app = typer.Typer(no_args_is_help=True, help="Prices of upstream models, in USD per million tokens.")

Model = Annotated[
    str, typer.Argument(help="Upstream model, exact or a glob.", show_default=False, metavar="MODEL")
]
_WIDTH = 256
_HEAD = ("model", "input", "cached", "written", "output", "long", "from")


@app.command("set")
def set_(
    model: Model,
    input_: Annotated[float, typer.Option("--input", help="Plain input.", show_default=False)],
    output: Annotated[float, typer.Option("--output", help="Output.", show_default=False)],
    cached: Annotated[
        float | None, typer.Option("--cached", help="Input read from the cache; else like input.")
    ] = None,
    written: Annotated[
        float | None, typer.Option("--written", help="Input written to the cache; else like input.")
    ] = None,
    long_from: Annotated[
        int | None,
        typer.Option("--long-from", help="Input tokens above which a request costs the long rates."),
    ] = None,
    long_input: Annotated[float | None, typer.Option("--long-input", help="Input of long requests.")] = None,
    long_output: Annotated[
        float | None, typer.Option("--long-output", help="Output of long requests.")
    ] = None,
    long_cached: Annotated[
        float | None, typer.Option("--long-cached", help="Cached input of long requests.")
    ] = None,
    long_written: Annotated[
        float | None, typer.Option("--long-written", help="Written input of long requests.")
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option("--rate", help="Rate of a service tier, such as flex_input=0.6; repeatable."),
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Set a model's price; what it had before is replaced as a whole."""
    rates: dict[str, Any] = {
        "input": input_,
        "cached": cached,
        "written": written,
        "output": output,
        "long_from": long_from,
        "long_input": long_input,
        "long_cached": long_cached,
        "long_written": long_written,
        "long_output": long_output,
    }

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import served

        word = _model(model)
        table = {key: value for key, value in {**rates, **_tiers(rate or [])}.items() if value is not None}
        price = _read(word, table)
        now = time.time()
        await store.noting("price.set", f"price:{word}", now, table).prices.set(word, table, now)
        errand.say_table(_HEAD, [_line(word, price, served.STORE)], "")

    errand.over_store(config, data_dir, work)


@app.command("list")
def list_(as_json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """List set prices, and what the models that are served here cost."""

    async def work(here: Place, store: Store) -> None:
        rows = await _rows(here, store)
        if as_json:
            errand.say_json([_table(model, price, source) for model, price, source in rows])
        else:
            errand.say_table(_HEAD, (_line(*row) for row in rows), "No price is set and no model is known.")

    errand.over_store(config, data_dir, work)


@app.command()
def remove(model: Model, config: Config = None, data_dir: DataDir = None) -> None:
    """Remove a price of the store; the file's or the catalogue's then counts."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import served

        word = model.strip()
        if word not in await store.prices.listed() and word in here.settings.prices:
            raise Stop(f"the price of {word!r} is set in the configuration file: it is removed there")
        await store.noting("price.remove", f"price:{word}", time.time()).prices.remove(word)
        left = (await served.prices(here.settings, store)).upstream(word)
        now = "unknown" if left is None else f"from the {_PLACES[left.source]}"
        errand.say(f"The price of {word} is removed; it is now {now}.")

    errand.over_store(config, data_dir, work)


@app.command()
def show(
    model: Annotated[
        str, typer.Argument(help="An upstream model's name.", show_default=False, metavar="MODEL")
    ],
    as_json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show what an upstream model costs and where that is from."""

    async def work(here: Place, store: Store) -> None:
        from dragoman.cli import served

        word = model.strip()
        price = (await served.prices(here.settings, store)).upstream(word)
        if price is None:
            raise Stop(
                f"the price of {word!r} is not known: dragoman price set {word} --input USD --output USD"
            )
        if as_json:
            errand.say_json(_table(word, price, price.source))
        else:
            errand.say_table(_HEAD, [_line(word, price, price.source)], "")

    errand.over_store(config, data_dir, work)


_PLACES = {"store": "store", "config": "configuration file", "catalogue": "catalogue"}


async def _rows(here: Place, store: Store) -> list[tuple[str, Price | None, str]]:
    """Every override, then what aliases and accounts name; a model without a price is listed as such."""
    from dragoman.cli import served
    from dragoman.serving import stored

    own = stored.prices(await store.prices.listed())
    of_file = served.file_prices(here.settings)
    known = await served.prices(here.settings, store)
    rows: list[tuple[str, Price | None, str]] = [
        *((model, price, served.STORE) for model, price in own.items()),
        *((model, price, served.CONFIG) for model, price in of_file.items() if model not in own),
    ]
    what = await served.served(here.settings, store)
    named = {alias.model for alias in what.aliases} | set(what.listed or ())
    for model in sorted(named - set(own) - set(of_file)):
        price = known.upstream(model)
        rows.append((model, price, "" if price is None else price.source))
    return rows


def _model(text: str) -> str:
    word = text.strip()
    if not word or not word.isprintable() or len(word) > _WIDTH:
        raise Stop(f"MODEL: must be 1 to {_WIDTH} printable characters", MISUSED)
    return word


def _tiers(texts: list[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        try:
            found[key.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise Stop(f"--rate {text!r}: must be KEY=USD, for example flex_input=0.6", MISUSED)
    return found


def _read(model: str, table: dict[str, Any]) -> Price:
    """The price of a table. Raises Stop, with the option in place of the key."""
    from dragoman.budget.pricing import parse_price

    try:
        return parse_price("MODEL", table, "store")
    except ValueError as error:
        path, _, told = str(error).partition(": ")
        key = path.removeprefix("prices.MODEL.")
        plain = key.split("_")[0] not in ("flex", "priority") and not told.startswith("unknown")
        option = "--" + key.replace("_", "-") if plain else f"--rate {key}"
        raise Stop(f"{option}: {told}", MISUSED) from None


def _table(model: str, price: Price | None, source: str) -> dict[str, Any]:
    from dragoman.budget.pricing import price_table

    rates = None if price is None else price_table(price)
    return {"model": model, "source": source or None, "rates": rates}


def _line(model: str, price: Price | None, source: str) -> tuple[str, ...]:
    if price is None:
        return (model, "", "", "", "", "", "unknown")
    base = price.base
    long = ""
    if price.long is not None and price.long_from is not None:
        long = f"{_usd(price.long.input)}/{_usd(price.long.output)} above {price.long_from:,}"
    return (
        model,
        *(_usd(rate) for rate in (base.input, base.cached, base.written, base.output)),
        long,
        _PLACES.get(source, source),
    )


def _usd(pico: int) -> str:
    return f"${pico / 1_000_000:g}"
