"""`dragoman account` against a simulated service: four ways in, what is refused, and what never comes out."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import stat
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from dragoman.cli import accountlogin
from dragoman.simulator import server
from dragoman.simulator.server import Running
from dragoman.simulator.state import State
from dragoman.store.engine import Database, locate
from dragoman.store.rests import Rest, Rests
from tests.support import logins
from tests.support.gateway import bare_environment
from tests.support.verbs import Said, Verbs
from tests.support.zygote import COMMAND

KEY = "sk-sim-default"
FIXED = '[[accounts]]\nname = "fixed"\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "sk-fixed"\n'


@dataclass
class Installed:
    """An installation beside a simulated service."""

    up: Running
    verbs: Verbs

    async def run(self, *arguments: str, code: int = 0, stdin: str | None = None) -> Said:
        return await asyncio.to_thread(self.verbs, "account", *arguments, code=code, stdin=stdin)

    async def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.run("list", "--json")).json()
        return found

    def file(self, name: str, document: Any) -> str:
        path = self.verbs.place / f"{name}.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(path)


@asynccontextmanager
async def installed(verbs: Verbs, more: str = "") -> AsyncIterator[Installed]:
    up = await server.start("127.0.0.1", 0, state=State({"strict_keys": True, "rate_per_key": 0}))
    verbs.configure(f'[chatgpt]\nissuer = "{up.url}"\nbase_url = "{up.url}/backend-api"\n{more}')
    verbs.environment["UPSTREAM_KEY"] = KEY
    try:
        yield Installed(up, verbs)
    finally:
        await up.close()


async def came_back(url: str) -> str:
    """Where the browser is sent to once somebody has logged in."""
    async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as reply:
        return reply.headers["location"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Browser:
    """Stands in for webbrowser.open: logs in, and goes where it is sent, at the port that was chosen."""

    def __init__(self, port: int, account: str = "", error: str = "") -> None:
        self.port = port
        self.account = account
        self.error = error
        self.pages: list[str] = []

    def open(self, url: str) -> bool:
        threading.Thread(target=asyncio.run, args=(self._go(url),), daemon=True).start()
        return True

    async def _go(self, url: str) -> None:
        address = await came_back(url + (f"&account={self.account}" if self.account else ""))
        query = urlsplit(address).query
        if self.error:
            query = f"error={self.error}&state={parse_qs(query)['state'][0]}"
        back = f"http://127.0.0.1:{self.port}/auth/callback?{query}"
        async with aiohttp.ClientSession() as session, session.get(back) as reply:
            self.pages.append(await reply.text())


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """The callback's port of this test: the real one may be another test's."""
    chosen = free_port()
    monkeypatch.setattr(accountlogin, "PORT", chosen)
    monkeypatch.setenv("DISPLAY", ":0")
    return chosen


# -- the four ways in ----------------------------------------------------------------------------------------


async def test_with_the_browser_of_this_machine(
    verbs: Verbs, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is shown and opened; the browser comes back and the account is there."""
    browser = Browser(port)
    monkeypatch.setattr("webbrowser.open", browser.open)
    async with installed(verbs) as here:
        said = await here.run("login", "plus")
        assert "/oauth/authorize?" in said.out
        assert "The account 'plus' (chatgpt@example.com, plan plus) is in the pool." in said.out
        (row,) = await here.listed()
        assert (row["name"], row["kind"], row["status"]) == ("plus", "chatgpt", "active")
        tried = await here.run("test", "plus")
        assert tried.out.startswith("plus: the login is taken (plan plus); 100% of 5h left")
        told = await here.run("show", "plus")
        assert re.search(r"^5h of main +100% left, reset 20.* UTC \(.*, heard \d+s ago\)$", told.out, re.M)
        assert "100% of 5h" in (await here.run("list")).out
        windows = (await here.run("show", "plus", "--json")).json()["quota"]
        assert {row["window"]: row["remaining"] for row in windows} == {"5h": 1.0, "7d": 1.0}
    assert "You are logged in" in browser.pages[0]


