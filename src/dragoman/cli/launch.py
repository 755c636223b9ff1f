"""Starts the real Claude Code with the variables that lead it to the gateway, for that process only.

It asks the gateway first whether it is up, knows the key, and which models it has. The client key travels in
the environment, never on a command line, and nothing is written unless `--write-settings` was given.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dragoman.cli import environment, settings_file, shells, tiers
from dragoman.cli.client import GatewayClient, Reply, Unreachable
from dragoman.cli.options import MISUSED, Stop
from dragoman.cli.target import ClientKey, base_url, client_key
from dragoman.serving.secret import data_path
from dragoman.settings import load

# What a gateway without keys is sent: the client insists on having one.
NO_KEY = "unused"


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asked for: the options of the verb."""

    config: Path | None = None
    data_dir: Path | None = None
    url: str | None = None
    key_env: str | None = None
    key_file: Path | None = None
    model: str | None = None
    tiers: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


def check(*, print_env: bool, write: bool, undo: bool, project: bool) -> None:
    """Raises Stop for options that do not go together."""
    if print_env and (write or undo):
        raise Stop("--print-env cannot be used together with --write-settings or --undo", MISUSED)
    if project and not (write or undo):
        raise Stop("--project needs --write-settings or --undo", MISUSED)


def start(order: Order, executable: str | None) -> int:
    """Becomes the client (POSIX), or runs it and returns its exit code. Raises Stop, SettingsError."""
    program = find(executable)
    plan = prepare(order)
    _warn(plan)
    command = [program, *order.arguments]
    environ = environment.applied(os.environ, plan)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        try:
            os.execvpe(program, command, environ)
        except OSError as error:
            raise Stop(f"{program}: cannot be run: {error.strerror}") from None
    return subprocess.run(command, env=environ, check=False).returncode


def find(executable: str | None) -> str:
    """The client's path: a name is looked for on PATH, what has a slash is that file. Raises Stop."""
    found = shutil.which("claude" if executable is None else executable)
    if found is None:
        raise Stop(
            "claude is not on your PATH: install Claude Code, or name it with --claude"
            if executable is None
            else f"--claude {executable}: is no file that can be run"
        )
    return found


def print_env(order: Order, shell: str) -> str:
    """Lines for a shell to evaluate."""
    plan = prepare(order)
    return shells.script(shell, environment.variables(plan), environment.unset(plan, os.environ))


def write_settings(order: Order, project: bool) -> str:
    """Writes the variables into a settings file; returns what to tell. Raises Stop, SettingsError."""
    path = _settings_file(project)
    git = settings_file.in_git(Path(os.path.realpath(path)))
    if git == "tracked":
        raise Stop(f"{path}: is committed to git, where a key must not go; nothing was changed", MISUSED)
    plan = prepare(order)
    wanted = environment.variables(plan)
    dropped = set(environment.unset(plan, ()))

    def unwanted(name: str) -> bool:
        return name in dropped or name.startswith(environment.PROVIDER_PREFIX)

    done = settings_file.write(path, wanted, unwanted, _stamp())
    if done.backup is None:
        return f"{done.path} says so already; nothing was changed"
    lines = [f"wrote {len(wanted)} variables, the key among them, to {done.path} (mode 0600)"]
    if done.removed:
        lines.append(f"took out {', '.join(done.removed)}, which would lead elsewhere")
    lines.append(f"as it was: {done.backup}")
    lines.append(f"back again: dragoman claude --undo{' --project' if project else ''}")
    states = {git, settings_file.in_git(done.backup)}  # the backup may hold an older key
    if "open" in states or (project and "outside" in states):
        lines.append(f"make sure that .gitignore has a line for {done.path.name}*: the files hold a key")
    return "\n".join(lines)


def undo(project: bool) -> str:
    """Puts the settings file back; returns what to tell. Raises SettingsError."""
    done = settings_file.undo(_settings_file(project), _stamp())
    lines = [f"{done.path} is as it was" if done.existed else f"{done.path} is gone: it did not exist before"]
    if done.edited is not None:
        lines.append(f"it had been edited since; those changes are in {done.edited}")
    if done.left:
        lines.append(
            f"{done.left} older backup{'s' if done.left > 1 else ''} left: --undo again goes further back"
        )
    return "\n".join(lines)


