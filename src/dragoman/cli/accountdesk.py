"""What the verbs of `dragoman account` share: who is refused, what was said, files read and written.

Refusals become one sentence and an exit code. Keys come from a variable or from standard input, never from an
argument, and nothing is kept before everything was judged.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import typer

from dragoman.cli import errand
from dragoman.cli.errand import Place
from dragoman.cli.options import FAILED, MISUSED, Stop
from dragoman.onboarding.intake import (
    OPENAI,
    Configured,
    Intake,
    Refusal,
    good_address,
    login_from,
)
from dragoman.onboarding.probe import Prober, Verdict
from dragoman.onboarding.signin import SignInFailed
from dragoman.serving import configured
from dragoman.serving.fleet import Fleet, identity_of
from dragoman.serving.logins import logins, user_agent
from dragoman.serving.store import Store
from dragoman.settings import Settings, SettingsError
from dragoman.store.accounts import Accounts, Added, Credentials, StoredAccount
from dragoman.store.quotas import Quota, Quotas
from dragoman.upstream.authfile import MOST_BYTES, AuthFileError, Login, export, parse
from dragoman.upstream.calls import Calls
from dragoman.upstream.oauth import Issuer

_MODEL, _GROUP, _KEY = 256, 64, 4096


@contextmanager
def refusing() -> Iterator[None]:
    """Turns what on-boarding refuses into Stop."""
    try:
        yield
    except Refusal as problem:
        raise Stop(_option(str(problem)), MISUSED) from None
    except SignInFailed as failed:
        raise Stop(_lower(str(failed))) from None


class Desk:
    """On-boarding for one verb."""

    def __init__(self, here: Place, store: Store) -> None:
        self._here = here
        self._store = store

    @property
    def backend(self) -> str:
        """Where ChatGPT accounts are called."""
        return self._here.settings.chatgpt.base_url

    def intake(self, now: float) -> Intake:
        """Takes accounts in, noted as the command line's."""

        def noting(action: str, name: str, detail: Mapping[str, Any]) -> Accounts:
            return self._store.noting(action, f"account:{name}", now, detail).accounts

        return Intake(self._store.accounts, noting, known(self._here.settings, self._store.accounts))

    @asynccontextmanager
    async def issuer(self) -> AsyncIterator[Issuer]:
        """The host that logs in, as it is configured."""
        settings = self._here.settings
        configured.check_certificates(settings)
        ca_file = settings.upstream.ca_file
        calls = Calls(user_agent=user_agent(settings), ca_file=None if ca_file is None else str(ca_file))
        chatgpt = settings.chatgpt
        try:
            yield Issuer(calls, chatgpt.issuer, chatgpt.client_id, time.time, originator=chatgpt.originator)
        finally:
            await calls.close()

    def address(self, kind: str, base_url: str | None) -> str:
        """The address of an account with a key. Raises Refusal."""
        if base_url is None:
            if kind == "responses":
                raise Refusal("base_url: is needed for kind responses, such as http://127.0.0.1:11434/v1")
            base_url = OPENAI
        return good_address(base_url, allow_link_local=self._here.settings.upstream.allow_link_local)


def known(settings: Settings, accounts: Accounts) -> Configured:
    """The accounts of the configuration file, as far as they can be told apart from here."""
    identities: dict[str, str] = {}
    for row in settings.accounts:
        try:
            made = configured.static_account(row)
        except SettingsError:  # its variable or file belongs to the server's environment
            continue
        identities.setdefault(identity_of(made, accounts), row.name)
    return Configured(frozenset(row.name for row in settings.accounts), identities)


def refuse_of_file(here: Place, name: str) -> None:
    """Raises Stop for an account of the configuration file."""
    if any(row.name == name for row in here.settings.accounts):
        raise Stop(f"{name!r} is an account of the configuration file: it is changed there")


