"""Two and three accounts that fail one after the other, together, in mid-stream, or come back all at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from dragoman.simulator.server import Running
from tests.integration.test_chatgpt_account import body, fields, seen, simulated, table, well
from tests.support import conversation, logins
from tests.support.inprocess import Gateway, Reply, gateway
from tests.support.upstream import Script, Talk, answer, created, delta, failed, status, upstream

ACCOUNTS = ("one", "two", "three")
HELLO = {"model": "claude-test", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}


def session(number: int) -> str:
    return f"{number:08d}-2222-4222-8222-222222222222"


async def turn(house: Gateway, number: int = 0, round_: int = 0) -> Reply:
    """A turn of a session of Claude Code."""
    headers = conversation.headers(session(number))
    return await house.post("/v1/messages", conversation.request(round_), headers)


def idle(house: Gateway) -> bool:
    """Whether no call is under way on any account."""
    return not any(house.assembly.house.pool.in_flight().values())


class Scripted:
    """A gateway before several scripted upstreams, which are accounts of their own."""

    def __init__(self, gateway: Gateway, upstreams: list[Any]) -> None:
        self.gateway = gateway
        self.ups = upstreams

    @property
    def asked(self) -> list[int]:
        return [len(up.seen) for up in self.ups]


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def build(count: int, **settings: Any) -> Scripted:
            ups = [await stack.enter_async_context(upstream()) for _ in range(count)]
            accounts = [
                {"name": f"a{index}", "kind": "openai", "base_url": up.url, "api_key": f"sk-secret-{index}"}
                for index, up in enumerate(ups)
            ]
            table = {"accounts": accounts, **settings}
            return Scripted(await stack.enter_async_context(gateway(tmp_path, table)), ups)

        yield build


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Any]:
    """Builds a gateway on three accounts of ChatGPT plans, and the simulator behind them."""
    async with AsyncExitStack() as stack:

        async def build(*rules: dict[str, Any], **switches: Any) -> tuple[Gateway, Running]:
            up = await stack.enter_async_context(simulated(list(rules), **switches))
            rows = [logins.account(up, tmp_path, name) for name in ACCOUNTS]
            return await stack.enter_async_context(gateway(tmp_path, table(up, *rows))), up

        yield build


def asked(up: Running) -> list[str]:
    """The accounts that the backend was called with, in order."""
    return [fields(record)["chatgpt-account-id"] for record in seen(up)]


# -- all of them rest, and come back (R8) ----------------------------------------------------------------

LIMITS: dict[str, Callable[[int], Script]] = {
    "rate limit": lambda seconds: status(
        429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, {"retry-after": str(seconds)}
    ),
    "usage limit": lambda seconds: status(
        429,
        {
            "error": {
                "type": "usage_limit_reached",
                "message": "The usage limit has been reached",
                "resets_in_seconds": seconds,
            }
        },
    ),
}


@pytest.mark.parametrize("limit", list(LIMITS))
async def test_accounts_that_come_back_are_not_stormed_and_nobody_who_waits_fails(
    scripted: Any, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """reliability R8: many wait while three accounts rest; then each is asked twice in its first second."""
    house: Scripted = await scripted(3)
    pool = house.gateway.assembly.house.pool
    started: dict[str, list[float]] = {}
    begin = pool.started

    def noted(name: str, now: float, **more: Any) -> Any:
        started.setdefault(name, []).append(now)
        return begin(name, now, **more)

    async def slow(talk: Talk) -> None:
        await asyncio.sleep(0.1)
        await answer(talk)

    for up in house.ups:
        up.play(LIMITS[limit](2), slow)
    told = await turn(house.gateway)
    assert (told.status, told.headers["retry-after"]) == (429, "2")
    assert house.asked == [1, 1, 1]
    monkeypatch.setattr(pool, "started", noted)
    replies = await asyncio.gather(*(turn(house.gateway, number) for number in range(60)))
    assert {reply.status for reply in replies} == {200}
    assert sorted(started) == ["a0", "a1", "a2"]
    for name, times in started.items():
        early = [at for at in times if at < times[0] + 1.0]
        assert len(early) <= 2, (name, times)
    assert sum(house.asked) == 63, "nobody was asked in vain"
    assert idle(house.gateway)


async def test_a_burst_is_waited_out_and_the_session_is_where_it_was(backend: Any) -> None:
    """A 429 without a code is no exhaustion: three seconds later the account serves again."""
    burst = {"match": {"account": "one", "nth": 2}, "preset": "429_message_only"}
    house, up = await backend(burst)
    replies = [await turn(house, round_=0), await turn(house, round_=1)]
    await asyncio.sleep(3.1)
    replies.append(await turn(house, round_=2))
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert asked(up) == ["one", "one", "two", "one"]
    assert [row.move for row in house.rows] == ["new", "failover", "returned"]
    assert house.rows[1].attempts[0]["cause"] == "burst"
    well(up)


async def test_a_burst_on_every_account_is_waited_out_by_all(backend: Any) -> None:
    house, up = await backend({"match": {}, "preset": "429_message_only", "times": 3})
    replies = await asyncio.gather(*(turn(house, number) for number in range(12)))
    assert {reply.status for reply in replies} == {200}
    assert sum(len(row.attempts) for row in house.rows) == 3
    assert set(asked(up)) == set(ACCOUNTS)


# -- what the pool's own credentials say -----------------------------------------------------------------

REFUSALS: dict[str, Script] = {
    "401": status(401, {"error": {"message": "Bad key sk-secret-0", "code": "invalid_api_key"}}),
    "403": status(403, {"error": {"message": "<b>forbidden</b> for sk-secret-0"}}),
    "dead": status(403, {"error": {"message": "deactivated", "code": "account_deactivated"}}),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_refused_credentials_of_all_accounts_are_no_refusal_of_the_client(
    scripted: Any, stream: bool
) -> None:
    """A client that reads 401 or 403 drops its own login: it is told 502, again and again."""
    house: Scripted = await scripted(3)
    for up, script in zip(house.ups, REFUSALS.values(), strict=True):
        up.play(script)
    replies = [await house.gateway.ask(stream=stream) for _ in range(3)]
    for reply in replies:
        assert (reply.status, reply.json["error"]["type"]) == (502, "api_error")
        assert reply.headers["x-should-retry"] == "false"
        said = str(reply.json["error"])  # the request id beside it may hold any two characters
        assert not any(word in said for word in ("secret", "a0", "a1", "<b>", "forbidden"))
    assert [one["account"] for one in house.gateway.rows[0].attempts] == ["a0", "a1", "a2"]
    assert idle(house.gateway)


@pytest.mark.parametrize("preset", ["401_revoked", "refresh_token_reused", "403_deactivated"])
async def test_a_login_that_is_over_moves_its_sessions_for_good(backend: Any, preset: str) -> None:
    """Two of three accounts are lost, one after the other: no turn fails, the row says why it moved."""
    house, up = await backend(
        {"match": {"account": "one", "nth": 2}, "preset": preset},
        {"match": {"account": "two", "nth": 2}, "preset": preset},
    )
    replies = [await turn(house, round_=number) for number in range(5)]
    assert [reply.status for reply in replies] == [200] * 5
    assert [row.account for row in house.rows] == ["one", "two", "three", "three", "three"]
    first, second, third, fourth, fifth = house.rows
    assert (first.move, second.move) == ("new", "failover")
    assert (third.move, third.lost_nano > 0) == ("failover", True)
    assert third.choice.startswith("three after ") and third.choice.endswith(" on two")
    assert (fourth.move, fifth.move) == ("stayed", "stayed")
    assert up.state.report()["breach_list"] == []


# -- limits and overload inside a stream -----------------------------------------------------------------


def after_content(code: str, message: str) -> Script:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), delta("Hello"), failed(code, message))
        await talk.end()

    return script


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("usage_limit_reached", "The usage limit has been reached", "rate_limit_error"),
        ("rate_limit_exceeded", "Rate limit reached. Please try again in 30s.", "rate_limit_error"),
        ("insufficient_quota", "You exceeded your current quota.", "rate_limit_error"),
    ],
)
async def test_a_limit_behind_content_ends_the_stream_once_and_spares_the_account(
    scripted: Any, code: str, message: str, kind: str
) -> None:
    """reliability E2: nothing is sent twice; but the pool knows, and the next turn goes elsewhere."""
    house: Scripted = await scripted(3)
    house.ups[0].play(after_content(code, message))
    broken = await turn(house.gateway)
    assert broken.status == 200
    assert [kind for kind in broken.types if kind in ("message_stop", "error")] == ["error"]
    assert broken.types[-1] == "error" and broken.events[-1]["error"]["type"] == kind
    assert house.asked == [1, 0, 0]
    row = house.gateway.rows[0]
    assert (row.account, row.outcome, row.status) == ("a0", "upstream_error", 429)
    again = await turn(house.gateway)
    assert (again.status, house.asked) == (200, [1, 1, 0])
    assert idle(house.gateway)


async def test_an_event_that_tells_of_a_spent_window_moves_nobody_in_mid_stream(backend: Any) -> None:
    """The stream that tells it ends well; the account is not asked again before its reset."""
    house, up = await backend(rate_limits_event=True)
    up.state.accounts.put({"id": "one", "primary_quota": 40})
    first = await turn(house)
    assert first.types[-1] == "message_stop"
    second = await turn(house, round_=1)
    assert (second.status, second.types[-1]) == (200, "message_stop")
    rows = {row["name"]: row for row in house.assembly.house.pool.describe(now(house))}
    assert asked(up)[0] == "one" and asked(up)[-1] != "one"
    assert (rows["one"]["state"], rows["one"]["why"]) == ("cooling", "quota")
    assert house.rows[1].move in ("failover", "moved")


def now(house: Gateway) -> float:
    return house.assembly.house.clock.steady()


@pytest.mark.parametrize("preset", ["failed_midstream_overloaded", "failed_midstream_rate_limit"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_overload_inside_a_200_is_another_accounts_turn(
    backend: Any, preset: str, stream: bool
) -> None:
    """reliability E1: the head of a failed stream was never the client's."""
    fault = {"name": preset, "after_events": 0}
    house, up = await backend(
        {"match": {"account": "one"}, "preset": fault}, {"match": {"account": "two"}, "preset": fault}
    )
    reply = await house.ask(stream=stream)
    assert reply.status == 200
    assert asked(up) == ["one", "two", "three"]
    assert len(house.rows[0].attempts) == 2 and house.rows[0].account == "three"
    if stream:
        assert reply.types.count("message_start") == 1 and reply.types[-1] == "message_stop"
    well(up)
    assert idle(house)


