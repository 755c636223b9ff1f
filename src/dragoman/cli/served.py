"""What an installation serves, as a verb sees it: aliases of store and file, listed models, prices.

It judges what an operator asks for against that: globs that match nothing, money limits without a price. It
opens nothing; a running gateway comes to the same from the same store and file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dragoman.budget.limits import Limit
from dragoman.budget.pricing import Price, Prices
from dragoman.cli.options import MISUSED, Stop
from dragoman.routing.groups import unknown
from dragoman.serving import configured, stored
from dragoman.serving.judged import listed
from dragoman.settings import Settings
from dragoman.translate import scope
from dragoman.translate.models import Alias

if TYPE_CHECKING:
    from dragoman.serving.store import Store

STORE, CONFIG, DEMO = stored.STORE, "config", "demo"


@dataclass(frozen=True, slots=True)
class Entry:
    """An alias, where it is from, and the name of the earlier one that leaves it nothing."""

    alias: Alias
    source: str
    shadowed_by: str | None

    @property
    def target(self) -> str:
        """As it is written: `model[@effort]`."""
        effort = self.alias.effort
        return self.alias.model if effort is None else f"{self.alias.model}@{effort}"


@dataclass(frozen=True, slots=True)
class Served:
    """Aliases in the order that counts, and what the accounts list (None: any name is passed on).

    `accounts` are those of file and store with what each lists, `groups` the group of each; none where the
    simulator answers.
    """

    entries: tuple[Entry, ...]
    listed: frozenset[str] | None
    accounts: Mapping[str, Sequence[str] | None]
    groups: tuple[str, ...] = ()

    @property
    def aliases(self) -> tuple[Alias, ...]:
        return tuple(entry.alias for entry in self.entries)


async def served(settings: Settings, store: Store) -> Served:
    """The store's aliases before the file's: among equals the store's counts."""
    rows = [(alias, STORE) for alias in stored.aliases(await store.aliases.listed())]
    accounts: dict[str, Sequence[str] | None] = {row.name: row.models for row in settings.accounts}
    groups = [row.group for row in settings.accounts]
    for one in await store.accounts.listed():
        accounts.setdefault(one.name, one.models)
        groups.append(one.group)
    source = CONFIG if settings.models else DEMO
    if source == CONFIG or not accounts:
        rows += [(alias, source) for alias in configured.aliases(settings)]
    return Served(tuple(_shadows(rows)), listed(accounts), accounts, tuple(groups))


def _shadows(rows: Sequence[tuple[Alias, str]]) -> Iterable[Entry]:
    for position, (alias, source) in enumerate(rows):
        # An exact name goes before every glob, so only its equal takes anything from it.
        earlier = (
            one.pattern
            for one, _ in rows[:position]
            if (scope.covers(one.pattern, alias.pattern) if alias.is_glob else one.pattern == alias.pattern)
        )
        yield Entry(alias, source, next(earlier, None))


def file_prices(settings: Settings) -> dict[str, Price]:
    """`[prices]` of the configuration. Raises SettingsError."""
    return {model: configured.price(model, table) for model, table in settings.prices.items()}


async def prices(settings: Settings, store: Store) -> Prices:
    """What models cost: the store's word, the file's, the catalogue's."""
    from dragoman.store.catalogue import Catalogue

    return Prices(Catalogue(), stored.prices(await store.prices.listed()), file_prices(settings))


def check_globs(option: str, globs: Iterable[str], here: Served) -> None:
    """Raises Stop for a glob that no name of this installation matches."""
    for glob in globs:
        near = scope.nearest_instead(glob, here.aliases, here.listed)
        if near is not None:
            raise Stop(
                f"{option} {glob!r}: matches no alias and no model here; the nearest is {near!r} "
                "(--anyway takes it as it is)",
                MISUSED,
            )


def check_groups(option: str, groups: Iterable[str], here: Served) -> None:
    """Raises Stop for a group that no account is in."""
    for group in groups:
        if (wrong := unknown(group, here.groups)) is not None:
            raise Stop(f"{option}: {wrong} (--anyway takes it as it is)", MISUSED)


def check_money(
    option: str, limits: Iterable[Limit], models: Sequence[str] | None, here: Served, known: Prices
) -> list[str]:
    """Raises Stop where a money limit bears on a model without a price; returns what could not be judged."""
    warnings = []
    for limit in limits:
        if limit.measure != "cost_usd":
            continue
        reached = scope.behind(models, limit.models, here.aliases, here.listed)
        for model, requested in sorted(reached.items()):
            if known.upstream(model) is None:
                raise Stop(
                    f"{option}: {limit.describe()} cannot be kept: {requested!r} leads to {model!r}, whose "
                    f"price is not known; dragoman price set {model} --input USD --output USD",
                    MISUSED,
                )
        if not reached:
            warnings.append(
                f"{option}: {limit.describe()}: no model is known here, so nothing was checked; requests for "
                "a model without a price will be refused"
            )
    return warnings