def say_taken(added: Added, name: str | None) -> None:
    """What became of an account that was taken in."""
    account = added.account
    told = ", ".join(part for part in (account.email, account.plan and f"plan {account.plan}") if part)
    whose = f" ({told})" if told else ""
    if added.created:
        errand.say(f"The account {account.name!r}{whose} is in the pool.")
    elif name is not None and name != account.name:
        errand.say(f"This is the account {account.name!r}{whose}, which has the new credentials now.")
    else:
        errand.say(f"The account {account.name!r}{whose} has the new credentials.")
    if account.status == "paused":
        errand.warn(f"it is paused: dragoman account resume {account.name}")


def name_and_path(words: Sequence[str], *, codex: bool) -> tuple[str | None, str]:
    """What `import` was told: a name perhaps, and a path; `-` is standard input. Raises Stop."""
    if codex:
        if len(words) > 1:
            raise Stop("--codex: give a NAME at most, and no PATH", MISUSED)
        home = os.environ.get("CODEX_HOME", "").strip()
        place = Path(home) if home else Path.home() / ".codex"
        return (words[0] if words else None), str(place / "auth.json")
    if not 1 <= len(words) <= 2:
        raise Stop("give the PATH of an auth.json, and a NAME before it if you like (or --codex)", MISUSED)
    return (words[0] if len(words) == 2 else None), words[-1]


def read_login(path: str) -> Login:
    """The login of an auth.json. Raises Stop."""
    try:
        if path == "-":
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        return parse(content)
    except OSError as error:
        raise Stop(f"{path}: {error.strerror}", MISUSED) from None
    except AuthFileError as problem:
        where = "standard input" if path == "-" else path
        raise Stop(f"{where}: {_lower(str(problem))}", MISUSED) from None


def kind_of(word: str) -> Literal["openai", "responses"]:
    """The kind of an account with a key. Raises Stop."""
    if word == "openai":
        return "openai"
    if word == "responses":
        return "responses"
    if word == "chatgpt":
        raise Stop("--kind chatgpt: such an account logs in: dragoman account login NAME, or import", MISUSED)
    raise Stop(f"--kind {word!r}: must be openai or responses", MISUSED)


def key_of(
    kind: str, key_env: str | None, organization: str | None, project: str | None, *, stdin: bool
) -> Credentials:
    """The credentials that were named. Raises Stop and SettingsError; no sentence holds the key."""
    if key_env is not None and stdin:
        raise Stop("--key-env and --key-stdin: give one of the two", MISUSED)
    key = None
    if key_env is not None:
        key = configured.of_variable(key_env, "--key-env")
    elif stdin:
        key = configured.fit(sys.stdin.readline(_KEY).strip(), "--key-stdin: the key")
        if not key:
            raise Stop("--key-stdin: standard input holds no key", MISUSED)
    elif kind == "openai":
        raise Stop("an openai account needs its key: --key-env VARIABLE or --key-stdin", MISUSED)
    for option, text in (("--organization", organization), ("--project", project)):
        if text is not None:
            configured.fit(text, option)
    return Credentials(api_key=key, organization=organization or None, project=project or None)


