"""Whether the file's keys can mean what they say: their globs, their budgets, a door that stands open.

The same questions as a key made by a verb or the admin API is asked, for keys that nobody is there to ask.
It judges and says why; what is done about it is decided elsewhere. It never makes or changes anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dragoman.budget.limits import Limit
from dragoman.budget.pricing import Price, Prices
from dragoman.routing.groups import unknown
from dragoman.serving import configured, stored
from dragoman.settings import Key, Settings, SettingsError
from dragoman.translate import scope
from dragoman.translate.models import Alias

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


@dataclass(frozen=True, slots=True)
class Offer:
    """What an installation serves, by file and store. `listed` is None where any name is passed on.

    keyed  whether the store has a key that works; groups  the group of each account
    """

    aliases: tuple[Alias, ...]
    listed: frozenset[str] | None
    price: Callable[[str], Price | None]
    keyed: bool = False
    groups: tuple[str, ...] = ()


def unfit(keys: Sequence[Key], offer: Offer) -> Iterator[str]:
    """One line, beginning with the path, for everything in the keys that cannot be kept or means nothing."""
    for row in keys:
        try:
            limits = configured.limits(row)
        except SettingsError:
            continue  # told already
        globs = [(f"models.{at}", glob) for at, glob in enumerate(row.models or ())]
        globs += [(f"limits.{at}.models", one.models) for at, one in enumerate(limits) if one.models]
        for path, glob in globs:
            near = scope.nearest_instead(glob, offer.aliases, offer.listed)
            if near is not None:
                yield (
                    f"keys.{row.name}.{path}: {glob!r} matches no alias and no model here; "
                    f"the nearest is {near!r}"
                )
        for at, group in enumerate(row.account_groups or ()):
            if (wrong := unknown(group, offer.groups)) is not None:
                yield f"keys.{row.name}.account_groups.{at}: {wrong}"
        for at, limit in enumerate(limits):
            yield from _unpriced(f"keys.{row.name}.limits.{at}", limit, row.models, offer)


def _unpriced(path: str, limit: Limit, models: Sequence[str] | None, offer: Offer) -> Iterator[str]:
    if limit.measure != "cost_usd":
        return
    for model, requested in sorted(scope.behind(models, limit.models, offer.aliases, offer.listed).items()):
        if offer.price(model) is None:
            yield (
                f"{path}: {limit.describe()} cannot be kept: {requested!r} leads to {model!r}, whose price "
                "is not known; set it in [prices] or with `dragoman price set`"
            )


def open_door(settings: Settings, *, keyed: bool) -> str | None:
    """What is wrong with the address where others reach it and no key exists; `keyed`: the store has one."""
    host = settings.server.host
    if keyed or settings.keys or configured.is_demo(settings) or configured.is_loopback(host):
        return None
    return (
        f"server.host {host} is reachable from other machines and no key exists: "
        "`dragoman key create NAME`, add [[keys]], or bind 127.0.0.1"
    )


def problems(settings: Settings, data: Path) -> list[str]:
    """What keeps the file's keys from meaning what they say, one line each.

    Where there is a store, what it adds counts too: it is read as it is. One that cannot be read leaves open
    what it could have changed, and nothing is told.
    """
    from dragoman.store.engine import StoreError, locate

    try:
        place = locate(settings.database.url, data)
        there = place.get_backend_name() != "sqlite" or Path(place.database or "").exists()
        offer = asyncio.run(_offer(settings, place if there else None))
    except (SettingsError, StoreError):
        return []  # told already, or by whatever opens the store
    if offer is None:
        return []
    door = open_door(settings, keyed=offer.keyed)
    return [*([] if door is None else [door]), *unfit(settings.keys, offer)]


async def _offer(settings: Settings, store: URL | None) -> Offer | None:
    """What is served here. Raises SettingsError; None where the store does not say."""
    from dragoman.store import accounts, clientkeys, names
    from dragoman.store.catalogue import Catalogue
    from dragoman.store.engine import Database

    models: dict[str, Sequence[str] | None] = {row.name: row.models for row in settings.accounts}
    aliases: tuple[Alias, ...] = ()
    prices: Mapping[str, Price] = {}
    keyed = False
    groups = [row.group for row in settings.accounts]
    try:
        if store is not None:
            database = Database(store)
            try:
                async with database.read() as connection:
                    aliases = stored.aliases(await names.read_aliases(connection))
                    prices = stored.prices(await names.read_prices(connection))
                    keyed = bool(await clientkeys.digests(connection, time.time()))
                    for one in await accounts.read(connection):
                        models.setdefault(one.name, one.models)
                        groups.append(one.group)
            finally:
                await database.close()
    except Exception:  # locked, older, damaged, not to be reached: other verbs say so
        return None
    if settings.models or not models:
        aliases += configured.aliases(settings)
    own = {name: configured.price(name, table) for name, table in settings.prices.items()}
    return Offer(aliases, listed(models), Prices(Catalogue(), prices, own).upstream, keyed, tuple(groups))


def listed(accounts: Mapping[str, Sequence[str] | None]) -> frozenset[str] | None:
    """Every model that some account lists; None where none does, and any name is passed on."""
    lists = list(accounts.values())
    names = frozenset(name for models in lists if models is not None for name in models)
    return names if lists and (names or None not in lists) else None
