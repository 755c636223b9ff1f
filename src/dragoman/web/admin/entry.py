"""Coming in and going out: set-up, login, logout, one's own password and second factor.

Every way to guess (a password, a code, the set-up token) is throttled by account and by address, and a name
that nobody has costs the same work as one that somebody has.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import BaseModel, Field

from dragoman.store.people import Session, User
from dragoman.web.admin import auth, codes
from dragoman.web.admin.envelope import BadField
from dragoman.web.admin.fields import Body, Login, Password, Role, at
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.routing import House, Who, room, who
from dragoman.web.incoming import headers_of
from dragoman.wire.errors import Failure, Kind, Refused

router = room("login")

Secret = Annotated[str, Field(max_length=256)]


class SetUp(Body):
    """The first admin."""

    token: Secret
    name: Login
    password: Password


class LogIn(Body):
    """`code` is one of the authenticator's or a recovery code."""

    name: Secret
    password: Secret
    code: Secret | None = None


class NewPassword(Body):
    """The password one has, and the one to come."""

    current: Secret
    new: Password


class Proof(Body):
    """One's password again, before the second factor is changed."""

    password: Secret


class Code(Body):
    """A code of the authenticator."""

    code: Secret


class Me(BaseModel):
    """Who is logged in. Automation has neither `csrf_token` nor second factor."""

    kind: Literal["user", "token"]
    id: str
    name: str
    role: Role
    second_factor: bool
    recovery_codes_left: int
    csrf_token: str | None
    session_expires_at: datetime | None


class Visit(BaseModel):
    """`me` is null for whoever is not logged in; `setup` tells them that there is no user yet."""

    me: Me | None
    setup: bool


class Enrolled(BaseModel):
    """What an authenticator needs; shown now and never again."""

    secret: str
    uri: str


class Recovery(BaseModel):
    """Each code replaces the authenticator once; shown now and never again."""

    recovery_codes: list[str]


@router.post(
    "/setup", status_code=201, openapi_extra=who("open"), summary="Make the first admin with the set-up token"
)
async def setup(body: SetUp, request: Request, response: Response, admin: House) -> Me:
    """The token is printed at the first start and by `dragoman token setup`; it works once, within a day."""
    names = _address(request)
    _throttle(admin, names)
    judge(body.name, body.password, "password")
    password = await admin.passwords.hashed(body.password)
    people = admin.people(admin.noting(f"user:{body.name}", "setup", f"user:{body.name}"))
    user = await people.first(body.token, body.name, password, admin.now)
    if user is None:
        admin.logger.warning("setup_refused", address=names[0].removeprefix("address "))
        raise Refused(
            Failure(
                Kind.AUTHENTICATION,
                "The set-up token is not valid (any more); `dragoman token setup` prints another.",
                should_retry=False,
            )
        )
    admin.throttle.give_back(names)
    return await _come_in(admin, user, request, response)


@router.post("/login", openapi_extra=who("open"), summary="Log in")
async def login(body: LogIn, request: Request, response: Response, admin: House) -> Me:
    """Sets the session's cookie, always a new one. With a second factor, `code` is needed too."""
    names = (f"account {body.name}", *_address(request))
    _throttle(admin, names)
    user = await admin.people().named(body.name)
    fits = await admin.passwords.match(body.password, None if user is None else user.password)
    if user is None or not fits:
        admin.logger.warning("login_refused", address=names[1].removeprefix("address "))
        raise _wrong()
    if user.guarded:
        if body.code is None:
            admin.throttle.give_back(names)
            raise BadCode("A code of the second factor is needed.")
        if not await _code_fits(admin, user, body.code):
            admin.logger.warning("login_refused", address=names[1].removeprefix("address "))
            raise BadCode("The code is wrong, or was used before.")
        user = await admin.people().named(body.name) or user  # perhaps with one recovery code less
    admin.throttle.give_back(names)
    return await _come_in(admin, user, request, response)


@router.post("/logout", status_code=204, openapi_extra=who("viewer"), summary="Log out")
async def logout(request: Request, response: Response, admin: House, caller: Who) -> None:
    """Ends this session."""
    if caller.session is not None:
        database = admin.noting(caller.actor, "logout", caller.actor)
        await admin.people(database).close_session(caller.session.mark)
    secure = auth.is_secure(request.scope, headers_of(request.scope))
    response.headers["set-cookie"] = auth.cookie("", secure=secure, seconds=0)


@router.get("/session", openapi_extra=who("open"), summary="Who is logged in, if anybody")
async def session(request: Request, admin: House) -> Visit:
    """What a page asks first: 200 for strangers, too. Tokens of automation are not looked at."""
    people = admin.people()
    token = auth.session_token(headers_of(request.scope))
    found = await people.session(token, admin.now) if token else None
    if found is not None:
        return Visit(me=_me(found), setup=False)
    return Visit(me=None, setup=not await people.any())


@router.get("/me", openapi_extra=who("viewer"), summary="Who is logged in")
async def me(caller: Who) -> Me:
    """With the token that changes of this session must carry."""
    if caller.session is None:
        return Me(
            kind="token",
            id=caller.id,
            name=caller.name,
            role=caller.role,
            second_factor=False,
            recovery_codes_left=0,
            csrf_token=None,
            session_expires_at=None,
        )
    return _me(caller.session)


