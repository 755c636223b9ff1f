"""What is resolved before a gateway runs: settings with every secret, limit and price they name.

Whatever is wrong with the configuration is found here, as a SettingsError that names the key, before anything
is bound or started.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dragoman.budget.limits import Limit
from dragoman.budget.pricing import Price
from dragoman.gateway.ports import Principal
from dragoman.serving import configured
from dragoman.serving.secret import DEMO_KEY, keep, new_key
from dragoman.serving.store import ring_texts
from dragoman.settings import Key, Settings


@dataclass(frozen=True, slots=True)
class Start:
    """What was resolved before the loop runs. `keys` are pairs of text and principal.

    `view` tells every setting with its origin, secrets masked, for the admin API; `beside` that a gateway
    which this one succeeds serves from the same database.
    """

    settings: Settings
    data: Path
    secret: bytes
    keys: list[tuple[str, Principal]]
    demo_key: str | None
    limits: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    view: Callable[[], Sequence[Mapping[str, Any]]] = tuple
    beside: bool = False


def resolve(settings: Settings, data: Path) -> Start:
    """Reads the secrets that the settings name. Raises SettingsError."""
    secret = ring_texts(settings, data)[-1].encode()
    keys = [(configured.secret_of(row, f"keys.{row.name}"), _principal(row)) for row in settings.keys]
    demo_key = None
    if configured.is_demo(settings):
        demo_key = keep(data / DEMO_KEY, new_key())
        keys = [(demo_key, Principal("demo", "key:demo"))]
    return Start(settings, data, secret, keys, demo_key, _limits(settings), _prices(settings))


def _principal(row: Key) -> Principal:
    return Principal(
        row.name,
        f"key:{row.name}",
        None if row.models is None else tuple(row.models),
        row.default_effort,
        row.enforced_effort,
        row.max_effort,
        row.concurrency,
        None if row.expires_at is None else row.expires_at.timestamp(),
        None if row.account_groups is None else frozenset(row.account_groups),
    )


def _limits(settings: Settings) -> dict[str, tuple[Limit, ...]]:
    return {row.name: configured.limits(row) for row in settings.keys if row.limits}


def _prices(settings: Settings) -> dict[str, Price]:
    return {name: configured.price(name, table) for name, table in settings.prices.items()}
