"""A ChatGPT account of the configuration file, end to end against the simulator's Codex flavour."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dragoman import __version__
from dragoman.simulator import server
from dragoman.simulator.server import Running
from dragoman.simulator.state import State
from tests.support import conversation, logins
from tests.support.inprocess import Gateway, Reply, gateway

# What a turn goes on with: the model's call and its result.
_RESULT: list[dict[str, Any]] = [
    {"type": "function_call", "name": "look", "call_id": "call_1", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "seen"},
]
LANE = ("session-id", "thread-id", "x-client-request-id")


@asynccontextmanager
async def simulated(rules: Any = None, **switches: Any) -> AsyncIterator[Running]:
    """A strict simulator: unknown tokens are refused, ids on items and choices but `auto` too."""
    state = State(
        {"strict_keys": True, "codex_item_ids": "reject", "rate_per_key": 0, **switches}, rules=rules
    )
    running = await server.start("127.0.0.1", 0, state=state)
    try:
        yield running
    finally:
        await running.close()


def table(running: Running, *accounts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"accounts": list(accounts), "chatgpt": {"issuer": running.url}, **more}


def seen(running: Running, end: str = "/codex/responses") -> list[Any]:
    return [record for record in running.state.log.records if record.path.endswith(end)]


def refreshes(running: Running, name: str = "one") -> int:
    """How many refresh tokens of an account were used up."""
    account = running.state.accounts.get(name)
    assert account is not None
    return len(account.retired)


def expire(running: Running, name: str = "one") -> None:
    """The access token ends, whatever it says of itself."""
    running.state.accounts.put({"id": name, "expires": 1.0})


def body(record: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.body)
    return found


def fields(record: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in record.headers}


def well(running: Running) -> None:
    report = running.state.report()
    assert report["breach_list"] == []
    assert report["forbidden_headers"] == {}


async def turn(house: Gateway, number: int, **more: Any) -> Reply:
    return await house.post("/v1/messages", conversation.request(number, **more), conversation.headers())


async def test_text_goes_through_and_the_backend_is_told_who_calls(tmp_path: Path) -> None:
    async with simulated() as up:
        rows = table(up, logins.account(up, tmp_path, "one"))
        async with gateway(tmp_path, rows) as house:
            streamed = await house.ask("Hello there")
            plain = await house.ask("Hello there", stream=False)
            await house.row(2)
        well(up)
        first = seen(up)[0]
    assert (streamed.status, plain.status) == (200, 200)
    assert streamed.text and plain.json["content"][-1]["text"] == streamed.text
    sent = fields(first)
    assert first.path == "/backend-api/codex/responses"
    assert sent["chatgpt-account-id"] == "one"
    assert (sent["originator"], sent["version"]) == ("dragoman", __version__)
    assert sent["user-agent"].startswith("dragoman/")
    assert sent["accept"] == "text/event-stream"
    # Also without a session of the client the value is derived: a new one every turn is worse than none.
    assert len({fields(record)[name] for record in seen(up) for name in LANE}) == 1
    asked = body(first)
    assert (asked["stream"], asked["store"], asked["instructions"]) == (True, False, "")
    assert asked["include"] == ["reasoning.encrypted_content"]
    assert asked["parallel_tool_calls"] is True
    assert "max_output_tokens" not in asked and "tools" not in asked
    assert [row.account for row in house.rows] == ["one", "one"]
    assert [row.usage_source for row in house.rows] == ["measured", "measured"]


async def test_the_operator_decides_as_whom_the_gateway_calls(tmp_path: Path) -> None:
    async with simulated() as up:
        account = logins.account(up, tmp_path, "one")
        del account["base_url"]
        chatgpt = {
            "base_url": f"{up.url}/backend-api/",
            "issuer": up.url,
            "originator": "our_pool",
            "client_version": "9.9.9",
        }
        rows = table(up, account, upstream={"user_agent": "our_pool/1"}) | {"chatgpt": chatgpt}
        async with gateway(tmp_path, rows) as house:
            assert (await house.ask()).status == 200
        sent = fields(seen(up)[0])
    assert (sent["originator"], sent["version"], sent["user-agent"]) == ("our_pool", "9.9.9", "our_pool/1")


async def test_ten_turns_of_a_session_read_their_prefix_and_break_nothing(tmp_path: Path) -> None:
    async with simulated() as up:
        async with gateway(tmp_path, table(up, logins.account(up, tmp_path, "one"))) as house:
            for number in range(10):
                assert (await turn(house, number)).status == 200
            agent = await house.post(
                "/v1/messages", conversation.request(0), conversation.headers(agent="a1")
            )
            assert agent.status == 200
        well(up)
        report = up.state.report()
        lanes = [tuple(fields(record).get(name) for name in LANE) for record in seen(up)]
        keys = {body(record)["prompt_cache_key"] for record in seen(up)}
    assert report["worst_warm_share"] >= 0.95
    assert len(set(lanes[:10])) == 1
    assert len(set(lanes[0])) == 1 and lanes[0][0]
    assert lanes[10] != lanes[0]
    assert len(keys) == 1


async def test_tools_and_reasoning_come_back_without_ids_and_are_read(tmp_path: Path) -> None:
    rules = [
        {
            "match": {"after_tool": False},
            "steps": [
                {"reasoning": {"summary": ["Looking"], "tokens": 64, "seal_bytes": 512}},
                {"function_call": {"name": "Read", "arguments": {"file_path": "/a"}}},
            ],
        },
        {"match": {"after_tool": True}, "steps": [{"message": {"text": "The file says a."}}]},
    ]
    async with simulated(rules) as up:
        async with gateway(tmp_path, table(up, logins.account(up, tmp_path, "one"))) as house:
            request = conversation.request(0, stream=False, thinking={"type": "adaptive"})
            first = (await house.post("/v1/messages", request, conversation.headers())).json
            kinds = [block["type"] for block in first["content"]]
            assert kinds == ["thinking", "tool_use"]
            call = first["content"][1]
            result = {"type": "tool_result", "tool_use_id": call["id"], "content": "a"}
            more = [
                {"role": "assistant", "content": first["content"]},
                {"role": "user", "content": [result]},
            ]
            request["messages"] = [*request["messages"], *more]
            second = await house.post("/v1/messages", request, conversation.headers())
        well(up)
        items = body(seen(up)[1])["input"]
    assert second.json["content"] == [{"type": "text", "text": "The file says a."}]
    assert [item["type"] for item in items[-3:]] == ["reasoning", "function_call", "function_call_output"]
    assert items[-3]["encrypted_content"].startswith("gAAAAA")
    assert not any("id" in item for item in items)


async def test_an_expired_token_is_renewed_once_for_all_and_nobody_notices(tmp_path: Path) -> None:
    async with simulated() as up:
        async with gateway(tmp_path, table(up, logins.account(up, tmp_path, "one"))) as house:
            assert (await house.ask()).status == 200
            expire(up)
            replies = await asyncio.gather(*(house.ask(f"Number {n}") for n in range(20)))
            again = await house.ask()
        assert refreshes(up) == 1
        well(up)
    assert {reply.status for reply in (*replies, again)} == {200}
    assert [row.attempts for row in house.rows] == [[]] * 22


async def test_a_token_that_says_it_is_over_is_renewed_before_it_is_shown(tmp_path: Path) -> None:
    async with simulated() as up:
        rows = table(up, logins.account(up, tmp_path, "one", exp=1_000_000_000))
        async with gateway(tmp_path, rows) as house:
            replies = await asyncio.gather(*(house.ask(f"Number {n}") for n in range(200)))
        assert refreshes(up) == 1
        assert {record.status for record in seen(up)} == {200}
    assert {reply.status for reply in replies} == {200}


async def test_the_pools_own_401_never_reaches_the_client(tmp_path: Path) -> None:
    """The account needs a new login: its client reads of the gateway's trouble and keeps its own login."""
    rules = [{"preset": "401_revoked"}]
    async with simulated(rules) as up:
        async with gateway(tmp_path, table(up, logins.account(up, tmp_path, "one"))) as house:
            first, second = await house.ask(), await house.ask()
            await house.row(2)
            log = house.log.getvalue()
        secrets = [logins.document("one")["tokens"][name] for name in ("access_token", "refresh_token")]
    for reply in (first, second):
        assert (reply.status, reply.json["error"]["type"]) == (502, "api_error")
        assert reply.headers["x-should-retry"] == "false"
    assert "needs_login" in log
    assert not any(secret in log or secret in first.body.decode() for secret in secrets)
    asked, spared = house.rows
    assert asked.attempts[-1]["cause"] == "login"
    assert (spared.attempts, spared.choice) == ([], "nobody can serve: one login needed")


