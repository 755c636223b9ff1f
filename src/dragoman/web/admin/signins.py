"""Log-ins of ChatGPT accounts over the admin API: begun, polled or completed, and then kept.

The browser that logs in may be anywhere, so it cannot come back to this machine: the address that it shows is
pasted. A device code is asked for by polling. Tokens never come back to whoever asks here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path
from pydantic import BaseModel, Field

from dragoman.onboarding import signin
from dragoman.onboarding.intake import LOGIN, Refusal
from dragoman.onboarding.signin import BrowserSignIn, DeviceSignIn, SignInFailed
from dragoman.store.clientkeys import StoreConflict
from dragoman.upstream.authfile import Login
from dragoman.upstream.oauth import Wait
from dragoman.web.admin.accounts import AccountRecord, keep, taken
from dragoman.web.admin.auth import Caller
from dragoman.web.admin.envelope import BadField, bad
from dragoman.web.admin.fields import Body, Id, Line, at
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import House, Who, room, who
from dragoman.web.admin.underway import SignIn
from dragoman.wire.errors import Failure, Kind, Refused

router = room("accounts")

BROWSER_SECONDS = 900.0

Begun = Annotated[Id, Path(description="Id of the log-in.")]


class NewSignIn(Body):
    """Whose account is meant, and how: `browser` with a pasted address, or `device` with a code."""

    name: Line
    way: Literal["browser", "device"]


class SignInRecord(BaseModel):
    """Open `url`; with a device enter `user_code` there and poll, else paste the address it ends at."""

    id: str
    name: str
    way: Literal["browser", "device"]
    url: str
    user_code: str | None
    expires_at: datetime
    interval: float | None


class Pasted(Body):
    """What the browser's address bar shows after the log-in."""

    address: Annotated[str, Field(min_length=1, max_length=16_384)]


class SignInState(BaseModel):
    """`pending` until it is `done` or `failed`; `message` says why, `retry_after` when to poll again."""

    state: Literal["pending", "done", "failed"]
    message: str | None = None
    retry_after: float | None = None
    account: AccountRecord | None = None


@router.post("/account-logins", status_code=201, openapi_extra=who("admin"), summary="Begin a ChatGPT log-in")
async def begin(body: NewSignIn, admin: House, caller: Who) -> SignInRecord:
    """For a new account, or to renew the one of that name. 409 for a name that means something else."""
    try:
        await admin.intake(caller.actor).begin(body.name)
    except Refusal as refusal:
        raise bad(refusal) from None
    issuer, now = admin.onboarding.issuer, admin.now
    if body.way == "browser":
        browser = signin.browser(issuer)
        made = admin.signins.put(SignIn(body.name, browser, now + BROWSER_SECONDS), now)
        return _record(made, body, browser.url, now + BROWSER_SECONDS)
    try:
        device = await signin.device(issuer)
    except SignInFailed as failed:
        raise Refused(Failure(Kind.UPSTREAM, str(failed))) from None
    one = SignIn(body.name, device, device.expires_at, now + device.device.interval)
    made = admin.signins.put(one, now)
    return _record(made, body, device.url, device.expires_at, device)


@router.post("/account-logins/{login}/poll", openapi_extra=who("admin"), summary="Ask a device log-in")
async def poll(login: Begun, admin: House, caller: Who) -> SignInState:
    """The issuer is asked no faster than it wants."""
    one = admin.signins.get(login, admin.now)
    async with one.lock:
        if isinstance(one.outcome, SignInState):
            return one.outcome
        now = admin.now
        if one.login is not None:
            return await _kept(one, one.login, admin, caller)
        if not isinstance(one.begun, DeviceSignIn) or now < one.next_at:
            return SignInState(state="pending", retry_after=max(0.0, one.next_at - now) or None)
        try:
            told = await one.begun.poll(now)
        except SignInFailed as failed:
            return _over(one, str(failed))
        if isinstance(told, Wait):
            one.next_at = admin.now + told.seconds
            return SignInState(state="pending", retry_after=told.seconds)
        return await _kept(one, told, admin, caller)


@router.post("/account-logins/{login}/complete", openapi_extra=who("admin"), summary="Complete a log-in")
async def complete(login: Begun, body: Pasted, admin: House, caller: Who) -> SignInState:
    """400 for an address that is none of this log-in; it can be pasted again."""
    one = admin.signins.get(login, admin.now)
    async with one.lock:
        if isinstance(one.outcome, SignInState):
            return one.outcome
        if one.login is not None:
            return await _kept(one, one.login, admin, caller)
        if not isinstance(one.begun, BrowserSignIn):
            raise BadField("address", "a log-in by device code is polled, not completed")
        try:
            told = await one.begun.pasted(body.address, admin.now)
        except SignInFailed as failed:
            if not failed.over:
                raise BadField("address", str(failed).rstrip(".")) from None
            return _over(one, str(failed))
        return await _kept(one, told, admin, caller)


@router.delete(
    "/account-logins/{login}", status_code=204, openapi_extra=who("admin"), summary="Give a log-in up"
)
async def give_up(login: Begun, admin: House) -> None:
    """What the browser brings back is taken no more."""
    admin.signins.drop(login)


async def _kept(one: SignIn, login: Login, admin: AdminHouse, caller: Caller) -> SignInState:
    one.login = login
    try:
        account = await taken(admin, await keep(admin, caller, one.name, login, LOGIN))
    except (StoreConflict, BadField) as refused:
        # The code is spent: the same log-in cannot be tried again.
        said = refused.failure.message if isinstance(refused, BadField) else str(refused)
        return _over(one, f"{said[:1].upper()}{said[1:]}.")
    one.outcome = done = SignInState(state="done", account=account)
    return done


def _over(one: SignIn, message: str) -> SignInState:
    one.outcome = failed = SignInState(state="failed", message=message)
    return failed


def _record(
    made: str, body: NewSignIn, url: str, expires_at: float, device: DeviceSignIn | None = None
) -> SignInRecord:
    return SignInRecord(
        id=made,
        name=body.name,
        way=body.way,
        url=url,
        user_code=None if device is None else device.user_code,
        expires_at=at(expires_at),
        interval=None if device is None else device.device.interval,
    )
