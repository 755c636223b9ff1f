"""Changes in the store reach a running gateway: keys, limits, aliases, prices. On both databases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio

from dragoman.budget.limits import Limit
from dragoman.serving.store import Store
from dragoman.store.clientkeys import KeySpec
from tests.support.inprocess import Gateway, Reply, gateway
from tests.support.upstream import Upstream, completed, created, delta, upstream


@dataclass
class Stage:
    house: Gateway
    up: Upstream
    store: Store

    async def ask(self, key: str, model: str = "claude-test") -> Reply:
        body = {"model": model, "max_tokens": 9000, "messages": [{"role": "user", "content": "Hi"}]}
        return await self.house.post("/v1/messages", body, {"x-api-key": key})

    async def until(self, what: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(30):
            while not await what():
                await asyncio.sleep(0.05)

    async def until_status(self, key: str, status: int, model: str = "claude-test") -> Reply:
        last: list[Reply] = []

        async def seen() -> bool:
            last.append(await self.ask(key, model))
            return last[-1].status == status

        await self.until(seen)
        return last[-1]


@pytest_asyncio.fixture
async def stage(tmp_path: Path, database_url: str) -> AsyncIterator[Stage]:
    async def script(talk: Any) -> None:
        await talk.head()
        await talk.events(created(), delta("Hello"), completed(output=50, total=1000))
        await talk.end()

    async with upstream(script) as up:
        account = {"name": "a", "kind": "openai", "base_url": up.url, "api_key": "sk-upstream"}
        settings = {
            "accounts": [account],
            "keys": [{"name": "file", "key": "sk-drg-of-the-file"}],
            "database": {"url": database_url},
        }
        async with gateway(tmp_path, settings, stored=True) as house:
            assert house.assembly.store is not None
            yield Stage(house, up, house.assembly.store)


async def test_a_key_comes_turns_and_goes(stage: Stage) -> None:
    keys = stage.store.keys
    _, first = await keys.create(KeySpec("laptop", models=("claude-*",)), time.time())
    await stage.until_status(first, 200)
    assert (await stage.ask(first, "gpt-5.5")).status == 403
    _, second = await keys.rotate("laptop", 3600.0, time.time())
    await stage.until_status(second, 200)
    assert (await stage.ask(first)).status == 200, "the old text works through the overlap"
    _, third = await keys.rotate("laptop", 0.0, time.time())
    await stage.until_status(third, 200)
    assert (await stage.ask(first)).status == (await stage.ask(second)).status == 401
    await keys.revoke("laptop", time.time())
    refused = await stage.until_status(third, 401)
    unknown = await stage.ask("sk-drg-made-up")
    assert refused.json["error"] == unknown.json["error"], "all refusals look alike"
    assert (await stage.ask("sk-drg-of-the-file")).status == 200


async def test_to_revoke_the_only_key_leaves_the_door_shut(tmp_path: Path, database_url: str) -> None:
    """Without a key in the configuration, too: the gateway was keyless once, and is not any more."""
    async with upstream() as up:
        account = {"name": "a", "kind": "openai", "base_url": up.url, "api_key": "sk-upstream"}
        settings = {"accounts": [account], "database": {"url": database_url}}
        async with gateway(tmp_path, settings, stored=True) as house:
            store = house.assembly.store
            assert store is not None
            stage = Stage(house, up, store)
            assert (await stage.ask("whatever")).status == 200, "no key was ever made"
            _, text = await store.keys.create(KeySpec("only"), time.time())
            await stage.until_status("whatever", 401)
            assert (await stage.ask(text)).status == 200
            await store.keys.revoke("only", time.time())
            await stage.until_status(text, 401)
            assert (await stage.ask("whatever")).status == 401


async def test_an_expired_key_is_unknown(stage: Stage) -> None:
    _, text = await stage.store.keys.create(KeySpec("brief", expires_at=time.time() + 2), time.time())
    await stage.until_status(text, 200)
    refused = await stage.until_status(text, 401)
    assert refused.json["error"]["type"] == "authentication_error"


async def test_a_new_limit_knows_the_past_and_a_changed_one_keeps_its_count(stage: Stage) -> None:
    keys = stage.store.keys
    _, text = await keys.create(KeySpec("laptop"), time.time())
    await stage.until_status(text, 200)
    assert (await stage.ask(text)).status == 200
    tokens = Limit("tokens", "day", 2_000)
    await keys.change("laptop", KeySpec("laptop", limits=(tokens,)))
    refused = await stage.until_status(text, 429)
    assert "2,000 tokens" in refused.json["error"]["message"]
    await keys.change("laptop", KeySpec("laptop", limits=(Limit("tokens", "day", 1_000_000),)))
    reply = await stage.until_status(text, 200)
    left = int(reply.headers["anthropic-ratelimit-tokens-remaining"])
    row = stage.house.rows[-1]
    assert row.key == "laptop"
    spent = sum(one.input_tokens + one.output_tokens for one in stage.house.rows if one.key == "laptop")
    assert left >= 1_000_000 - spent - 10_000
    meter = next(iter(stage.house.assembly.house.admission.keys["laptop"]))
    assert meter.used(time.time()) == spent


async def test_an_alias_of_the_store_goes_before_the_files(stage: Stage) -> None:
    await stage.store.aliases.set("claude-test", "gpt-5.1@high")

    async def moved() -> bool:
        await stage.ask("sk-drg-of-the-file")
        return bool(stage.up.seen[-1].body["model"] == "gpt-5.1")

    await stage.until(moved)
    assert stage.up.seen[-1].body["reasoning"]["effort"] == "high"
    await stage.store.aliases.remove("claude-test")

    async def back() -> bool:
        await stage.ask("sk-drg-of-the-file")
        return bool(stage.up.seen[-1].body["model"] == "gpt-5.5")

    await stage.until(back)


async def test_a_price_of_the_store_goes_before_the_catalogue(stage: Stage) -> None:
    await stage.store.prices.set("gpt-5.5", {"input": 1000, "output": 0}, time.time())

    async def dearer() -> bool:
        await stage.ask("sk-drg-of-the-file")
        return stage.house.rows[-1].cost_nano == 1000 * 1_000_000

    await stage.until(dearer)
    assert stage.house.rows[0].cost_nano != stage.house.rows[-1].cost_nano


async def test_a_broken_alias_in_the_store_breaks_nothing_else(stage: Stage) -> None:
    """An older or newer version may have written what this one cannot read."""
    await stage.store.aliases.set("claude-odd", "gpt-5.5@no-such-effort")
    await stage.store.aliases.set("claude-fine", "gpt-5.1")

    async def there() -> bool:
        return (await stage.ask("sk-drg-of-the-file", "claude-fine")).status == 200 and (
            stage.up.seen[-1].body["model"] == "gpt-5.1"
        )

    await stage.until(there)
    assert (await stage.ask("sk-drg-of-the-file", "claude-odd")).status == 200, "the file's glob has it"
