"""Users of the admin API and tokens of automation: for admins only. A token's text is shown once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel

from dragoman.store.people import User
from dragoman.store.tokens import Token
from dragoman.web.admin.entry import judge
from dragoman.web.admin.envelope import BadField
from dragoman.web.admin.fields import Body, Id, Login, Password, Role, When, at, moment, seconds_of
from dragoman.web.admin.routing import House, Who, room, who
from dragoman.wire.errors import Failure, Kind, Refused

router = room("people")

Named = Annotated[Id, Path(description="Id or name.")]


class UserRecord(BaseModel):
    """A user."""

    id: str
    name: str
    role: Role
    second_factor: bool
    created_at: datetime


class Users(BaseModel):
    """Every user by name."""

    data: list[UserRecord]


class NewUser(Body):
    """A user to make; the first password is told in person and then changed."""

    name: Login
    role: Role
    password: Password


class NewRole(Body):
    """What a user may do from now on."""

    role: Role


class Reset(Body):
    """A new password; the second factor and every session of the user end."""

    password: Password


class TokenRecord(BaseModel):
    """A token; `last_used_at` is true to the minute."""

    id: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class Tokens(BaseModel):
    """Every token by name, expired ones too."""

    data: list[TokenRecord]


class NewToken(Body):
    """A token to make."""

    name: Login
    role: Role
    expires_at: When | None = None


class MadeToken(TokenRecord):
    """`token` is the text, shown now and never again."""

    token: str


@router.get("/users", openapi_extra=who("admin"), summary="List users")
async def users(admin: House) -> Users:
    """By name."""
    return Users(data=[_user(user) for user in await admin.people().listed()])


@router.post("/users", status_code=201, openapi_extra=who("admin"), summary="Make a user")
async def create_user(body: NewUser, admin: House, caller: Who) -> UserRecord:
    """409 for a taken name."""
    judge(body.name, body.password, "password")
    hashed = await admin.passwords.hashed(body.password)
    noting = admin.noting(caller.actor, "user.create", f"user:{body.name}", {"role": body.role})
    return _user(await admin.people(noting).create(body.name, body.role, hashed, admin.now))


@router.delete("/users/{name}", status_code=204, openapi_extra=who("admin"), summary="Remove a user")
async def remove_user(name: Named, admin: House, caller: Who) -> None:
    """Their sessions end at once. Neither oneself nor the last admin can be removed."""
    user = await admin.people().get(name)
    if caller.session is not None and user.id == caller.id:
        raise Refused(Failure(Kind.CONFLICT, "Nobody removes themselves.", should_retry=False))
    noting = admin.noting(caller.actor, "user.remove", f"user:{user.name}")
    await admin.people(noting).remove(user.name)


@router.patch("/users/{name}", openapi_extra=who("admin"), summary="Change a user's role")
async def change_user(name: Named, body: NewRole, admin: House, caller: Who) -> UserRecord:
    """In force with the user's next request. Neither one's own role nor the last admin's can be changed."""
    user = await admin.people().get(name)
    if caller.session is not None and user.id == caller.id:
        raise Refused(Failure(Kind.CONFLICT, "Nobody changes their own role.", should_retry=False))
    noting = admin.noting(caller.actor, "user.role", f"user:{user.name}", {"role": body.role})
    return _user(await admin.people(noting).set_role(user.name, body.role))


@router.post("/users/{name}/reset", openapi_extra=who("admin"), summary="Give a user a new password")
async def reset_user(name: Named, body: Reset, admin: House, caller: Who) -> UserRecord:
    """For who has lost the password or the second factor."""
    user = await admin.people().get(name)
    judge(user.name, body.password, "password")
    hashed = await admin.passwords.hashed(body.password)
    noting = admin.noting(caller.actor, "user.reset", f"user:{user.name}")
    return _user(await admin.people(noting).reset(user.name, hashed))


@router.get("/tokens", openapi_extra=who("admin"), summary="List tokens of automation")
async def tokens(admin: House) -> Tokens:
    """By name."""
    return Tokens(data=[_token(token) for token in await admin.tokens().listed()])


@router.post("/tokens", status_code=201, openapi_extra=who("admin"), summary="Make a token")
async def create_token(body: NewToken, admin: House, caller: Who) -> MadeToken:
    """The text is shown in this answer alone."""
    ends = seconds_of(body.expires_at)
    if ends is not None and ends <= admin.now:
        raise BadField("expires_at", "lies in the past")
    noting = admin.noting(
        caller.actor,
        "token.create",
        f"token:{body.name}",
        {"role": body.role, "expires_at": None if body.expires_at is None else body.expires_at.isoformat()},
    )
    token, text = await admin.tokens(noting).create(body.name, body.role, admin.now, ends)
    return MadeToken(**_token(token).model_dump(), token=text)


@router.delete("/tokens/{name}", status_code=204, openapi_extra=who("admin"), summary="Revoke a token")
async def revoke_token(name: Named, admin: House, caller: Who) -> None:
    """It does not open anything from now on."""
    token = await admin.tokens().get(name)
    noting = admin.noting(caller.actor, "token.revoke", f"token:{token.name}")
    await admin.tokens(noting).revoke(token.name)


def _user(user: User) -> UserRecord:
    return UserRecord(
        id=user.id,
        name=user.name,
        role=user.role,
        second_factor=user.guarded,
        created_at=at(user.created_at),
    )


def _token(token: Token) -> TokenRecord:
    return TokenRecord(
        id=token.id,
        name=token.name,
        role=token.role,
        created_at=at(token.created_at),
        expires_at=moment(token.expires_at),
        last_used_at=moment(token.last_used_at),
    )
