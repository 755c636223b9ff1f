"""What the settings refer to: secrets in variables and files, aliases, certificates.

It finds and judges; it never makes a file, opens a socket or changes a value. `serve` stops at the first
problem, `config check` and `doctor` ask for all of them.
"""

from __future__ import annotations

import importlib
import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragoman.budget.limits import Limit, parse_limit
from dragoman.budget.pricing import Price, parse_price
from dragoman.serving.secret import check_makeable, read
from dragoman.settings import Account, Key, Secret, Settings, SettingsError, sendable
from dragoman.translate.models import Alias, parse_aliases
from dragoman.wire.errors import Refused

if TYPE_CHECKING:
    from dragoman.upstream.accounts import StaticAccount
    from dragoman.upstream.authfile import Login

SHORTEST_SETUP_TOKEN = 16
# The aliases of the demo, where neither an account nor a model is configured.
DEMO_MODELS = {"claude-*": "gpt-5.5@medium"}


def is_demo(settings: Settings) -> bool:
    """Whether the built-in simulator answers behind a key of its own."""
    return not settings.accounts and not settings.keys


def secret_of(row: Secret, where: str) -> str:
    """The secret of an account or key, "" where it needs none. Raises SettingsError naming its place."""
    name = row.SECRET
    given: str | None = getattr(row, name)
    variable: str | None = getattr(row, f"{name}_env")
    file: Path | None = getattr(row, f"{name}_file")
    if given is not None:
        return given
    if variable is not None:
        return of_variable(variable, f"{where}.{name}_env")
    if file is None:
        return ""
    try:
        text = read(file)
    except SettingsError as error:
        raise SettingsError(f"{where}.{name}_file: {error}") from None
    return fit(text, f"{where}.{name}_file: {file}")


def of_variable(variable: str, where: str) -> str:
    """The stripped value of an environment variable. Raises SettingsError when it is empty or unfit."""
    value = os.environ.get(variable, "").strip()
    if not value:
        raise SettingsError(f"{where}: the variable {variable} is empty")
    return fit(value, f"{where}: the variable {variable}")


def setup_token(settings: Settings) -> str:
    """The token for the first set-up, "" where the settings name none. Raises SettingsError."""
    if (variable := settings.admin.setup_token_env) is None:
        return ""
    text = of_variable(variable, where := "admin.setup_token_env")
    if len(text) < SHORTEST_SETUP_TOKEN:
        raise SettingsError(
            f"{where}: the variable {variable} must hold {SHORTEST_SETUP_TOKEN} characters at least: "
            "whoever guesses the token becomes the first admin"
        )
    return text


def fit(value: str, where: str) -> str:
    """The value, if a header field can carry it. Raises SettingsError."""
    try:
        return sendable(value)
    except ValueError as error:
        raise SettingsError(f"{where} {error}") from None


def login_of(row: Account) -> Login | None:
    """The login in an account's `auth_file`, None for an account with a key. Raises SettingsError."""
    if row.auth_file is None:
        return None
    from dragoman.upstream.authfile import MOST_BYTES, AuthFileError, parse

    where = f"accounts.{row.name}.auth_file: {row.auth_file}"
    try:
        with row.auth_file.open("rb") as file:
            return parse(file.read(MOST_BYTES + 1))
    except OSError as error:
        raise SettingsError(f"{where}: {error.strerror}") from None
    except AuthFileError as problem:
        raise SettingsError(f"{where}: {problem}") from None


def static_account(row: Account) -> StaticAccount:
    """An account of the file with its key or login. Raises SettingsError."""
    from dragoman.upstream.accounts import StaticAccount

    return StaticAccount(
        row.name,
        row.kind,
        row.base_url,
        secret_of(row, f"accounts.{row.name}"),
        row.organization,
        row.project,
        None if row.models is None else tuple(row.models),
        login=login_of(row),
        weight=row.weight,
        priority=row.priority,
        group=row.group,
        concurrency=row.concurrency,
    )


