"""Names and prices of models: aliases and price overrides, those of the store changed, all of them shown.

The store's go before the configuration's: what is set here is in force at once, and taking it away brings
back what the configuration says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel

from dragoman.budget.pricing import Price, parse_price, price_table
from dragoman.translate import scope
from dragoman.translate.models import Alias, parse_aliases, resolve
from dragoman.web.admin.envelope import BadField, bad
from dragoman.web.admin.fields import Body, Model, Number
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import House, Who, room, who
from dragoman.wire.errors import Refused

router = room("models")

Name = Annotated[Model, Path(description="Requested name or glob; may hold slashes.")]
Priced = Annotated[Model, Path(description="Upstream model, exact or a glob; may hold slashes.")]


class Target(Body):
    """An upstream model, with `@effort` perhaps."""

    target: Model


class AliasRecord(BaseModel):
    """An alias in the order that counts; `shadowed_by` is the earlier one that leaves it nothing."""

    name: str
    target: str
    origin: Literal["store", "config"]
    shadowed_by: str | None


class AliasList(BaseModel):
    """The order counts: of globs the first that matches is taken."""

    data: list[AliasRecord]


class Resolved(BaseModel):
    """What a requested name means now. `via` says how it was found."""

    name: str
    model: str
    effort: str | None
    via: Literal["alias", "published", "glob", "listed", "pass-through"]
    accounts: list[str]
    priced: bool


class PriceRecord(BaseModel):
    """USD per million tokens. `source` is where the price is from; without one the cost is unknown."""

    model: str
    source: Literal["store", "config", "catalogue"] | None
    rates: dict[str, Number] | None


class PriceList(BaseModel):
    """Overrides, then what the models that are served here cost."""

    data: list[PriceRecord]


@router.get("/aliases", openapi_extra=who("viewer"), summary="List aliases")
async def aliases(admin: House) -> AliasList:
    """Those of the store first, as they count."""
    return AliasList(data=await _aliases(admin))


@router.get("/aliases/test", openapi_extra=who("viewer"), summary="What a requested name means")
async def test(admin: House, name: Annotated[Model, Query()]) -> Resolved:
    """404 for a name that leads nowhere, with the nearest that does."""
    house = admin.house
    found = resolve(name, house.aliases, house.accounts.offered(), passes=house.accounts.listed() is None)
    return Resolved(
        name=name,
        model=found.model,
        effort=found.effort,
        via=found.via,
        accounts=[account.name for account in house.accounts.candidates(found.model)],
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
    shown = [_price(model, price, "store") for model, price in _readable(stored).items()]
    shown += [
        _price(model, parse_price(model, table), "config")
        for model, table in admin.settings.prices.items()
        if model not in stored
    ]
    known = {row.model for row in shown}
    for model in _served(admin):
        if model not in known:
            price = admin.house.admission.prices.upstream(model)
            shown.append(_price(model, price, None if price is None else price.source))
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
    return _price(model, price, "store")


@router.delete("/prices/{model:path}", status_code=204, openapi_extra=who("admin"), summary="Remove a price")
async def remove_price(model: Priced, admin: House, caller: Who) -> None:
    """Of the store; the configuration's or the catalogue's then counts."""
    noting = admin.noting(caller.actor, "price.remove", f"price:{model}")
    await admin.prices(noting).remove(model)
    await admin.changed()


async def _aliases(admin: AdminHouse) -> list[AliasRecord]:
    stored = await admin.aliases().listed()
    rows: list[AliasRecord] = []
    texts: list[tuple[str, str, Literal["store", "config"]]] = [
        (name, target, "store") for name, target in stored.items()
    ]
    texts += [(alias.pattern, _target(alias), "config") for alias in admin.file_aliases]
    for place, (name, target, origin) in enumerate(texts):
        glob = scope.is_glob(name)
        earlier = (one for one, _, _ in texts[:place] if (scope.covers(one, name) if glob else one == name))
        rows.append(AliasRecord(name=name, target=target, origin=origin, shadowed_by=next(earlier, None)))
    return rows


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


def _price(model: str, price: Price | None, source: Any) -> PriceRecord:
    return PriceRecord(model=model, source=source, rates=None if price is None else price_table(price))