async def test_a_device_code_is_shown_and_asked_for(verbs: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
    async def quick(_: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(accountlogin, "sleep", quick)
    async with installed(verbs) as here:
        said = await here.run("login", "dev", "--device")
        assert f"{here.up.url}/codex/device" in said.out
        assert re.search(r"^  [0-9A-F]{4}-[0-9A-F]{4}$", said.out, re.M)
        assert [row["name"] for row in await here.listed()] == ["dev"]


def test_a_pasted_address_at_a_terminal_of_its_own(tmp_path: Path) -> None:
    """The command itself, with a pipe as standard input: wrong pastes are told, the right one counts."""
    up, done = _in_a_thread()
    try:
        config = tmp_path / "c.toml"
        config.write_text(f'[chatgpt]\nissuer = "{up.url}"\nbase_url = "{up.url}/backend-api"\n')
        argv = [str(COMMAND), "account", "login", "web", "--paste"]
        argv += ["--config", str(config), "--data-dir", str(tmp_path / "data")]
        process = subprocess.Popen(
            argv,
            env=bare_environment(tmp_path / "home"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        try:
            url = ""
            while "/oauth/authorize?" not in url:
                url = process.stdout.readline()
                assert url, process.stderr.read()
            address = asyncio.run(came_back(url.strip()))
            process.stdin.write("not an address\n")
            process.stdin.flush()
            assert "There is no code in it" in process.stderr.readline()
            process.stdin.write(f"{address}\n")
            process.stdin.flush()
            out, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            assert "'web' (chatgpt@example.com, plan plus) is in the pool" in out
        finally:
            process.kill()
            process.wait()
    finally:
        done()


def _in_a_thread() -> tuple[Running, Any]:
    """A simulated service with a loop of its own."""
    found: list[Running] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        found.append(loop.run_until_complete(server.start("127.0.0.1", 0, state=State())))
        ready.set()
        loop.run_forever()
        loop.run_until_complete(found[0].close())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(60)

    def done() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)

    return found[0], done


async def test_where_the_port_is_taken_the_address_can_be_pasted(
    verbs: Verbs, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The callback cannot be awaited; standard input is the fallback, and a foreign address is none."""
    monkeypatch.delenv("DISPLAY")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        async with installed(verbs) as here:
            foreign = "http://localhost:1455/auth/callback?code=a&state=b"
            said = await here.run("login", "web", code=1, stdin=f"{foreign}\n")
            assert f"Port {port} of this machine cannot be used" in said.err
            assert "it belongs to another log-in" in said.err.lower()
            assert await here.listed() == []


async def test_an_auth_json_of_codex_in_every_way(verbs: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file, from standard input, from Codex's own place when that is asked for; twice is once."""
    async with installed(verbs) as here:
        logins.account(here.up, verbs.place, "acct-1")
        document = json.dumps(logins.document("acct-1"))
        said = await here.run("import", str(verbs.place / "acct-1.json"))
        assert "'acct-1' (acct-1@example.com, plan plus) is in the pool" in said.out
        assert "single use" in said.err
        again = await here.run("import", "other", "-", stdin=document)
        assert "This is the account 'acct-1'" in again.out
        home = verbs.place / "codex"
        home.mkdir()
        (home / "auth.json").write_text(json.dumps(logins.document("acct-2")))
        verbs.environment["CODEX_HOME"] = str(home)
        await here.run("import", "mine", "--codex")
        assert [row["name"] for row in await here.listed()] == ["acct-1", "mine"]
        asked = await here.run("import", code=2)
        assert "(or --codex)" in asked.err


async def test_an_api_key_from_a_variable_or_standard_input_never_an_argument(verbs: Verbs) -> None:
    async with installed(verbs) as here:
        base = ("--base-url", f"{here.up.url}/v1")
        await here.run("add", "paid", *base, "--key-env", "UPSTREAM_KEY", "--models", "gpt-5.5")
        same = await here.run("add", "twice", *base, "--key-stdin", stdin=f"{KEY}\n")
        assert "This is the account 'paid'" in same.out
        await here.run("add", "local", "--kind", "responses", *base, "--group", "home", "--weight", "2")
        rows = {row["name"]: row for row in await here.listed()}
        assert rows["paid"]["models"] == ["gpt-5.5"]
        assert (rows["local"]["group"], rows["local"]["weight"]) == ("home", 2.0)
        assert (await here.run("test", "paid")).out.startswith("paid: the key is taken; the server lists")
        refused = await here.run("test", "local", code=1)
        assert "refuses the key (status 401)" in refused.out
        assert "What to do: add the account again with a good key." in refused.out
        options = await here.run("add", "--help")
        assert "--key-env" in options.out and not re.search(r"--(api-)?key\s", options.out)


# -- what is refused, and keeps nothing ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "is empty"),
        ("{", "is no JSON"),
        ('{"OPENAI_API_KEY": "sk-x"}', "holds an API key and no tokens"),
        (logins.document("a", refresh_token=None), "refresh_token is missing"),
        (logins.document("a", account_id="b"), "belongs to another workspace"),
        (logins.document("a", access_token="not sendable\n\u00e9"), "holds characters that no token has"),
    ],
)
async def test_a_broken_auth_json_is_a_sentence(verbs: Verbs, document: Any, said: str) -> None:
    async with installed(verbs) as here:
        refused = await here.run("import", here.file("auth", document), code=2)
        assert said in refused.err
        assert len(refused.err.strip().splitlines()) == 1
        assert await here.listed() == []
        missing = await here.run("import", str(verbs.place / "nothing.json"), code=2)
        assert missing.err.endswith("nothing.json: No such file or directory\n")


async def test_tokens_from_before_a_refresh_are_not_taken_back(verbs: Verbs) -> None:
    """They are spent: to use them would end the login. A login that is over takes whatever comes."""
    async with installed(verbs) as here:
        old = {**logins.document("acct-1"), "last_refresh": "2026-11-01T00:00:00Z"}
        new = {**logins.document("acct-1"), "last_refresh": "2026-11-20T00:00:00Z"}
        new["tokens"] |= {"refresh_token": "rt-newer"}
        await here.run("import", "one", here.file("new", new))
        refused = await here.run("import", "one", here.file("old", old), code=1)
        assert "has newer tokens than this file" in refused.err
        exported = (await here.run("export", "one")).json()
        assert exported["tokens"]["refresh_token"] == "rt-newer"


async def test_a_refused_device_login_and_a_wrong_issuer_are_sentences(
    verbs: Verbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: float) -> None:
        for device in here.up.state.grants._devices.values():
            device.denied = True
        await asyncio.sleep(0)

    async with installed(verbs) as here:
        with monkeypatch.context() as patch:
            patch.setattr(accountlogin, "sleep", refuse)
            refused = await here.run("login", "dev", "--device", code=1)
        assert refused.err == (
            "dragoman: the device login was refused in the browser: start it again if that was a mistake\n"
        )
        verbs.environment["DRAGOMAN_CHATGPT__ISSUER"] = f"{here.up.url}/nowhere"
        wrong = await here.run("login", "dev", "--device", code=1)
        assert "device login is not enabled at this issuer" in wrong.err
        verbs.environment["DRAGOMAN_CHATGPT__ISSUER"] = "http://127.0.0.1:9"
        nobody = await here.run("login", "dev", "--device", code=1)
        assert "the issuer could not be reached" in nobody.err and "chatgpt.issuer" in nobody.err
        del verbs.environment["DRAGOMAN_CHATGPT__ISSUER"]
        assert await here.listed() == []


async def test_an_expired_code_and_a_refusal_in_the_browser_keep_nothing(
    verbs: Verbs, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with installed(verbs) as here:
        refusing = Browser(port, error="access_denied")
        monkeypatch.setattr("webbrowser.open", refusing.open)
        refused = await here.run("login", "web", code=1)
        assert "was refused in the browser: start it again" in refused.err
        expired: Any = here.up.state.grants
        monkeypatch.setattr(expired, "_exchange", lambda *_: _answer("invalid_grant"))
        monkeypatch.setattr("webbrowser.open", Browser(port).open)
        spent = await here.run("login", "web", code=1)
        assert "does not take this code: it was used, has expired" in spent.err
        assert await here.listed() == []


def _answer(code: str) -> Any:
    from dragoman.simulator.refusal import Answer

    return Answer(400, {"error": code, "error_description": "x"})


async def test_a_name_never_means_two_accounts(
    verbs: Verbs, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another account's login is not put under a name; the file's names and accounts are the file's."""
    async with installed(verbs, FIXED) as here:
        monkeypatch.setattr("webbrowser.open", Browser(port).open)
        await here.run("login", "plus")
        monkeypatch.setattr("webbrowser.open", Browser(port, account="acct-other").open)
        other = await here.run("login", "plus", code=1)
        assert "'plus' is another ChatGPT account or workspace (chatgpt@example.com)" in other.err
        base = ("--base-url", f"{here.up.url}/v1", "--key-env", "UPSTREAM_KEY")
        await here.run("add", "paid", *base)
        kind = await here.run("login", "paid", code=1)
        assert "there is an account named 'paid' of kind openai already" in kind.err
        for name in ("login", "pause", "resume", "remove"):
            fixed = await here.run(name, "fixed", code=1)
            assert "'fixed' is an account of the configuration file" in fixed.err
        verbs.environment["SAME"] = "sk-fixed"
        same = await here.run(
            "add", "again", "--base-url", "http://127.0.0.1:9/v1/", "--key-env", "SAME", code=1
        )
        assert "this is the account 'fixed' of the configuration file" in same.err
        rows = await here.listed()
        assert [(row["name"], row["source"], row["read_only"]) for row in rows] == [
            ("fixed", "config", True),
            ("paid", "store", False),
            ("plus", "store", False),
        ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--base-url", "ftp://a.test"), "--base-url: must be an http or https address"),
        (("--base-url", "http://169.254.169.254/v1"), "upstream.allow_link_local permits it"),
        (("--base-url", "http://0xa9fea9fe/v1"), "upstream.allow_link_local permits it"),
        (("--base-url", "http://metadata.google.internal"), "is a metadata service"),
        (("--base-url", "https://a.test/v1/responses"), "must end before /responses"),
        (("--base-url", "https://me:pw@a.test/v1"), "must hold no user name or password"),
        (("--kind", "responses"), "is needed for kind responses"),
        (("--kind", "chatgpt"), "dragoman account login NAME"),
        (("--kind", "azure"), "must be openai or responses"),
        (("--key-env", "NOBODY_SET_THIS"), "the variable NOBODY_SET_THIS is empty"),
        (("--key-env", "A", "--key-stdin"), "give one of the two"),
        ((), "needs its key: --key-env VARIABLE or --key-stdin"),
        (("--key-stdin",), "standard input holds no key"),
    ],
)
async def test_what_cannot_be_added_is_a_sentence(verbs: Verbs, options: tuple[str, ...], said: str) -> None:
    """reliability X9"""
    async with installed(verbs) as here:
        refused = await here.run("add", "a", *options, code=2, stdin="\n")
        assert said in refused.err
        assert await here.listed() == []


# -- what is done with them ----------------------------------------------------------------------------------


async def test_an_accounts_life(verbs: Verbs) -> None:
    async with installed(verbs) as here:
        logins.account(here.up, verbs.place, "acct-1")
        await here.run("import", "one", str(verbs.place / "acct-1.json"))
        await here.run("pause", "one")
        assert (await here.listed())[0]["status"] == "paused"
        again = await here.run("import", "one", str(verbs.place / "acct-1.json"))
        assert "it is paused: dragoman account resume one" in again.err
        await here.run("resume", "one")
        nothing = await here.run("set", "one", code=2)
        assert "nothing to change was given" in nothing.err
        changed = await here.run(
            "set", "one", "--weight", "0.5", "--priority", "2", "--group", "team", "--concurrency", "4",
            "--models", "gpt-5.5", "--json",
        )  # fmt: skip
        told = changed.json()
        decided = [told[name] for name in ("weight", "priority", "group", "concurrency", "models")]
        assert decided == [0.5, 2, "team", 4, ["gpt-5.5"]]
        back = (await here.run("set", "one", "--any-model", "--concurrency", "0", "--json")).json()
        assert (back["models"], back["concurrency"], back["weight"]) == (None, None, 0.5)
        assert "team" in (await here.run("show", "one")).out
        asked = await here.run("remove", "one", code=2)
        assert "say --yes" in asked.err
        await here.run("remove", "one", "--yes")
        gone = await here.run("show", "one", code=1)
        assert gone.err == "dragoman: there is no account 'one'\n"
        assert (await here.run("list")).out.startswith("No account:")


async def test_a_rest_is_told_with_its_reason_and_its_end(verbs: Verbs) -> None:
    """Also where an upstream told it in the body alone, so that no window of a quota shows it."""
    async with installed(verbs, FIXED) as here:
        for name in ("spent", "limited", "paused", "well"):
            await here.run("add", name, "--kind", "responses", "--base-url", f"http://127.0.0.1:9/{name}")
        await here.run("pause", "paused")
        at = time.time()
        database = Database(locate("sqlite:///dragoman.db", verbs.data))
        heard = [
            Rest("spent", "", "quota", at + 5000, at),
            Rest("spent", "gpt-5.4", "of a newer version", at + 90, at),
            Rest("limited", "gpt-5.5", "rate_limit", at + 50, at),
            Rest("paused", "", "quota", at + 5000, at),
            Rest("fixed", "", "credentials", at + 60, at),
            Rest("well", "", "quota", at - 1, at - 100),
        ]
        await Rests(database).save(heard, at - 1000)
        await database.close()
        found = {row["name"]: row for row in await here.listed()}
        assert {row["status"] for row in found.values()} == {"active", "paused"}
        assert {
            name: [(one["model"], one["reason"]) for one in row["rests"]] for name, row in found.items()
        } == {
            "spent": [(None, "quota"), ("gpt-5.4", "of a newer version")],
            "limited": [("gpt-5.5", "rate limit")],
            "paused": [(None, "quota")],
            "fixed": [(None, "credentials refused")],
            "well": [],
        }
        lines = {line.split()[0]: line for line in (await here.run("list")).out.splitlines()}
        assert {name for name, line in lines.items() if "rests until 20" in line} == {"spent", "fixed"}
        told = (await here.run("show", "spent")).out
        assert re.search(r"^state +rests until 20.* UTC$", told, re.M)
        assert re.search(r"^rests +every model until 20.* UTC: quota$", told, re.M)
        told = (await here.run("show", "limited")).out
        assert re.search(r"^state +active$", told, re.M)
        assert re.search(r"^rests +gpt-5.5 until 20.* UTC: rate limit$", told, re.M)


async def test_names_and_checks_know_the_accounts_of_the_store(verbs: Verbs) -> None:
    """Aliases are judged by what they serve, the demo's aliases end, and doctor misses no account."""
    async with installed(verbs) as here:

        async def of(*arguments: str, code: int = 0) -> Any:
            return (await asyncio.to_thread(verbs, *arguments, code=code)).json()

        demo = await of("alias", "test", "claude-x", "--json")
        assert (demo["accounts"], demo["rule"]) == (["simulated"], "glob")
        base = ("--base-url", f"{here.up.url}/v1", "--key-env", "UPSTREAM_KEY")
        await here.run("add", "paid", *base, "--models", "gpt-5.5")
        told = await of("alias", "test", "gpt-5.5", "--json")
        assert (told["accounts"], told["rule"]) == (["paid"], "listed")
        assert await of("alias", "list", "--json") == []
        found = (await of("doctor", "--json", "--offline"))["findings"]
        assert "account-none" not in {one["id"] for one in found}
        await here.run("pause", "paid")
        found = (await of("doctor", "--json", "--offline"))["findings"]
        assert ("account", "warn") in {(one["id"], one["level"]) for one in found}
        assert any(one["fix"] == "dragoman account resume paid" for one in found)


async def test_doctor_tells_of_tokens_that_nobody_renews_and_of_addresses(verbs: Verbs) -> None:
    async with installed(verbs) as here:
        logins.account(here.up, verbs.place, "acct-1", exp=1_000_000_000)
        await here.run("import", "one", str(verbs.place / "acct-1.json"))
        verbs.environment["DRAGOMAN_UPSTREAM__ALLOW_LINK_LOCAL"] = "true"
        await here.run("add", "odd", "--kind", "responses", "--base-url", "http://169.254.1.1/v1")
        del verbs.environment["DRAGOMAN_UPSTREAM__ALLOW_LINK_LOCAL"]
        said = await asyncio.to_thread(verbs, "doctor", "--json", "--offline", code=4)
        found = {(one["id"], one["level"]): one["sentence"] for one in said.json()["findings"]}
        assert "nobody has renewed it" in found["account-login", "warn"]
        assert "link-local" in found["account-address", "error"]
        assert "plain http" in found["account-address", "warn"]


async def test_what_is_exported_can_be_imported_elsewhere(verbs: Verbs, tmp_path: Path) -> None:
    """The same tokens under the same account, in a file that nobody else may read, with a warning."""
    async with installed(verbs) as here:
        logins.account(here.up, verbs.place, "acct-1")
        await here.run("import", "one", str(verbs.place / "acct-1.json"))
        file = tmp_path / "out.json"
        said = await here.run("export", "one", "--output", str(file))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "this is the login itself" in said.err
        assert "acct" not in said.out.replace(str(file), "")
        document = json.loads(file.read_text())
        assert document["tokens"] == logins.document("acct-1")["tokens"]
        given = json.loads((verbs.place / "acct-1.json").read_text())
        assert document["last_refresh"] == given["last_refresh"]
        again = await here.run("export", "one", "--output", str(file), code=1)
        assert "exists already" in again.err
        elsewhere = Verbs(tmp_path / "elsewhere", verbs.environment)
        elsewhere.place.mkdir()
        elsewhere.configure(verbs.config.read_text())
        await asyncio.to_thread(elsewhere, "account", "import", "two", str(file))
        said = await asyncio.to_thread(elsewhere, "account", "export", "two")
        assert said.json() == document
        tried = await asyncio.to_thread(elsewhere, "account", "test", "two")
        assert "the login is taken" in tried.out
        base = ("--base-url", f"{here.up.url}/v1", "--key-env", "UPSTREAM_KEY")
        await here.run("add", "paid", *base)
        key = await here.run("export", "paid", code=1)
        assert "is no ChatGPT login" in key.err


async def test_a_rotated_secret_opens_every_login_again(verbs: Verbs) -> None:
    """reliability X2: sealed anew with the newest key; the wrong one opens nothing, and says so."""
    async with installed(verbs) as here:
        logins.account(here.up, verbs.place, "acct-1")
        await here.run("import", "one", str(verbs.place / "acct-1.json"))
        secret = verbs.data / "secret"
        old = secret.read_text()
        await asyncio.to_thread(verbs, "secrets", "rotate", "--drop-old")
        assert (await here.run("export", "one")).json()["tokens"] == logins.document("acct-1")["tokens"]
        secret.write_text(old)
        refused = await here.run("list", code=3)
        assert "does not open the database" in refused.err


async def test_an_expired_token_is_renewed_by_the_try_and_kept(verbs: Verbs) -> None:
    async with installed(verbs) as here:
        logins.account(here.up, verbs.place, "acct-1", exp=1_000_000_000)
        await here.run("import", "one", str(verbs.place / "acct-1.json"))
        calls = logins.counted(here.up)
        for _ in range(2):
            assert "the login is taken" in (await here.run("test", "one")).out
        assert len(calls) == 1
        assert (await here.listed())[0]["access_expires_at"] > "2026"


async def test_a_login_that_is_over_says_so_and_what_to_do(verbs: Verbs) -> None:
    """Found out by the try, kept with its reason, told by the list and by doctor."""
    async with installed(verbs) as here:
        logins.account(here.up, verbs.place, "acct-1", exp=1_000_000_000, refresh_fails="invalid_grant")
        await here.run("import", "one", str(verbs.place / "acct-1.json"))
        over = await here.run("test", "one", code=1)
        assert "What to do: dragoman account login one." in over.out
        listed = await here.run("list")
        assert "needs login" in listed.out
        assert "dragoman account login one" in listed.err
        calls = logins.counted(here.up)
        assert (await here.run("test", "one", code=1)).out.startswith("one: The issuer refuses this login")
        assert calls == []
        found = (await asyncio.to_thread(verbs, "doctor", "--json", "--offline", code=4)).json()
        (finding,) = [one for one in found["findings"] if one["id"] == "account-login"]
        assert finding["level"] == "error" and finding["fix"] == "dragoman account login one"


async def test_no_secret_comes_out_but_by_export(verbs: Verbs) -> None:
    """reliability X3: not in what any verb says, not in the database, not in the audit trail."""
    async with installed(verbs) as here:
        logins.account(here.up, verbs.place, "acct-1", exp=time.time() - 9)
        tokens = logins.document("acct-1", exp=time.time() - 9)["tokens"]
        document = json.loads((verbs.place / "acct-1.json").read_text())
        said = [await here.run("import", "one", str(verbs.place / "acct-1.json"))]
        base = ("--base-url", f"{here.up.url}/v1", "--key-env", "UPSTREAM_KEY")
        said.append(await here.run("add", "paid", *base, "--organization", "org-default"))
        for name in ("one", "paid"):
            for verb in (("show", name), ("show", name, "--json"), ("test", name), ("pause", name)):
                said.append(await here.run(*verb))
        said += [await here.run("list"), await here.run("list", "--json")]
        account = here.up.state.accounts.get("acct-1")
        assert account is not None and account.retired, "it was renewed on the way"
        secrets = [KEY, account.access, account.refresh, tokens["refresh_token"]]
        secrets += [document["tokens"][name] for name in ("access_token", "id_token")]
        everything = "".join(one.out + one.err for one in said).encode()
        everything += b"".join(path.read_bytes() for path in verbs.data.rglob("*") if path.is_file())
        for secret in secrets:
            assert secret.encode() not in everything
            assert base64.b64encode(secret.encode()) not in everything


def test_an_account_of_the_file_is_not_exported_and_told_as_one(verbs: Verbs) -> None:
    verbs.configure(FIXED)
    told = verbs("account", "export", "fixed", code=1).err
    assert told == "dragoman: 'fixed' is an account of the configuration file: it has a key, no login\n"