def aliases(settings: Settings) -> tuple[Alias, ...]:
    """The table `[models]`, the demo's own where nothing is configured. Raises SettingsError."""
    models: Mapping[str, str] = settings.models or ({} if settings.accounts else DEMO_MODELS)
    try:
        return parse_aliases(models)
    except Refused as refusal:
        raise SettingsError(f"models: {refusal.failure.message}") from None


def check_certificates(settings: Settings) -> None:
    """Raises SettingsError when `upstream.ca_file` holds no certificate."""
    if (file := settings.upstream.ca_file) is None:
        return
    import ssl

    try:
        ssl.create_default_context(cafile=str(file))
    except OSError as error:
        reason = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError(f"upstream.ca_file: {file}: {reason}") from None


def check_database(settings: Settings, data: Path) -> None:
    """Raises SettingsError when `database.url` names nothing that could be opened; nothing is opened."""
    from dragoman.store.engine import StoreError, locate

    try:
        locate(settings.database.url, data)
    except StoreError as error:
        raise SettingsError(str(error)) from None


def check_traces(settings: Settings) -> None:
    """Raises SettingsError when traces are asked for and what makes them is not installed."""
    if not settings.telemetry.traces:
        return
    try:
        importlib.import_module("dragoman.telemetry.traces")
    except ImportError:
        raise SettingsError(
            "telemetry.traces: needs the extra otel, which is not installed: "
            "pip install 'dragoman[otel]', in a clone .venv/bin/pip install -e '.[otel]'"
        ) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address or name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def limits(row: Key) -> tuple[Limit, ...]:
    """The limits of a key. Raises SettingsError naming the one that is wrong."""
    try:
        where = f"keys.{row.name}.limits"
        return tuple(parse_limit(f"{where}.{at}", table) for at, table in enumerate(row.limits))
    except ValueError as error:
        raise SettingsError(str(error)) from None


def price(name: str, table: Mapping[str, Any]) -> Price:
    """One row of `[prices]`. Raises SettingsError."""
    try:
        return parse_price(name, table)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def problems(settings: Settings, data: Path) -> Iterator[str]:
    """One line for everything that would keep these settings from serving; nothing is made or started.

    What only an open store can tell (whether any key exists) is not judged here.
    """
    checks: list[Callable[[], object]] = [
        partial(check_certificates, settings),
        partial(own_secret, settings, data),
        partial(check_database, settings, data),
        partial(check_traces, settings),
        partial(setup_token, settings),
    ]
    checks += [partial(parse_aliases, {pattern: target}) for pattern, target in settings.models.items()]
    checks += [partial(secret_of, row, f"accounts.{row.name}") for row in settings.accounts]
    checks += [partial(login_of, row) for row in settings.accounts]
    checks += [partial(secret_of, row, f"keys.{row.name}") for row in settings.keys]
    checks += [partial(limits, row) for row in settings.keys]
    checks += [partial(price, name, table) for name, table in settings.prices.items()]
    for check in checks:
        try:
            check()
        except SettingsError as error:
            yield str(error)
        except Refused as refusal:
            yield f"models: {refusal.failure.message}"
    yield from _twice(settings)


def _twice(settings: Settings) -> Iterator[str]:
    """Keys that are the same text: only one of them would ever be told."""
    seen: dict[str, str] = {}
    for row in settings.keys:
        try:
            text = secret_of(row, row.name)
        except SettingsError:
            continue
        if text in seen:
            yield f"keys.{row.name}: is the same key as keys.{seen[text]}"
        seen.setdefault(text, row.name)


def own_secret(settings: Settings, data: Path) -> str | None:
    """The gateway's own secret (a line each, where it was renewed), None where it is still to be made.

    Raises SettingsError.
    """
    if settings.secrets.key_env is not None:
        text = os.environ.get(settings.secrets.key_env, "").strip()
        if not text:
            raise SettingsError(f"secrets.key_env: the variable {settings.secrets.key_env} is empty")
        return text
    file = data / settings.secrets.key_file
    if file.exists():
        return read(file, private=True)
    check_makeable(file, data)
    return None
