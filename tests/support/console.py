"""A gateway for a test of the console: simulator, accounts, people, keys, and requests as clients make them.

Everything is invented. `furnished` is a gateway that people work with; `bare` is one of the first minute.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from dragoman.gateway.ports import Row
from tests.support.gateway import Gateway, gateway
from tests.support.house import Simulator, rule, say, simulator, think
from tests.support.logins import document

ADMIN = "ada"
VIEWER = "vera"
PASSWORD = "correct horse battery"
KEY = "sk-drg-console-tests"
CONFIG = """
[server]
drain_seconds = 1
[models]
"claude-haiku-*" = "gpt-5.4-mini"
"claude-*" = "gpt-5.5"
[chatgpt]
issuer = "{sim}"
base_url = "{sim}/backend-api"
[[accounts]]
name = "team-plan"
kind = "chatgpt"
base_url = "{sim}/backend-api"
auth_file = "{login}"
priority = 2
[[accounts]]
name = "platform"
kind = "openai"
base_url = "{sim}/v1"
api_key = "sk-simulated"
priority = 1
[[keys]]
name = "laptop"
key = "{key}"
"""
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Session:
    """Somebody who uses the admin API without a browser."""

    url: str
    cookie: str = ""
    csrf: str = ""

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. Raises AssertionError with what was refused."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if self.cookie:
            headers |= {"cookie": self.cookie, "x-csrf-token": self.csrf}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/admin/api{path}", data, headers, method=method)
        try:
            with _direct.open(request, timeout=60) as answer:
                if set_cookie := answer.headers.get("set-cookie"):
                    ((name, morsel),) = SimpleCookie(set_cookie).items()
                    self.cookie = f"{name}={morsel.value}"
                found = json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:2000]!r}") from None
        if isinstance(found, dict) and "csrf_token" in found:
            self.csrf = found["csrf_token"]
        return found


@dataclass
class Console:
    """A gateway, and who may come in. `keys` are the texts of its keys by name."""

    gate: Gateway
    data: Path
    sim: Simulator | None = None
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.gate.url

    @property
    def token(self) -> str:
        """The set-up token that was printed at the start."""
        return self.gate.run.await_line(r"(drg-setup-\S+)").group(1)

    def session(self, name: str = ADMIN) -> Session:
        """One of the two people, logged in."""
        made = Session(self.url)
        made.send("POST", "/login", {"name": name, "password": PASSWORD})
        return made

    def settle(self) -> Session:
        """Makes both people; the admin is logged in."""
        admin = Session(self.url)
        admin.send("POST", "/setup", {"token": self.token, "name": ADMIN, "password": PASSWORD})
        admin.send("POST", "/users", {"name": VIEWER, "role": "viewer", "password": PASSWORD})
        return admin

    def ask(
        self,
        messages: str | list[dict[str, Any]],
        *,
        key: str = KEY,
        model: str = "claude-sonnet-5-5",
        session: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """A request of a client, answered; the error's body where it was refused."""
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        body = {"model": model, "max_tokens": 1000, "messages": messages, **more}
        given = {
            "content-type": "application/json",
            "x-api-key": key,
            "user-agent": "claude-cli/2.1.330 (external, cli)",
            **({"x-claude-code-session-id": session} if session else {}),
            **(headers or {}),
        }
        request = urllib.request.Request(f"{self.url}/v1/messages", json.dumps(body).encode(), given)
        try:
            with _direct.open(request, timeout=60) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            found = json.load(error)
        return found

    def converse(
        self,
        session: str,
        turns: Iterable[str],
        system: str = "",
        before: Iterable[dict[str, Any]] = (),
        **more: Any,
    ) -> list[dict[str, Any]]:
        """Turns that repeat the ones before them, as a client's do. Returns the messages so far."""
        messages = list(before)
        if system:
            more["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
        for words in turns:
            messages.append({"role": "user", "content": words})
            answer = self.ask(messages, session=session, **more)
            if answer.get("type") == "message":
                messages.append({"role": "assistant", "content": answer["content"]})
        return messages

    def remember(self, rows: Iterable[Row]) -> None:
        """Writes rows of the past into the database, as if they had been served."""
        with ThreadPoolExecutor(1) as aside:  # Playwright has a loop of its own in the test's thread
            aside.submit(asyncio.run, _remembered(self.data, list(rows))).result()


async def _remembered(data: Path, made: list[Row]) -> None:
    from dragoman.store.engine import Database, locate
    from tests.support.ledger import put

    database = Database(locate("sqlite:///dragoman.db", data))
    try:
        await put(database, made)
    finally:
        await database.close()


@contextmanager
def bare(place: Path) -> Iterator[Console]:
    """A gateway as it is when it was just started: nothing configured, nobody known."""
    with gateway(place / "gateway", "[server]\ndrain_seconds = 1\n") as gate:
        yield Console(gate, place / "gateway" / "data")


@contextmanager
def furnished(place: Path, pace: Mapping[str, int] | None = None) -> Iterator[Console]:
    """A gateway with accounts, people, keys and a day's requests. `pace` is how slow the model is: rules of
    the simulator; without it answers come at once."""
    with simulator(place / "simulator") as sim:
        login = document("team-plan")
        file = place / "team-plan.json"
        file.write_text(json.dumps(login))
        tokens = login["tokens"]
        sim.account(
            "team-plan",
            kind="codex",
            access=tokens["access_token"],
            refresh=tokens["refresh_token"],
            primary_quota=100_000,
            secondary_quota=900_000,
        )
        config = CONFIG.format(sim=sim.url, login=file, key=KEY)
        with gateway(place / "gateway", config) as gate:
            console = Console(gate, place / "gateway" / "data", sim, {"laptop": KEY})
            furnish(console, pace or {})
            yield console


RULES = (
    {**rule(match={"user": "breaks"}), "preset": "500"},
    {**rule(match={"user": "too much"}), "preset": "400_context_length"},
    rule(
        think("Looking at the failing test first", tokens=320),
        say("The test compares a local time with UTC; the fix is one line in `clock.py`."),
        match={"user": "failing test"},
    ),
)
# Long enough to be cached.
HOUSE_STYLE = "You work in a small Python repository. " + " ".join(
    f"Rule {number}: keep change {number} small, name it after what it does, and say why."
    for number in range(150)
)

FILE = "\n".join(
    f"def hour_{number}(day: int) -> int:\n    return day * 24 + {number}" for number in range(500)
)


def furnish(console: Console, pace: Mapping[str, int]) -> None:
    """People, keys, and some requests: cached turns, a conversation whose prefix breaks, failures."""
    assert console.sim is not None
    console.sim.scenario(*({**one, "pace": dict(pace)} if pace else one for one in (*RULES, rule())))
    admin = console.settle()
    for name, more in (
        ("ci", {"limits": [{"measure": "cost_usd", "per": "day", "max": 25}], "tags": ["automation"]}),
        (
            "notebook",
            {"max_effort": "medium", "limits": [{"measure": "tokens", "per": "5h", "max": 2_000_000}]},
        ),
    ):
        console.keys[name] = admin.send("POST", "/keys", {"name": name, **more})["key"]
    turns = ("Why is the failing test red?", "Fix it.", "Add a test for midnight.", "Sum up what changed.")
    console.converse("5f0c7a52-0000-4000-8000-000000000001", turns, HOUSE_STYLE)
    session = "5f0c7a52-0000-4000-8000-000000000002"
    notebook: dict[str, Any] = {"key": console.keys["notebook"], "model": "claude-opus-4-8"}
    first = f"{turns[0]} This is the file:\n{FILE}"
    before = console.converse(session, (first, *turns[1:3]), HOUSE_STYLE, **notebook)
    # The client changes what it said before: the cached prefix ends there.
    before[0] = {"role": "user", "content": f"It is late. {first}"}
    console.converse(session, turns[3:], HOUSE_STYLE, before, **notebook)
    for number in range(3):
        console.ask(f"Check pull request {number}.", key=console.keys["ci"], model="claude-haiku-4-5")
    console.ask("This breaks.", key=console.keys["ci"])
    console.ask("This is too much.", key=console.keys["ci"])
    console.ask("Nobody knows this model.", model="unheard-of-model")
