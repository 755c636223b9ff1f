"""The accounts of the pool: shown, added, changed, tried, removed; those of the configuration are read-only.

What goes in (keys, tokens) never comes out again. An account is judged before anything of it is kept; this
process takes a change in at once, others within a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel, Field

from dragoman.onboarding.intake import IMPORT, OPENAI, Refusal, good_address
from dragoman.settings import Account as FileAccount
from dragoman.settings import sendable
from dragoman.store import series
from dragoman.store.accounts import AccountSpec, Added, Credentials, Status, StoredAccount
from dragoman.store.clientkeys import NotThere
from dragoman.upstream.authfile import AuthFileError, Login, parse
from dragoman.web.admin.auth import Caller
from dragoman.web.admin.envelope import BadField, bad
from dragoman.web.admin.fields import Body, Id, Line, Model, Number, moment
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import House, Who, room, who
from dragoman.web.admin.usage import Sums
from dragoman.wire import jsonio
from dragoman.wire.errors import Failure, Kind, Refused

router = room("accounts")

_HOUR = 3600.0
# Moments beyond this are no moments, such as "for ever".
_LAST = 253_402_300_000.0
Named = Annotated[Id, Path(description="Name, or id; may hold slashes.")]
Secret = Annotated[str, Field(min_length=1, max_length=4096)]
Models = Annotated[list[Model], Field(max_length=512)]


class Rules(Body):
    """What an operator decides. Of `priority` the highest goes first; `group` "" is none; `models` null
    passes any name on."""

    weight: Annotated[Number, Field(ge=0, le=1000)] = 1.0
    priority: Annotated[int, Field(strict=True, ge=-1000, le=1000)] = 0
    group: Line | Literal[""] = ""
    concurrency: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    models: Models | None = None


class NewAccount(Rules):
    """An account with a key. `base_url` is needed for kind `responses`, whose server may want no key."""

    name: Line
    kind: Literal["openai", "responses"]
    base_url: Annotated[str, Field(max_length=512)] | None = None
    api_key: Secret | None = None
    organization: Annotated[str, Field(max_length=256)] | None = None
    project: Annotated[str, Field(max_length=256)] | None = None


class Import(Body):
    """A Codex login. Without a name one is made of its e-mail."""

    name: Line | None = None
    auth: Annotated[dict[str, Any], Field(description="What the auth.json holds.")]


class Window(BaseModel):
    """One usage window: shares from 0 to 1, lengths and ages in seconds."""

    meter: str
    window: str
    seconds: int
    used: float
    remaining: float
    resets_at: datetime | None
    confidence: str
    age: float
    source: str


class Resting(BaseModel):
    """A model that the account does not serve for a while, though others it does."""

    model: str
    why: str
    until: datetime | None


class Setback(BaseModel):
    """A failure of the account itself, not of a request that was wrong. `status` is the upstream's."""

    at: datetime | None
    why: str
    status: int | None
    model: str


class Bought(BaseModel):
    """Credits that carry on where the windows end; `balance` in the upstream's unit."""

    has: bool
    unlimited: bool
    balance: float | None


class Live(BaseModel):
    """An account as this process's pool has it now. `until` is when a rest ends, where that is known;
    `setback` the last failure in this process; `catalogue` what the account's own names, where it has one."""

    state: str
    why: str | None
    until: datetime | None
    in_flight: int
    lineages: int
    headroom: float
    windows: list[Window]
    resting: list[Resting]
    credits: Bought | None
    catalogue: list[str] | None
    served_at: datetime | None
    setback: Setback | None


class AccountRecord(BaseModel):
    """An account. `origin` is `config` for those of the configuration file, which are read-only; `note` says
    why it is not active; `live` is null where the pool does not have it."""

    name: str
    id: str | None
    kind: str
    origin: Literal["config", "store"]
    status: Status
    note: str | None
    base_url: str | None
    email: str | None
    plan: str | None
    weight: float
    priority: int
    group: str
    concurrency: int | None
    models: list[str] | None
    simulated: bool
    created_at: datetime | None
    last_refresh_at: datetime | None
    access_expires_at: datetime | None
    live: Live | None
    usage: Sums | None


