"""What the store says, put into the running house: keys, limits, accounts, aliases, prices, as they are now.

Limits keep what they have counted when others change; a new one is first filled with what the ledger knows.
The configuration's own keys and prices stay; the store's aliases and prices go before those of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dragoman.budget.limits import Limit, Meters
from dragoman.budget.pricing import Price, Prices
from dragoman.gateway.house import House
from dragoman.gateway.known import KnownKeys
from dragoman.gateway.ports import Principal
from dragoman.serving import stored
from dragoman.serving.fleet import Fleet
from dragoman.serving.store import Store
from dragoman.store import usage
from dragoman.store.clientkeys import ClientKey
from dragoman.store.sharing import Sharing
from dragoman.store.watch import Snapshot


class Current:
    """Adopts snapshots for one house. `fixed` are the limits of the configuration's keys, by name.

    `demo_aliases` says that the house's own aliases are the demo's, which end with it.
    """

    def __init__(
        self,
        store: Store,
        house: House,
        keys: KnownKeys,
        prices: Prices,
        file_prices: Mapping[str, Price],
        fixed: Mapping[str, Sequence[Limit]],
        wall: Callable[[], float],
        sharing: Sharing | None = None,
        fleet: Fleet | None = None,
        *,
        demo_aliases: bool = False,
    ) -> None:
        self._store = store
        self._house = house
        self._keys = keys
        self._prices = prices
        self._file_prices = file_prices
        self._fixed = {name: tuple(limits) for name, limits in fixed.items()}
        self._file_aliases = tuple(house.aliases)
        self._wall = wall
        self._sharing = sharing
        self._fleet = fleet
        self._demo_aliases = demo_aliases

    async def adopt(self, snapshot: Snapshot) -> None:
        """Makes a snapshot effective. Raises StoreError when sums cannot be read."""
        principals = {mark: _principal(key, until) for mark, until, key in snapshot.digests}
        await self._limit({key.spec.name: key.spec.limits for _, _, key in snapshot.digests})
        self._keys.read(principals, ended=snapshot.ended, keyed=snapshot.keyed)
        if self._fleet is not None:
            self._fleet.adopt(snapshot.accounts)
            self._house.pool.replace(self._fleet.members)
            self._house.simulated = self._fleet.simulated
        # The demo's aliases are for its simulator alone.
        file = () if self._demo_aliases and not self._house.simulated else self._file_aliases
        self._house.aliases = (*stored.aliases(snapshot.aliases), *file)
        self._prices.replace(stored.prices(snapshot.prices), self._file_prices)

    async def _limit(self, kept: Mapping[str, tuple[Limit, ...]]) -> None:
        admission = self._house.admission
        wanted = {name: limits for name, limits in {**kept, **self._fixed}.items() if limits}
        limits = {name: admission.keys.get(name) or Meters() for name in wanted}
        fresh = [
            (name, limit)
            for name, bound in wanted.items()
            for limit in bound
            if _what(limit) not in {_what(meter.limit) for meter in limits[name]}
        ]
        # Nothing may be settled between the sums and the meters that start from them.
        async with self._store.writer.still() as waiting:
            now = self._wall()
            sums: dict[tuple[str, Limit], list[tuple[float, int]]] = {}
            if fresh:
                async with self._store.database.snapshot() as connection:
                    for name, limit in fresh:
                        sums[name, limit] = await usage.settled(connection, name, limit, now)
                    if self._sharing is not None:
                        # What comes after this moment is added to what the sums say of it.
                        await self._sharing.mark(connection, wanted)
            for name, bound in wanted.items():
                for meter in limits[name].replace(bound):
                    parts = sums.get((name, meter.limit), [])
                    meter.load([*parts, *usage.pending(waiting, name, meter.limit)])
            admission.adopt(limits)


def _what(limit: Limit) -> tuple[str, str, str | None]:
    """What a limit counts; its maximum may change without a new count."""
    return limit.measure, limit.per, limit.models


def _principal(key: ClientKey, until: float | None) -> Principal:
    spec = key.spec
    ends = [at for at in (spec.expires_at, until) if at is not None]
    return Principal(
        spec.name,
        f"key:{key.id}",
        spec.models,
        spec.default_effort,
        spec.enforced_effort,
        spec.max_effort,
        spec.concurrency,
        min(ends) if ends else None,
        None if spec.account_groups is None else frozenset(spec.account_groups),
    )