@pytest.mark.parametrize(
    ("preset", "code", "kind"),
    [
        ("failed_midstream_overloaded", 529, "overloaded_error"),
        ("503_overloaded", 529, "overloaded_error"),
        ("503_slow_down", 529, "overloaded_error"),
        ("500", 502, "api_error"),
        ("502_html", 502, "api_error"),
    ],
)
async def test_what_all_accounts_say_is_said_once(backend: Any, preset: str, code: int, kind: str) -> None:
    """reliability E5: with three accounts the table is the same as with one."""
    used = {"name": preset, "after_events": 0} if preset.startswith("failed") else preset
    house, up = await backend({"match": {}, "preset": used})
    reply = await house.ask()
    assert (reply.status, reply.json["error"]["type"]) == (code, kind)
    assert set(asked(up)) == set(ACCOUNTS)
    assert "cloudflare" not in reply.body.decode().lower()
    assert idle(house)


async def test_of_several_troubles_the_client_is_told_the_one_that_passes_first(backend: Any) -> None:
    """One account is spent for hours, one needs a login, one is busy: come back soon, not in hours."""
    house, _ = await backend(
        {
            "match": {"account": "one"},
            "preset": {"name": "429_usage_limit_reached", "resets_in_seconds": 7200},
        },
        {"match": {"account": "two"}, "preset": "401_revoked"},
        {"match": {"account": "three"}, "preset": "503_overloaded"},
    )
    replies = [await house.ask() for _ in range(3)]
    last = replies[-1]
    assert (last.status, last.json["error"]["type"]) == (529, "overloaded_error"), last.body
    assert 1 <= int(last.headers["retry-after"]) <= 60


