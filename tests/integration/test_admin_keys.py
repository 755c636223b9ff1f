"""Client keys over the admin API: made once, effective at once, and nothing that cannot work is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.admin import Administered, Client, administered
from tests.support.databases import Kind
from tests.support.inprocess import Reply

FILE_KEY = "sk-drg-of-the-file"


@pytest.fixture
def settings(kind: Kind, database_url: str) -> dict[str, Any]:
    """Each test runs on both databases, with a key in the file."""
    return {"database": {"url": database_url}, "keys": [{"name": "file", "key": FILE_KEY}]}


def limit(measure: str = "tokens", most: float = 1000, per: str = "day", **more: Any) -> dict[str, Any]:
    return {"measure": measure, "per": per, "max": most, **more}


async def ask(house: Administered, key: str, model: str = "claude-test") -> Reply:
    return await house.gateway.post(
        "/v1/messages",
        {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]},
        {"x-api-key": key},
    )


async def made(admin: Client, name: str = "laptop", **more: Any) -> tuple[dict[str, Any], str]:
    reply = await admin.post("/keys", {"name": name, **more})
    assert reply.status == 201, reply.json
    record = reply.json
    return record, record.pop("key")


async def test_a_key_is_shown_once_and_works_at_once(tmp_path: Path, settings: dict[str, Any]) -> None:
    """reliability X1"""
    async with administered(tmp_path, settings) as house:
        admin = await house.token()
        reply = await admin.post("/keys", {"name": "laptop", "tags": ["a", "b", "a"]})
        assert reply.headers["cache-control"] == "no-store"
        record, key = reply.json, reply.json["key"]
        assert key.startswith("sk-drg-")
        assert record["hint"] == f"…{key[-4:]}"
        assert (record["origin"], record["state"], record["tags"]) == ("store", "active", ["a", "b"])
        assert (await ask(house, key)).status == 200
        for path in ("/keys", f"/keys/{record['id']}", "/keys/laptop", "/audit"):
            shown = await admin.get(path)
            assert shown.status == 200
            assert key not in shown.body.decode()
        assert key not in house.gateway.log.getvalue()


async def test_a_revoked_key_is_refused_at_once_and_stays_in_the_list(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with administered(tmp_path, settings) as house:
        admin = await house.token()
        record, key = await made(admin)
        gone = await admin.delete(f"/keys/{record['id']}")
        assert (gone.status, gone.json["state"]) == (200, "revoked")
        assert gone.json["revoked_at"] is not None
        assert (await ask(house, key)).status == 401
        assert [one["state"] for one in (await admin.get("/keys")).json["data"]] == ["active", "revoked"]
        assert (await admin.post("/keys/laptop/rotate", {})).status == 409


async def test_a_key_is_switched_off_and_on_again(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Issue of keys: an active flag beside revocation, which is for good."""
    async with administered(tmp_path, settings) as house:
        admin = await house.token()
        record, key = await made(admin)
        assert (record["active"], record["state"]) == (True, "active")
        off = await admin.patch("/keys/laptop", {"active": False})
        assert (off.status, off.json["active"], off.json["state"]) == (200, False, "off")
        assert (await ask(house, key)).status == 401
        # Another change leaves it off.
        assert (await admin.patch("/keys/laptop", {"tags": ["a"]})).json["state"] == "off"
        assert (await ask(house, key)).status == 401
        on = await admin.patch("/keys/laptop", {"active": True})
        assert (on.json["active"], on.json["state"], on.json["tags"]) == (True, "active", ["a"])
        assert (await ask(house, key)).status == 200
        for wrong in (None, "no", 0):
            refused = await admin.patch("/keys/laptop", {"active": wrong})
            assert refused.status == 400
            assert "active" in refused.body.decode()
        await admin.delete("/keys/laptop")
        assert (await admin.patch("/keys/laptop", {"active": True})).status == 409
        assert (await admin.get("/keys/laptop")).json["state"] == "revoked"
        assert (await ask(house, key)).status == 401


