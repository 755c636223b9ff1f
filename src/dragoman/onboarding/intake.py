"""Takes an account in: what it is recognised by, which name it gets, and what is refused before it is kept.

It decides that the same account seen again is renewed under its own name, that no name means two accounts
and that accounts of the configuration file stay there. It asks nobody and prints nothing: refusals are
sentences, and no token or key stands in one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dragoman.store.accounts import Accounts, AccountSpec, Added, Credentials, StoredAccount
from dragoman.store.clientkeys import StoreConflict
from dragoman.upstream.authfile import Login, claims_of, login_of
from dragoman.wire import address

LOGIN, IMPORT, ADD = "account.login", "account.import", "account.add"
OPENAI = "https://api.openai.com/v1"
LONGEST_NAME = 64
_SLACK = 1.0
_LONGEST_ADDRESS = 512
_UNFIT = re.compile(r"[^a-z0-9._-]+")
_ENDS = ("/responses", "/chat/completions", "/models")


class Refusal(ValueError):
    """What was given cannot be an account; the message is `field: what is wrong and what would be right`."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The accounts of the configuration file: their names, and the identities of those that can be told."""

    names: frozenset[str] = frozenset()
    identities: Mapping[str, str] = field(default_factory=dict)


# What writes the next change, noted in the audit trail: action, name of the account, what was set.
Noting = Callable[[str, str, Mapping[str, Any]], Accounts]


class Intake:
    """Takes accounts into one repository, and writes through what `noting` gives."""

    def __init__(self, accounts: Accounts, noting: Noting, configured: Configured) -> None:
        self._accounts = accounts
        self._noting = noting
        self._configured = configured

    def check_name(self, name: str) -> None:
        """Raises StoreConflict for a name of the configuration file, Refusal for one that cannot be."""
        good_name(name)
        if name in self._configured.names:
            raise StoreConflict(
                f"{name!r} is an account of the configuration file: change it there, or choose another name"
            )

    async def begin(self, name: str, kind: str = "chatgpt") -> None:
        """Refuses before anybody goes to a browser what would be refused after it. Raises as `check_name`."""
        self.check_name(name)
        for one in await self._accounts.listed(configured=True):
            if one.name == name and (one.configured or one.kind != kind):
                raise StoreConflict(_other(one, kind))

    async def login(self, name: str | None, base_url: str, login: Login, now: float, how: str) -> Added:
        """Keeps a login; one that is known is renewed under the name it has, whatever `name` says.

        `how` is LOGIN or IMPORT, the action of the audit trail. Raises StoreConflict and Refusal; then
        nothing is kept.
        """
        good_login(login)
        said = credentials_of(login)
        identity = self._accounts.identity("chatgpt", base_url, said, seat_of(login))
        if how == IMPORT and (known := await self._accounts.find(identity)) is not None:
            _not_older(login, known)
        under = await self._place(name, identity, "chatgpt", wished_name(login))
        told = login.claims
        spec = AccountSpec(under, "chatgpt", base_url, email=told.email, plan=told.plan)
        noting = self._noting(how, under, {"kind": "chatgpt", "base_url": base_url})
        return await noting.add(
            spec,
            said,
            now,
            workspace=seat_of(login),
            expires_at=login.expires_at,
            last_refresh=login.last_refresh or now,
        )

    async def key(self, spec: AccountSpec, credentials: Credentials, now: float) -> Added:
        """Keeps an account with a key, whose address was judged. Raises as `login`."""
        good_name(spec.name)
        identity = self._accounts.identity(spec.kind, spec.base_url, credentials)
        under = await self._place(spec.name, identity, spec.kind, spec.name)
        detail = {"kind": spec.kind, "base_url": spec.base_url}
        return await self._noting(ADD, under, detail).add(replace(spec, name=under), credentials, now)

    async def _place(self, name: str | None, identity: str, kind: str, wished: str) -> str:
        """The name an account is kept under: its own where it is known, else the one given, else `wished`."""
        if (fixed := self._configured.identities.get(identity)) is not None:
            raise StoreConflict(
                f"this is the account {fixed!r} of the configuration file: it is changed there"
            )
        if (known := await self._accounts.find(identity)) is not None:
            return known.name
        taken = {one.name: one for one in await self._accounts.listed(configured=True)}
        if name is None:
            return _free(wished, {*taken, *self._configured.names})
        self.check_name(name)
        if (other := taken.get(name)) is not None:
            raise StoreConflict(_other(other, kind))
        return name


