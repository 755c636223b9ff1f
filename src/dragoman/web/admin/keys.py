"""Client keys: made, listed, changed, rotated, revoked. Those of the configuration are shown, never changed.

A key's text is in the answer that makes it and nowhere else. What is decided about a key is checked against
what can be requested here before it is written; counters come from the running house.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, Field

from dragoman.budget.limits import Limit as KeyLimit
from dragoman.budget.limits import Line as MeterLine
from dragoman.budget.limits import limit_table, parse_limit
from dragoman.routing.groups import unknown
from dragoman.settings import Key
from dragoman.store.clientkeys import ClientKey, KeySpec, NotThere, StoreConflict, described
from dragoman.translate import scope
from dragoman.translate.models import EFFORTS
from dragoman.web.admin.envelope import BadField, bad
from dragoman.web.admin.fields import (
    NANO,
    Body,
    Effort,
    Id,
    Line,
    Model,
    Number,
    When,
    at,
    moment,
    seconds_of,
)
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import House, Who, room, who
from dragoman.wire.errors import Failure, Kind, Refused

router = room("keys")

Named = Annotated[Id, Path(description="Id or name; may hold slashes.")]
Measure = Literal["tokens", "input_tokens", "output_tokens", "requests", "cost_usd"]
Period = Literal["minute", "hour", "5h", "day", "week", "month", "total"]
_MOST_OVERLAP = 30 * 86_400


class LimitRule(Body):
    """At most `max` of a measure per window, for the requested models that the glob matches, or for all."""

    measure: Measure
    per: Period
    max: Number
    models: Model | None = None


class LimitState(LimitRule):
    """The rule, what is used, what open requests hold, what is free and when more is; money in USD."""

    used: Number
    held: Number
    remaining: Number
    resets_at: datetime | None


class Rules(Body):
    """What may be decided about a key. `models` are names or globs that may be requested; null means all.

    `account_groups` are the groups of accounts that serve the key; null means every account. Null `tags` and
    `limits` are none. One that is not `active` is refused until it is again.
    """

    tags: Annotated[list[Line], Field(max_length=32)] | None = Field(default=[])
    models: Annotated[list[Model], Field(min_length=1, max_length=128)] | None = None
    default_effort: Effort | None = None
    enforced_effort: Effort | None = None
    max_effort: Effort | None = None
    concurrency: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] | None = None
    account_groups: Annotated[list[Line], Field(min_length=1, max_length=32)] | None = None
    expires_at: When | None = None
    limits: Annotated[list[LimitRule], Field(max_length=32)] | None = Field(default=[])
    active: Annotated[bool, Field(strict=True)] = True
    anyway: Annotated[
        bool, Field(strict=True, description="Take globs and groups that match nothing here as they are.")
    ] = False


class NewKey(Rules):
    """A key to make. The name stays: rows and counters are found by it."""

    name: Line


class Rotation(Body):
    """How long the old text still works."""

    overlap_seconds: Annotated[Number, Field(ge=0, le=_MOST_OVERLAP)] = 0


class KeyRecord(BaseModel):
    """A key. `origin` is `store`, or `config` for those of the configuration, which are read-only."""

    id: str | None
    name: str
    origin: Literal["store", "config"]
    active: bool
    state: Literal["active", "off", "revoked", "expired"]
    hint: str | None
    tags: list[str]
    models: list[str] | None
    default_effort: str | None
    enforced_effort: str | None
    max_effort: str | None
    concurrency: int | None
    account_groups: list[str] | None
    expires_at: datetime | None
    created_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    previous_until: datetime | None
    limits: list[LimitState]


class Keys(BaseModel):
    """The configuration's keys first, then the store's, newest first."""

    data: list[KeyRecord]


class MadeKey(KeyRecord):
    """`key` is the text, shown now and never again."""

    key: str


@router.get("/keys", openapi_extra=who("viewer"), summary="List keys")
async def listed(admin: House) -> Keys:
    """Revoked ones too."""
    stored = await admin.keys().listed()
    return Keys(data=[*_fixed(admin), *(_stored(admin, key) for key in stored)])


@router.post("/keys", status_code=201, openapi_extra=who("admin"), summary="Make a key")
async def create(body: NewKey, admin: House, caller: Who) -> MadeKey:
    """409 for a taken name."""
    if any(key.name == body.name for key in _fixed(admin)):
        raise _read_only(body.name)
    await _have_accounts(admin, body)
    spec = _spec(admin, body.name, body)
    noting = admin.noting(caller.actor, "key.create", f"key:{body.name}", described(spec))
    key, text = await admin.keys(noting).create(spec, admin.now)
    await admin.changed()
    return _made(admin, key, text)


@router.get("/keys/{name:key}", openapi_extra=who("viewer"), summary="One key")
async def one(name: Named, admin: House) -> KeyRecord:
    """With its counters as they are now."""
    try:
        return _stored(admin, await admin.keys().get(name))
    except NotThere:
        if found := next((key for key in _fixed(admin) if key.name == name), None):
            return found
        raise


@router.patch("/keys/{name:key}", openapi_extra=who("admin"), summary="Change a key")
async def change(name: Named, body: Rules, admin: House, caller: Who) -> KeyRecord:
    """Fields that are not sent stay; null takes a rule away. Counters of limits that stay go on."""
    key = await _changeable(admin, name)
    if key.revoked and "active" in body.model_fields_set and body.active:
        raise StoreConflict(f"the key {key.spec.name!r} is revoked, which is for good")
    await _have_accounts(admin, body)
    spec = _spec(admin, key.spec.name, _over(key.spec, body), given=body.model_fields_set)
    noting = admin.noting(caller.actor, "key.change", f"key:{spec.name}", described(spec))
    changed = await admin.keys(noting).change(spec.name, spec)
    await admin.changed()
    return _stored(admin, changed)


@router.delete("/keys/{name:key}", openapi_extra=who("admin"), summary="Revoke a key")
async def revoke(name: Named, admin: House, caller: Who) -> KeyRecord:
    """For good; its rows stay."""
    key = await _changeable(admin, name)
    noting = admin.noting(caller.actor, "key.revoke", f"key:{key.spec.name}")
    revoked = await admin.keys(noting).revoke(key.spec.name, admin.now)
    await admin.changed()
    return _stored(admin, revoked)


@router.post("/keys/{name:key}/rotate", openapi_extra=who("admin"), summary="Give a key a new text")
async def rotate(name: Named, body: Rotation, admin: House, caller: Who) -> MadeKey:
    """The old text works for `overlap_seconds` more."""
    key = await _changeable(admin, name)
    noting = admin.noting(
        caller.actor, "key.rotate", f"key:{key.spec.name}", {"overlap_seconds": body.overlap_seconds}
    )
    rotated, text = await admin.keys(noting).rotate(key.spec.name, body.overlap_seconds, admin.now)
    await admin.changed()
    return _made(admin, rotated, text)


# -- what is asked for ---------------------------------------------------------------------------------------


def _over(spec: KeySpec, body: Rules) -> Rules:
    """What the key has, with what was sent instead."""
    kept: dict[str, Any] = {
        "tags": list(spec.tags),
        "models": None if spec.models is None else list(spec.models),
        "default_effort": spec.default_effort,
        "enforced_effort": spec.enforced_effort,
        "max_effort": spec.max_effort,
        "concurrency": spec.concurrency,
        "account_groups": None if spec.account_groups is None else list(spec.account_groups),
        "expires_at": moment(spec.expires_at),
        "limits": [_rule(one) for one in spec.limits],
        "active": spec.active,
        "anyway": False,
    }
    sent = {name: getattr(body, name) for name in body.model_fields_set}
    return Rules.model_construct(**{**kept, **sent})


def _rule(limit: KeyLimit) -> LimitRule:
    return LimitRule.model_construct(**{"models": None, **limit_table(limit)})


def _spec(admin: AdminHouse, name: str, rules: Rules, given: set[str] | None = None) -> KeySpec:
    """The rules as the store takes them. What was there before is not judged again. Raises BadField."""

    def new(field: str) -> bool:
        return given is None or field in given

    ends = seconds_of(rules.expires_at)
    if new("expires_at") and ends is not None and ends <= admin.now:
        raise BadField("expires_at", "lies in the past")
    limits = tuple(_limit(f"limits.{index}", rule) for index, rule in enumerate(rules.limits or ()))
    models = None if rules.models is None else tuple(dict.fromkeys(rules.models))
    if not rules.anyway:
        for index, glob in enumerate(rules.models or () if new("models") else ()):
            _matches_something(admin, f"models.{index}", glob)
        for index, limit in enumerate(limits if new("limits") else ()):
            if limit.models is not None:
                _matches_something(admin, f"limits.{index}.models", limit.models)
    if new("limits") or new("models"):
        for index, limit in enumerate(limits):
            _can_be_kept(admin, f"limits.{index}", limit, models)
    seen: set[tuple[str, str, str | None]] = set()
    for index, limit in enumerate(limits):
        if (what := (limit.measure, limit.per, limit.models)) in seen:
            raise BadField(f"limits.{index}", "limits the same as one before it")
        seen.add(what)
    rank = EFFORTS.index
    if rules.enforced_effort and rules.max_effort and rank(rules.enforced_effort) > rank(rules.max_effort):
        raise BadField("enforced_effort", f"is above max_effort, {rules.max_effort}")
    return KeySpec(
        name=name,
        tags=tuple(dict.fromkeys(rules.tags or ())),
        models=models,
        default_effort=rules.default_effort,
        enforced_effort=rules.enforced_effort,
        max_effort=rules.max_effort,
        concurrency=rules.concurrency,
        expires_at=ends,
        limits=limits,
        account_groups=None if rules.account_groups is None else tuple(dict.fromkeys(rules.account_groups)),
        active=rules.active,
    )


def _limit(path: str, rule: LimitRule) -> KeyLimit:
    try:
        return parse_limit(path, rule.model_dump(exclude_none=True))
    except ValueError as error:
        raise bad(error, path) from None


def _matches_something(admin: AdminHouse, path: str, glob: str) -> None:
    house = admin.house
    near = scope.nearest_instead(glob, house.aliases, house.accounts.listed())
    if near is not None:
        raise BadField(path, f"{glob!r} matches no alias and no model here; the nearest is {near!r}")


async def _have_accounts(admin: AdminHouse, body: Rules) -> None:
    """Raises BadField for a group that no account is in."""
    if body.anyway or not body.account_groups:
        return
    stored = await admin.accounts().listed()
    known = [row.group for row in admin.settings.accounts] + [one.group for one in stored]
    for index, group in enumerate(body.account_groups):
        if (wrong := unknown(group, known)) is not None:
            raise BadField(f"account_groups.{index}", wrong)


def _can_be_kept(admin: AdminHouse, path: str, limit: KeyLimit, models: Sequence[str] | None) -> None:
    """A budget needs the price of every model that it can fall on."""
    if limit.measure != "cost_usd":
        return
    house = admin.house
    reached = scope.behind(models, limit.models, house.aliases, house.accounts.listed())
    for model, requested in sorted(reached.items()):
        if house.admission.prices.upstream(model) is None:
            raise BadField(
                path,
                f"cannot be kept: {requested!r} leads to {model!r}, whose price is not known; set it first",
            )


async def _changeable(admin: AdminHouse, name: str) -> ClientKey:
    try:
        return await admin.keys().get(name)
    except NotThere:
        if any(key.name == name for key in _fixed(admin)):
            raise _read_only(name) from None
        raise


def _read_only(name: str) -> Refused:
    message = f"The key {name!r} stands in the configuration and is changed there."
    return Refused(Failure(Kind.CONFLICT, message, should_retry=False))


# -- what is shown -------------------------------------------------------------------------------------------


def _stored(admin: AdminHouse, key: ClientKey) -> KeyRecord:
    spec, now = key.spec, admin.now
    until = key.previous_until if key.previous_until is not None and key.previous_until > now else None
    return KeyRecord(
        id=key.id,
        origin="store",
        active=key.active,
        state="revoked" if key.revoked else _state(spec.expires_at, now) if key.active else "off",
        hint=key.hint,
        created_at=at(key.created_at),
        revoked_at=moment(key.revoked_at),
        last_used_at=moment(key.last_used_at),
        previous_until=moment(until),
        **_rules(admin, spec),
    )


def _fixed(admin: AdminHouse) -> list[KeyRecord]:
    """The keys of the configuration, and those that it makes by itself."""
    specs = [_of_file(row) for row in admin.settings.keys] + [KeySpec(name) for name in admin.fixed]
    return [
        KeyRecord(
            id=None,
            origin="config",
            active=True,
            state=_state(spec.expires_at, admin.now),
            hint=None,
            created_at=None,
            revoked_at=None,
            last_used_at=None,
            previous_until=None,
            **_rules(admin, spec),
        )
        for spec in specs
    ]


def _of_file(row: Key) -> KeySpec:
    return KeySpec(
        name=row.name,
        tags=tuple(row.tags),
        models=None if row.models is None else tuple(row.models),
        default_effort=row.default_effort,
        enforced_effort=row.enforced_effort,
        max_effort=row.max_effort,
        concurrency=row.concurrency,
        expires_at=None if row.expires_at is None else row.expires_at.timestamp(),
        limits=tuple(parse_limit(f"limits.{number}", table) for number, table in enumerate(row.limits)),
        account_groups=None if row.account_groups is None else tuple(row.account_groups),
    )


def _state(expires_at: float | None, now: float) -> Literal["active", "expired"]:
    return "expired" if expires_at is not None and expires_at <= now else "active"


def _rules(admin: AdminHouse, spec: KeySpec) -> dict[str, Any]:
    meters = admin.house.admission.keys.get(spec.name)
    lines = [] if meters is None else meters.lines(admin.now)
    counted = {(line.limit.measure, line.limit.per, line.limit.models): line for line in lines}
    return {
        "name": spec.name,
        "tags": list(spec.tags),
        "models": None if spec.models is None else list(spec.models),
        "default_effort": spec.default_effort,
        "enforced_effort": spec.enforced_effort,
        "max_effort": spec.max_effort,
        "concurrency": spec.concurrency,
        "account_groups": None if spec.account_groups is None else list(spec.account_groups),
        "expires_at": moment(spec.expires_at),
        "limits": [
            _limit_state(limit, counted.get((limit.measure, limit.per, limit.models)))
            for limit in spec.limits
        ],
    }


def _limit_state(limit: KeyLimit, line: MeterLine | None) -> LimitState:
    """A limit that is not in force in this process (yet, or any more) has counted nothing."""
    used, held, left, resets = (0, 0, limit.max, None) if line is None else line[1:]
    money = limit.measure == "cost_usd"
    return LimitState.model_construct(
        **{"models": None, **limit_table(limit)},
        used=used / NANO if money else used,
        held=held / NANO if money else held,
        remaining=left / NANO if money else left,
        resets_at=moment(resets),
    )


def _made(admin: AdminHouse, key: ClientKey, text: str) -> MadeKey:
    return MadeKey(**_stored(admin, key).model_dump(), key=text)