async def test_a_rotated_key_has_a_new_text_and_the_old_one_for_a_while(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with administered(tmp_path, settings) as house:
        admin = await house.token()
        _, old = await made(admin)
        rotated = await admin.post("/keys/laptop/rotate", {"overlap_seconds": 3600})
        assert rotated.json["previous_until"] is not None
        for key in (old, rotated.json["key"]):
            assert (await ask(house, key)).status == 200
        again = await admin.post("/keys/laptop/rotate", {})
        assert again.json["previous_until"] is None
        assert [(await ask(house, key)).status for key in (old, rotated.json["key"], again.json["key"])] == [
            401,
            401,
            200,
        ]


async def test_rules_are_in_force_at_once_and_counters_are_shown(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with administered(tmp_path, settings) as house:
        admin = await house.token()
        _, key = await made(
            admin,
            models=["claude-*"],
            limits=[limit("requests", 2), limit("cost_usd", 1.5, "month", models="claude-*")],
        )
        assert (await ask(house, key, "gpt-5.5")).status == 403
        assert (await ask(house, key)).status == 200
        shown = (await admin.get("/keys/laptop")).json["limits"]
        assert shown[0] == {
            "measure": "requests",
            "per": "day",
            "max": 2,
            "models": None,
            "used": 1,
            "held": 0,
            "remaining": 1,
            "resets_at": shown[0]["resets_at"],
        }
        assert 0 < shown[1]["used"] < 0.1
        assert shown[1]["used"] + shown[1]["remaining"] == pytest.approx(1.5)
        assert (await ask(house, key)).status == 200
        assert (await ask(house, key)).status == 429
        # A higher maximum goes on with what was counted.
        changed = await admin.patch("/keys/laptop", {"limits": [limit("requests", 3)]})
        assert (changed.json["limits"][0]["used"], changed.json["limits"][0]["remaining"]) == (2, 1)
        assert (await ask(house, key)).status == 200
        assert (await ask(house, key)).status == 429


async def test_a_change_leaves_alone_what_it_does_not_name(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        admin = await house.token()
        rules: dict[str, Any] = {
            "tags": ["a"],
            "models": ["claude-*"],
            "default_effort": "low",
            "max_effort": "high",
            "concurrency": 3,
            "expires_at": "2099-01-31T00:00:00Z",
            "limits": [limit("cost_usd", 0.25, models="claude-*")],
        }
        before, _ = await made(admin, **rules)
        assert {name: before[name] for name in rules if name != "limits"} == {
            name: value for name, value in rules.items() if name != "limits"
        }
        assert (await admin.patch("/keys/laptop", {})).json == before
        after = (await admin.patch("/keys/laptop", {"concurrency": None, "tags": []})).json
        assert after == {**before, "concurrency": None, "tags": []}
        assert (await admin.patch("/keys/laptop", {"tags": None})).json["tags"] == []
        after = (await admin.patch("/keys/laptop", {"models": None, "expires_at": None, "limits": None})).json
        assert (after["models"], after["expires_at"], after["limits"]) == (None, None, [])
        assert after["max_effort"] == "high"


async def test_an_expired_key_says_so(tmp_path: Path) -> None:
    async with administered(tmp_path) as house:
        admin = await house.token()
        await made(admin, expires_at="2090-01-31T00:00:00Z")
        house.clock.ahead += 80 * 366 * 86_400
        assert (await admin.get("/keys/laptop")).json["state"] == "expired"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": " a"}, "name"),
        ({"name": "a\u0000"}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x", "nmae": 1}, "nmae"),
        ({"name": "x", "tags": "a"}, "tags"),
        ({"name": "x", "tags": ["ok", ""]}, "tags.1"),
        ({"name": "x", "models": []}, "models"),
        ({"name": "x", "models": ["clade-*"]}, "models.0"),
        ({"name": "x", "models": ["claude-*", "nothing-*"]}, "models.1"),
        ({"name": "x", "max_effort": "ultra"}, "max_effort"),
        ({"name": "x", "enforced_effort": "high", "max_effort": "low"}, "enforced_effort"),
        ({"name": "x", "concurrency": 0}, "concurrency"),
        ({"name": "x", "concurrency": "3"}, "concurrency"),
        ({"name": "x", "concurrency": True}, "concurrency"),
        ({"name": "x", "concurrency": 1.5}, "concurrency"),
        ({"name": "x", "expires_at": "tomorrow"}, "expires_at"),
        ({"name": "x", "expires_at": "2030-01-31T00:00:00"}, "expires_at"),
        ({"name": "x", "expires_at": "2001-01-31T00:00:00Z"}, "expires_at"),
        ({"name": "x", "expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
        ({"name": "x", "limits": {}}, "limits"),
        ({"name": "x", "limits": [limit("tokens", -1)]}, "limits.0.max"),
        ({"name": "x", "limits": [limit("tokens", 1.5)]}, "limits.0.max"),
        ({"name": "x", "limits": [limit("tokens", 1e18)]}, "limits.0.max"),
        ({"name": "x", "limits": [limit("cost_usd", -0.01)]}, "limits.0.max"),
        ({"name": "x", "limits": [{**limit(), "max": "5"}]}, "limits.0.max"),
        ({"name": "x", "limits": [{**limit(), "max": True}]}, "limits.0.max"),
        ({"name": "x", "limits": [limit("token")]}, "limits.0.measure"),
        ({"name": "x", "limits": [limit(per="fortnight")]}, "limits.0.per"),
        ({"name": "x", "limits": [limit(), limit(mdels="x")]}, "limits.1.mdels"),
        ({"name": "x", "limits": [{"measure": "tokens", "per": "day"}]}, "limits.0.max"),
        ({"name": "x", "limits": [limit(models="nothing-*")]}, "limits.0.models"),
        ({"name": "x", "limits": [limit(models="")]}, "limits.0.models"),
        ({"name": "x", "limits": [limit(), limit(most=5)]}, "limits.1"),
        ({"name": "x", "limits": [limit("cost_usd", 5, models="unpriced-*")]}, "limits.0"),
        ({"name": "x", "limits": [limit("cost_usd", 5)]}, "limits.0"),
    ],
)
async def test_what_cannot_work_is_refused_with_path_and_reason(
    tmp_path: Path, body: dict[str, Any], path: str
) -> None:
    """The issue's bad input: an unpriced model, a glob that matches nothing, a negative maximum."""
    models = {"claude-*": "gpt-5.5@medium", "unpriced-*": "a-model-that-nobody-sells"}
    async with administered(tmp_path, {"models": models}) as house:
        admin = await house.token()
        reply = await admin.post("/keys", body)
        assert reply.status == 400, reply.json
        assert reply.json["error"]["path"] == path
        assert reply.json["error"]["message"].startswith(f"{path}: ")
        assert (await admin.get("/keys")).json["data"] == []
        assert await house.audit() == []


async def test_a_price_makes_a_budget_possible_and_insisting_a_glob(tmp_path: Path) -> None:
    models = {"local": "a-model-that-nobody-sells"}
    async with administered(tmp_path, {"models": models}) as house:
        admin = await house.token()
        budget = {"name": "x", "limits": [limit("cost_usd", 5, models="local")]}
        refused = await admin.post("/keys", budget)
        assert "'a-model-that-nobody-sells'" in refused.json["error"]["message"]
        rates = {"input": 1, "output": 2.5}
        assert (await admin.put("/prices/a-model-that-nobody-sells", rates)).status == 200
        assert (await admin.post("/keys", budget)).status == 201
        assert (await admin.post("/keys", {"name": "y", "models": ["later-*"]})).status == 400
        assert (await admin.post("/keys", {"name": "y", "models": ["later-*"], "anyway": True})).status == 201
        # What is there already is not judged again when something else changes.
        assert (await admin.patch("/keys/y", {"tags": ["a"]})).status == 200


async def test_taken_names_are_conflicts_and_unknown_ones_not_found(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with administered(tmp_path, settings) as house:
        admin = await house.token()
        await made(admin)
        for name in ("laptop", "file"):
            reply = await admin.post("/keys", {"name": name})
            assert reply.status == 409
            assert reply.json["error"]["type"] == "conflict_error"
        for method, path in (
            ("GET", "/keys/nobody"),
            ("PATCH", "/keys/nobody"),
            ("DELETE", "/keys/nobody"),
            ("POST", "/keys/nobody/rotate"),
        ):
            reply = await admin.send(method, path, {} if method in ("PATCH", "POST") else None)
            assert reply.status == 404, method


async def test_the_files_keys_are_shown_and_stay_as_they_are(tmp_path: Path) -> None:
    row = {"name": "file", "key": FILE_KEY, "models": ["claude-*"], "limits": [limit("requests", 5)]}
    async with administered(tmp_path, {"keys": [row]}, fixed=("demo",)) as house:
        admin = await house.token()
        assert (await ask(house, FILE_KEY)).status == 200
        listed = (await admin.get("/keys")).json["data"]
        assert [(key["name"], key["origin"], key["id"]) for key in listed] == [
            ("file", "config", None),
            ("demo", "config", None),
        ]
        assert (await admin.get("/keys/file")).json["limits"][0]["used"] == 1
        assert FILE_KEY not in (await admin.get("/keys")).body.decode()
        for method, path in (
            ("PATCH", "/keys/file"),
            ("DELETE", "/keys/file"),
            ("POST", "/keys/file/rotate"),
            ("DELETE", "/keys/demo"),
        ):
            reply = await admin.send(method, path, {} if method in ("PATCH", "POST") else None)
            assert reply.status == 409
            assert "configuration" in reply.json["error"]["message"]


async def test_every_change_is_in_the_audit_trail(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        ada = await house.user("ada")
        robot = await house.token()
        record, _ = await made(ada, limits=[limit()])
        await robot.patch(f"/keys/{record['id']}", {"concurrency": 2})
        await robot.post("/keys/laptop/rotate", {"overlap_seconds": 60})
        await ada.delete("/keys/laptop")
        assert (await house.audit())[1:] == [
            ("user:ada", "key.create", "key:laptop"),
            ("token:test-admin", "key.change", "key:laptop"),
            ("token:test-admin", "key.rotate", "key:laptop"),
            ("user:ada", "key.revoke", "key:laptop"),
        ]
        page = (await ada.get("/audit?limit=2")).json
        assert [one["action"] for one in page["data"]] == ["key.revoke", "key.rotate"]
        assert page["data"][1]["detail"] == {"overlap_seconds": 60}
        rest = (await ada.get(f"/audit?before={page['next']}")).json
        assert rest["data"][0]["detail"]["limits"] == [limit()]
        assert rest["next"] is None


async def test_a_name_may_hold_slashes(tmp_path: Path, settings: dict[str, Any]) -> None:
    """In the path they are written as %2F, or as they are."""
    async with administered(tmp_path, settings) as house:
        admin = await house.token()
        await made(admin, "team/a")
        odd, _ = await made(admin, "team/a/rotate")
        for path in ("/keys/team%2Fa", "/keys/team/a"):
            assert (await admin.get(path)).json["name"] == "team/a"
        assert (await admin.patch("/keys/team%2Fa", {"tags": ["b"]})).json["tags"] == ["b"]
        assert (await admin.post("/keys/team%2Fa/rotate", {})).json["name"] == "team/a"
        assert (await admin.get("/keys/team/a/rotate")).status == 405, "such a name is found by its id"
        assert (await admin.get(f"/keys/{odd['id']}")).json["name"] == "team/a/rotate"
        assert (await admin.delete("/keys/team%2Fa")).json["state"] == "revoked"
        account = {"name": "pool/x", "kind": "openai", "api_key": "sk-x"}
        assert (await admin.post("/accounts", account)).status == 201
        assert (await admin.patch("/accounts/pool%2Fx", {"weight": 2})).json["weight"] == 2
        assert (await admin.post("/accounts/pool%2Fx/pause", None)).json["status"] == "paused"
        assert (await admin.get("/accounts/pool%2Fx")).json["name"] == "pool/x"
        assert (await admin.delete("/accounts/pool%2Fx")).status == 204


async def test_a_group_that_no_account_is_in_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        admin = await house.token()
        account = {"name": "a", "kind": "openai", "api_key": "sk-x", "group": "red"}
        assert (await admin.post("/accounts", account)).status == 201
        refused = await admin.post("/keys", {"name": "x", "account_groups": ["red", "nog"]})
        assert (refused.status, refused.json["error"]["path"]) == (400, "account_groups.1")
        assert "there are 'red'" in refused.json["error"]["message"]
        await made(admin, "x", account_groups=["nog"], anyway=True)
        assert (await admin.patch("/keys/x", {"tags": ["a"]})).status == 200
        assert (await admin.patch("/keys/x", {"account_groups": ["red"]})).status == 200


async def test_a_name_that_cannot_be_is_told_in_words(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        admin = await house.token()
        for path, name, told in (
            ("/keys", "a\nb", "name: must be printable characters, without space at the ends"),
            ("/tokens", "a b", "name: must be 1 to 48 letters, digits and . _ @ -"),
        ):
            more = {"role": "viewer"} if path == "/tokens" else {}
            refused = await admin.post(path, {"name": name, **more})
            assert (refused.status, refused.json["error"]["message"]) == (400, told)