@router.post("/password", status_code=204, openapi_extra=who("viewer"), summary="Change one's own password")
async def password(body: NewPassword, admin: House, caller: Who) -> None:
    """Every other session of the user ends."""
    user = caller.user
    await _prove(admin, user, body.current, "current")
    judge(user.name, body.new, "new")
    hashed = await admin.passwords.hashed(body.new)
    keep = None if caller.session is None else caller.session.mark
    people = admin.people(admin.noting(caller.actor, "password", caller.actor))
    await people.set_password(user.id, hashed, keep=keep)


@router.post("/totp", openapi_extra=who("viewer"), summary="Enrol a second factor")
async def enrol(body: Proof, admin: House, caller: Who) -> Enrolled:
    """It counts from the confirmation on."""
    user = caller.user
    await _prove(admin, user, body.password, "password")
    secret = codes.new_secret()
    people = admin.people(admin.noting(caller.actor, "totp.enrol", caller.actor))
    await people.enrol(user.id, secret)
    return Enrolled(secret=codes.spelled(secret), uri=codes.address(secret, user.name))


@router.post("/totp/confirm", openapi_extra=who("viewer"), summary="Put the second factor into force")
async def confirm(body: Code, admin: House, caller: Who) -> Recovery:
    """With a first code of the authenticator."""
    user = caller.user
    names = (f"account {user.name}",)
    _throttle(admin, names)
    people = admin.people(admin.noting(caller.actor, "totp.confirm", caller.actor))
    secret = people.secret(user)
    if secret is None or user.guarded:
        raise Refused(Failure(Kind.CONFLICT, "There is no second factor to confirm.", should_retry=False))
    step = codes.step_of(secret, body.code, admin.now)
    if step is None:
        raise BadField("code", "is wrong; look at the clock of the authenticator")
    fresh = codes.new_recovery_codes()
    await people.confirm(user, step, fresh)
    admin.throttle.give_back(names)
    return Recovery(recovery_codes=fresh)


@router.post(
    "/totp/disable", status_code=204, openapi_extra=who("viewer"), summary="Remove the second factor"
)
async def disable(body: Proof, admin: House, caller: Who) -> None:
    """Also what was only enrolled."""
    user = caller.user
    await _prove(admin, user, body.password, "password")
    people = admin.people(admin.noting(caller.actor, "totp.disable", caller.actor))
    await people.disable(user.id)


class BadCode(BadField):
    """401 that names the code: the password was right."""

    def __init__(self, message: str) -> None:
        Refused.__init__(self, Failure(Kind.AUTHENTICATION, message, should_retry=False))
        self.path = "code"


async def _come_in(admin: AdminHouse, user: User, request: Request, response: Response) -> Me:
    headers = headers_of(request.scope)
    people = admin.people(admin.noting(f"user:{user.name}", "login", f"user:{user.name}"))
    token, session = await people.open_session(
        user, admin.now, auth.SESSION_SECONDS, instead_of=auth.session_token(headers)
    )
    response.headers["set-cookie"] = auth.cookie(token, secure=auth.is_secure(request.scope, headers))
    return _me(session)


def _me(session: Session) -> Me:
    user = session.user
    return Me(
        kind="user",
        id=user.id,
        name=user.name,
        role=user.role,
        second_factor=user.guarded,
        recovery_codes_left=len(user.recovery),
        csrf_token=session.csrf,
        session_expires_at=at(session.expires_at),
    )


async def _code_fits(admin: AdminHouse, user: User, code: str) -> bool:
    people = admin.people()
    secret = people.secret(user)
    step = None if secret is None else codes.step_of(secret, code, admin.now)
    if step is not None:
        return await people.spend_step(user, step)
    recovery = codes.recovery_code(code)
    if recovery is None:
        return False
    noting = admin.noting(f"user:{user.name}", "recovery_code", f"user:{user.name}")
    return await admin.people(noting).spend_code(user, recovery)


async def _prove(admin: AdminHouse, user: User, password: str, path: str) -> None:
    names = (f"account {user.name}",)
    _throttle(admin, names)
    if not await admin.passwords.match(password, user.password):
        raise BadField(path, "is not the password of this user")
    admin.throttle.give_back(names)


def judge(name: str, password: str, path: str) -> None:
    """Raises BadField for a password that needs no guessing."""
    if password.strip().lower() == name.lower() or len(set(password)) < 4:
        raise BadField(path, "is too easy to guess")


def _address(request: Request) -> tuple[str]:
    return (f"address {auth.neighbourhood(request.scope)}",)


def _throttle(admin: AdminHouse, names: tuple[str, ...]) -> None:
    wait = admin.throttle.take(names, admin.house.clock.monotonic())
    if wait:
        raise Refused(Failure(Kind.RATE_LIMIT, "Too many attempts; wait before the next.", retry_after=wait))


def _wrong() -> Refused:
    return Refused(Failure(Kind.AUTHENTICATION, "The name or the password is wrong.", should_retry=False))
