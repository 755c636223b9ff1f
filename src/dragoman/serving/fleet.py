"""The accounts of a process that serves: those of the file, in its order, then those of the store by name.

It turns what the store says into what the gateway chooses from and into the roads that lead there, each time
the store says something new; tokens that did not change are not touched. An account that stands in the file
and in the store is one, the file's. It decides nothing about a request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dragoman.gateway.ports import Account
from dragoman.onboarding.intake import credentials_of, seat_of
from dragoman.routing.pool import Member
from dragoman.serving.kept import KeptTokens
from dragoman.store.accounts import Accounts, Credentials, StoredAccount
from dragoman.store.engine import StoreError
from dragoman.upstream.accounts import StaticAccount, account_of, member_of, road_of
from dragoman.upstream.oauth import Problem, Trouble
from dragoman.upstream.roads import LiveRoads

Tell = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was last made of an account of the store; the same again is left alone."""

    id: str
    base_url: str
    sealed: str
    over: bool
    account: Account


class Fleet:
    """Adopts what the store says. `accounts` and `members` are replaced as a whole, never changed.

    `static` are the accounts of the file, whose roads are there already; `salt` keys tags. `tell` writes a
    line to the log: an event, and fields without secrets. Without a store (`accounts` None) nothing comes.
    """

    def __init__(
        self,
        static: Sequence[StaticAccount],
        salt: bytes,
        roads: LiveRoads,
        *,
        accounts: Accounts | None = None,
        kept: KeptTokens | None = None,
        tell: Tell = lambda *_, **__: None,
    ) -> None:
        self._static = {row.name: row for row in static}
        self._salt = salt
        self._roads = roads
        self._repository = accounts
        self._kept = kept
        self._tell = tell
        self._fixed = {row.name: account_of(row, salt) for row in static}
        self._known: dict[str, _Known] = {}
        self._said: set[tuple[str, str]] = set()
        self.identities = {} if accounts is None else _identities(static, accounts)
        self._advertised: dict[str, frozenset[str]] = {}
        # Kind by name, also of accounts that are gone: their last requests are still counted.
        self.kinds: dict[str, str] = {}
        self.accounts: dict[str, Account] = {}
        self.members: list[Member] = []
        # What the accounts list, and that with what their catalogues name: every request asks.
        self._listed: frozenset[str] | None = None
        self._offered: frozenset[str] | None = None
        self.adopt(())

    @property
    def simulated(self) -> bool:
        """Whether the built-in simulator answers, because there is no other account."""
        return any(account.simulated for account in self.accounts.values())

    def stored_id(self, name: str) -> str:
        """Under what the store keeps what it knows of an account."""
        known = self._known.get(name)
        return f"config:{name}" if known is None or name in self._static else known.id

    def askable(self) -> list[str]:
        """The ChatGPT accounts that can be asked for their pages."""
        return [
            one.name for one in self.members if one.kind == "chatgpt" and one.status in ("active", "paused")
        ]

    # -- the gateway's Accounts port -----------------------------------------------------------------

    def get(self, name: str) -> Account | None:
        """The account of a name."""
        return self.accounts.get(name)

    def candidates(self, model: str) -> Sequence[Account]:
        """Accounts that list the model, or that publish no list, in their order and whatever their state."""
        return [
            account for account in self.accounts.values() if account.models is None or model in account.models
        ]

    def listed(self) -> frozenset[str] | None:
        """Every model that some account lists; None where an account publishes no list and none does."""
        return self._listed

    def offered(self) -> frozenset[str] | None:
        """The same with what the accounts' own catalogues name; None where nothing is known."""
        return self._offered

    def advertise(self, name: str, models: frozenset[str]) -> None:
        """Takes in what an account's catalogue names; what its operator listed goes before that."""
        self._advertised[name] = models
        self.members = [self._catalogued(member) for member in self.members]
        self._list()

    # -- what the store says -------------------------------------------------------------------------

    def adopt(self, stored: Sequence[StoredAccount]) -> None:
        """Makes this the accounts of the process; `stored` are all, those kept for the file included."""
        shadows = {one.name: one for one in stored if one.configured and one.name in self._static}
        for shadow in shadows.values():
            self._follow(shadow)
        found: dict[str, Account] = {}
        members: list[Member] = []
        kept: dict[str, _Known] = {}
        for one in sorted((one for one in stored if not one.configured), key=lambda one: one.name):
            if self._is_static(one) or (known := self._put(one)) is None:
                continue
            kept[one.name] = known
            found[one.name] = known.account
            members.append(_member(known.account, one))
        for name in self._known.keys() - kept.keys() - self._static.keys():
            self._roads.remove(name)
            if self._kept is not None:
                self._kept.forget(name)
        self._known = {**{name: self._known[name] for name in shadows if name in self._known}, **kept}
        # A real account ends the demonstration.
        first = [one for one in self._fixed.values() if not (one.simulated and found)]
        self.accounts = {**{one.name: one for one in first}, **found}
        self.kinds.update({one.name: one.kind for one in self.accounts.values()})
        members[:0] = [self._of_file(one, shadows.get(one.name)) for one in first]
        self.members = [self._catalogued(member) for member in members]
        self._list()

    def _list(self) -> None:
        lists = [account.models for account in self.accounts.values()]
        names = frozenset[str]().union(*(models for models in lists if models is not None))
        named = names.union(*(models for name, models in self._advertised.items() if name in self.accounts))
        self._listed = None if None in lists and not names else names
        self._offered = named or None

    def _catalogued(self, member: Member) -> Member:
        return replace(member, advertised=self._advertised.get(member.name))

    def _of_file(self, account: Account, shadow: StoredAccount | None) -> Member:
        """How the pool keeps an account of the file; what was found out about its login is in the store."""
        member = member_of(self._static[account.name], account)
        if shadow is None:
            return member
        plan = shadow.plan or member.plan
        return replace(member, plan=plan, status=shadow.status, version=shadow.version)

    def _is_static(self, one: StoredAccount) -> bool:
        name = one.name if one.name in self._static else self.identities.get(one.identity)
        if name is not None:
            self._tell_once("account_twice", one.name, configured=name)
        return name is not None

    def _follow(self, shadow: StoredAccount) -> None:
        """Tokens of a configured account that another process has renewed."""
        row, before = self._static[shadow.name], self._known.get(shadow.name)
        if self._kept is None or row.login is None:
            return
        over = shadow.status in ("needs_login", "dead")
        if before is not None and (before.id, before.sealed, before.over) == (shadow.id, shadow.sealed, over):
            return
        try:
            login = self._kept.know(shadow)
        except StoreError as error:
            self._tell_once("account_unreadable", shadow.name, reason=str(error))
            return
        if login is not None:
            self._roads.put_login(shadow.name, row.base_url, login, _over(shadow) if over else None)
        self._known[shadow.name] = _Known(
            shadow.id, row.base_url, shadow.sealed, over, self._fixed[shadow.name]
        )

    def _put(self, one: StoredAccount) -> _Known | None:
        """An account of the store, with its road; None where its credentials cannot be read."""
        if self._repository is None or self._kept is None:
            return None
        before = self._known.get(one.name)
        over = one.status in ("needs_login", "dead")
        same = before is not None and (before.id, before.base_url, before.sealed, before.over) == (
            one.id,
            one.base_url,
            one.sealed,
            over,
        )
        if before is not None and same:
            return _Known(one.id, one.base_url, one.sealed, over, _listing(before.account, one))
        try:
            row = self._row(one)
        except StoreError as error:
            self._tell_once("account_unreadable", one.name, reason=str(error))
            return None
        if row.login is not None:
            self._roads.put_login(one.name, one.base_url, row.login, _over(one) if over else None)
        else:
            self._roads.put(one.name, road_of(row))
        return _Known(one.id, one.base_url, one.sealed, over, account_of(row, self._salt))

    def _row(self, one: StoredAccount) -> StaticAccount:
        assert self._repository is not None and self._kept is not None
        if one.kind == "chatgpt":
            login = self._kept.know(one)
            if login is None:
                raise StoreError("it has no tokens")
            return StaticAccount(one.name, one.kind, one.base_url, models=one.models, login=login)
        said = self._repository.opened(one)
        return StaticAccount(
            one.name,
            one.kind,
            one.base_url,
            said.api_key or "",
            said.organization,
            said.project,
            one.models,
        )

    def _tell_once(self, event: str, name: str, **fields: str) -> None:
        if (event, name) not in self._said:
            self._said.add((event, name))
            self._tell(event, account=name, **fields)


