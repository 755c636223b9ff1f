"""Users and tokens over the admin API: admins make and end them, and cannot lock everybody out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.admin import PASSWORD, administered
from tests.support.databases import Kind

OTHER = "another long password"


@pytest.fixture
def settings(kind: Kind, database_url: str) -> dict[str, Any]:
    """Each test runs on both databases."""
    return {"database": {"url": database_url}}


async def test_an_admin_makes_users_who_may_what_their_role_may(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with administered(tmp_path, settings) as house:
        ada = await house.user("ada")
        made = await ada.post("/users", {"name": "eve", "role": "viewer", "password": OTHER})
        assert made.status == 201
        assert (made.json["role"], made.json["second_factor"]) == ("viewer", False)
        assert (await ada.post("/users", {"name": "eve", "role": "admin", "password": OTHER})).status == 409
        eve = house.client()
        assert (await eve.login("eve", OTHER)).status == 200
        assert (await eve.get("/keys")).status == 200
        assert (await eve.get("/users")).status == 403
        assert (await eve.post("/keys", {"name": "x"})).status == 403
        assert [user["name"] for user in (await ada.get("/users")).json["data"]] == ["ada", "eve"]
        assert "password" not in (await ada.get("/users")).body.decode()


async def test_a_removed_user_is_out_at_once(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        ada = await house.user("ada")
        eve = await house.user("eve", "viewer")
        assert (await eve.get("/me")).status == 200
        assert (await ada.delete("/users/eve")).status == 204
        assert (await eve.get("/me")).status == 401
        assert (await ada.delete("/users/eve")).status == 404


async def test_nobody_locks_everybody_out(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        robot = await house.token()
        assert (await ada.delete("/users/ada")).status == 409
        last = await robot.delete("/users/ada")
        assert (last.status, last.json["error"]["message"]) == (409, "'ada' is the last admin.")
        await house.user("bob")
        assert (await robot.delete("/users/ada")).status == 204


async def test_a_reset_lets_a_user_in_again(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada, eve = await house.user("ada"), await house.user("eve", "viewer")
        told = await ada.post("/users/eve/reset", {"password": OTHER})
        assert told.status == 200
        assert (await eve.get("/me")).status == 401
        assert (await house.client().login("eve", PASSWORD)).status == 401
        assert (await house.client().login("eve", OTHER)).status == 200
        assert (await ada.post("/users/eve/reset", {"password": "eve"})).status == 400
        assert (await ada.post("/users/nobody/reset", {"password": OTHER})).status == 404
        assert ("user:ada", "user.reset", "user:eve") in await house.audit()


async def test_a_role_is_in_force_with_the_next_request(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        ada, eve = await house.user("ada"), await house.user("eve", "viewer")
        told = await ada.patch("/users/eve", {"role": "admin"})
        assert (told.status, told.json["role"]) == (200, "admin")
        assert (await eve.get("/users")).status == 200
        assert (await eve.patch("/users/ada", {"role": "viewer"})).status == 200
        assert (await ada.get("/me")).json["role"] == "viewer"
        assert (await ada.patch("/users/eve", {"role": "viewer"})).status == 403
        assert ("user:ada", "user.role", "user:eve") in await house.audit()


async def test_no_role_is_changed_that_would_leave_nobody_in_charge(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada, robot = await house.user("ada"), await house.token()
        own = await ada.patch("/users/ada", {"role": "viewer"})
        assert (own.status, own.json["error"]["message"]) == (409, "Nobody changes their own role.")
        last = await robot.patch("/users/ada", {"role": "viewer"})
        assert (last.status, last.json["error"]["message"]) == (409, "'ada' is the last admin.")
        assert (await robot.patch("/users/ada", {"role": "admin"})).status == 200
        assert (await robot.patch("/users/ada", {"role": "setup"})).json["error"]["path"] == "role"
        assert (await robot.patch("/users/nobody", {"role": "viewer"})).status == 404


async def test_open_sessions_are_listed_and_ended(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        ada, eve = await house.user("ada"), await house.user("eve", "viewer")
        again = house.client()
        assert (await again.login("eve")).status == 200
        own = (await eve.get("/sessions")).json["data"]
        assert [one["user"] for one in own] == ["eve", "eve"]
        assert [one["current"] for one in own].count(True) == 1
        everybody = (await ada.get("/sessions")).json["data"]
        assert sorted(one["user"] for one in everybody) == ["ada", "eve", "eve"]
        assert eve.cookie.partition("=")[2] not in (await ada.get("/sessions")).body.decode()

        (adas,) = (one["id"] for one in everybody if one["user"] == "ada")
        assert (await eve.delete(f"/sessions/{adas}")).status == 404
        other = next(one["id"] for one in own if not one["current"])
        assert (await eve.delete(f"/sessions/{other}")).status == 204
        assert (await again.get("/me")).status == 401
        assert (await eve.delete(f"/sessions/{other}")).status == 404
        (last,) = (one["id"] for one in (await eve.get("/sessions")).json["data"])
        assert (await ada.delete(f"/sessions/{last}")).status == 204
        assert (await eve.get("/me")).status == 401
        assert ("user:ada", "session.end", "user:eve") in await house.audit()


async def test_sessions_that_ended_are_not_listed_and_tokens_have_none(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        ada = await house.user("ada")
        robot, guest = await house.token(), await house.token("viewer")
        (row,) = (await robot.get("/sessions")).json["data"]
        assert not row["current"]
        assert (await guest.get("/sessions")).json["data"] == []
        assert (await guest.delete(f"/sessions/{row['id']}")).status == 404
        house.clock.ahead += 13 * 3600
        assert (await ada.get("/sessions")).status == 401
        assert (await robot.get("/sessions")).json["data"] == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "eve", "role": "viewer"}, "password"),
        ({"name": "eve", "role": "setup", "password": OTHER}, "role"),
        ({"name": "eve@x y", "role": "viewer", "password": OTHER}, "name"),
        ({"name": ":setup", "role": "viewer", "password": OTHER}, "name"),
        ({"name": "eve", "role": "viewer", "password": "1234567"}, "password"),
        ({"name": "eve", "role": "viewer", "password": "x" * 257}, "password"),
        ({"name": "eve", "role": "viewer", "password": OTHER, "totp": None}, "totp"),
    ],
)
async def test_a_wrong_field_of_a_user_is_named(tmp_path: Path, body: dict[str, Any], path: str) -> None:
    async with administered(tmp_path) as house:
        reply = await (await house.token()).post("/users", body)
        assert (reply.status, reply.json["error"]["path"]) == (400, path)
        assert OTHER not in reply.body.decode()


async def test_a_token_is_shown_once_works_and_ends(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        ada = await house.user("ada")
        made = await ada.post("/tokens", {"name": "ci", "role": "viewer"})
        assert made.status == 201
        text = made.json["token"]
        assert text.startswith("drg-adm-")
        robot = house.client(authorization=f"Bearer {text}")
        assert (await robot.get("/keys")).status == 200
        assert (await robot.post("/keys", {"name": "x"})).status == 403
        for path in ("/tokens", "/audit"):
            shown = (await ada.get(path)).body.decode()
            assert text not in shown
            assert "ci" in shown
        assert (await ada.post("/tokens", {"name": "ci", "role": "viewer"})).status == 409
        assert (await ada.delete(f"/tokens/{made.json['id']}")).status == 204
        assert (await robot.get("/keys")).status == 401
        assert (await ada.delete("/tokens/ci")).status == 404
        assert (await house.audit())[-1] == ("user:ada", "token.revoke", "token:ci")


async def test_a_token_cannot_end_before_it_begins(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        body = {"name": "ci", "role": "viewer", "expires_at": "2001-01-01T00:00:00Z"}
        reply = await (await house.token()).post("/tokens", body)
        assert (reply.status, reply.json["error"]["path"]) == (400, "expires_at")


async def test_other_doors_know_admin_tokens_too(tmp_path: Path) -> None:
    """For `/metrics`."""
    async with administered(tmp_path) as house:
        knows = house.mount.doorman.is_admin_token
        assert await knows((await house.token()).headers)
        assert not await knows((await house.token("viewer")).headers)
        assert not await knows({})
        assert not await knows({"authorization": "Bearer drg-adm-x"})