async def test_a_new_token_that_is_refused_too_is_not_renewed_again_at_once(tmp_path: Path) -> None:
    refused = {"kind": "http", "status": 401, "body": {"error": {"message": "no", "code": "token_expired"}}}
    async with simulated([{"fault": refused}]) as up:
        async with gateway(tmp_path, table(up, logins.account(up, tmp_path, "one"))) as house:
            replies = [await house.ask() for _ in range(3)]
        assert refreshes(up) == 1
        assert len(seen(up)) == 4
    assert {reply.status for reply in replies} == {502}


async def test_a_spent_quota_is_told_with_the_true_wait(tmp_path: Path) -> None:
    preset = {"name": "429_usage_limit_reached", "resets_in_seconds": 7200}
    async with (
        simulated([{"preset": preset}]) as up,
        gateway(tmp_path, table(up, logins.account(up, tmp_path, "one"))) as house,
    ):
        reply = await house.ask()
    assert (reply.status, reply.json["error"]["type"]) == (429, "rate_limit_error")
    assert 7100 <= int(reply.headers["retry-after"]) <= 7201
    assert reply.headers["x-should-retry"] == "false"


async def test_another_account_takes_over_and_gets_its_own_credentials(tmp_path: Path) -> None:
    rules = [{"match": {"account": "one"}, "preset": "429_usage_limit_reached"}]
    async with simulated(rules) as up:
        pair = [logins.account(up, tmp_path, name) for name in ("one", "two")]
        async with gateway(tmp_path, table(up, *pair)) as house:
            assert (await house.ask()).status == 200
            row = await house.row()
        well(up)
        sent = [fields(record)["chatgpt-account-id"] for record in seen(up)]
    assert sent == ["one", "two"]
    assert (row.account, row.attempts[0]["cause"]) == ("two", "quota")


