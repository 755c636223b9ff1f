"""Keeps the access tokens of ChatGPT accounts fresh: one refresh at a time, stored before it is used.

A refresh token is single use, and using one twice revokes the account. So a refresh happens once for all who
wait, under a claim that other processes respect, and for one account after the other: to the issuer they are
all one client. What may have been heard is never sent again; and before an account is given up, the store is
asked whether somebody else already has newer tokens. A token that is still good stays in use whatever becomes
of its early renewal. It knows the store as a port, and no request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from dragoman.upstream.authfile import Login, login_of
from dragoman.upstream.oauth import Granted, Problem, Trouble

# Renewed so long before its end, and at this age whatever its end is; both with up to a fifth of jitter.
EARLY_SECONDS = 600.0
OLD_SECONDS = 8 * 86_400.0
JITTER = 0.2
# A token is not used in its last moments: it would end on the way.
MARGIN_SECONDS = 5.0
LOOK_SECONDS = 30.0
# So long another process may take for its refresh before we ask the issuer ourselves or give up.
CLAIM_SECONDS = 30.0
CLAIM_PAUSE = 0.1
UNREACHED_TRIES = 3
UNREACHED_PAUSE = 0.5
SAVE_TRIES = 5
SAVE_PAUSE = 0.5
BACKOFF_SECONDS = 5.0
LONGEST_BACKOFF = 60.0
# A token that was refused although it is new says that another one would be, too.
HOPELESS_SECONDS = 60.0
FINAL_TROUBLES = frozenset({Trouble.PERMANENT, Trouble.DOUBTFUL})
_NEVER = float("-inf")
_HOPELESS = Problem(Trouble.HOPELESS, "The upstream refuses a token that is new.")


class TokenStore(Protocol):
    """Where tokens are kept for all processes. Each call may raise; then nothing is assumed to be done."""

    async def reload(self, account: str) -> Login | None:
        """What is stored now; None for an account that is not."""
        ...

    async def save(self, account: str, login: Login, *, instead_of: str | None) -> bool:
        """Stores durably if the stored refresh token is still `instead_of`; False where it is another."""
        ...

    def claim(self, name: str) -> AbstractAsyncContextManager[bool]:
        """True for at most one holder in all processes; False at once where another has it."""
        ...


class Refresher(Protocol):
    """What refreshes; see oauth.Issuer."""

    async def refresh(self, refresh_token: str) -> Granted | Problem: ...


class NoToken(Exception):
    """No token can be had now. `final`: not before somebody logs in again."""

    def __init__(self, problem: Problem, *, final: bool) -> None:
        super().__init__(problem.sentence)
        self.problem = problem
        self.final = final


@dataclass(slots=True)
class _Entry:
    """One account. `refused` is the access token that got a 401, `spent` the refresh token that is used up.

    `unsaved` is the refresh token that the store still holds instead of the newer one, because it does not
    answer. Times: `until` in epoch seconds, `retry_at` and `hopeless_until` monotonic.
    """

    login: Login
    jitter: float
    until: float = 0.0
    refused: str | None = field(default=None, repr=False)
    spent: str | None = field(default=None, repr=False)
    problem: Problem | None = None
    told: bool = False
    backoff: float = 0.0
    retry_at: float = _NEVER
    hopeless: str | None = field(default=None, repr=False)
    hopeless_until: float = _NEVER
    unsaved: str | None = field(default=None, repr=False)
    flight: asyncio.Task[None] | None = None


async def _nobody(account: str, problem: Problem) -> None:
    return


class TokenKeeper:
    """The tokens of all ChatGPT accounts, by the account's name.

    `now` gives epoch seconds, `jitter` numbers from 0 to 1. `lost` is told once of an account that needs a
    new login; `sleep` is asyncio's in real life.
    """

    def __init__(
        self,
        issuer: Refresher,
        store: TokenStore,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
        lost: Callable[[str, Problem], Awaitable[None]] = _nobody,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._issuer = issuer
        self._store = store
        self._now = now
        self._monotonic = monotonic
        self._jitter = jitter
        self._lost = lost
        self._sleep = sleep
        self._entries: dict[str, _Entry] = {}
        self._turn = asyncio.Lock()
        self._flights: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None

    # -- accounts come and go ------------------------------------------------------------------------

    def adopt(self, account: str, login: Login, over: Problem | None = None) -> None:
        """Takes an account in, or tokens that somebody stored for it.

        `over` says that they are known to be no good: nobody is asked about them until there are others.
        """
        entry = self._entries.get(account)
        if entry is None:
            entry = self._entries[account] = _Entry(login, self._jitter() * JITTER)
        elif entry.unsaved is not None and login.refresh_token == entry.unsaved:
            return  # that is what the store will hear is over
        elif entry.login != login:
            entry.unsaved = None
            entry.problem, entry.told = None, False
            entry.backoff, entry.retry_at = 0.0, _NEVER
        if over is not None:
            entry.problem, entry.told = over, True
            entry.refused, entry.spent = login.access_token, login.refresh_token
        self._take(entry, login)

    def forget(self, account: str) -> None:
        """The account is gone. A refresh that is under way ends by itself."""
        self._entries.pop(account, None)

    def trouble(self, account: str) -> Problem | None:
        """Why the account's tokens could not be renewed last, though one may still be in use."""
        entry = self._entries.get(account)
        return None if entry is None else entry.problem

    # -- what a request asks -------------------------------------------------------------------------

    def current(self, account: str) -> Login | None:
        """The tokens if the access token can be used as it is; None: await `token`. Never waits."""
        entry = self._entries.get(account)
        return entry.login if entry is not None and self._now() < entry.until else None

    async def token(self, account: str) -> Login:
        """Tokens that can be used, renewed if they must be, once for all who wait. Raises NoToken."""
        entry = self._entry(account)
        if self._now() < entry.until:
            return entry.login
        await self._flown(account, entry)
        if self._now() < entry.until:
            return entry.login
        raise self._no_token(entry)

    async def invalidate(self, account: str, token: str) -> Login:
        """Other tokens after a 401 for this access token. Raises NoToken where there are none.

        The caller tries once more with them, and says `hopeless` when they are refused as well.
        """
        entry = self._entry(account)
        if entry.login.access_token == token:
            if entry.hopeless == token and self._monotonic() < entry.hopeless_until:
                raise NoToken(_HOPELESS, final=False)
            entry.refused = token
            entry.until = 0.0
        return await self.token(account)

    def hopeless(self, account: str, token: str) -> None:
        """A token that had just been renewed was refused: renewing it again would not help for a while.

        It is in use again, so that the next request finds out whether the upstream has recovered.
        """
        entry = self._entries.get(account)
        if entry is not None and entry.login.access_token == token:
            entry.hopeless, entry.hopeless_until = token, self._monotonic() + HOPELESS_SECONDS
            entry.refused = None
            self._take(entry, entry.login)

    # -- in the background ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to renew ahead of time."""
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look_on())

    async def stop(self) -> None:
        """Ends it. A refresh that is under way is waited for: its tokens must get into the store."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
            self._looking = None
        if self._flights:
            await asyncio.wait(self._flights)

    async def look(self) -> None:
        """Renews what is due now, one account after the other; stores what could not be stored before."""
        for account, entry in list(self._entries.items()):
            if entry.unsaved is not None:
                with suppress(Exception):
                    await self._save_late(account, entry)
        for account, entry in list(self._due()):
            if self._entries.get(account) is entry:
                await self._flown(account, entry)

    async def _look_on(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS * (1 + JITTER * self._jitter()))

    def _due(self) -> Iterator[tuple[str, _Entry]]:
        now, clock = self._now(), self._monotonic()
        for account, entry in self._entries.items():
            login = entry.login
            if clock < entry.retry_at or entry.told or login.refresh_token in (None, entry.spent):
                continue
            ends, since = login.expires_at, login.last_refresh
            soon = ends is not None and ends - now < EARLY_SECONDS * (1 + entry.jitter)
            old = since is not None and now - since > OLD_SECONDS * (1 - entry.jitter)
            if soon or old or entry.refused == login.access_token:
                yield account, entry

    # -- one refresh ---------------------------------------------------------------------------------

    async def _flown(self, account: str, entry: _Entry) -> None:
        """Waits for the refresh that is under way, or for a new one. Who leaves does not end it."""
        if entry.flight is None:
            if self._monotonic() < entry.retry_at:
                return
            entry.flight = asyncio.ensure_future(self._fly(account, entry))
            self._flights.add(entry.flight)
            entry.flight.add_done_callback(self._flights.discard)
        await asyncio.shield(entry.flight)

    async def _fly(self, account: str, entry: _Entry) -> None:
        try:
            problem = await self._renewed(account, entry)
        except Exception as error:  # the store: whatever it is, the account is not to blame
            problem = Problem(
                Trouble.REFUSED, f"The tokens cannot be read or stored ({type(error).__name__})."
            )
        entry.flight = None
        if problem is None:
            entry.problem, entry.told, entry.backoff, entry.retry_at = None, False, 0.0, _NEVER
            return
        entry.problem = problem
        if problem.trouble in FINAL_TROUBLES:
            await self._tell(account, entry, problem)
        # Also where the login is over: somebody may store a new one.
        entry.backoff = min(max(entry.backoff * 2, BACKOFF_SECONDS), LONGEST_BACKOFF)
        entry.retry_at = self._monotonic() + entry.backoff * (1 + JITTER * self._jitter())

    async def _tell(self, account: str, entry: _Entry, problem: Problem) -> None:
        """A login that is over is reported once nothing of it can be used any more."""
        if entry.told or self._now() < entry.until:
            return
        entry.told = True
        with suppress(Exception):  # the store may be down; the account stays unusable all the same
            await self._lost(account, problem)

    async def _renewed(self, account: str, entry: _Entry) -> Problem | None:
        """Makes the entry usable by what is stored or by a refresh; None when it is."""
        before = entry.login
        patience = self._monotonic() + CLAIM_SECONDS
        while True:
            # One account after the other, before the claim: its time must not run out in the queue.
            async with self._turn, self._store.claim(f"refresh:{account}") as mine:
                await self._read(account, entry)
                if entry.login != before and self._now() < entry.until:
                    return None  # another process was faster
                if mine:
                    return await self._refresh(account, entry)
            if self._monotonic() >= patience:
                return Problem(
                    Trouble.REFUSED, "Another process holds the refresh of this account for too long."
                )
            await self._sleep(CLAIM_PAUSE * (1 + self._jitter()))

    async def _refresh(self, account: str, entry: _Entry) -> Problem | None:
        while True:  # again only with tokens that somebody stored meanwhile
            old = entry.login
            outcome = await self._asked(entry, old.refresh_token)
            if isinstance(outcome, Granted):
                return await self._store_new(account, entry, old, outcome)
            if outcome.trouble not in FINAL_TROUBLES:
                return outcome
            entry.spent = old.refresh_token
            await self._read(account, entry)
            if entry.login.refresh_token == old.refresh_token:
                return outcome
            if self._now() < entry.until:
                return None

    async def _asked(self, entry: _Entry, token: str | None) -> Granted | Problem:
        if token is None:
            return Problem(Trouble.PERMANENT, "The account has no refresh token: log in to it again.")
        if token == entry.spent:
            return entry.problem or Problem(
                Trouble.DOUBTFUL,
                "The refresh token may have been used already: log in to this account again.",
            )
        outcome = await self._issuer.refresh(token)
        for tried in range(1, UNREACHED_TRIES):
            if isinstance(outcome, Granted) or outcome.trouble is not Trouble.NOT_SENT:
                break
            await self._sleep(UNREACHED_PAUSE * tried)
            outcome = await self._issuer.refresh(token)
        return outcome

    async def _store_new(self, account: str, entry: _Entry, old: Login, granted: Granted) -> Problem | None:
        """The new tokens are durable before anybody uses them.

        Only where the store stays away they are used from memory: the old ones are spent either way.
        """
        new = login_of(
            granted.access_token,
            granted.refresh_token or old.refresh_token,
            granted.id_token or old.id_token,
            account_id=old.account_id,
            api_key=old.api_key,
            last_refresh=self._now(),
        )
        for tried in range(1, SAVE_TRIES + 1):
            try:
                if not await self._store.save(account, new, instead_of=old.refresh_token):
                    await self._read(account, entry)  # somebody logged in meanwhile: theirs are newer
                    return None if self._now() < entry.until else entry.problem
                break
            except Exception:
                if tried < SAVE_TRIES:
                    await self._sleep(SAVE_PAUSE * tried)
        else:
            entry.unsaved = old.refresh_token
        entry.refused = None
        self._take(entry, new)
        return None

    async def _save_late(self, account: str, entry: _Entry) -> None:
        """Stores what is only in memory. Raises what the store raises."""
        await self._store.save(account, entry.login, instead_of=entry.unsaved)
        entry.unsaved = None

    async def _read(self, account: str, entry: _Entry) -> None:
        if entry.unsaved is not None:
            await self._save_late(account, entry)
        stored = await self._store.reload(account)
        if stored is not None and stored != entry.login:
            self._take(entry, stored)

    # -- small things --------------------------------------------------------------------------------

    def _entry(self, account: str) -> _Entry:
        entry = self._entries.get(account)
        if entry is None:
            raise NoToken(Problem(Trouble.REFUSED, "The account is no longer here."), final=True)
        return entry

    def _take(self, entry: _Entry, login: Login) -> None:
        entry.login = login
        if login.access_token == entry.refused:
            entry.until = 0.0
        else:
            ends = login.expires_at
            entry.until = float("inf") if ends is None else ends - MARGIN_SECONDS

    def _no_token(self, entry: _Entry) -> NoToken:
        problem = entry.problem or Problem(Trouble.REFUSED, "The tokens could not be renewed.")
        return NoToken(problem, final=problem.trouble in FINAL_TROUBLES)