class Accounts(BaseModel):
    """The configuration's first, in its order, then the store's by name. `hours` is the time that `usage` is
    the sum of, in whole hours."""

    data: list[AccountRecord]
    hours: int


class Tried(BaseModel):
    """What came of asking. `fix` says what to do where it does not work."""

    works: bool
    sentence: str
    fix: str | None
    windows: list[Window]


_AGAIN: dict[int | str, dict[str, Any]] = {
    200: {"model": AccountRecord, "description": "It was there, and has these credentials now."}
}


@router.get(
    "/accounts", openapi_extra=who("viewer"), summary="List accounts", response_model_exclude_unset=True
)
async def listed(
    admin: House, hours: Annotated[int, Query(ge=1, le=24 * 366, description="Usage of so many hours.")] = 24
) -> Accounts:
    """`usage` is null for an account that served nothing in that time."""
    since = admin.now - hours * _HOUR
    sums = {row["account"]: row for row in await series.totals(admin.database, since, None, "account")}
    data = await _every(admin)
    for account in data:
        if (found := sums.get(account.name)) is not None:
            account.usage = Sums.model_validate(found)
    return Accounts(data=data, hours=hours)


@router.post(
    "/accounts",
    status_code=201,
    responses=_AGAIN,
    openapi_extra=who("admin"),
    summary="Add an account with a key",
)
async def create(body: NewAccount, admin: House, caller: Who, response: Response) -> AccountRecord:
    """The same key at the same address is the same account: 200, and it keeps its name and rules. 409 for a
    taken name."""
    try:
        spec = AccountSpec(
            body.name,
            body.kind,
            _address(admin, body),
            weight=float(body.weight),
            priority=body.priority,
            group=body.group,
            concurrency=body.concurrency,
            models=None if body.models is None else tuple(dict.fromkeys(body.models)),
        )
        added = await admin.intake(caller.actor).key(spec, _credentials(body), admin.now)
    except Refusal as refusal:
        raise bad(refusal) from None
    return await taken(admin, added, response)


@router.post(
    "/account-imports",
    status_code=201,
    responses=_AGAIN,
    openapi_extra=who("admin"),
    summary="Import a Codex auth.json",
)
async def import_(body: Import, admin: House, caller: Who, response: Response) -> AccountRecord:
    """No other program may go on with this login: refresh tokens are single use. An account that is there
    already is renewed: 200."""
    try:
        login = parse(jsonio.dump(body.auth))
    except AuthFileError as problem:
        raise BadField("auth", str(problem).rstrip(".")) from None
    return await taken(admin, await keep(admin, caller, body.name, login, IMPORT), response)


@router.get("/accounts/{name:account}", openapi_extra=who("viewer"), summary="One account")
async def one(name: Named, admin: House) -> AccountRecord:
    """Without its credentials."""
    for account in await _every(admin):
        if name in (account.name, account.id):
            return account
    raise NotThere(f"there is no account {name!r}")


@router.patch("/accounts/{name:account}", openapi_extra=who("admin"), summary="Change an account")
async def change(name: Named, body: Rules, admin: House, caller: Who) -> AccountRecord:
    """Fields that are not sent stay; null takes a bound or the list of models away."""
    kept = await _changeable(admin, name)
    sent = {field: getattr(body, field) for field in body.model_fields_set}
    values: dict[str, Any] = {
        "weight": kept.weight,
        "priority": kept.priority,
        "group": kept.group,
        "concurrency": kept.concurrency,
        "models": None if kept.models is None else list(kept.models),
        **sent,
    }
    noting = admin.noting(caller.actor, "account.change", f"account:{kept.name}", values)
    changed = await admin.accounts(noting).change(kept.name, **values)
    await admin.changed()
    return _stored(changed, _live(admin))


