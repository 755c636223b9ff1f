"""The checks in their order, and a run of all of them. A check is a function: a visit in, findings out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dragoman.cli.doctor import accounts, caching, place, port, shell, stored, streaming
from dragoman.cli.doctor.findings import Finding
from dragoman.cli.doctor.visit import Visit
from dragoman.cli.target import ClientKey, base_url, client_key
from dragoman.serving import configured
from dragoman.serving.secret import data_path
from dragoman.settings import Settings, SettingsError, load

Check = Callable[[Visit], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    place.configuration,
    place.data_directory,
    place.secret_file,
    stored.store,
    port.address,
    port.client_key,
    accounts.accounts,
    shell.client,
    shell.variables,
    shell.settings,
    streaming.stream,
    caching.cache,
)


@dataclass(frozen=True, slots=True)
class Request:
    """The options of the verb."""

    config: Path | None = None
    data_dir: Path | None = None
    url: str | None = None
    key_env: str | None = None
    key_file: Path | None = None
    offline: bool = False
    cache_check: bool = False
    model: str | None = None


def visit_of(request: Request) -> Visit:
    """Reads what the checks look at. Raises SettingsError for wrong options only."""
    data = data_path(request.data_dir)
    settings: Settings | None = None
    try:
        settings = load(request.config, variables=[request.key_env])
        problems = list(configured.problems(settings, data))
    except SettingsError as error:
        problems = str(error).splitlines()
    known = Settings.model_construct() if settings is None else settings
    url = None
    if request.url is not None or (settings is not None and settings.server.port != 0):
        url = base_url(request.url, known)
    key: ClientKey | None = None
    key_problem = None
    if url is not None:
        try:
            key = client_key(known, data, url, request.key_env, request.key_file)
        except SettingsError as error:
            key_problem = str(error)
    return Visit(
        settings=settings,
        problems=problems,
        data=data,
        url=url,
        url_given=request.url is not None,
        token=None if key is None else key.text,
        key_source=None if key is None else key.source,
        key_problem=key_problem,
        environ=os.environ,
        folder=Path.cwd(),
        offline=request.offline,
        cache_check=request.cache_check,
        model=request.model,
    )


def run(visit: Visit, checks: Iterable[Check] = CHECKS) -> Iterator[Finding]:
    """Findings as they are made."""
    for check in checks:
        yield from check(visit)
