"""Checks of Claude Code's surroundings: this shell's variables and the client's settings files.

`dragoman claude` repairs the shell for its own process, so what is found there is a warning; a settings file
wins over any process, so what leads elsewhere from there is an error. Values are never shown.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dragoman.cli import environment, settings_file
from dragoman.cli.doctor.findings import Finding, error, fine, warn
from dragoman.cli.doctor.visit import Visit
from dragoman.settings import SettingsError

_OFF = ("", "0", "false", "no", "off")
_CREDENTIALS = (environment.TOKEN, environment.API_KEY)


def client(visit: Visit) -> Iterator[Finding]:
    """Whether there is a client at all."""
    found = shutil.which("claude", path=visit.environ.get("PATH"))
    if found is None:
        yield warn("client-missing", "claude is not on the PATH")
    else:
        yield fine("client-missing", f"claude is {found}")


def variables(visit: Visit) -> Iterator[Finding]:
    """What this shell would do to a `claude` that is started by hand."""
    told = list(_conflicts(visit.environ, visit.url))
    for sentence, fix in told:
        yield warn("client-shell", f"in this shell {sentence}", fix)
    if not told:
        yield fine("client-shell", "no variable of this shell leads Claude Code elsewhere")


def _conflicts(environ: Mapping[str, str], url: str | None) -> Iterator[tuple[str, str]]:
    """Sentences (without their beginning) and remedies."""
    if environ.get(environment.TOKEN) and environ.get(environment.API_KEY):
        yield (
            f"{environment.API_KEY} is set as well as {environment.TOKEN}: both are sent",
            f"export {environment.API_KEY}=",
        )
    base = environ.get(environment.BASE_URL, "").rstrip("/")
    if base.endswith("/v1"):
        yield (
            f"{environment.BASE_URL} ends with /v1: the client appends it a second time",
            f"export {environment.BASE_URL} without /v1",
        )
    elif base and url is not None and base != url:
        yield f"{environment.BASE_URL} is another address than {url}", f"export {environment.BASE_URL}={url}"
    for name in environment.conflicting(environ):
        if environ[name].strip().lower() not in _OFF:
            why = environment.CONFLICTS.get(name, "sends the client to another provider")
            yield f"{name} {why}", f"unset {name}"
    headers = environ.get("ANTHROPIC_CUSTOM_HEADERS", "").lower()
    if any(line.partition(":")[0].strip() in ("authorization", "x-api-key") for line in headers.splitlines()):
        yield (
            "ANTHROPIC_CUSTOM_HEADERS holds a credential of its own",
            "take it out of ANTHROPIC_CUSTOM_HEADERS",
        )


def settings(visit: Visit) -> Iterator[Finding]:
    """What the client's settings files would do to every start."""
    quiet = True
    for path in settings_file.places(visit.folder, visit.environ):
        for finding in _file(path, visit):
            quiet = False
            yield finding
    if quiet:
        yield fine("client-settings", "no settings file of Claude Code overrides the gateway's variables")


def _file(path: Path, visit: Visit) -> Iterator[Finding]:
    try:
        env = settings_file.environment_of(path)
    except SettingsError as problem:
        yield warn("client-settings", str(problem).removesuffix("; nothing was changed"), "correct the file")
        return
    for sentence, _ in _conflicts(env, visit.url):
        yield error("client-settings", f"in the env of {path} {sentence}")
    if _helper(path):
        yield warn(
            "client-settings",
            f"{path} names an apiKeyHelper, whose key is sent besides the client key",
            "take apiKeyHelper out of the file",
        )
    if path == visit.folder / ".claude" / "settings.json" and path != settings_file.user_file(visit.environ):
        for name in _CREDENTIALS:
            if env.get(name):
                yield error(
                    "client-committed-key", f"{path} holds {name}, and this file is usually committed"
                )


def _helper(path: Path) -> bool:
    try:
        found: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and bool(found.get("apiKeyHelper"))