async def test_for_an_account_of_another_kind_the_request_is_translated_anew(tmp_path: Path) -> None:
    """Instructions move, what the kind takes comes back, sealed reasoning of another owner goes."""
    rules = [
        {"match": {"account": "one", "nth": {"from": 2}}, "preset": "503_overloaded"},
        {"steps": [{"reasoning": {"summary": ["Hm"], "tokens": 64}}, {"message": {"text": "Well."}}]},
    ]
    key = {"name": "key", "kind": "openai", "api_key": "sk-sim-default"}
    async with simulated(rules) as up:
        pair = [logins.account(up, tmp_path, "one"), {**key, "base_url": f"{up.url}/v1"}]
        models = {"claude-*": "gpt-5.6-sol@medium"}
        async with gateway(tmp_path, table(up, *pair, models=models)) as house:
            request = conversation.request(0, stream=False, thinking={"type": "adaptive"})
            first = (await house.post("/v1/messages", request, conversation.headers())).json
            more = [
                {"role": "assistant", "content": first["content"]},
                {"role": "user", "content": "And now?"},
            ]
            request["messages"] = [*request["messages"], *more]
            second = await house.post("/v1/messages", request, conversation.headers())
            row = await house.row(2)
        well(up)
        sent = [record for record in up.state.log.records if record.path.endswith("/responses")]
    assert second.status == 200, second.body
    assert (row.account, row.dropped_reasoning) == ("key", 1)
    backend, public = body(sent[0]), body(sent[-1])
    assert backend["instructions"] and "instructions" not in public
    assert public["input"][0]["role"] == "developer"
    assert public["max_output_tokens"] == 32000 and "max_output_tokens" not in backend
    assert "chatgpt-account-id" not in fields(sent[-1]) and "session-id" not in fields(sent[-1])
    assert fields(sent[-1])["authorization"] == "Bearer sk-sim-default"
    assert not any(item["type"] == "reasoning" for item in public["input"])


