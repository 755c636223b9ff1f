"""Aliases and prices over the admin API: the store's before the file's, in force at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragoman.translate.models import parse_aliases
from tests.support.admin import administered
from tests.support.databases import Kind

MODELS = {"claude-*": "gpt-5.5@medium", "fast": "gpt-5.5@low"}


@pytest.fixture
def settings(kind: Kind, database_url: str) -> dict[str, Any]:
    """Each test runs on both databases."""
    return {"database": {"url": database_url}, "models": MODELS}


FILE: dict[str, Any] = {"file_aliases": parse_aliases(MODELS)}


async def test_an_alias_is_in_force_at_once_and_gone_at_once(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with administered(tmp_path, settings, **FILE) as house:
        admin = await house.token()
        made = await admin.put("/aliases/team/opus-*", {"target": "gpt-5.6-sol@high"})
        assert made.json == {
            "name": "team/opus-*",
            "target": "gpt-5.6-sol@high",
            "origin": "store",
            "shadowed_by": None,
        }
        found = (await admin.get("/aliases/test?name=team/opus-5")).json
        assert (found["model"], found["effort"], found["via"]) == ("gpt-5.6-sol", "high", "glob")
        assert found["accounts"] == ["simulated"]
        assert found["priced"] is True
        assert (found["alias"], found["origin"], found["default_effort"]) == ("team/opus-*", "store", "high")
        listed = (await admin.get("/aliases")).json["data"]
        assert [(row["name"], row["origin"]) for row in listed] == [
            ("team/opus-*", "store"),
            ("claude-*", "config"),
            ("fast", "config"),
        ]
        assert (await admin.delete("/aliases/team/opus-*")).status == 204
        assert (await admin.get("/aliases/test?name=team/opus-5")).json["via"] == "pass-through"
        assert (await admin.delete("/aliases/team/opus-*")).status == 404
        assert [action for _, action, _ in await house.audit()] == ["alias.set", "alias.remove"]


async def test_the_stores_alias_goes_before_the_files(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings, **FILE) as house:
        admin = await house.token()
        await admin.put("/aliases/claude-*", {"target": "gpt-5.6-sol"})
        assert (await admin.get("/aliases/test?name=claude-x")).json["model"] == "gpt-5.6-sol"
        shadowed = {
            row["origin"]: row["shadowed_by"] for row in (await admin.get("/aliases")).json["data"][:2]
        }
        assert shadowed == {"store": None, "config": "claude-*"}
        # The file's own cannot be taken away here.
        assert (await admin.delete("/aliases/fast")).status == 404


@pytest.mark.parametrize(
    ("name", "target", "path"),
    [
        ("x", "", "target"),
        ("x", "gpt-5.5@hgih", "target"),
        ("x", "@high", "target"),
        ("x", "a\nb", "target"),
        ("x", None, "target"),
        ("x", "m" * 257, "target"),
        ("%20x", "gpt-5.5", "name"),
        ("x%09y", "gpt-5.5", "name"),
        ("y" * 257, "gpt-5.5", "name"),
    ],
)
async def test_an_alias_that_cannot_work_is_refused(
    tmp_path: Path, name: str, target: str | None, path: str
) -> None:
    async with administered(tmp_path) as house:
        reply = await (await house.token()).put(f"/aliases/{name}", {"target": target})
        assert reply.status == 400
        assert reply.json["error"]["path"] == path
        assert await house.audit() == []


async def test_a_target_that_no_account_serves_is_refused(tmp_path: Path) -> None:
    account = {
        "name": "a",
        "kind": "responses",
        "base_url": "http://127.0.0.1:9/v1",
        "models": ["qwen3-coder"],
    }
    keys = [{"name": "file", "key": "sk-drg-of-the-file"}]
    async with administered(tmp_path, {"accounts": [account], "keys": keys, "models": {}}) as house:
        admin = await house.token()
        refused = await admin.put("/aliases/x", {"target": "gpt-5.5"})
        assert (refused.status, refused.json["error"]["path"]) == (400, "target")
        assert (await admin.put("/aliases/x", {"target": "qwen3-coder@high"})).status == 200
        lost = await admin.get("/aliases/test?name=qwen4-coder")
        assert lost.status == 404
        assert "'qwen3-coder'" in lost.json["error"]["message"]


async def test_a_price_is_in_force_at_once(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with administered(tmp_path, settings) as house:
        admin = await house.token()
        before = {row["model"]: row["source"] for row in (await admin.get("/prices")).json["data"]}
        assert before == {"gpt-5.5": "catalogue"}
        rates = {
            "input": 1.25,
            "cached": 0.125,
            "output": 10,
            "long_from": 1000,
            "long_input": 3,
            "long_output": 20,
        }
        made = await admin.put("/prices/gpt-5.5", rates)
        assert made.json["source"] == "store"
        assert made.json["rates"].items() >= rates.items()
        price = house.house.house.admission.prices.upstream("gpt-5.5")
        assert price is not None
        assert price.base.input == 1_250_000
        listed = (await admin.get("/prices")).json["data"]
        assert [(row["model"], row["source"]) for row in listed] == [("gpt-5.5", "store")]
        assert (await admin.delete("/prices/gpt-5.5")).status == 204
        assert (await admin.get("/prices")).json["data"][0]["source"] == "catalogue"
        assert (await admin.delete("/prices/gpt-5.5")).status == 404


@pytest.mark.parametrize(
    ("rates", "path"),
    [
        ({}, "input"),
        ({"input": 1}, "output"),
        ({"input": -1, "output": 1}, "input"),
        ({"input": 1, "output": 1, "ouput": 1}, "ouput"),
        ({"input": "1", "output": 1}, "input"),
        ({"input": True, "output": 1}, "input"),
        ({"input": 1, "output": 1, "long_input": 2}, "long_output"),
        ({"input": 1e30, "output": 1}, "input"),
    ],
)
async def test_a_price_that_cannot_work_is_refused_with_its_path(
    tmp_path: Path, rates: dict[str, Any], path: str
) -> None:
    async with administered(tmp_path) as house:
        reply = await (await house.token()).put("/prices/gpt-5.5", rates)
        assert reply.status == 400
        assert reply.json["error"]["path"].startswith(path)


async def test_a_served_model_without_a_price_is_listed_as_such(tmp_path: Path) -> None:
    async with administered(tmp_path, {"models": {"x": "nobody-sells-this"}}) as house:
        listed = (await (await house.token()).get("/prices")).json["data"]
        assert {"model": "nobody-sells-this", "under": None, "source": None, "rates": None} in listed


async def test_a_price_says_under_which_name_it_was_set(tmp_path: Path) -> None:
    async with administered(tmp_path, {"models": {"x": "gpt-5.5", "y": "mine-7"}}) as house:
        admin = await house.token()
        await admin.put("/prices/mine-*", {"input": 1, "output": 2})
        listed = {row["model"]: row for row in (await admin.get("/prices")).json["data"]}
        assert (listed["mine-*"]["under"], listed["mine-*"]["source"]) == ("mine-*", "store")
        assert (listed["mine-7"]["under"], listed["mine-7"]["source"]) == ("mine-*", "store")
        assert (listed["gpt-5.5"]["under"], listed["gpt-5.5"]["source"]) == (None, "catalogue")


async def test_models_are_listed_with_who_lists_them_and_what_leads_there(tmp_path: Path) -> None:
    accounts = [
        {"name": "home", "kind": "responses", "base_url": "http://127.0.0.1:9/v1", "models": ["qwen-coder"]},
        {"name": "any", "kind": "responses", "base_url": "http://127.0.0.1:9/v1"},
    ]
    names = {"fast": "gpt-5.5@low", "claude-*": "gpt-5.5", "claude-opus-*": "gpt-5.4"}
    keys = [{"name": "file", "key": "sk-drg-of-the-file"}]
    settings = {"accounts": accounts, "keys": keys, "models": names}
    async with administered(tmp_path, settings, file_aliases=parse_aliases(names)) as house:
        admin = await house.token()
        told = (await admin.get("/models")).json
        assert (told["any"], told["passes"]) == (["any"], False)
        rows = {row["model"]: row for row in told["data"]}
        assert list(rows) == ["gpt-5.4", "gpt-5.5", "qwen-coder"]
        assert rows["gpt-5.5"]["aliases"] == ["fast", "claude-*"]
        assert rows["gpt-5.4"]["aliases"] == [], "an earlier glob leaves it nothing"
        assert (rows["gpt-5.5"]["known"], rows["gpt-5.5"]["default_effort"]) == (True, "medium")
        assert "xhigh" in rows["gpt-5.5"]["efforts"]
        assert rows["gpt-5.5"]["context_window"] == 272_000
        assert (rows["qwen-coder"]["known"], rows["qwen-coder"]["accounts"]) == (False, ["home"])
        assert rows["qwen-coder"]["priced"] is False
        found = (await admin.get("/aliases/test?name=claude-x")).json
        assert (found["alias"], found["origin"], found["via"]) == ("claude-*", "config", "glob")
        assert (found["default_effort"], found["context_window"]) == ("medium", 272_000)
        listed = (await admin.get("/aliases/test?name=qwen-coder")).json
        assert (listed["alias"], listed["origin"], listed["via"]) == (None, None, "listed")
        assert listed["accounts"] == ["home", "any"]


async def test_an_account_whose_catalogue_lacks_a_model_is_not_named_for_it(tmp_path: Path) -> None:
    from dragoman.routing.pool import Member, Pool

    pool = Pool([])
    async with administered(tmp_path, pool_view=lambda: pool.describe(1000.0)) as house:
        admin = await house.token()
        pool.replace([Member("simulated", "openai", advertised=frozenset({"gpt-5.4"}))])
        assert (await admin.get("/aliases/test?name=gpt-5.4")).json["accounts"] == ["simulated"]
        pool.replace(
            [
                Member("simulated", "openai", advertised=frozenset({"gpt-5.4"})),
                Member("b", "openai", models=frozenset({"gpt-5.5"})),
            ]
        )
        assert (await admin.get("/aliases/test?name=gpt-5.5")).json["accounts"] == []


async def test_the_demos_aliases_are_listed_as_long_as_they_count(tmp_path: Path) -> None:
    demo = parse_aliases({"claude-*": "gpt-5.5"})
    async with administered(tmp_path, {"models": {}}, file_aliases=demo) as house:
        admin = await house.token()
        house.house.house.aliases = demo
        (row,) = (await admin.get("/aliases")).json["data"]
        assert (row["name"], row["origin"]) == ("claude-*", "demo")
        house.house.house.aliases = ()
        assert (await admin.get("/aliases")).json["data"] == []


async def test_prices_of_the_file_are_listed_below_the_stores(tmp_path: Path) -> None:
    prices = {"mine": {"input": 1, "output": 2}, "other": {"input": 3, "output": 4}}
    async with administered(tmp_path, {"prices": prices}) as house:
        admin = await house.token()
        await admin.put("/prices/mine", {"input": 9, "output": 9})
        listed = {row["model"]: row for row in (await admin.get("/prices")).json["data"]}
        assert (listed["mine"]["source"], listed["mine"]["rates"]["input"]) == ("store", 9)
        assert (listed["other"]["source"], listed["other"]["rates"]["input"]) == ("config", 3)


async def test_offers_are_the_names_that_clients_may_request(tmp_path: Path) -> None:
    names = {"claude-*": "gpt-5.5@medium", "fast": "gpt-5.5@low"}
    async with administered(tmp_path, {"models": names}, file_aliases=parse_aliases(names)) as house:
        found = (await (await house.token("viewer")).get("/offers")).json
        assert "fast" in [one["name"] for one in found["data"]]
        assert {one["model"] for one in found["data"]} >= {"gpt-5.5"}
        assert all(one["window"] > 0 for one in found["data"])
        assert found["tiers"]["opus"]["name"] == "claude-opus-5-5"
        assert {one["model"] for one in found["tiers"].values()} == {"gpt-5.5"}


async def test_a_tier_without_an_alias_is_not_offered(tmp_path: Path) -> None:
    names = {"team-claude": "gpt-5.5", "claude-my-haiku": "gpt-5.5"}
    async with administered(tmp_path, {"models": names}, file_aliases=parse_aliases(names)) as house:
        tiers = (await (await house.token()).get("/offers")).json["tiers"]
        assert {tier: one["name"] for tier, one in tiers.items()} == {"haiku": "claude-my-haiku"}
