"""What is resolved before a gateway runs: settings with every secret, limit and price they name.

Whatever is wrong with the configuration is found here, as a SettingsError that names the key, before anything
is bound or started.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dragoman.budget.limits import Limit, parse_limit
from dragoman.budget.pricing import Price, parse_price
from dragoman.cli.secret import keep, new_key, read
from dragoman.cli.store import ring_texts
from dragoman.gateway.ports import Principal
from dragoman.settings import Key, Secret, Settings, SettingsError, sendable


@dataclass(frozen=True, slots=True)
class Start:
    """What was resolved before the loop runs. `keys` are pairs of text and principal."""

    settings: Settings
    data: Path
    secret: bytes
    keys: list[tuple[str, Principal]]
    demo_key: str | None
    limits: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)


def resolve(settings: Settings, data: Path) -> Start:
    """Reads the secrets that the settings name. Raises SettingsError."""
    secret = ring_texts(settings, data)[-1].encode()
    keys = [(secret_of(row, f"keys.{row.name}"), _principal(row)) for row in settings.keys]
    demo_key = None
    if not settings.accounts and not keys:
        demo_key = keep(data / "demo-key", new_key())
        keys = [(demo_key, Principal("demo", "key:demo"))]
    return Start(settings, data, secret, keys, demo_key, file_limits(settings), file_prices(settings))


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
    )


def file_limits(settings: Settings) -> dict[str, tuple[Limit, ...]]:
    """The limits of the configuration's keys, by the key's name. Raises SettingsError."""
    try:
        return {
            row.name: tuple(
                parse_limit(f"keys.{row.name}.limits.{index}", table)
                for index, table in enumerate(row.limits)
            )
            for row in settings.keys
            if row.limits
        }
    except ValueError as error:
        raise SettingsError(str(error)) from None


def file_prices(settings: Settings) -> dict[str, Price]:
    """`[prices]` of the configuration. Raises SettingsError."""
    try:
        return {name: parse_price(name, table) for name, table in settings.prices.items()}
    except ValueError as error:
        raise SettingsError(str(error)) from None


def secret_of(row: Secret, where: str) -> str:
    """The value given in place, by variable or by file; "" where none is needed. Raises SettingsError."""
    name = row.SECRET
    given: str | None = getattr(row, name)
    variable: str | None = getattr(row, f"{name}_env")
    file: Path | None = getattr(row, f"{name}_file")
    if given is not None:
        return given
    if variable is not None:
        value = os.environ.get(variable, "").strip()
        if not value:
            raise SettingsError(f"{where}.{name}_env: the variable {variable} is empty")
        return _fit(value, f"{where}.{name}_env: the variable {variable}")
    return _fit(read(file), f"{where}.{name}_file: {file}") if file is not None else ""


def _fit(value: str, where: str) -> str:
    try:
        return sendable(value)
    except ValueError as error:
        raise SettingsError(f"{where} {error}") from None