def models_of(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """The models that were named. Raises Stop."""
    for name in names or ():
        if not 0 < len(name) <= _MODEL or name != name.strip() or not name.isprintable():
            raise Stop(f"--models: must be names of 1 to {_MODEL} printable characters", MISUSED)
    return tuple(dict.fromkeys(names)) if names else None


def group_of(name: str) -> str:
    """The group that was named. Raises Stop."""
    if len(name) > _GROUP or name != name.strip() or not (name.isprintable() or not name):
        raise Stop(f"--group: must be at most {_GROUP} printable characters", MISUSED)
    return name


async def changed(
    store: Store,
    name: str,
    weight: float | None,
    priority: int | None,
    group: str | None,
    concurrency: int | None,
    models: Sequence[str] | None,
    *,
    any_model: bool,
) -> StoredAccount:
    """Changes what was given of an account. Raises Stop, StoreError."""
    before = await store.accounts.get(name)
    listed = models_of(models) or (None if any_model else before.models)
    values: dict[str, Any] = {
        "weight": before.weight if weight is None else weight,
        "priority": before.priority if priority is None else priority,
        "group": before.group if group is None else group_of(group),
        "concurrency": before.concurrency if concurrency is None else concurrency or None,
        "models": None if listed is None else list(listed),
    }
    noting = store.noting("account.change", f"account:{before.name}", time.time(), values)
    return await noting.accounts.change(before.name, **values)


async def tried(here: Place, store: Store, name: str) -> Verdict:
    """What the upstream of an account says. Raises Stop, SettingsError, StoreError."""
    settings = here.settings
    configured.check_certificates(settings)
    rows = [row for row in settings.accounts if row.name == name]
    stored = [one for one in await store.accounts.listed(configured=True) if one.name == name]
    if not rows and not any(not one.configured for one in stored):
        await store.accounts.get(name)  # says that it is not there
        raise Stop(f"{name!r} stands in another configuration file: name it with --config")
    told = stored[0] if stored else None
    if told is not None and told.status in ("needs_login", "dead"):
        return Verdict(False, told.note or "the login is over", _again(name, bool(rows)))
    static = [configured.static_account(row) for row in rows]
    pool = await logins(settings, static, lambda *_, **__: None, store)
    try:
        fleet = Fleet(static, store.facts.root, pool.roads, accounts=store.accounts, kept=pool.kept)
        fleet.adopt(stored)
        account = fleet.accounts.get(name)
        if account is None:
            return Verdict(False, "its credentials cannot be opened with this key ring", _again(name, False))
        prober = Prober(pool.calls, pool.roads, pool.backend, time.time)
        models = None if account.models is None else sorted(account.models)
        verdict = await prober.probe(name, account.kind, models)
        now = time.time()
        await Quotas(store.database).save(
            Quota(
                fleet.stored_id(name),
                row["meter"],
                row["seconds"],
                row["used"],
                row["resets_at"],
                now - row["age"],
            )
            for row in verdict.windows
        )
        return verdict
    finally:
        await pool.stop()


def _again(name: str, of_file: bool) -> str:
    return "put a new login into its auth_file" if of_file else f"dragoman account login {name}"


async def exported(here: Place, store: Store, name: str) -> bytes:
    """An account as an auth.json, noted in the audit trail. Raises Stop, StoreError."""
    for row in here.settings.accounts:
        if row.name == name:
            held = "it has a key, no login" if row.auth_file is None else f"its login is {row.auth_file}"
            raise Stop(f"{name!r} is an account of the configuration file: {held}")
    account = await store.accounts.get(name)
    login = None
    if account.kind == "chatgpt":
        login = login_from(store.accounts.opened(account), account.last_refresh)
    if login is None:
        raise Stop(f"{account.name!r} is no ChatGPT login: only those are exported")
    async with store.noting("account.export", f"account:{account.name}", time.time()).database.write():
        pass
    return export(login)


def write_private(path: Path, content: bytes) -> None:
    """Writes a new file that its owner alone may read. Raises Stop."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except FileExistsError:
        raise Stop(f"--output: {path} exists already: move it away first") from None
    except OSError as error:
        raise Stop(f"--output: {path}: {error.strerror}", FAILED) from None
    typer.echo(f"The login is written to {path}, readable by you alone.")


_OPTIONS = {"base_url: ": "--base-url: ", "name: ": "NAME: "}


def _option(sentence: str) -> str:
    for field, option in _OPTIONS.items():
        if sentence.startswith(field):
            return option + sentence.removeprefix(field)
    return sentence


def _lower(sentence: str) -> str:
    return f"{sentence[:1].lower()}{sentence[1:]}".removesuffix(".")