async def test_counting_asks_no_page_that_the_backend_does_not_have(tmp_path: Path) -> None:
    async with simulated() as up:
        async with gateway(tmp_path, table(up, logins.account(up, tmp_path, "one"))) as house:
            request = {"model": "claude-test", "messages": [{"role": "user", "content": "Hi"}]}
            counted = await house.post("/v1/messages/count_tokens", request)
        assert not seen(up)
    assert counted.json["input_tokens"] > 0


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkQPhfDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize(
    "wanted",
    [
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"output_config": {"effort": "max"}},
        {"temperature": 0.2, "thinking": {"type": "disabled"}},
        {"top_p": 0.5, "top_k": 3},
        {"stop_sequences": ["END"]},
        {"tools": [], "tool_choice": {"type": "none"}},
        {"tool_choice": {"type": "any"}},
        {"tool_choice": {"type": "tool", "name": "Read"}},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"service_tier": "standard_only"},
        {"speed": "fast"},
        {"metadata": {"user_id": "someone"}},
        {"system": "Be brief."},
        {"tools": conversation.SEARCH},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral"}},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                        },
                    ],
                }
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "system", "content": "Mind the gap."},
                {"role": "assistant", "content": "Yes."},
                {"role": "user", "content": "And?"},
            ]
        },
    ],
    ids=lambda wanted: ",".join(wanted),
)
@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-5.6-sol", "gpt-5.3-codex"])
@pytest.mark.parametrize("choice", ["all", "auto_only"])
async def test_the_backends_rules_are_kept_whatever_the_client_asks(
    tmp_path: Path, wanted: dict[str, Any], model: str, choice: str
) -> None:
    """What the backend rejects is left out or said in another way; a refused choice is learnt from once."""
    async with simulated(codex_tool_choice=choice) as up:
        rows = table(up, logins.account(up, tmp_path, "one"), models={"claude-*": model})
        async with gateway(tmp_path, rows) as house:
            reply = await house.ask(**{"tools": conversation.TOOLS, **wanted})
        broken = up.state.report()["breaches_by_rule"]
    assert reply.status == 200, reply.body
    if choice == "all" or "tool_choice" not in wanted:
        assert broken == {}


async def test_refreshed_tokens_outlive_the_process_and_are_sealed(tmp_path: Path, database_url: str) -> None:
    """The file's refresh token is used up: the next process knows the newer one, and nobody can read it."""
    async with simulated() as up:
        rows = table(up, logins.account(up, tmp_path, "one"), database={"url": database_url})
        file = (tmp_path / "one.json").read_bytes()
        for count in (1, 2, 3):
            async with gateway(tmp_path, rows, stored=True) as house:
                expire(up)
                assert (await house.ask(f"Number {count}")).status == 200
            assert refreshes(up) == count
        well(up)
        account = up.state.accounts.get("one")
        assert account is not None
        tokens = [account.access, account.refresh]
    assert (tmp_path / "one.json").read_bytes() == file, "the login file is never written"
    if database_url.startswith("sqlite"):
        content = b"".join(path.read_bytes() for path in tmp_path.glob("dragoman.db*"))
        assert content
        assert not any(token.encode() in content for token in tokens)


