"""Names and prices of models: aliases and price overrides, those of the store changed, all of them shown.

The store's go before the configuration's: what is set here is in force at once, and taking it away brings
back what the configuration says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel

from dragoman.budget.pricing import Price, parse_price, price_table
from dragoman.translate import scope
from dragoman.translate.models import Alias, Resolution, clamp_effort, parse_aliases, profile, resolve
from dragoman.web.admin.envelope import BadField, bad
from dragoman.web.admin.fields import Body, Model, Number
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import House, Who, room, who
from dragoman.wire.errors import Refused

router = room("models")

Origin = Literal["store", "config", "demo"]
Name = Annotated[Model, Path(description="Requested name or glob; may hold slashes.")]
Priced = Annotated[Model, Path(description="Upstream model, exact or a glob; may hold slashes.")]


class Target(Body):
    """An upstream model, with `@effort` perhaps."""

    target: Model


class AliasRecord(BaseModel):
    """An alias in the order that counts; `shadowed_by` is the earlier one that leaves it nothing. Those of
    origin `demo` are there while the simulator answers."""

    name: str
    target: str
    origin: Origin
    shadowed_by: str | None


class AliasList(BaseModel):
    """The order counts: of globs the first that matches is taken."""

    data: list[AliasRecord]


class Resolved(BaseModel):
    """What a requested name means now. `via` says how it was found, `alias` by which one where by any;
    `effort` is the alias's, `default_effort` that of a request which names none. `accounts` may serve it,
    whatever their state."""

    name: str
    model: str
    effort: str | None
    via: Literal["alias", "published", "glob", "listed", "pass-through"]
    alias: str | None
    origin: Origin | None
    default_effort: str | None
    context_window: int
    max_output_tokens: int
    accounts: list[str]
    priced: bool


class ModelRecord(BaseModel):
    """An upstream model. Of one that is not `known` the limits and efforts are a guess. `accounts` list it,
    by their operator's word or in their own catalogue; `aliases` lead to it."""

    model: str
    known: bool
    context_window: int
    max_output_tokens: int
    efforts: list[str]
    default_effort: str | None
    images: bool
    files: bool
    accounts: list[str]
    aliases: list[str]
    priced: bool


class Models(BaseModel):
    """Every model that accounts list or aliases lead to, by name. `any` are the accounts that take every
    name, `passes` tells whether a name that nobody lists is passed on to them."""

    data: list[ModelRecord]
    any: list[str]
    passes: bool


class PriceRecord(BaseModel):
    """USD per million tokens. `source` is where the price is from; without one the cost is unknown. `under`
    is the name or glob that the price was set under, null for the catalogue's."""

    model: str
    under: str | None
    source: Literal["store", "config", "catalogue"] | None
    rates: dict[str, Number] | None


class PriceList(BaseModel):
    """Overrides, then what the models that are served here cost."""

    data: list[PriceRecord]


@router.get("/models", openapi_extra=who("viewer"), summary="List upstream models")
async def models(admin: House) -> Models:
    """What accounts list and aliases lead to, with what is known of it."""
    house = admin.house
    rows = admin.pool_view()
    names = [alias.pattern for alias in house.aliases]
    reached = [alias for at, alias in enumerate(house.aliases) if _shadow(alias.pattern, names[:at]) is None]
    data = []
    for model in _served(admin):
        known = profile(model)
        data.append(
            ModelRecord(
                model=model,
                known=bool(known.family),
                context_window=known.context_window,
                max_output_tokens=known.max_output_tokens,
                efforts=list(known.efforts),
                default_effort=known.default_effort,
                images=known.images,
                files=known.files,
                accounts=[row["name"] for row in rows if model in (_lists(row) or ())],
                aliases=list(dict.fromkeys(alias.pattern for alias in reached if alias.model == model)),
                priced=house.admission.prices.upstream(model) is not None,
            )
        )
    takers = [row["name"] for row in rows if _lists(row) is None]
    return Models(data=data, any=takers, passes=house.accounts.listed() is None)