def good_name(name: str) -> str:
    """The name, if an account can have it. Raises Refusal."""
    if not 0 < len(name) <= LONGEST_NAME or name != name.strip() or not name.isprintable():
        raise Refusal(f"name: must be 1 to {LONGEST_NAME} printable characters")
    return name


def good_address(url: str, *, allow_link_local: bool) -> str:
    """An upstream's address without its last slash. Raises Refusal."""
    told = url.strip()
    if (wrong := address.problem(told)) is not None:
        raise Refusal(f"base_url: {wrong}, such as {OPENAI}")
    if not allow_link_local and (why := address.forbidden(told)) is not None:
        raise Refusal(f"base_url: {why}; upstream.allow_link_local permits it")
    told = told.rstrip("/")
    if len(told) > _LONGEST_ADDRESS:
        raise Refusal(f"base_url: must be {_LONGEST_ADDRESS} characters at most")
    for end in _ENDS:
        if told.endswith(end):
            raise Refusal(f"base_url: must end before {end}")
    return told


def good_login(login: Login) -> Login:
    """The login, if it says one thing. Raises Refusal where its account id is not that of its tokens."""
    for token in (login.id_token, login.access_token):
        told = claims_of(token).account_id
        if told is not None and login.account_id is not None and told != login.account_id:
            raise Refusal(
                "account_id: is not the account of the tokens: the login belongs to another workspace; "
                "log in again and choose the workspace that is meant"
            )
    return login


def seat_of(login: Login) -> str | None:
    """What tells several workspaces and seats of one account id apart."""
    claims = login.claims
    return claims.workspace or claims.email or claims.user_id or claims.subject


def credentials_of(login: Login) -> Credentials:
    """A login as the store keeps it."""
    return Credentials(
        api_key=login.api_key,
        access_token=login.access_token,
        refresh_token=login.refresh_token,
        id_token=login.id_token,
        account_id=login.account_id,
    )


def login_from(kept: Credentials, last_refresh: float | None) -> Login | None:
    """The login that the store has kept; None where there is none."""
    if kept.access_token is None:
        return None
    return login_of(
        kept.access_token,
        kept.refresh_token,
        kept.id_token,
        account_id=kept.account_id,
        api_key=kept.api_key,
        last_refresh=last_refresh,
    )


def wished_name(login: Login) -> str:
    """A name for an account that was given none: from its e-mail, else from its id."""
    said = (login.claims.email or "").partition("@")[0]
    word = _UNFIT.sub("-", said.lower()).strip("-.")
    if not word:
        word = f"chatgpt-{hashlib.sha256((login.account_id or '').encode()).hexdigest()[:6]}"
    return word[: LONGEST_NAME - 4]


def _not_older(login: Login, known: StoredAccount) -> None:
    """Raises StoreConflict for tokens from before a refresh: they are spent, to use them ends the login."""
    if known.status in ("needs_login", "dead"):
        return
    pairs = ((login.last_refresh, known.last_refresh), (login.expires_at, known.access_expires_at))
    for given, kept in pairs:
        if given is not None and kept is not None:
            if given < kept - _SLACK:
                raise StoreConflict(
                    f"the account {known.name!r} has newer tokens than this file, whose are spent by now: "
                    f"log in anew with `dragoman account login {known.name}` if it does not work"
                )
            return


def _free(wished: str, taken: set[str]) -> str:
    names = (wished, *(f"{wished}-{number}" for number in range(2, 1000)))
    return next((name for name in names if name not in taken), wished)


def _other(other: StoredAccount, kind: str) -> str:
    if other.configured:
        return (
            f"the store keeps the tokens of an account of a configuration file named {other.name!r}: choose "
            f"another name, or forget them with `dragoman account remove {other.name}`"
        )
    if other.kind != kind:
        return f"there is an account named {other.name!r} of kind {other.kind} already: choose another name"
    if kind == "chatgpt":
        whose = f" ({other.email})" if other.email else ""
        return (
            f"{other.name!r} is another ChatGPT account or workspace{whose}: log in there with that one, or "
            "choose another name"
        )
    return f"there is an account named {other.name!r} with another key or address: choose another name"