# -- models, kinds, clients ------------------------------------------------------------------------------


async def test_a_plan_without_the_model_is_passed_over_without_blame(backend: Any) -> None:
    """Two accounts may not use the model: they serve other models as before, and are not asked in vain."""
    rules = [
        {"match": {"account": name, "model": "gpt-5.5"}, "preset": "403_model"} for name in ("one", "two")
    ]
    house, up = await backend(*rules)
    for number in range(3):
        assert (await turn(house, number)).status == 200
    assert asked(up) == ["one", "two", "three", "three", "three"]
    states = {row["name"]: row["state"] for row in house.assembly.house.pool.describe(now(house))}
    assert states == dict.fromkeys(ACCOUNTS, "ok")
    other = {**HELLO, "model": "gpt-5.4"}
    reply = await house.post("/v1/messages", other, conversation.headers(session(9)))
    assert (reply.status, asked(up)[-1]) == (200, "one")
    well(up)


async def test_a_model_that_no_plan_has_is_the_requests_own_fault(backend: Any) -> None:
    house, _ = await backend({"match": {"model": "gpt-5.5"}, "preset": "403_model"})
    for _ in range(2):
        reply = await house.ask()
        assert (reply.status, reply.json["error"]["type"]) == (404, "not_found_error")
    assert (await house.ask(model="gpt-5.4")).status == 200