def prepare(order: Order) -> environment.Plan:
    """Asks the gateway and decides every variable. Raises Stop, SettingsError."""
    settings = load(order.config, variables=[order.key_env])
    url = base_url(order.url, settings)
    key = client_key(settings, data_path(order.data_dir), url, order.key_env, order.key_file)
    client = GatewayClient(url, None if key is None else key.text)
    require_ready(client, given=order.url is not None)
    published = models(client, key)
    wish = tiers.Wish(order.model, order.tiers, tiers.model_argument(order.arguments))
    for name in (order.model, *order.tiers.values()):
        if name is not None and (not name.isprintable() or not name.strip()):
            raise Stop("the name of a model must be one line of printable characters", MISUSED)
    try:
        return tiers.plan(
            url,
            NO_KEY if key is None else key.text,
            wish,
            lambda name: window(client, published, name),
            list(published),
            os.environ,
        )
    except tiers.NoModel as error:
        raise Stop(str(error), MISUSED) from None


def require_ready(client: GatewayClient, *, given: bool) -> None:
    """Raises Stop unless a gateway answers at the address and takes requests."""
    try:
        reply = client.get("/readyz")
    except Unreachable as error:
        hint = "check --url" if given else "start it with `dragoman serve`"
        raise Stop(f"no gateway answers at {client.url} ({error}): {hint}") from None
    if not is_gateway(reply):
        raise Stop(f"what answers at {client.url} is no dragoman: check the address and the port")
    if reply.status != 200:
        raise Stop(f"the gateway at {client.url} is {reply.json['status']}: try again when it serves")


def is_gateway(reply: Reply) -> bool:
    """Whether an answer of /readyz is this product's."""
    known = reply.status in (200, 503) and isinstance(reply.json, dict)
    return known and isinstance(reply.json.get("status"), str) and "in_flight" in reply.json


def models(client: GatewayClient, key: ClientKey | None) -> dict[str, int | None]:
    """Published name -> window. Raises Stop when the key is refused."""
    try:
        reply = client.get("/v1/models?limit=1000")
    except Unreachable as error:
        raise Stop(f"the gateway at {client.url} stopped answering ({error})") from None
    if reply.status == 401:
        if key is None:
            raise Stop(
                "the gateway wants a client key and none was found: `dragoman key create NAME --save` makes "
                "one, or name yours with --key-env, --key-file or the variable DRAGOMAN_KEY",
                MISUSED,
            )
        raise Stop(
            f"the gateway does not know the key of {key.source}: `dragoman key create NAME` makes one",
            MISUSED,
        )
    rows = reply.json.get("data") if isinstance(reply.json, dict) else None
    if reply.status != 200 or not isinstance(rows, list):
        raise Stop(f"the gateway at {client.url} gave no list of models (status {reply.status})")
    return {
        row["id"]: _window(row) for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)
    }


def window(client: GatewayClient, published: Mapping[str, int | None], name: str) -> int | None:
    """The window of any name the gateway serves, also by a glob; None for one that it does not publish."""
    if name in published:
        return published[name]
    try:
        reply = client.get(f"/v1/models/{quote(name)}")
    except Unreachable:
        return None
    return _window(reply.json) if reply.status == 200 and isinstance(reply.json, dict) else None


def _window(row: Mapping[str, Any]) -> int | None:
    tokens = row.get("max_input_tokens")
    return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens > 0 else None


def _warn(plan: environment.Plan) -> None:
    """Names settings files that win over the environment of a process."""
    wanted = environment.variables(plan)
    for path in settings_file.places(Path.cwd(), os.environ):
        try:
            found = settings_file.environment_of(path)
        except ValueError:  # the client says itself what is wrong with its file
            continue
        names = [name for name, value in found.items() if wanted.get(name, value) != value]
        names += [name for name in environment.conflicting(found) if found[name]]
        if names:
            sys.stderr.write(
                f"dragoman: {path} sets {', '.join(names)}: Claude Code prefers that to this start "
                "(`dragoman doctor` explains)\n"
            )


def _settings_file(project: bool) -> Path:
    return settings_file.project_file(Path.cwd()) if project else settings_file.user_file(os.environ)


def _stamp() -> str:
    now = time.time()
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