@router.delete(
    "/accounts/{name:account}", status_code=204, openapi_extra=who("admin"), summary="Remove an account"
)
async def remove(name: Named, admin: House, caller: Who) -> None:
    """Its credentials are forgotten; its rows stay in the log."""
    kept = await _changeable(admin, name)
    noting = admin.noting(caller.actor, "account.remove", f"account:{kept.name}")
    await admin.accounts(noting).remove(kept.name)
    await admin.changed()


@router.post(
    "/accounts/{name:account}/pause", openapi_extra=who("admin"), summary="Take an account out for a while"
)
async def pause(name: Named, admin: House, caller: Who) -> AccountRecord:
    """It gets nothing new; what runs on it ends by itself."""
    kept = await _changeable(admin, name)
    noting = admin.noting(caller.actor, "account.pause", f"account:{kept.name}")
    paused = await admin.accounts(noting).pause(kept.name)
    await admin.changed()
    return _stored(paused, _live(admin))


@router.post(
    "/accounts/{name:account}/resume", openapi_extra=who("admin"), summary="Give an account back to use"
)
async def resume(name: Named, admin: House, caller: Who) -> AccountRecord:
    """What was held against it is forgotten. 409 for one that needs a login."""
    kept = await _changeable(admin, name)
    noting = admin.noting(caller.actor, "account.resume", f"account:{kept.name}")
    resumed = await admin.accounts(noting).resume(kept.name)
    await admin.changed()
    return _stored(resumed, _live(admin))


@router.post("/accounts/{name:account}/test", openapi_extra=who("admin"), summary="Try an account")
async def test(name: Named, admin: House) -> Tried:
    """Asks its upstream something cheap; 200 also where it does not work."""
    account = await one(name, admin)
    if account.simulated:
        return Tried(works=True, sentence="the built-in simulator answers", fix=None, windows=[])
    if account.status in ("needs_login", "dead"):
        fix = "log in again" if account.origin == "store" else "put a new login into its auth_file"
        return Tried(works=False, sentence=account.note or "the login is over", fix=fix, windows=[])
    found = await admin.onboarding.prober.probe(account.name, account.kind, account.models)
    windows = [_window(row) for row in found.windows]
    return Tried(works=found.works, sentence=found.sentence, fix=found.fix, windows=windows)


async def keep(admin: AdminHouse, caller: Caller, name: str | None, login: Login, how: str) -> Added:
    """Takes a login in. Raises BadField and StoreConflict; then nothing is kept."""
    base_url = admin.settings.chatgpt.base_url
    try:
        return await admin.intake(caller.actor).login(name, base_url, login, admin.now, how)
    except Refusal as refusal:
        raise bad(refusal) from None


async def taken(admin: AdminHouse, added: Added, response: Response | None = None) -> AccountRecord:
    """An account that was taken in, as it is shown; 200 for one that was there."""
    if response is not None and not added.created:
        response.status_code = 200
    await admin.changed()
    return _stored(added.account, _live(admin))


# -- what is asked for ---------------------------------------------------------------------------------------


def _address(admin: AdminHouse, body: NewAccount) -> str:
    if body.base_url is None and body.kind == "responses":
        raise BadField("base_url", "is needed for kind responses")
    allowed = admin.settings.upstream.allow_link_local
    return good_address(OPENAI if body.base_url is None else body.base_url, allow_link_local=allowed)


def _credentials(body: NewAccount) -> Credentials:
    if body.kind == "openai" and body.api_key is None:
        raise BadField("api_key", "is needed for kind openai")
    said: dict[str, str | None] = {}
    for field in ("api_key", "organization", "project"):
        text: str | None = getattr(body, field)
        try:
            said[field] = None if text is None else sendable(text.strip()) or None
        except ValueError as problem:
            raise BadField(field, str(problem)) from None
    if body.api_key is not None and said["api_key"] is None:
        raise BadField("api_key", "is blank")
    return Credentials(said["api_key"], said["organization"], said["project"])


