"""Coming into the admin API over a real server: set-up, login, second factor, sessions, throttling."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dragoman.store.clientkeys import KeySpec
from dragoman.web.admin import codes
from dragoman.web.admin.passwords import Passwords
from tests.support.admin import PASSWORD, Administered, Client, administered
from tests.support.databases import Kind

OTHER = "another long password"


@pytest.fixture
def settings(kind: Kind, database_url: str) -> dict[str, Any]:
    """Each test runs on both databases."""
    return {"database": {"url": database_url}}


async def set_up(house: Administered, **more: Any) -> tuple[Client, Any]:
    token = await house.house.tokens().make_setup(house.house.now)
    client = house.client()
    reply = await client.post("/setup", {"token": token, "name": "ada", "password": PASSWORD, **more})
    return client, reply


# -- set-up ------------------------------------------------------------------------------------------------


async def test_the_set_up_token_makes_the_first_admin_and_is_used_up(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """reliability X7: bootstrap token before the first password."""
    async with administered(tmp_path, settings) as house:
        token = await house.house.tokens().make_setup(house.house.now)
        body = {"token": token, "name": "ada", "password": PASSWORD}
        client = house.client()
        made = await client.post("/setup", body)
        assert made.status == 201
        assert (made.json["name"], made.json["role"]) == ("ada", "admin")
        assert (await client.get("/me")).status == 200
        again = await house.client().post("/setup", {**body, "name": "eve"})
        assert again.status == 401
        assert "dragoman token setup" in again.json["error"]["message"]
        assert await house.audit() == [("user:ada", "setup", "user:ada"), ("user:ada", "login", "user:ada")]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": "a b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 49}, "name"),
        ({"password": "short"}, "password"),
        ({"password": "aaaaaaaaaaaa"}, "password"),
        ({"name": "ada.lovelace", "password": "Ada.Lovelace"}, "password"),
        ({"password": None}, "password"),
        ({"role": "viewer"}, "role"),
        ({"token": 7}, "token"),
    ],
)
async def test_a_wrong_field_of_the_set_up_is_named_and_the_token_stays(
    tmp_path: Path, change: dict[str, Any], path: str
) -> None:
    async with administered(tmp_path) as house:
        _, reply = await set_up(house, **change)
        assert reply.status == 400
        assert reply.json["error"]["path"] == path
        assert reply.json["error"]["message"].startswith(f"{path}: ")
        assert await house.house.tokens().setup_waits(house.house.now)


async def test_a_page_learns_who_is_logged_in_without_being_refused(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with administered(tmp_path, settings) as house:
        stranger = house.client()
        first = await stranger.get("/session")
        assert (first.status, first.json) == (200, {"me": None, "setup": True})
        client, _ = await set_up(house)
        mine = await client.get("/session")
        assert mine.json["setup"] is False
        assert mine.json["me"] == (await client.get("/me")).json
        assert (await stranger.get("/session")).json == {"me": None, "setup": False}
        stale = await stranger.get("/session", {"cookie": "dragoman_session=nobodys"})
        assert (stale.status, stale.json["me"]) == (200, None)


# -- login -------------------------------------------------------------------------------------------------


async def test_a_login_opens_and_a_logout_closes(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        ada = await house.user("ada")
        me = await ada.get("/me")
        assert me.json["csrf_token"] == ada.csrf
        assert (me.json["kind"], me.json["second_factor"]) == ("user", False)
        cookie = ada.cookie
        out = await ada.post("/logout")
        assert out.status == 204
        assert "Max-Age=0" in out.headers["set-cookie"]
        assert (await house.client(cookie=cookie).get("/me")).status == 401


async def test_the_cookie_of_a_login(tmp_path: Path) -> None:
    """reliability X7: HttpOnly, SameSite=Lax, Secure on https."""
    async with administered(tmp_path) as house:
        await house.user("ada")
        login = {"name": "ada", "password": PASSWORD}
        plain = (await house.client().post("/login", login)).headers["set-cookie"].split("; ")
        assert plain[0].startswith("dragoman_session=")
        assert set(plain[1:]) == {"Path=/admin", "Max-Age=43200", "HttpOnly", "SameSite=Lax"}
        host = house.url.removeprefix("http://")
        secured = await house.client().post("/login", login, {"origin": f"https://{host}", "host": host})
        assert secured.status == 200
        assert "Secure" in secured.headers["set-cookie"].split("; ")


async def test_a_session_that_was_planted_is_not_taken_over(tmp_path: Path) -> None:
    """reliability X7: the session is rotated at login, so nobody can fix it beforehand."""
    async with administered(tmp_path) as house:
        eve = await house.user("eve", "viewer")
        planted = eve.cookie
        await house.house.people().create("ada", "admin", (await _hash(house)), house.house.now)
        victim = house.client()
        for cookie in (planted, "dragoman_session=made-up"):
            victim.cookie = cookie
            assert (await victim.login("ada")).status == 200
            assert victim.cookie != cookie
        assert (await house.client(cookie=planted).get("/me")).status == 401
        assert (await house.client(cookie="dragoman_session=made-up").get("/me")).status == 401
        assert (await victim.get("/me")).json["name"] == "ada"


async def _hash(house: Administered) -> str:
    return await house.house.passwords.hashed(PASSWORD)


async def test_wrong_names_and_wrong_passwords_look_alike_and_cost_alike(tmp_path: Path) -> None:
    """reliability X7: constant work for unknown users."""
    work: list[str] = []

    def match(password: str, phc: str) -> bool:
        work.append(phc)
        return phc == password

    async with administered(tmp_path, passwords=Passwords(lambda password: password, match)) as house:
        await house.house.people().create("ada", "admin", PASSWORD, house.house.now)
        answers = []
        for name in ("ada", "nobody", "ada' OR 1=1 --", "x" * 200):
            before = len(work)
            reply = await house.client().login(name, "wrong password")
            assert len(work) == before + 1
            body = reply.json
            del body["request_id"]
            answers.append((reply.status, body, set(reply.headers)))
        assert answers[0][0] == 401
        assert all(answer == answers[0] for answer in answers)


async def test_the_real_hash_works_through_the_api(tmp_path: Path) -> None:
    async with administered(tmp_path, passwords=Passwords()) as house:
        ada = await house.user("ada")
        assert (await house.house.people().get("ada")).password.startswith("$argon2id$")
        assert (await ada.get("/me")).status == 200
        assert (await house.client().login("ada", PASSWORD + "!")).status == 401


async def test_a_session_ends_after_twelve_hours(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        house.clock.ahead += 12 * 3600 - 60
        assert (await ada.get("/me")).status == 200
        house.clock.ahead += 61
        assert (await ada.get("/me")).status == 401


# -- throttling --------------------------------------------------------------------------------------------


async def test_five_wrong_tries_a_minute_then_even_the_right_one_waits(tmp_path: Path) -> None:
    """reliability X7: throttle 5/min per account and address."""
    async with administered(tmp_path) as house:
        await house.user("ada")
        for _ in range(5):
            assert (await house.client().login("ada", "wrong password")).status == 401
        late = await house.client().login("ada")
        assert late.status == 429
        assert 1 <= int(late.headers["retry-after"]) <= 60
        assert late.json["error"]["type"] == "rate_limit_error"
        # The address is counted too, whatever name is tried.
        assert (await house.client().login("somebody else")).status == 429
        assert (await house.client().post("/setup", {**_SETUP})).status == 429
        house.clock.ahead += 61
        assert (await house.client().login("ada")).status == 200


_SETUP = {"token": "drg-setup-guess", "name": "eve", "password": PASSWORD}


async def test_set_up_tokens_are_not_guessed_faster(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        replies = [(await house.client().post("/setup", _SETUP)).status for _ in range(6)]
        assert replies == [401] * 5 + [429]


async def test_good_logins_do_not_count(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        await house.user("ada")
        for _ in range(8):
            assert (await house.client().login("ada")).status == 200


# -- CSRF --------------------------------------------------------------------------------------------------


async def test_a_cookie_alone_changes_nothing(tmp_path: Path) -> None:
    """reliability X7: CSRF = Origin check + token."""
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        new = {"name": "ci", "role": "viewer"}
        host = house.url.removeprefix("http://")
        ours = {"origin": house.url, "host": host}
        right = ada.csrf
        for csrf, origin, allowed in (
            ("", {}, False),
            ("wrong", ours, False),
            (right, {"origin": "https://evil.example"}, False),
            (right, {"origin": "null"}, False),
            (right, {"sec-fetch-site": "cross-site"}, False),
            (right, ours, True),
        ):
            ada.csrf = csrf
            reply = await ada.post("/tokens", new, origin)
            assert reply.status == (201 if allowed else 403), (csrf, origin)
        ada.csrf = ""
        assert (await ada.get("/tokens")).status == 200  # reading needs no proof


async def test_the_token_of_another_session_proves_nothing(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada, eve = await house.user("ada"), await house.user("eve", "viewer")
        ada.csrf = eve.csrf
        assert (await ada.post("/tokens", {"name": "ci", "role": "viewer"})).status == 403


async def test_another_site_cannot_log_anybody_in(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        await house.user("ada")
        login = {"name": "ada", "password": PASSWORD}
        reply = await house.client().post("/login", login, {"origin": "https://evil.example"})
        assert reply.status == 403
        assert "set-cookie" not in reply.headers


async def test_a_form_cannot_carry_a_body(tmp_path: Path) -> None:
    """A form of another site sends no JSON content type without asking first, and is never let."""
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            reply = await ada.post("/tokens", b'{"name":"ci","role":"viewer"}', {"content-type": kind})
            assert reply.status == 400
            assert "content-type" in reply.json["error"]["message"]


async def test_automation_needs_neither_cookie_nor_origin(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        robot = await house.token()
        assert (await robot.post("/tokens", {"name": "ci", "role": "viewer"})).status == 201
        me = (await robot.get("/me")).json
        assert (me["kind"], me["csrf_token"], me["session_expires_at"]) == ("token", None, None)
        for path, body in (("/password", {"current": "x", "new": OTHER}), ("/totp", {"password": "x"})):
            assert (await robot.post(path, body)).status == 403


async def test_a_token_that_is_shown_counts_even_beside_a_good_cookie(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        assert (await ada.get("/me", {"authorization": "Bearer drg-adm-unknown"})).status == 401
        assert (await ada.get("/me", {"authorization": "Bearer"})).status == 401
        # A proxy's own login is not ours to judge; it opens nothing by itself.
        assert (await ada.get("/me", {"authorization": "Basic YTpi"})).status == 200
        assert (await house.client(authorization="Basic YTpi").get("/me")).status == 401


async def test_the_last_use_of_a_token_is_noted(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        robot = await house.token("viewer", "ci")
        await robot.get("/me")
        async with asyncio.timeout(30):
            while (await house.house.tokens().get("ci")).last_used_at is None:
                await robot.get("/me")


async def test_expired_and_revoked_tokens_and_client_keys_open_nothing(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        tokens = house.house.tokens()
        now = house.house.now
        _, short = await tokens.create("short", "admin", now, now + 60)
        gone, revoked = await tokens.create("gone", "admin", now)
        await tokens.revoke(gone.id)
        _, key = await house.house.keys().create(KeySpec("laptop"), now)
        house.clock.ahead += 61
        for text in (short, revoked, key, "drg-adm-" + "x" * 43, "", "drg-adm-"):
            assert (await house.client(authorization=f"Bearer {text}").get("/me")).status == 401
            assert (await house.client(**{"x-api-key": text}).get("/me")).status == 401


# -- one's own password and second factor --------------------------------------------------------------------


async def test_a_new_password_needs_the_old_one_and_ends_other_sessions(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with administered(tmp_path, settings) as house:
        ada = await house.user("ada", "viewer")
        elsewhere = house.client()
        await elsewhere.login("ada")
        wrong = await ada.post("/password", {"current": "wrong", "new": OTHER})
        assert (wrong.status, wrong.json["error"]["path"]) == (400, "current")
        assert (await ada.post("/password", {"current": PASSWORD, "new": "short"})).status == 400
        assert (await ada.post("/password", {"current": PASSWORD, "new": OTHER})).status == 204
        assert (await ada.get("/me")).status == 200
        assert (await elsewhere.get("/me")).status == 401
        assert (await house.client().login("ada", PASSWORD)).status == 401
        assert (await house.client().login("ada", OTHER)).status == 200


async def enrolled(house: Administered, client: Client) -> tuple[bytes, list[str]]:
    """Puts a second factor into force."""
    told = (await client.post("/totp", {"password": PASSWORD})).json
    user = await house.house.people().get("ada")
    secret = house.house.people().secret(user)
    assert secret is not None
    assert told["secret"] == codes.spelled(secret)
    assert f"secret={told['secret']}" in told["uri"]
    confirmed = await client.post("/totp/confirm", {"code": codes.code_at(secret, house.clock.now())})
    assert confirmed.status == 200
    return secret, confirmed.json["recovery_codes"]


async def test_with_a_second_factor_the_password_is_not_enough(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """reliability X7: TOTP with replay refusal and recovery codes."""
    async with administered(tmp_path, settings) as house:
        ada = await house.user("ada")
        secret, recovery = await enrolled(house, ada)
        assert len(recovery) == 10
        assert (await ada.get("/me")).json["second_factor"] is True
        used = codes.code_at(secret, house.clock.now())

        bare = await house.client().login("ada")
        assert (bare.status, bare.json["error"]["path"]) == (401, "code")
        replayed = await house.client().login("ada", code=used)  # the one that confirmed
        assert replayed.status == 401
        house.clock.ahead += 60
        fresh = codes.code_at(secret, house.clock.now())
        assert (await house.client().login("ada", code=fresh)).status == 200
        assert (await house.client().login("ada", code=fresh)).status == 401

        entered = await house.client().login("ada", code=recovery[0].upper().replace("-", " "))
        assert (entered.status, entered.json["recovery_codes_left"]) == (200, 9)
        assert (await house.client().login("ada", code=recovery[0])).status == 401
        assert (await ada.get("/me")).json["recovery_codes_left"] == 9
        assert ("user:ada", "recovery_code", "user:ada") in await house.audit()


async def test_a_right_code_does_not_help_a_wrong_password(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        secret, _ = await enrolled(house, ada)
        house.clock.ahead += 60
        code = codes.code_at(secret, house.clock.now())
        refused = await house.client().login("ada", "wrong password", code)
        assert refused.status == 401
        assert "path" not in refused.json["error"]  # nothing is told of the code
        assert (await house.client().login("ada", code=code)).status == 200  # and it was not used up


async def test_codes_are_not_guessed_faster_than_passwords(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        await enrolled(house, ada)
        tries = [(await house.client().login("ada", code="000000")).status for _ in range(6)]
        assert tries == [401] * 5 + [429]


async def test_a_second_factor_is_enrolled_confirmed_and_removed_with_proof(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        assert (await ada.post("/totp/confirm", {"code": "000000"})).status == 409
        assert (await ada.post("/totp", {"password": "wrong"})).status == 400
        assert (await ada.post("/totp", {"password": PASSWORD})).status == 200
        wrong = await ada.post("/totp/confirm", {"code": "abc"})
        assert (wrong.status, wrong.json["error"]["path"]) == (400, "code")
        assert (await house.client().login("ada")).status == 200  # not in force yet
        await enrolled(house, ada)
        assert (await ada.post("/totp", {"password": PASSWORD})).status == 409
        assert (await ada.post("/totp/disable", {"password": "wrong"})).status == 400
        assert (await ada.post("/totp/disable", {"password": PASSWORD})).status == 204
        assert (await house.client().login("ada")).status == 200


async def test_no_secret_is_in_log_or_audit(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        secret, recovery = await enrolled(house, ada)
        await house.client().login("ada", "a wrong password", "123456")
        trail = (await ada.get("/audit")).body.decode()
        said = house.gateway.log.getvalue() + trail
        assert "login_refused" in said
        for text in (
            PASSWORD,
            "a wrong password",
            codes.spelled(secret),
            *recovery,
            ada.cookie[17:],
            ada.csrf,
        ):
            assert text not in said
