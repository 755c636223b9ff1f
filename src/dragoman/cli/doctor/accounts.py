"""Checks of the accounts: their addresses, a cheap request with their key, their models, the clock.

All accounts are asked at the same time, each within the limit; nothing is generated. What an answer says is
judged by its status alone: bodies of upstreams are not shown.
"""

from __future__ import annotations

import email.utils
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from dragoman import __version__
from dragoman.cli.client import Reply, Unreachable, call, opener, parsed
from dragoman.cli.doctor.findings import Finding, error, fine, warn
from dragoman.cli.doctor.visit import Visit
from dragoman.serving.configured import is_loopback, login_of, secret_of
from dragoman.settings import Account, Settings, SettingsError
from dragoman.wire import address

if TYPE_CHECKING:
    from dragoman.store.accounts import StoredAccount

SKEW_SECONDS = 60.0
# Tokens are renewed ahead of their end by every gateway that runs.
_UNRENEWED_SECONDS = 3600.0
_FAR = float("inf")
_MOST_BYTES = 4 * 1024 * 1024


@dataclass
class Answer:
    """What one account's server said, or why it said nothing."""

    account: Account
    reply: Reply | None = None
    problem: Unreachable | None = None
    secret_problem: str | None = None
    at: float = field(default=0.0)


def accounts(visit: Visit) -> Iterator[Finding]:
    """Every account in the order of the configuration."""
    if visit.settings is None:
        return
    rows = visit.settings.accounts
    own = [one for one in visit.kept if not one.configured]
    if not rows and not own:
        yield warn("account-none", "no account is configured: the built-in simulator answers")
        return
    for row in rows:
        yield from _address(row.name, row.base_url, has_key=_has_key(row))
    named = {row.name for row in rows}
    for one in visit.kept:
        if one.configured and one.name in named:
            yield from _login(one, "put a new login into its auth_file")
    for one in own:
        yield from _stored(one, visit.settings)
    if visit.offline:
        yield fine("account", "not asked (--offline)")
        return
    if not rows:
        return
    answers = [Answer(row) for row in rows]
    threads = [
        threading.Thread(target=_ask, args=(answer, visit), name=answer.account.name, daemon=True)
        for answer in answers
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + visit.seconds + 1.0  # a name server has no limit of its own
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    for answer in answers:
        yield from _judge(answer, visit.seconds)


def _stored(account: StoredAccount, settings: Settings) -> Iterator[Finding]:
    """An account of the store: not asked, because that would renew tokens and write them."""
    why = address.problem(account.base_url)
    if why is None and not settings.upstream.allow_link_local:
        why = address.forbidden(account.base_url)
    if why is not None:
        again = "remove it, and add it with the right address"
        yield error("account-address", f"account {account.name}: its base_url {why}", again)
    yield from _address(account.name, account.base_url, has_key=True)
    worries = list(_login(account, None))
    if worries:
        yield from worries
    elif account.status == "paused":
        yield warn("account", f"account {account.name} is paused", f"dragoman account resume {account.name}")
    else:
        yield fine(
            "account",
            f"account {account.name} ({urlsplit(account.base_url).netloc}) is in the store; "
            f"`dragoman account test {account.name}` asks it",
        )


def _login(account: StoredAccount, fix: str | None) -> Iterator[Finding]:
    """Whether the store knows that somebody has to log in."""
    name, why = account.name, (account.note or "its login is over").rstrip(".")
    if account.status == "dead":
        yield error("account-login", f"account {name} is closed: {why}", f"dragoman account remove {name}")
    elif account.status == "needs_login":
        yield error(
            "account-login",
            f"account {name} needs a new login: {why}",
            fix or f"dragoman account login {name}",
        )
    elif account.kind == "chatgpt" and (account.access_expires_at or _FAR) + _UNRENEWED_SECONDS < time.time():
        yield warn(
            "account-login",
            f"account {name}: its token has ended and nobody has renewed it, as a gateway that runs does",
            f"start the gateway, or dragoman account test {name}",
        )


def _address(name: str, base_url: str, *, has_key: bool) -> Iterator[Finding]:
    parts = urlsplit(base_url)
    where = f"accounts.{name}.base_url"
    for end in ("/responses", "/chat/completions"):
        if parts.path.endswith(end):
            yield error("account-address", f"{where} must end before {end}")
    if parts.scheme == "http" and not is_loopback(parts.hostname or "") and has_key:
        yield warn(
            "account-address",
            f"{where} is plain http: the account's key crosses the network in clear",
            f"https://{parts.netloc}, where the server has it; else a tunnel that begins on this machine",
        )


def _has_key(account: Account) -> bool:
    given = (account.api_key, account.api_key_env, account.api_key_file, account.auth_file)
    return any(one is not None for one in given)


def _credentials(account: Account) -> dict[str, str]:
    """The header fields that say whose request it is. Raises SettingsError."""
    if (login := login_of(account)) is not None:
        named = {"chatgpt-account-id": login.account_id} if login.account_id else {}
        return {"Authorization": f"Bearer {login.access_token}", **named}
    key = secret_of(account, f"accounts.{account.name}")
    return {
        **({"Authorization": f"Bearer {key}"} if key else {}),
        **({"OpenAI-Organization": account.organization} if account.organization else {}),
        **({"OpenAI-Project": account.project} if account.project else {}),
    }


def _ask(answer: Answer, visit: Visit) -> None:
    account = answer.account
    try:
        fields = {"User-Agent": f"dragoman/{__version__}", **_credentials(account)}
    except SettingsError as problem:
        answer.secret_problem = str(problem)
        return
    url = f"{account.base_url}/models"
    if account.kind == "chatgpt" and visit.settings is not None:
        from dragoman.upstream.chatgpt import CATALOGUE_VERSION

        version = quote(visit.settings.chatgpt.client_version or CATALOGUE_VERSION, safe="")
        url = f"{account.base_url}/codex/models?client_version={version}"
    ca_file = None if visit.settings is None else visit.settings.upstream.ca_file
    try:
        director = opener(url, ca_file)
    except OSError:
        answer.problem = Unreachable("certificate", f"not asked, because {ca_file} holds no certificates")
        return
    try:
        response, headers = call(director, urllib.request.Request(url, None, fields), visit.seconds)
        with response:
            body = response.read(_MOST_BYTES)
        answer.at = time.time()
        answer.reply = Reply(response.status or 0, headers, parsed(body))
    except Unreachable as problem:
        answer.problem = problem
    except OSError:
        answer.problem = Unreachable("connection", "the answer broke off")


def _judge(answer: Answer, seconds: float) -> Iterator[Finding]:
    account = answer.account
    named = f"account {account.name} ({urlsplit(account.base_url).netloc})"
    if answer.secret_problem is not None:
        yield error("account", answer.secret_problem, "set the variable or make the file that is named")
    elif answer.problem is not None:
        yield error("account", f"{named}: {answer.problem}", _FIXES[answer.problem.stage])
    elif answer.reply is None:
        yield error("account", f"{named}: no answer within {seconds:g} s", _FIXES["connection"])
    else:
        yield from _status(named, account, answer.reply)
        yield from _clock(named, answer.reply, answer.at)


_FIXES = {
    "name": "check the host in base_url and this machine's name server",
    "connection": "check base_url, the network, and HTTPS_PROXY / NO_PROXY",
    "certificate": "name the right certificates with upstream.ca_file, or correct base_url",
    "answer": "check that base_url is an HTTP server",
}


def _status(named: str, account: Account, reply: Reply) -> Iterator[Finding]:
    status = reply.status
    if status == 401 and account.kind == "chatgpt":
        yield warn(
            "account",
            f"{named}: reached, but the access token in its auth_file is not taken any more (status 401)",
            "nothing, if the gateway has renewed it since; else log in again and name the new auth.json",
        )
    elif status in (401, 403):
        yield error(
            "account", f"{named}: the server refuses the account's key (status {status})", "renew its key"
        )
    elif status == 200:
        yield fine("account", f"{named}: reached, and its key is taken")
        yield from _models(named, account, reply)
    elif status in (404, 405, 501) and account.kind == "responses":
        yield fine("account", f"{named}: reached; it has no list of models, so its key was not tried")
    elif status == 404:
        yield error("account", f"{named}: there is no /models at base_url (status 404)", "correct base_url")
    elif 300 <= status < 400:
        yield error(
            "account", f"{named}: redirects (status {status}), which is not followed", "correct base_url"
        )
    elif status == 429:
        yield warn(
            "account", f"{named}: reached, but its limit is spent (status 429)", "wait, or add an account"
        )
    else:
        yield warn("account", f"{named}: reached, but it answers with status {status}", "try again later")


def _models(named: str, account: Account, reply: Reply) -> Iterator[Finding]:
    chatgpt = account.kind == "chatgpt"
    rows = reply.json.get("models" if chatgpt else "data") if isinstance(reply.json, dict) else None
    if not account.models or not isinstance(rows, list):
        return
    offered = {row.get("slug" if chatgpt else "id") for row in rows if isinstance(row, dict)}
    for name in account.models:
        if name not in offered:
            yield warn("account-models", f"{named}: its server does not list the model {name}")


def _clock(named: str, reply: Reply, at: float) -> Iterator[Finding]:
    try:
        theirs = email.utils.parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return
    skew = at - theirs
    if abs(skew) > SKEW_SECONDS:
        side = "ahead of" if skew > 0 else "behind"
        yield warn("clock", f"this machine's clock is {abs(skew):.0f} s {side} that of {named}")
    else:
        yield fine("clock", f"this machine's clock agrees with that of {named}")
