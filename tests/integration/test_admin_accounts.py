"""Accounts over the admin API: added, logged in, tried, changed and removed; secrets never come back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from dragoman.simulator import server
from dragoman.simulator.server import Running
from dragoman.simulator.state import State
from tests.support import logins
from tests.support.admin import Administered, Client, administered
from tests.support.databases import Kind

KEY = "sk-sim-default"
CLIENT = {"name": "laptop", "key": "sk-drg-of-this-test"}


@asynccontextmanager
async def installed(
    tmp_path: Path, url: str = "sqlite:///dragoman.db", *accounts: dict[str, Any], **more: Any
) -> AsyncIterator[tuple[Running, Administered, Client]]:
    """A simulated service, a gateway that knows it, and an admin."""
    up = await server.start("127.0.0.1", 0, state=State({"strict_keys": True, "rate_per_key": 0}))
    settings = {
        "chatgpt": {"issuer": up.url, "base_url": f"{up.url}/backend-api"},
        "database": {"url": url},
        "keys": [CLIENT],
        "accounts": list(accounts),
    }
    try:
        async with administered(tmp_path, settings, **more) as house:
            yield up, house, await house.token()
    finally:
        await up.close()


def names(reply: Any) -> list[str]:
    return [row["name"] for row in reply.json["data"]]


async def came_back(url: str, account: str | None = None) -> str:
    """Where the browser is sent to once somebody has logged in."""
    chosen = "" if account is None else f"&account={account}"
    async with (
        aiohttp.ClientSession() as session,
        session.get(url + chosen, allow_redirects=False) as reply,
    ):
        return reply.headers["location"]


async def test_a_browser_log_in_with_a_pasted_address(tmp_path: Path, kind: Kind, database_url: str) -> None:
    """Begun, completed with what the address bar shows, in use at once; the next one renews it."""
    async with installed(tmp_path, database_url) as (_, house, admin):
        begun = await admin.post("/account-logins", {"name": "plus", "way": "browser"})
        assert begun.status == 201
        told = begun.json
        query = parse_qs(urlsplit(told["url"]).query)
        assert query["redirect_uri"] == ["http://localhost:1455/auth/callback"]
        assert query["code_challenge_method"] == ["S256"]
        complete = f"/account-logins/{told['id']}/complete"
        for address in ("nonsense", "http://localhost:1455/auth/callback?code=a&state=b"):
            wrong = await admin.post(complete, {"address": address})
            assert (wrong.status, wrong.json["error"]["path"]) == (400, "address")
        address = await came_back(told["url"])
        done = (await admin.post(complete, {"address": address})).json
        assert (done["state"], done["account"]["name"], done["account"]["plan"]) == ("done", "plus", "plus")
        assert (await admin.post(complete, {"address": address})).json == done, "asked again: the same answer"
        assert list(house.gateway.assembly.fleet.accounts) == ["plus"]
        tried = (await admin.post("/accounts/plus/test")).json
        assert tried["works"] and tried["windows"]
        again = (await admin.post("/account-logins", {"name": "plus", "way": "browser"})).json
        address = await came_back(again["url"])
        done = (await admin.post(f"/account-logins/{again['id']}/complete", {"address": address})).json
        assert done["account"]["id"] == tried_id(await admin.get("/accounts/plus"))
        assert names(await admin.get("/accounts")) == ["plus"]
        assert [action for _, action, _ in await house.audit()] == ["account.login", "account.login"]


def tried_id(reply: Any) -> str:
    return str(reply.json["id"])


async def test_a_device_log_in_is_polled(tmp_path: Path) -> None:
    async with installed(tmp_path) as (up, house, admin):
        begun = (await admin.post("/account-logins", {"name": "dev", "way": "device"})).json
        assert begun["user_code"] and begun["url"] == f"{up.url}/codex/device"
        poll = f"/account-logins/{begun['id']}/poll"
        early = (await admin.post(poll)).json
        assert early["state"] == "pending" and 0 < early["retry_after"] <= begun["interval"]
        states = []
        for _ in range(3):
            house.clock.ahead += begun["interval"] + 6
            states.append((await admin.post(poll)).json["state"])
        assert states == ["pending", "done", "done"]
        assert (await admin.get("/accounts/dev")).json["email"] == "chatgpt@example.com"
        wrong = await admin.post(f"/account-logins/{begun['id']}/complete", {"address": "x"})
        assert wrong.json["state"] == "done"


async def test_a_refused_and_an_expired_log_in_are_told_and_keep_nothing(tmp_path: Path) -> None:
    async with installed(tmp_path) as (up, house, admin):
        begun = (await admin.post("/account-logins", {"name": "dev", "way": "device"})).json
        (device,) = up.state.grants._devices.values()
        device.denied = True
        house.clock.ahead += 10
        poll = f"/account-logins/{begun['id']}/poll"
        refused = (await admin.post(poll)).json
        assert refused["state"] == "failed" and "was refused in the browser" in refused["message"]
        begun = (await admin.post("/account-logins", {"name": "web", "way": "browser"})).json
        address = await came_back(begun["url"])
        up.state.grants._codes.clear()
        complete = f"/account-logins/{begun['id']}/complete"
        spent = (await admin.post(complete, {"address": address})).json
        assert spent["state"] == "failed" and "Start the login again" in spent["message"]
        begun = (await admin.post("/account-logins", {"name": "web", "way": "browser"})).json
        house.clock.ahead += 901
        gone = await admin.post(f"/account-logins/{begun['id']}/complete", {"address": address})
        assert gone.status == 404
        begun = (await admin.post("/account-logins", {"name": "web", "way": "browser"})).json
        assert (await admin.delete(f"/account-logins/{begun['id']}")).status == 204
        assert (await admin.delete(f"/account-logins/{begun['id']}")).status == 404
        assert names(await admin.get("/accounts")) == ["simulated"]
        assert await house.audit() == []


async def test_somebody_elses_account_is_not_put_under_a_name(tmp_path: Path) -> None:
    async with installed(tmp_path) as (_, __, admin):
        for account, state in ((None, "done"), ("acct-other", "failed")):
            begun = (await admin.post("/account-logins", {"name": "plus", "way": "browser"})).json
            address = await came_back(begun["url"], account)
            told = (await admin.post(f"/account-logins/{begun['id']}/complete", {"address": address})).json
            assert told["state"] == state
        assert "another ChatGPT account or workspace (chatgpt@example.com)" in told["message"]
        assert (await admin.get("/accounts/plus")).json["email"] == "chatgpt@example.com"


async def test_an_issuer_that_offers_no_device_login_is_a_sentence(tmp_path: Path) -> None:
    async with installed(tmp_path) as (up, _, admin):
        await up.close()
        reply = await admin.post("/account-logins", {"name": "dev", "way": "device"})
        assert reply.status == 502
        assert "could not be reached" in reply.json["error"]["message"]


async def test_an_account_with_a_key_is_added_changed_tried_and_removed(
    tmp_path: Path, kind: Kind, database_url: str
) -> None:
    async with installed(tmp_path, database_url) as (up, house, admin):
        body = {"name": "paid", "kind": "openai", "base_url": f"{up.url}/v1/", "api_key": KEY}
        made = await admin.post("/accounts", {**body, "models": ["gpt-5.5"], "weight": 2, "group": "team"})
        assert made.status == 201
        assert made.json["base_url"] == f"{up.url}/v1"
        assert (made.json["models"], made.json["weight"], made.json["group"]) == (["gpt-5.5"], 2, "team")
        same = await admin.post("/accounts", {**body, "name": "other"})
        assert (same.status, same.json["name"]) == (200, "paid")
        taken = await admin.post("/accounts", {**body, "api_key": "sk-another"})
        assert taken.status == 409 and "another key or address" in taken.json["error"]["message"]
        changed = (await admin.patch("/accounts/paid", {"concurrency": 3, "models": None})).json
        assert (changed["concurrency"], changed["models"], changed["weight"]) == (3, None, 2)
        assert (await admin.post("/accounts/paid/test")).json["sentence"].startswith("the key is taken")
        assert (await admin.post("/accounts/paid/pause")).json["status"] == "paused"
        assert (await admin.post("/accounts/paid/resume")).json["status"] == "active"
        assert (await admin.delete("/accounts/paid")).status == 204
        assert (await admin.delete("/accounts/paid")).status == 404
        audit = [(action, subject) for _, action, subject in await house.audit()]
        assert audit == [
            ("account.add", "account:paid"),
            ("account.add", "account:paid"),
            ("account.change", "account:paid"),
            ("account.pause", "account:paid"),
            ("account.resume", "account:paid"),
            ("account.remove", "account:paid"),
        ]


@pytest.mark.parametrize(
    ("body", "path", "said"),
    [
        ({"base_url": "ftp://a.test"}, "base_url", "must be an http or https address"),
        ({"base_url": "http://169.254.169.254/v1"}, "base_url", "link-local"),
        ({"base_url": "http://metadata.google.internal/v1"}, "base_url", "metadata service"),
        ({"base_url": "http://a.test/v1/responses"}, "base_url", "must end before /responses"),
        ({"base_url": "http://me:pw@a.test/v1"}, "base_url", "no user name or password"),
        ({"kind": "responses", "base_url": None}, "base_url", "is needed"),
        ({"api_key": None}, "api_key", "is needed"),
        ({"api_key": "sk-with\nnewline"}, "api_key", "cannot carry"),
        ({"kind": "chatgpt"}, "kind", "'openai' or 'responses'"),
        ({"weight": -1}, "weight", "greater than or equal to 0"),
        ({"group": " x "}, "group", ""),
    ],
)
async def test_what_cannot_be_an_account_is_named(
    tmp_path: Path, body: dict[str, Any], path: str, said: str
) -> None:
    """reliability X9: no metadata or link-local address, unless it is allowed."""
    async with installed(tmp_path) as (_, house, admin):
        whole = {"name": "a", "kind": "openai", "base_url": "http://a.test/v1", "api_key": "sk-a", **body}
        reply = await admin.post("/accounts", whole)
        assert (reply.status, reply.json["error"]["path"].split(".")[0]) == (400, path)
        assert said in reply.json["error"]["message"]
        assert "newline" not in reply.body.decode()
        assert await house.store.accounts.listed() == []


async def test_a_codex_login_is_imported_once(tmp_path: Path) -> None:
    async with installed(tmp_path) as (up, _, admin):
        logins.account(up, tmp_path, "acct-1")
        document = logins.document("acct-1")
        made = await admin.post("/account-imports", {"auth": document})
        assert (made.status, made.json["name"], made.json["email"]) == (201, "acct-1", "acct-1@example.com")
        again = await admin.post("/account-imports", {"name": "other", "auth": document})
        assert (again.status, again.json["name"]) == (200, "acct-1")
        broken = await admin.post("/account-imports", {"auth": {"tokens": {}}})
        assert (broken.status, broken.json["error"]["path"]) == (400, "auth")
        foreign = logins.document("acct-1", account_id="acct-2")
        refused = await admin.post("/account-imports", {"auth": foreign})
        assert refused.status == 400
        assert "belongs to another workspace" in refused.json["error"]["message"]
        assert names(await admin.get("/accounts")) == ["acct-1"]


async def test_accounts_of_the_file_are_read_only(tmp_path: Path) -> None:
    row = {"name": "fixed", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-fixed"}
    async with installed(tmp_path, "sqlite:///dragoman.db", row) as (_, house, admin):
        for method, path in (
            ("PATCH", "/accounts/fixed"),
            ("DELETE", "/accounts/fixed"),
            ("POST", "/accounts/fixed/pause"),
            ("POST", "/accounts/fixed/resume"),
        ):
            reply = await admin.send(method, path, {} if method == "PATCH" else None)
            assert reply.status == 409 and "configuration" in reply.json["error"]["message"]
        for body in (
            {"name": "fixed", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-x"},
            {"name": "new", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-fixed"},
        ):
            reply = await admin.post("/accounts", body)
            assert reply.status == 409 and "configuration file" in reply.json["error"]["message"]
        begun = await admin.post("/account-logins", {"name": "fixed", "way": "browser"})
        assert begun.status == 409
        tried = (await admin.post("/accounts/fixed/test")).json
        assert (tried["works"], "cannot be reached" in tried["sentence"]) == (False, True)
        assert await house.store.accounts.listed() == []


async def test_the_live_view_stands_beside_what_is_kept(tmp_path: Path) -> None:
    """What the pool tells of an account, with times that can be read."""
    from dragoman.routing.pool import Member, Pool

    pool = Pool([Member("simulated", "openai")])
    async with installed(tmp_path, pool_view=lambda: pool.describe(1000.0)) as (_, __, admin):
        (row,) = (await admin.get("/accounts")).json["data"]
        assert row["live"]["state"] == "ok"
        assert row["live"]["in_flight"] == 0
        pool.usage(
            "simulated",
            {
                "rate_limit": {
                    "primary_window": {
                        "used_percent": 100,
                        "limit_window_seconds": 18000,
                        "reset_after_seconds": 60,
                    }
                }
            },
            1000.0,
        )
        (row,) = (await admin.get("/accounts")).json["data"]
        assert (row["live"]["state"], row["live"]["why"]) == ("cooling", "quota")
        assert row["live"]["until"] == "1970-01-01T00:17:40Z"
        assert row["live"]["windows"][0]["remaining"] == 0.0


async def test_the_last_failure_of_an_account_is_told_and_what_it_lists(tmp_path: Path) -> None:
    """One model may rest while the account serves others; a request that was wrong is no failure of it."""
    from dragoman.routing.pool import Member, Outcome, Pool
    from dragoman.translate.messages.failure import Cause, UpstreamFailure

    pool = Pool([Member("simulated", "openai", advertised=frozenset({"gpt-5.5", "gpt-5.4"}))])
    async with installed(tmp_path, pool_view=lambda: pool.describe(1000.0)) as (_, __, admin):
        wrong = UpstreamFailure(Cause.REQUEST, "no such field", status=400)
        limited = UpstreamFailure(Cause.RATE_LIMIT, "slow down", status=429, retry_after=30.0)
        for failure in (wrong, limited):
            (row,) = (await admin.get("/accounts")).json["data"]
            assert row["live"]["setback"] is None
            lease = pool.started("simulated", 1000.0, model="gpt-5.5")
            pool.report(lease, Outcome(failure), 1000.0)
            pool.ended(lease)
        (row,) = (await admin.get("/accounts")).json["data"]
        assert row["live"]["setback"] == {
            "at": "1970-01-01T00:16:40Z",
            "why": "rate limit",
            "status": 429,
            "model": "gpt-5.5",
        }
        assert row["live"]["state"] == "ok"
        (resting,) = row["live"]["resting"]
        assert (resting["model"], resting["why"]) == ("gpt-5.5", "rate limit")
        assert row["live"]["catalogue"] == ["gpt-5.4", "gpt-5.5"]
        assert row["live"]["credits"] is None


async def test_no_secret_comes_back(tmp_path: Path) -> None:
    """reliability X3: no token or key in any answer, in the log, in the audit trail or in the file."""
    async with installed(tmp_path) as (up, house, admin):
        said: list[str] = []
        logins.account(up, tmp_path, "acct-1")
        document = logins.document("acct-1")
        calls: list[tuple[str, str, Any]] = [
            ("POST", "/account-imports", {"name": "plan", "auth": document}),
            ("POST", "/account-imports", {"name": "plan", "auth": {**document, "tokens": "x"}}),
            (
                "POST",
                "/accounts",
                {"name": "k", "kind": "openai", "base_url": f"{up.url}/v1", "api_key": KEY},
            ),
            ("POST", "/accounts", {"name": "k", "kind": "openai", "base_url": "x", "api_key": "sk-secret-2"}),
            ("POST", "/accounts/plan/test", None),
            ("POST", "/accounts/k/test", None),
            ("PATCH", "/accounts/plan", {"weight": 3}),
            ("GET", "/accounts", None),
            ("GET", "/accounts/plan", None),
            ("GET", "/audit", None),
            ("DELETE", "/accounts/k", None),
        ]
        for method, path, body in calls:
            said.append((await admin.send(method, path, body)).body.decode())
        begun = (await admin.post("/account-logins", {"name": "web", "way": "browser"})).json
        address = await came_back(begun["url"])
        code = parse_qs(urlsplit(address).query)["code"][0]
        done = await admin.post(f"/account-logins/{begun['id']}/complete", {"address": address})
        said.append(done.body.decode())
        account = up.state.accounts.get("chatgpt")
        assert account is not None
        tokens = document["tokens"]
        secrets = [tokens[name] for name in ("access_token", "refresh_token", "id_token")]
        secrets += [KEY, "sk-secret-2", code, account.access, account.refresh]
        said += [house.gateway.log.getvalue(), json.dumps(await house.audit())]
        content = b"".join(path.read_bytes() for path in tmp_path.glob("dragoman.db*"))
        for secret in secrets:
            assert secret and not any(secret in text for text in said)
            assert secret.encode() not in content
