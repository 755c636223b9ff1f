"""Every route of the admin API: who may ask, what each answer carries, how refusals are said."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from dragoman.store.engine import Database, StoreDown
from dragoman.web.admin.app import bare, openapi, routes
from dragoman.web.admin.guard import BODY_BYTES
from tests.support.admin import API, Administered, administered

ROUTES = [(method, route) for route in routes(bare()) for method in sorted(route.methods or ())]
OPEN = {("POST", f"{API}/setup"), ("POST", f"{API}/login"), ("GET", f"{API}/session")}
# What everybody who is logged in may change: what is their own.
OWN = {
    f"{API}/{name}"
    for name in ("logout", "password", "totp", "totp/confirm", "totp/disable", "sessions/{session}")
}


def filled(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "nobody", path)


# -- who may ask -------------------------------------------------------------------------------------------


def test_every_route_declares_who_may_ask() -> None:
    """reliability X11"""
    assert len(ROUTES) >= 40
    assert {(method, route.path) for method, route in ROUTES if route.auth == "open"} == OPEN
    for method, route in ROUTES:
        assert route.auth in ("open", "viewer", "admin")
        assert route.path.startswith(f"{API}/")
        if route.auth == "viewer":
            assert method == "GET" or route.path in OWN, f"{method} {route.path} changes something"


def test_a_route_without_a_declaration_cannot_be_made() -> None:
    from dragoman.web.admin.routing import room

    async def endpoint() -> None: ...

    with pytest.raises(KeyError):
        room("x").get("/undeclared")(endpoint)


async def test_nobody_gets_anywhere_without_login(tmp_path: Path) -> None:
    """reliability X11: no admin route unauthenticated."""
    async with administered(tmp_path) as house:
        for method, route in ROUTES:
            if route.auth == "open":
                continue
            for client in (
                house.client(),
                house.client(cookie="dragoman_session=x"),
                house.client(authorization="Bearer drg-adm-x"),
                house.client(**{"x-api-key": "drg-adm-x"}),
            ):
                reply = await client.send(method, filled(route.path))
                assert reply.status == 401, f"{method} {route.path}"
                assert reply.json["error"]["type"] == "authentication_error"


async def test_viewers_see_and_change_nothing(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        for client in (await house.token("viewer"), await house.user("eve", "viewer")):
            for method, route in ROUTES:
                if route.auth == "open" or route.path in OWN or route.path.endswith("/live"):
                    continue
                reply = await client.send(method, filled(route.path), None if method == "GET" else {})
                if route.auth == "admin":
                    assert reply.status == 403, f"{method} {route.path}"
                    assert reply.json["error"]["type"] == "permission_error"
                else:
                    assert reply.status in (200, 400, 404), f"{method} {route.path}"


async def test_admins_get_everywhere(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        admin = await house.token()
        for method, route in ROUTES:
            if route.auth == "open" or route.path in OWN or route.path.endswith("/live"):
                continue
            reply = await admin.send(method, filled(route.path), None if method == "GET" else {})
            assert reply.status in (200, 400, 404), f"{method} {route.path}: {reply.status}"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/nope",
        "/keys/",
        "/login/",
        "/setup/x",
        "/../api/keys",
        "/%2e%2e/keys",
        "//keys",
        "/keys%00",
        "/KEYS",
        "/docs",
        "/openapi.json",
        "/login;x=/keys",
        "/keys?path=/admin/api/login",
        "/login%2f..%2fkeys",
    ],
)
async def test_below_the_api_everything_is_401_before_it_is_anything_else(tmp_path: Path, path: str) -> None:
    """Also paths that do not exist, so that a stranger learns nothing of them."""
    async with administered(tmp_path) as house:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"):
            reply = await house.client().send(method, API + path)
            assert reply.status == 401, f"{method} {path}"
        assert (await house.client().send("GET", f"{API}/login")).status == 401
        head = await house.client().send("HEAD", API + path)
        assert head.status == 401


async def test_no_header_changes_which_route_is_asked(tmp_path: Path) -> None:
    """reliability X11: no route decides on `request.url`."""
    async with administered(tmp_path) as house:
        for name in ("x-original-url", "x-rewrite-url", "x-forwarded-prefix", "x-http-method-override"):
            reply = await house.client().get("/keys", {name: f"{API}/login"})
            assert reply.status == 401


async def test_with_login_unknown_paths_and_methods_are_told(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        admin = await house.token()
        for path in ("", "/nope", "/keys/a/b", "/KEYS"):
            reply = await admin.get(API + path)
            assert reply.status == 404, path
            assert reply.json["error"]["type"] == "not_found_error"
        reply = await admin.delete("/overview")
        assert (reply.status, reply.headers["allow"]) == (405, "GET")
        assert reply.json["error"]["type"] == "method_not_allowed_error"
        nul = await admin.get("/keys/%00")
        assert nul.status == 400
        assert (await admin.get("/log?key=%00")).status == 400


async def test_a_parameter_that_is_not_known_is_refused_with_the_nearest(tmp_path: Path) -> None:
    """A misspelt filter would give everything, as an export too."""
    async with administered(tmp_path) as house:
        admin = await house.token()
        for path in ("/log?acount=a", "/log/export?acount=a"):
            reply = await admin.get(path)
            assert (reply.status, reply.json["error"]["path"]) == (400, "acount")
            assert reply.json["error"]["message"] == "acount: is not known here; the nearest is account"
        assert "not known" in (await admin.get("/keys?x=1")).json["error"]["message"]
        assert (await admin.get("/log/export?format=csv&account=a")).status == 200


async def test_beside_the_api_there_is_nothing_yet(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        for path in ("/admin", "/admin/", "/admin/apix", "/admin/index.html"):
            reply = await house.client().get(path)
            assert reply.status == 404
            assert set(reply.json) == {"error", "request_id"}
        beside = (await house.client().get("/admins", {"anthropic-version": "2023-06-01"})).json
        assert beside["type"] == "error"  # not the admin's envelope


async def test_what_serves_the_api_is_imported_when_it_is_asked_for(tmp_path: Path) -> None:
    """Most processes never need it, and it takes longer than a start may."""
    code = "import sys, dragoman.cli.serve, dragoman.serving.assembly; sys.exit('fastapi' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
    async with administered(tmp_path) as house:
        # Several at once build it once.
        replies = await asyncio.gather(*(house.client().get("/me") for _ in range(5)))
        assert [reply.status for reply in replies] == [401] * 5


# -- what answers carry ------------------------------------------------------------------------------------


async def test_every_answer_has_the_security_headers_and_an_id(tmp_path: Path) -> None:
    """reliability X7: headers; X8: no CORS header."""
    async with administered(tmp_path) as house:
        admin = await house.token()
        replies = [
            await admin.get("/overview"),
            await admin.get("/nope"),
            await admin.get("/docs"),
            await admin.get("/docs.js"),
            await admin.get("/log/export"),
            await admin.post("/keys", b"not json"),
            await house.client().get("/overview"),
            await house.client().get("/admin"),
            await house.client().post("/login", {"name": "x", "password": "y"}),
            await admin.send("OPTIONS", "/keys", None, {"origin": "https://evil.example"}),
        ]
        for reply in replies:
            policy = dict(part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; "))
            assert policy["default-src"] == policy["script-src"] == "'self'"
            assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["cache-control"] == "no-store"
            assert reply.headers["request-id"] == reply.headers["x-request-id"]
            assert not [name for name in reply.headers if name.startswith("access-control")]
            if reply.status >= 400:
                assert reply.json["request_id"] == reply.headers["request-id"]
                assert set(reply.json["error"]) <= {"type", "message", "path"}


async def test_a_harmless_request_id_is_taken_over(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        reply = await house.client().get("/nope", {"x-request-id": "from-my-console"})
        assert reply.json["request_id"] == "from-my-console"


async def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        admin = await house.token("viewer")
        page = (await admin.get("/docs")).body.decode()
        sources = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert sorted(sources) == ["docs.css", "docs.js", "openapi.json"]
        assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=|javascript:", page)
        size = len(page)
        for name in sources:
            reply = await admin.get(f"/{name}")
            assert reply.status == 200
            assert not re.search(rb"innerHTML|document\.write|eval\(|https?://", reply.body.split(b"{", 1)[0])
            size += len(reply.body) if name != "openapi.json" else 0
        assert size < 20_000
        script = (await admin.get("/docs.js")).body
        assert b"innerHTML" not in script
        assert b"://" not in script


def test_the_document_describes_every_route_with_its_auth_class() -> None:
    document = openapi(bare())
    assert document["openapi"].startswith("3.1")
    described = {
        (method.upper(), path): told["x-auth"]
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    }
    pages = {f"{API}/{name}" for name in ("openapi.json", "docs", "docs.js", "docs.css")}
    for method, route in ROUTES:
        if route.path not in pages:
            path = route.path_format
            assert described[method, path] == route.auth
    assert set(document["components"]["securitySchemes"]) == {"session", "token"}
    assert "422" not in str(document["paths"])


# -- bodies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b'{"name": NaN}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xff"}',
        b"[" * 5000,
        b'{"name":"x","name2":1}',
    ],
)
async def test_a_body_that_is_none_is_refused_with_the_reason(tmp_path: Path, body: bytes) -> None:
    async with administered(tmp_path) as house:
        reply = await (await house.token()).post("/keys", body)
        assert reply.status == 400
        assert reply.json["error"]["type"] == "invalid_request_error"


async def test_a_large_body_is_not_read(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        robot = await house.token()
        reply = await robot.post("/keys", b'{"name": "' + b"x" * BODY_BYTES + b'"}')
        assert reply.status == 413
        assert (await house.client().post("/login", b"x" * (BODY_BYTES + 1))).status == 413


async def test_the_stranger_of_a_keyless_gateway_is_refused_in_the_same_envelope(tmp_path: Path) -> None:
    """reliability X8"""
    account = {"name": "a", "kind": "responses", "base_url": "http://127.0.0.1:9/v1"}
    async with administered(tmp_path, {"accounts": [account]}) as house:
        reply = await house.client().get("/me", {"host": "evil.example"})
        assert reply.status == 421
        assert set(reply.json) == {"error", "request_id"}


# -- when the store is down ----------------------------------------------------------------------------------


async def test_a_locked_store_answers_changes_with_503_and_goes_on_reading(tmp_path: Path) -> None:
    """reliability S3: console writes get 503 while the store is down."""
    async with administered(tmp_path) as house:
        admin, ada = await house.token(), await house.user("ada")
        file = house.store.database.file
        assert file is not None
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            replies = await asyncio.gather(
                admin.post("/keys", {"name": "ci"}),
                ada.put("/aliases/x", {"target": "gpt-5.5"}),
                house.client().login("ada"),
            )
            for reply in replies:
                assert reply.status == 503
                assert reply.headers["retry-after"] == "5"
                assert reply.json["error"]["type"] == "api_error"
                assert "locked" not in reply.json["error"]["message"]
            for path in ("/keys", "/overview", "/log", "/audit"):
                assert (await ada.get(path)).status == 200
        assert (await admin.post("/keys", {"name": "ci"})).status == 201
        assert "admin_store_down" in house.gateway.log.getvalue()


async def test_a_store_that_is_gone_throws_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, never 401: whether somebody is logged in cannot be told."""
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        _break(house, monkeypatch)
        for reply in (await ada.get("/me"), await ada.get("/nope"), await house.client().login("ada")):
            assert reply.status == 503
            assert reply.headers["retry-after"]
        assert (await house.client().get("/me")).status == 401  # nothing was shown to be judged
        monkeypatch.undo()
        assert (await ada.get("/me")).status == 200


def _break(house: Administered, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: Database) -> AsyncConnection:
        raise StoreDown("connection refused to postgres.internal:5432")

    monkeypatch.setattr(type(house.store.database), "read", gone)
    monkeypatch.setattr(type(house.store.database), "write", gone)


async def test_a_fault_of_our_own_says_nothing_and_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with administered(tmp_path) as house:
        admin = await house.token()

        def broken(*_: Any) -> Any:
            raise RuntimeError("sk-drg-secret in a message")

        monkeypatch.setattr(type(house.house), "keys", broken)
        reply = await admin.get("/keys")
        assert reply.status == 500
        assert reply.json["error"] == {"type": "api_error", "message": "The gateway met an internal fault."}
        said = house.gateway.log.getvalue()
        assert "admin_fault" in said
        assert "RuntimeError" in said
        assert "sk-drg-secret" not in said