@router.get("/aliases", openapi_extra=who("viewer"), summary="List aliases")
async def aliases(admin: House) -> AliasList:
    """Those of the store first, as they count."""
    return AliasList(data=await _aliases(admin))


@router.get("/aliases/test", openapi_extra=who("viewer"), summary="What a requested name means")
async def test(admin: House, name: Annotated[Model, Query()]) -> Resolved:
    """404 for a name that leads nowhere, with the nearest that does."""
    house = admin.house
    found = resolve(name, house.aliases, house.accounts.offered(), passes=house.accounts.listed() is None)
    alias, origin = _by(name, found, admin)
    known = profile(found.model)
    wanted = found.effort or admin.settings.anthropic.default_effort
    return Resolved(
        name=name,
        model=found.model,
        effort=found.effort,
        via=found.via,
        alias=alias,
        origin=origin,
        default_effort=clamp_effort(wanted, known) or known.default_effort,
        context_window=known.context_window,
        max_output_tokens=known.max_output_tokens,
        accounts=_takers(found.model, admin),
        priced=house.admission.prices.upstream(found.model) is not None,
    )


@router.put("/aliases/{name:path}", openapi_extra=who("admin"), summary="Set an alias")
async def set_alias(name: Name, body: Target, admin: House, caller: Who) -> AliasRecord:
    """A new one comes last; one that is there changes where it stands."""
    try:
        (alias,) = parse_aliases({name: body.target})
    except Refused as refused:
        raise BadField("target", refused.failure.message.removeprefix(f"{name}: ")) from None
    if not admin.house.accounts.candidates(alias.model):
        raise BadField("target", f"no account serves {alias.model!r}")
    noting = admin.noting(caller.actor, "alias.set", f"alias:{name}", {"target": body.target})
    await admin.aliases(noting).set(alias.pattern, body.target.strip())
    await admin.changed()
    return next(row for row in await _aliases(admin) if row.origin == "store" and row.name == alias.pattern)


@router.delete("/aliases/{name:path}", status_code=204, openapi_extra=who("admin"), summary="Remove an alias")
async def remove_alias(name: Name, admin: House, caller: Who) -> None:
    """Of the store; one of the configuration is removed there."""
    noting = admin.noting(caller.actor, "alias.remove", f"alias:{name}")
    await admin.aliases(noting).remove(name)
    await admin.changed()


@router.get("/prices", openapi_extra=who("viewer"), summary="List prices")
async def prices(admin: House) -> PriceList:
    """A served model without a price is listed as such."""
    stored = await admin.prices().listed()
    shown = [_price(model, price, "store", model) for model, price in _readable(stored).items()]
    shown += [
        _price(model, parse_price(model, table), "config", model)
        for model, table in admin.settings.prices.items()
        if model not in stored
    ]
    known = {row.model for row in shown}
    for model in _served(admin):
        if model not in known:
            price = admin.house.admission.prices.upstream(model)
            source = None if price is None else price.source
            tables = {"store": stored, "config": admin.settings.prices}
            under = next((key for key in tables.get(source or "", ()) if fnmatchcase(model, key)), None)
            shown.append(_price(model, price, source, under))
    return PriceList(data=shown)


@router.put("/prices/{model:path}", openapi_extra=who("admin"), summary="Set a price")
async def set_price(model: Priced, body: dict[str, Number], admin: House, caller: Who) -> PriceRecord:
    """Keys as in the configuration: `input`, `cached`, `written`, `output`, the same after `long_`, `flex_`,
    `priority_`, and `long_from`."""
    try:
        price = parse_price(model, body, "store")
    except ValueError as error:
        raise bad(ValueError(str(error).removeprefix(f"prices.{model}.").removeprefix("prices."))) from None
    noting = admin.noting(caller.actor, "price.set", f"price:{model}", body)
    await admin.prices(noting).set(model, body, admin.now)
    await admin.changed()
    return _price(model, price, "store", model)


