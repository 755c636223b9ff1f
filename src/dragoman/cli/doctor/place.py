"""Checks of the data directory, the gateway's own secret, and the configuration. Nothing is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dragoman.cli.doctor.findings import Finding, error, fine, warn
from dragoman.cli.doctor.visit import Visit
from dragoman.serving import configured
from dragoman.settings import Settings

_SHOWN = 5


def data_directory(visit: Visit) -> Iterator[Finding]:
    """Modes: nobody else may read keys and the request log."""
    place = visit.data
    if not place.exists():
        yield fine("data-dir", f"{place} does not exist yet; the first start makes it")
        return
    if not place.is_dir():
        yield error("data-dir", f"{place} is no directory", "move it away, or use --data-dir")
        return
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        yield error(
            "data-dir", f"{place} cannot be written by this user", f"chown it, or use --data-dir ({place})"
        )
        return
    if os.name != "posix":
        yield fine("data-dir", f"{place} is there")
        return
    # The secret is told by its own check, which says no more than to shut it.
    secret = None if visit.settings is None else place / visit.settings.secrets.key_file
    loose = [path for path in (place, *sorted(place.rglob("*"))) if path != secret and _is_loose(path)]
    if loose:
        named = ", ".join(str(path) for path in loose[:_SHOWN])
        more = f" and {len(loose) - _SHOWN} more" if len(loose) > _SHOWN else ""
        yield error("data-dir", f"others may read {named}{more}", f"chmod -R go= {place}")
    else:
        yield fine("data-dir", f"{place} is private")


def _is_loose(path: Path) -> bool:
    try:
        return bool(path.lstat().st_mode & 0o077) and not path.is_symlink()
    except OSError:  # gone in the meantime
        return False


def secret_file(visit: Visit) -> Iterator[Finding]:
    """The gateway's own secret."""
    if visit.settings is None:
        return
    if visit.secret_problem is not None:
        yield error("secret-file", visit.secret_problem, _secret_fix(visit, visit.settings))
        return
    text = configured.own_secret(visit.settings, visit.data)
    if text is None:
        yield fine("secret-file", "not made yet; the first start makes it")
    elif min(map(len, text.split())) < 16:
        yield warn(
            "secret-file", "the gateway's secret is shorter than 16 characters", "use a long random text"
        )
    else:
        yield fine("secret-file", "the gateway's secret can be read")


def _secret_fix(visit: Visit, settings: Settings) -> str:
    if (variable := settings.secrets.key_env) is not None:
        return f"set the variable {variable} where the gateway is started"
    file = visit.data / settings.secrets.key_file
    if not file.exists():
        return f"put {file} back; a backup made so has it: dragoman db restore FILE --with-secrets"
    if os.name == "posix" and file.stat().st_mode & 0o077:
        return f"chmod 600 {file}"
    return f"put the secret that belongs to the database into {file}"


def configuration(visit: Visit) -> Iterator[Finding]:
    """Whether `serve` would start with this configuration."""
    # What is wrong with the gateway's own secret is told by the check of that.
    problems = [problem for problem in visit.problems if problem != visit.secret_problem]
    for problem in problems:
        yield error("config", problem)
    if not problems:
        yield fine("config", "the configuration is in order")