async def _changeable(admin: AdminHouse, name: str) -> StoredAccount:
    if any(row.name == name for row in admin.settings.accounts):
        message = f"The account {name!r} stands in the configuration and is changed there."
        raise Refused(Failure(Kind.CONFLICT, message, should_retry=False))
    return await admin.accounts().get(name)


# -- what is shown -------------------------------------------------------------------------------------------


async def _every(admin: AdminHouse) -> list[AccountRecord]:
    live = _live(admin)
    kept = await admin.accounts().listed(configured=True)
    shadows = {one.name: one for one in kept if one.configured}
    rows = [_of_file(row, shadows.get(row.name), live) for row in admin.settings.accounts]
    rows += [_stored(one, live) for one in kept if not one.configured]
    if not rows and admin.house.simulated:
        rows = [_simulated(live)]
    return rows


def _stored(kept: StoredAccount, live: Mapping[str, Live]) -> AccountRecord:
    return AccountRecord(
        name=kept.name,
        id=kept.id,
        kind=kept.kind,
        origin="store",
        base_url=kept.base_url,
        models=None if kept.models is None else list(kept.models),
        **_decided(kept),
        simulated=False,
        live=live.get(kept.name),
        usage=None,
        **_kept(kept),
    )


def _of_file(row: FileAccount, kept: StoredAccount | None, live: Mapping[str, Live]) -> AccountRecord:
    return AccountRecord(
        name=row.name,
        id=None,
        kind=row.kind,
        origin="config",
        base_url=row.base_url,
        models=row.models,
        **_decided(row),
        simulated=False,
        live=live.get(row.name),
        usage=None,
        **_kept(kept),
    )


def _simulated(live: Mapping[str, Live]) -> AccountRecord:
    name = "simulated"
    return AccountRecord(
        name=name,
        id=None,
        kind="openai",
        origin="config",
        base_url=None,
        models=None,
        weight=1.0,
        priority=0,
        group="",
        concurrency=None,
        simulated=True,
        live=live.get(name),
        usage=None,
        **_kept(None),
    )


def _decided(one: StoredAccount | FileAccount) -> dict[str, Any]:
    return {
        "weight": one.weight,
        "priority": one.priority,
        "group": one.group,
        "concurrency": one.concurrency,
    }


def _kept(kept: StoredAccount | None) -> dict[str, Any]:
    """What the store knows of an account, be it of the file: its state and its tokens' ends."""
    return {
        "status": "active" if kept is None else kept.status,
        "note": None if kept is None else kept.note,
        "email": None if kept is None else kept.email,
        "plan": None if kept is None else kept.plan,
        "created_at": moment(None if kept is None else kept.created_at),
        "last_refresh_at": _moment(None if kept is None else kept.last_refresh),
        "access_expires_at": _moment(None if kept is None else kept.access_expires_at),
    }


def _live(admin: AdminHouse) -> dict[str, Live]:
    return {
        row["name"]: Live(
            state=row["state"],
            why=row["why"] or None,
            until=_moment(row["until"]),
            in_flight=row["in_flight"],
            lineages=row["lineages"],
            headroom=row["headroom"],
            windows=[_window(window) for window in row["windows"]],
            resting=[
                Resting(model=model, why=told["why"], until=_moment(told["until"]))
                for model, told in row["models_resting"].items()
            ],
            credits=row["credits"],
            catalogue=None if row["advertised"] is None else sorted(row["advertised"]),
            served_at=_moment(row["served_at"]),
            setback=_setback(row["setback"]),
        )
        for row in admin.pool_view()
    }


def _setback(told: Mapping[str, Any] | None) -> Setback | None:
    return None if told is None else Setback.model_validate({**told, "at": _moment(told["at"])})


def _window(row: Mapping[str, Any]) -> Window:
    return Window.model_validate({**row, "resets_at": _moment(row["resets_at"])})


def _moment(seconds: float | None) -> datetime | None:
    return moment(seconds) if seconds is not None and 0 <= seconds < _LAST else None
