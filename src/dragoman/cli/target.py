"""Which gateway a verb talks to, and with which client key.

Keys that lie on this machine are offered only to a gateway on this machine: an address elsewhere gets a key
that was named for it. Nothing is made, and no key is ever shown.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from dragoman.serving.configured import fit, is_demo, is_loopback, of_variable, secret_of
from dragoman.serving.secret import CLIENT_KEY, DEMO_KEY, read
from dragoman.settings import Settings, SettingsError

KEY_VARIABLE = "DRAGOMAN_KEY"
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key and where it was found, in words."""

    text: str = field(repr=False)
    source: str


def base_url(given: str | None, settings: Settings) -> str:
    """The gateway's address without a slash or /v1 at its end. Raises SettingsError."""
    if given is not None:
        return _normal(given)
    host, port = settings.server.host.strip("[]"), settings.server.port
    if port == 0:
        raise SettingsError("server.port is 0, so the address is not known before the start: use --url")
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _normal(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.strip().isprintable() or " " in url.strip():
        raise SettingsError(f"--url {url}: must be an http or https address")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise SettingsError("--url: must hold no user name, password, query or fragment")
    path = parts.path.rstrip("/").removesuffix("/v1")
    return urlunsplit((parts.scheme, parts.netloc, path.rstrip("/"), "", ""))


def is_local(url: str) -> bool:
    """Whether the address is on this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def client_key(
    settings: Settings, data: Path, url: str, key_env: str | None = None, key_file: Path | None = None
) -> ClientKey | None:
    """The key to use, None where none is found (a loopback gateway may need none).

    Order: the options; on this machine the saved key of the data directory, the demo's, the only readable key
    of the configuration; then the variable DRAGOMAN_KEY. Raises SettingsError.
    """
    if key_env is not None and key_file is not None:
        raise SettingsError("--key-env and --key-file: give one of the two")
    if key_env is not None:
        return ClientKey(of_variable(key_env, "--key-env"), f"the variable {key_env}")
    if key_file is not None:
        return ClientKey(fit(read(key_file), f"--key-file: {key_file}"), f"the file {key_file}")
    if (is_local(url) or url == _own(settings)) and (found := _on_this_machine(settings, data)) is not None:
        return found
    if os.environ.get(KEY_VARIABLE, "").strip():
        return ClientKey(of_variable(KEY_VARIABLE, "environment"), f"the variable {KEY_VARIABLE}")
    return None


def _own(settings: Settings) -> str | None:
    return None if settings.server.port == 0 else base_url(None, settings)


def _on_this_machine(settings: Settings, data: Path) -> ClientKey | None:
    # A key that somebody made and kept here goes before the one that came by itself.
    names = (CLIENT_KEY, DEMO_KEY) if is_demo(settings) else (CLIENT_KEY,)
    for file in (data / name for name in names):
        if file.exists():
            return ClientKey(fit(read(file, private=True), str(file)), f"the file {file}")
    readable = []
    for row in settings.keys:
        try:
            readable.append((row.name, secret_of(row, f"keys.{row.name}")))
        except SettingsError:  # its variable belongs to the server's environment, not to this shell's
            continue
    if len(readable) == 1:
        return ClientKey(readable[0][1], f"keys.{readable[0][0]} of the configuration")
    if len(readable) > 1 and not os.environ.get(KEY_VARIABLE, "").strip():
        listed = ", ".join(name for name, _ in readable)
        raise SettingsError(
            f"the configuration has several keys ({listed}): choose one with --key-env or --key-file"
        )
    return None