async def test_a_login_that_is_over_waits_for_a_new_one_in_the_file(
    tmp_path: Path, database_url: str
) -> None:
    """The account says so in the store; a login written into the file brings it back."""
    from dragoman.store.accounts import Accounts

    async with simulated([{"preset": "401_revoked"}]) as up:
        rows = table(up, logins.account(up, tmp_path, "one"), database={"url": database_url})
        async with gateway(tmp_path, rows, stored=True) as house:
            assert (await house.ask()).status == 502
            store = house.assembly.store
            assert store is not None
            accounts = Accounts(store.database, store.ring, store.facts.pepper)
            async with asyncio.timeout(30):
                while (await accounts.get("one")).status != "needs_login":
                    await asyncio.sleep(0.05)
    async with simulated() as up:
        anew = logins.account(up, tmp_path, "one", exp=logins.FAR - 1, round_=2)
        rows = table(up, anew, database={"url": database_url})
        async with gateway(tmp_path, rows, stored=True) as house:
            assert (await house.ask()).status == 200


# -- the Responses door ------------------------------------------------------------------------------------


async def test_a_responses_request_is_made_fit_for_the_backend(tmp_path: Path) -> None:
    """Ids, store, limits and the system role go; the lane's headers and the turn's state come."""
    request: dict[str, Any] = {
        "model": "gpt-5.5",
        "stream": True,
        "store": True,
        "max_output_tokens": 500,
        "temperature": 1,
        "metadata": {"a": "b"},
        "input": [
            {"type": "message", "id": "msg_1", "role": "system", "content": "Be brief."},
            {"type": "message", "id": "msg_2", "role": "user", "content": "Hello there"},
        ],
    }
    items = request["input"]
    async with simulated(turn_state_affinity=True) as up:
        async with gateway(tmp_path, table(up, logins.account(up, tmp_path, "one"))) as house:
            for more in ([], _RESULT):
                asked = {**request, "input": items + more}
                reply = await house.post("/v1/responses", asked, {"session-id": "mine"})
                assert reply.status == 200, reply.body
            refused = await house.post("/v1/responses", {**request, "previous_response_id": "resp_1"})
            tool = await house.post("/v1/responses", {**request, "tools": [{"type": "file_search"}]})
            plain = await house.post("/v1/responses", {**request, "stream": False}, {"session-id": "mine"})
        well(up)
        first, second, _ = seen(up)
    assert "codex.rate_limits" not in reply.types
    assert reply.events[-1]["response"]["output"] and plain.json["output"]
    sent = body(first)
    assert (sent["store"], sent["stream"], sent["instructions"]) == (False, True, "")
    assert [item["role"] for item in sent["input"]] == ["developer", "user"]
    assert not any("id" in item for item in sent["input"])
    assert len({fields(first)[name] for name in LANE}) == 1 and "mine" not in fields(first).values()
    assert "x-codex-turn-state" not in fields(first) and fields(second)["x-codex-turn-state"]
    assert (refused.status, refused.json["error"]["param"]) == (400, "previous_response_id")
    assert (tool.status, tool.json["error"]["param"]) == (400, "tools.0.type")


async def test_the_turns_state_goes_back_inside_a_turn_alone(tmp_path: Path) -> None:
    """prompt-cache, lever 1c: with the results of tools, whatever the client; not into another turn."""
    async with simulated(turn_state_affinity=True) as up:
        async with gateway(tmp_path, table(up, logins.account(up, tmp_path, "one"))) as house:
            for number in range(4):
                assert (await turn(house, number)).status == 200
            assert (await turn(house, 0)).status == 200
        well(up)
        told = [fields(record).get("x-codex-turn-state") for record in seen(up)]
    assert told[0] is None and all(told[1:4]) and told[4] is None