async def test_each_kind_that_takes_over_gets_the_request_in_its_own_form(tmp_path: Path) -> None:
    """A ChatGPT plan fails, then a key of the public API: a generic server gets neither's fields."""
    busy = {"preset": "503_overloaded"}
    rules = [{"match": {"account": name}, **busy} for name in ("one", "default")]
    async with simulated(rules) as up, upstream() as other:
        rows = [
            logins.account(up, tmp_path, "one"),
            {"name": "key", "kind": "openai", "base_url": f"{up.url}/v1", "api_key": "sk-sim-default"},
            {"name": "own", "kind": "responses", "base_url": other.url, "api_key": "sk-own"},
        ]
        models = {"claude-*": "gpt-5.6-sol@medium"}
        async with gateway(tmp_path, table(up, *rows, models=models)) as house:
            reply = await turn(house)
            row = await house.row()
        well(up)
        plan, public = [one for one in up.state.log.records if one.path.endswith("/responses")]
        (generic,) = other.seen
    assert (reply.status, row.account) == (200, "own")
    assert [one["account"] for one in row.attempts] == ["one", "key"]
    assert "session-id" in fields(plan) and "session-id" not in generic.headers
    assert generic.headers["authorization"] == "Bearer sk-own"
    sent = [json.dumps(one) for one in (body(plan), body(public), generic.body)]
    marked = ["prompt_cache_breakpoint" in text for text in sent]
    assert marked == [False, True, False]
    assert ["max_output_tokens" in one for one in (body(plan), body(public), generic.body)] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("phase", ["before", "between"])
async def test_a_client_that_leaves_while_accounts_fail_is_followed_by_no_further_call(
    scripted: Any, phase: str
) -> None:
    """reliability E4: it left while the second of three accounts was asked: the third hears nothing."""

    async def silent(talk: Talk) -> None:
        if phase == "between":
            await talk.head()
            await talk.events(created())
        await talk.until_gone()

    house: Scripted = await scripted(3)
    house.ups[0].play(status(500))
    house.ups[1].play(silent)
    asking = asyncio.ensure_future(house.gateway.ask())
    async with asyncio.timeout(30):
        while house.asked[1] == 0:
            await asyncio.sleep(0.01)
    asking.cancel()
    row = await house.gateway.row()
    assert (row.outcome, row.status, row.account) == ("client_gone", 499, "a1")
    assert house.asked[2] == 0
    assert idle(house.gateway)
    # It was nobody's fault but the first one's.
    states = {
        one["name"]: one["state"] for one in house.gateway.assembly.house.pool.describe(now(house.gateway))
    }
    assert states["a1"] == "ok"
    await asyncio.wait([asking])


async def test_nobody_moves_because_an_account_tells_of_more_room(backend: Any) -> None:
    """B109: usage is read while sessions live; only new ones go by it."""
    house, up = await backend(rate_limits_event=True)
    for name, quota in zip(ACCOUNTS, (3_000, 300_000, 30_000_000), strict=True):
        up.state.accounts.put({"id": name, "primary_quota": quota})
    homes: dict[int, str] = {}
    for round_ in range(4):
        for number in range(3):
            assert (await turn(house, number, round_)).status == 200
            account = house.rows[-1].account
            assert homes.setdefault(number, account) == account
    assert {row.move for row in house.rows} == {"new", "stayed"}
    room = {row["name"]: row["headroom"] for row in house.assembly.house.pool.describe(now(house))}
    assert len(set(room.values())) == 3, "the accounts did tell of different room"
    assert (await turn(house, 9)).status == 200
    assert house.rows[-1].account == max(room, key=room.__getitem__)