@router.delete("/prices/{model:path}", status_code=204, openapi_extra=who("admin"), summary="Remove a price")
async def remove_price(model: Priced, admin: House, caller: Who) -> None:
    """Of the store; the configuration's or the catalogue's then counts."""
    noting = admin.noting(caller.actor, "price.remove", f"price:{model}")
    await admin.prices(noting).remove(model)
    await admin.changed()


async def _aliases(admin: AdminHouse) -> list[AliasRecord]:
    stored = await admin.aliases().listed()
    rows: list[AliasRecord] = []
    texts: list[tuple[str, str, Origin]] = [(name, target, "store") for name, target in stored.items()]
    texts += [(alias.pattern, _target(alias), _origin(admin)) for alias in _fixed(admin)]
    names = [name for name, _, _ in texts]
    for place, (name, target, origin) in enumerate(texts):
        shadow = _shadow(name, names[:place])
        rows.append(AliasRecord(name=name, target=target, origin=origin, shadowed_by=shadow))
    return rows


def _shadow(name: str, before: Sequence[str]) -> str | None:
    """The earlier name that leaves this one nothing. Exact names go before every glob."""
    glob = scope.is_glob(name)
    return next((one for one in before if (scope.covers(one, name) if glob else one == name)), None)


def _fixed(admin: AdminHouse) -> list[Alias]:
    """Those beside the store's that are in force: the demo's are gone with the first account."""
    return [alias for alias in admin.file_aliases if alias in admin.house.aliases]


def _origin(admin: AdminHouse) -> Origin:
    return "config" if admin.settings.models else "demo"


def _by(name: str, found: Resolution, admin: AdminHouse) -> tuple[str | None, Origin | None]:
    """The alias that a resolution came from and where it stands, where there is one."""
    if found.via not in ("alias", "glob", "published"):
        return None, None
    aliases = admin.house.aliases
    for place, alias in enumerate(aliases):
        # Alone, an alias leads to the same place by the same rule only if it is the one.
        if (alias.model, alias.effort) == (found.model, found.effort) and _alone(name, alias) == found:
            return alias.pattern, "store" if place < len(aliases) - len(_fixed(admin)) else _origin(admin)
    return None, None


def _alone(name: str, alias: Alias) -> Resolution:
    return resolve(name, (alias,), None)


def _lists(row: Mapping[str, Any]) -> Collection[str] | None:
    """What an account of the pool says that it serves: its operator's list, else its own catalogue."""
    said: Collection[str] | None = row["advertised"] if row["models"] is None else row["models"]
    return said


def _takers(model: str, admin: AdminHouse) -> list[str]:
    """Who may serve a model: where somebody names it, no account whose catalogue does not."""
    names = [account.name for account in admin.house.accounts.candidates(model)]
    lists = {row["name"]: _lists(row) for row in admin.pool_view()}
    if any(model in (said or ()) for said in lists.values()):
        names = [name for name in names if (said := lists.get(name)) is None or model in said]
    return names


def _target(alias: Alias) -> str:
    return alias.model if alias.effort is None else f"{alias.model}@{alias.effort}"


def _readable(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Price]:
    """What this version cannot read is left out, as the gateway does."""
    found = {}
    for model, table in stored.items():
        try:
            found[model] = parse_price(model, table, "store")
        except ValueError:
            continue
    return found


def _served(admin: AdminHouse) -> list[str]:
    """The upstream models that aliases and accounts name."""
    named = {alias.model for alias in admin.house.aliases}
    return sorted(named | set(admin.house.accounts.offered() or ()))


def _price(model: str, price: Price | None, source: Any, under: str | None) -> PriceRecord:
    rates = None if price is None else price_table(price)
    return PriceRecord(model=model, under=under, source=source, rates=rates)
