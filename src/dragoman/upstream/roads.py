"""How each account is reached: address, credentials, connections; accounts may come and go at any time.

A road is ready at once or, where a token must be renewed first, after a wait. Credentials stand in roads and
nowhere else; they never leave this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from yarl import URL

from dragoman.gateway.ports import UpstreamError
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.upstream.authfile import Login
from dragoman.upstream.oauth import Problem, Trouble
from dragoman.upstream.refresh import NoToken, TokenKeeper


@dataclass(frozen=True, slots=True)
class Road:
    """How one account is reached; `headers` hold its credentials.

    `count` is the path of the upstream's token counter, None where it has none. Connections are shared by the
    roads that name the same `pool`. `token` is what a 401 speaks of where another one can be had.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    create: str = "/responses"
    count: str | None = "/responses/input_tokens"
    pool: str = ""
    token: str | None = field(default=None, repr=False)
    target: URL = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", URL(self.url + self.create, encoded=True))


class Roads(Protocol):
    """The roads of all accounts by name, asked anew for every attempt."""

    def get(self, name: str) -> Road | None:
        """The road, if it can be taken at once. Never waits."""
        ...

    async def ready(self, name: str) -> Road:
        """The road, once it can be taken. Raises UpstreamError where it cannot."""
        ...

    async def renewed(self, name: str, road: Road) -> Road | None:
        """After a 401 on this road: another one with new credentials, None where they never change.

        Raises UpstreamError where there should be new ones and are not.
        """
        ...

    def hopeless(self, name: str, road: Road) -> None:
        """A renewed road got a 401, too."""
        ...


class FixedRoads:
    """Roads that never change: accounts with keys."""

    def __init__(self, roads: Mapping[str, Road]) -> None:
        self._roads = dict(roads)

    def get(self, name: str) -> Road | None:
        return self._roads.get(name)

    async def ready(self, name: str) -> Road:
        raise _gone()

    async def renewed(self, name: str, road: Road) -> Road | None:
        return None

    def hopeless(self, name: str, road: Road) -> None:
        return


class LiveRoads:
    """Roads that change while they are used. `dress` makes the road of a ChatGPT account from its tokens."""

    def __init__(self, keeper: TokenKeeper, dress: Callable[[str, str, Login], Road]) -> None:
        self._keeper = keeper
        self._dress = dress
        self._roads: dict[str, Road] = {}
        self._bases: dict[str, str] = {}

    def put(self, name: str, road: Road) -> None:
        """Takes in an account with a key, or its change."""
        self.remove(name)
        self._roads[name] = road

    def put_login(self, name: str, base_url: str, login: Login, over: Problem | None = None) -> None:
        """Takes in a ChatGPT account, or its change: new tokens, a new address. `over`: see the keeper."""
        if self._bases.get(name) != base_url:
            self._roads.pop(name, None)
        self._bases[name] = base_url
        self._keeper.adopt(name, login, over)

    def remove(self, name: str) -> None:
        """The account is gone; what is under way on its road ends by itself."""
        self._roads.pop(name, None)
        if self._bases.pop(name, None) is not None:
            self._keeper.forget(name)

    def get(self, name: str) -> Road | None:
        road = self._roads.get(name)
        if road is not None and road.token is None:
            return road
        login = self._keeper.current(name)
        if login is None:
            return None
        if road is not None and road.token is login.access_token:
            return road
        return self._made(name, login)

    async def ready(self, name: str) -> Road:
        if name not in self._bases:
            raise _gone()
        try:
            return self._made(name, await self._keeper.token(name))
        except NoToken as none:
            raise UpstreamError(failure_of(none)) from None

    async def renewed(self, name: str, road: Road) -> Road | None:
        if road.token is None or name not in self._bases:
            return None
        try:
            return self._made(name, await self._keeper.invalidate(name, road.token))
        except NoToken as none:
            raise UpstreamError(failure_of(none, 401)) from None

    def hopeless(self, name: str, road: Road) -> None:
        if road.token is not None:
            self._keeper.hopeless(name, road.token)

    def _made(self, name: str, login: Login) -> Road:
        base = self._bases.get(name)
        if base is None:
            raise _gone()
        road = self._roads[name] = self._dress(name, base, login)
        return road


def failure_of(none: NoToken, status: int | None = None) -> UpstreamFailure:
    """Why an account without a token cannot serve: over, refused whatever it shows, or out of reach."""
    cause = Cause.LOGIN if none.final else Cause.TRANSPORT
    if none.problem.trouble is Trouble.HOPELESS:
        cause = Cause.CREDENTIALS
    return UpstreamFailure(cause, none.problem.sentence, status, none.problem.code)


def _gone() -> UpstreamError:
    return UpstreamError(UpstreamFailure(Cause.TRANSPORT, "the account is no longer here"))