def _member(account: Account, kept: StoredAccount) -> Member:
    """How the pool keeps an account of the store."""
    return Member(
        account.name,
        account.kind,
        account.tag,
        account.models,
        plan=kept.plan,
        group=kept.group,
        weight=kept.weight,
        priority=kept.priority,
        concurrency=kept.concurrency,
        status=kept.status,
        version=kept.version,
    )


def _listing(account: Account, one: StoredAccount) -> Account:
    """The same account with the models that it lists now."""
    models = None if one.models is None else frozenset(one.models)
    if models == account.models:
        return account
    return Account(account.name, account.kind, account.tag, models)


def _over(kept: StoredAccount) -> Problem:
    return Problem(Trouble.PERMANENT, kept.note or "The login is over: log in to this account again.")


def _identities(static: Sequence[StaticAccount], accounts: Accounts) -> dict[str, str]:
    """What the accounts of the file are recognised by -> their names; the demo is nobody's."""
    found: dict[str, str] = {}
    for row in static:
        if not row.simulated:
            found.setdefault(identity_of(row, accounts), row.name)
    return found


def identity_of(row: StaticAccount, accounts: Accounts) -> str:
    """What an account of the file would be recognised by in the store."""
    if row.login is not None:
        if row.login.account_id is None:
            return f"unnamed:{row.name}"
        return accounts.identity("chatgpt", row.base_url, credentials_of(row.login), seat_of(row.login))
    return accounts.identity(row.kind, row.base_url, Credentials(api_key=row.api_key))
