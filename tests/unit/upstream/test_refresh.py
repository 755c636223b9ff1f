"""Tokens are renewed once, stored before use, and given up only when nobody has newer ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dragoman.simulator import server
from dragoman.simulator.state import State
from dragoman.upstream import refresh as module
from dragoman.upstream.authfile import Login, login_of
from dragoman.upstream.calls import Calls
from dragoman.upstream.memory import MemoryTokens
from dragoman.upstream.oauth import Granted, Issuer, Problem, Trouble
from dragoman.upstream.refresh import NoToken, TokenKeeper
from tests.support.logins import jwt

NOW = 1_000_000.0
DAY = 86_400.0


def login(number: int = 0, *, ends: float | None = NOW + DAY, since: float | None = NOW) -> Login:
    return login_of(jwt(ends, jti=f"t{number}"), f"rt-{number}", None, account_id="acct", last_refresh=since)


class Desk:
    """An issuer: answers as told, else with the next tokens; each waits for `gate`."""

    def __init__(self, *answers: Granted | Problem) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.under_way = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def refresh(self, refresh_token: str) -> Granted | Problem:
        self.asked.append(refresh_token)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.gate.wait()
        self.under_way -= 1
        if self.answers:
            return self.answers.pop(0)
        number = len(self.asked)
        return Granted(jwt(NOW + 10 * DAY, jti=f"n{number}"), f"rt-n{number}")


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time


class Place:
    """Keepers that share a store and a clock, each as if in a process of its own."""

    def __init__(self, *answers: Granted | Problem, store: Any = None) -> None:
        self.desk = Desk(*answers)
        self.store: Any = store or MemoryTokens()
        self.clock = Clock()
        self.lost: list[tuple[str, Problem]] = []

    def keeper(self, first: Login | None = None) -> TokenKeeper:
        async def lost(account: str, problem: Problem) -> None:
            self.lost.append((account, problem))

        async def sleep(seconds: float) -> None:
            self.clock.time += seconds / 100
            await asyncio.sleep(0)

        made = TokenKeeper(
            self.desk,
            self.store,
            now=self.clock,
            monotonic=self.clock,
            jitter=lambda: 0.5,
            lost=lost,
            sleep=sleep,
        )
        if first is not None:
            self.store.put("a", first)
            made.adopt("a", first)
        return made


def problem(trouble: Trouble, code: str | None = None) -> Problem:
    return Problem(trouble, "Something is wrong: do something.", code)


async def test_a_good_token_is_there_at_once_and_nobody_is_asked() -> None:
    place = Place()
    keeper = place.keeper(login())
    found = keeper.current("a")
    assert found is not None and found.refresh_token == "rt-0"
    assert await keeper.token("a") == found
    assert place.desk.asked == []
    assert keeper.current("nobody") is None
    with pytest.raises(NoToken):
        await keeper.token("nobody")


async def test_two_hundred_who_wait_share_one_refresh() -> None:
    place = Place()
    keeper = place.keeper(login(ends=NOW - 1))
    place.desk.gate.clear()
    waiting = [asyncio.ensure_future(keeper.token("a")) for _ in range(200)]
    await asyncio.sleep(0)
    place.desk.gate.set()
    found = await asyncio.gather(*waiting)
    assert place.desk.asked == ["rt-0"]
    assert {one.refresh_token for one in found} == {"rt-n1"}
    assert found[0].account_id == "acct"
    assert await place.store.reload("a") == found[0]


async def test_accounts_are_renewed_one_after_the_other() -> None:
    """S8: to the issuer all accounts are one client."""
    place = Place()
    keeper = place.keeper(login(ends=NOW - 1))
    for number in (1, 2):
        place.store.put(f"b{number}", login(number, ends=NOW - 1))
        keeper.adopt(f"b{number}", login(number, ends=NOW - 1))
    place.desk.gate.clear()
    waiting = [asyncio.ensure_future(keeper.token(account)) for account in ("a", "b1", "b2") for _ in "12"]
    for _ in range(20):
        await asyncio.sleep(0)
    place.desk.gate.set()
    await asyncio.gather(*waiting)
    assert sorted(place.desk.asked) == ["rt-0", "rt-1", "rt-2"]
    assert place.desk.most == 1


async def test_two_processes_share_one_refresh_through_the_store() -> None:
    place = Place()
    first = place.keeper(login(ends=NOW - 1))
    second = place.keeper()
    second.adopt("a", login(ends=NOW - 1))
    place.desk.gate.clear()
    waiting = [asyncio.ensure_future(k.token("a")) for _ in range(100) for k in (first, second)]
    for _ in range(10):
        await asyncio.sleep(0)
    place.desk.gate.set()
    found = await asyncio.gather(*waiting)
    assert place.desk.asked == ["rt-0"]
    assert {one.refresh_token for one in found} == {"rt-n1"}


async def test_against_the_simulators_issuer_one_call_serves_two_hundred() -> None:
    """S8: 200 waiters in each of two processes, one refresh; a second use would have revoked the account."""
    running = await server.start("127.0.0.1", 0, state=State({"strict_keys": True}))
    running.state.accounts.put({"id": "acct", "kind": "codex", "access": "at", "refresh": "rt-0"})
    calls, store = Calls(user_agent="dragoman/test"), MemoryTokens()
    old = login(ends=1.0)
    store.put("a", old)
    keepers = []
    for _ in range(2):
        issuer = Issuer(calls, running.url, "app_x", running.state.clock.now)
        now = running.state.clock.now
        keepers.append(TokenKeeper(issuer, store, now=now, monotonic=now, jitter=lambda: 0.0))
        keepers[-1].adopt("a", old)
    try:
        found = await asyncio.gather(*(keeper.token("a") for keeper in keepers for _ in range(200)))
    finally:
        await calls.close()
        await running.close()
    account = running.state.accounts.get("acct")
    assert account is not None
    assert account.retired == ["rt-0"] and not account.revoked
    assert {one.access_token for one in found} == {account.access}


async def test_who_leaves_does_not_end_the_refresh() -> None:
    place = Place()
    keeper = place.keeper(login(ends=NOW - 1))
    place.desk.gate.clear()
    leaving = asyncio.ensure_future(keeper.token("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    place.desk.gate.set()
    await keeper.stop()
    stored = await place.store.reload("a")
    assert stored is not None and stored.refresh_token == "rt-n1"
    assert keeper.current("a") == stored


@pytest.mark.parametrize(
    ("ends", "since", "due"),
    [
        (NOW + DAY, NOW, False),
        (NOW + 300, NOW, True),
        (NOW + DAY, NOW - 9 * DAY, True),
        (None, NOW - 9 * DAY, True),
        (None, None, False),
    ],
)
async def test_it_renews_ahead_of_time(ends: float | None, since: float | None, due: bool) -> None:
    place = Place()
    keeper = place.keeper(login(ends=ends, since=since))
    await keeper.look()
    assert place.desk.asked == (["rt-0"] if due else [])
    await keeper.look()
    assert len(place.desk.asked) == due


@pytest.mark.parametrize(
    "trouble", [Trouble.PERMANENT, Trouble.DOUBTFUL, Trouble.REFUSED, Trouble.WRONG_ISSUER]
)
async def test_a_failed_early_refresh_leaves_the_token_in_use(trouble: Trouble) -> None:
    place = Place(problem(trouble))
    keeper = place.keeper(login(ends=NOW + 300))
    await keeper.look()
    found = keeper.current("a")
    assert found is not None and found.refresh_token == "rt-0"
    assert place.lost == []
    told = keeper.trouble("a")
    assert told is not None and told.trouble is trouble


async def test_what_may_have_been_heard_is_never_sent_again() -> None:
    """The token is used to its end; then the account needs a login, and the issuer was asked once."""
    place = Place(problem(Trouble.DOUBTFUL))
    keeper = place.keeper(login(ends=NOW + 300))
    for step in (0.0, 100.0, 100.0, 200.0, 100.0):
        place.clock.time += step
        await keeper.look()
        if keeper.current("a") is None:
            with pytest.raises(NoToken) as caught:
                await keeper.token("a")
            assert caught.value.final
    assert place.desk.asked == ["rt-0"]
    assert [name for name, _ in place.lost] == ["a"]


async def test_what_was_not_sent_is_tried_again() -> None:
    place = Place(problem(Trouble.NOT_SENT), problem(Trouble.NOT_SENT))
    keeper = place.keeper(login(ends=NOW - 1))
    assert (await keeper.token("a")).refresh_token == "rt-n3"
    assert place.desk.asked == ["rt-0"] * 3
    assert keeper.trouble("a") is None


async def test_an_issuer_that_is_down_is_not_asked_by_every_request() -> None:
    place = Place(*[problem(Trouble.REFUSED)] * 2)
    keeper = place.keeper(login(ends=NOW - 1))
    for _ in range(50):
        with pytest.raises(NoToken) as caught:
            await keeper.token("a")
        assert not caught.value.final
    assert len(place.desk.asked) == 1
    place.clock.time += module.BACKOFF_SECONDS * 2
    with pytest.raises(NoToken):
        await keeper.token("a")
    place.clock.time += module.LONGEST_BACKOFF
    assert (await keeper.token("a")).refresh_token == "rt-n3"
    assert place.lost == []


async def test_before_an_account_is_given_up_the_store_is_asked() -> None:
    """Another process, or a new login, stored newer tokens while ours were refused."""
    place = Place()
    newer = login(7)

    class Late(Desk):
        async def refresh(self, refresh_token: str) -> Granted | Problem:
            self.asked.append(refresh_token)
            place.store.put("a", newer)
            return problem(Trouble.PERMANENT, "refresh_token_reused")

    place.desk = Late()
    keeper = place.keeper(login(ends=NOW - 1))
    assert await keeper.token("a") == newer
    assert place.lost == []
    assert place.desk.asked == ["rt-0"]


async def test_newer_tokens_that_ended_too_are_renewed_in_turn() -> None:
    place = Place()
    keeper = place.keeper(login(ends=NOW - 1))
    place.store.put("a", login(7, ends=NOW - 1))
    assert (await keeper.token("a")).refresh_token == "rt-n1"
    assert place.desk.asked == ["rt-7"]


async def test_a_login_that_is_over_is_told_once_and_a_new_one_ends_that() -> None:
    place = Place(problem(Trouble.PERMANENT, "invalid_grant"))
    keeper = place.keeper(login(ends=NOW - 1))
    for _ in range(3):
        place.clock.time += 100
        with pytest.raises(NoToken) as caught:
            await keeper.token("a")
        assert caught.value.final
        assert caught.value.problem.code == "invalid_grant"
    assert len(place.lost) == 1
    assert place.desk.asked == ["rt-0"]
    keeper.adopt("a", login(5, ends=NOW + DAY))
    assert (await keeper.token("a")).refresh_token == "rt-5"
    assert keeper.trouble("a") is None


async def test_a_new_login_in_the_store_is_found_without_being_told() -> None:
    place = Place(problem(Trouble.PERMANENT, "invalid_grant"))
    keeper = place.keeper(login(ends=NOW - 1))
    with pytest.raises(NoToken):
        await keeper.token("a")
    place.store.put("a", login(5, ends=NOW + DAY))
    place.clock.time += 60
    assert (await keeper.token("a")).refresh_token == "rt-5"


async def test_without_a_refresh_token_the_account_needs_a_login() -> None:
    place = Place()
    keeper = place.keeper(login_of(jwt(NOW - 1), None, None, account_id="acct"))
    with pytest.raises(NoToken, match="log in"):
        await keeper.token("a")
    assert place.desk.asked == []
    assert len(place.lost) == 1


async def test_a_401_renews_once_for_all_who_got_it() -> None:
    place = Place()
    keeper = place.keeper(login())
    old = keeper.current("a")
    assert old is not None
    found = await asyncio.gather(*(keeper.invalidate("a", old.access_token) for _ in range(50)))
    assert {one.refresh_token for one in found} == {"rt-n1"}
    # Who was slower and got the 401 for the old one is given what there is.
    assert (await keeper.invalidate("a", old.access_token)).refresh_token == "rt-n1"
    assert place.desk.asked == ["rt-0"]


async def test_a_401_takes_what_another_process_stored() -> None:
    place = Place()
    keeper = place.keeper(login())
    place.store.put("a", login(9))
    assert (await keeper.invalidate("a", login().access_token)).refresh_token == "rt-9"
    assert place.desk.asked == []


async def test_a_new_token_that_is_refused_too_is_left_alone_for_a_while() -> None:
    place = Place()
    keeper = place.keeper(login())
    new = await keeper.invalidate("a", login().access_token)
    keeper.hopeless("a", new.access_token)
    assert keeper.current("a") == new
    with pytest.raises(NoToken) as caught:
        await keeper.invalidate("a", new.access_token)
    assert caught.value.problem.trouble is Trouble.HOPELESS
    assert not caught.value.final
    place.clock.time += module.HOPELESS_SECONDS + 1
    assert (await keeper.invalidate("a", new.access_token)).refresh_token == "rt-n2"


class Shaky(MemoryTokens):
    """A store that fails so often before it answers."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.saves = 0

    async def save(self, account: str, login: Login, *, instead_of: str | None) -> bool:
        self.saves += 1
        if self.failures:
            self.failures -= 1
            raise OSError("no store")
        return await super().save(account, login, instead_of=instead_of)


async def test_new_tokens_are_stored_before_anybody_has_them() -> None:
    place = Place(store=Shaky(2))
    keeper = place.keeper(login(ends=NOW - 1))
    found = await keeper.token("a")
    assert await place.store.reload("a") == found
    assert place.store.saves == 3


async def test_while_the_store_is_away_they_live_in_memory_and_get_there_later() -> None:
    """The old ones are spent: to drop the new ones would end the login."""
    place = Place(store=Shaky(module.SAVE_TRIES + 1))
    keeper = place.keeper(login(ends=NOW - 1))
    found = await keeper.token("a")
    assert found.refresh_token == "rt-n1"
    keeper.adopt("a", login(ends=NOW - 1))  # what the store still says
    assert keeper.current("a") == found
    await keeper.look()
    await keeper.look()
    assert await place.store.reload("a") == found
    assert place.desk.asked == ["rt-0"]


async def test_a_login_that_was_stored_meanwhile_wins() -> None:
    place = Place()
    keeper = place.keeper(login(ends=NOW - 1))
    place.desk.gate.clear()
    waiting = asyncio.ensure_future(keeper.token("a"))
    while not place.desk.asked:
        await asyncio.sleep(0)
    place.store.put("a", login(8))
    place.desk.gate.set()
    assert (await waiting).refresh_token == "rt-8"


async def test_a_store_that_cannot_be_asked_is_not_the_accounts_fault() -> None:
    class Down(MemoryTokens):
        async def reload(self, account: str) -> Login | None:
            raise OSError("no store")

    place = Place(store=Down())
    keeper = place.keeper(login(ends=NOW - 1))
    with pytest.raises(NoToken) as caught:
        await keeper.token("a")
    assert not caught.value.final
    assert place.lost == [] and place.desk.asked == []


async def test_a_claim_that_another_process_keeps_is_not_waited_for_for_ever() -> None:
    place = Place()
    keeper = place.keeper(login(ends=NOW - 1))
    async with place.store.claim("refresh:a") as mine:
        assert mine
        with pytest.raises(NoToken) as caught:
            await keeper.token("a")
    assert not caught.value.final
    assert place.desk.asked == []


async def test_a_forgotten_account_ends_well() -> None:
    place = Place()
    keeper = place.keeper(login(ends=NOW - 1))
    place.desk.gate.clear()
    waiting = asyncio.ensure_future(keeper.token("a"))
    while not place.desk.asked:
        await asyncio.sleep(0)
    keeper.forget("a")
    place.desk.gate.set()
    assert (await waiting).refresh_token == "rt-n1"
    with pytest.raises(NoToken):
        await keeper.invalidate("a", "x")
    keeper.hopeless("a", "x")
    assert keeper.trouble("a") is None


async def test_it_looks_by_itself_once_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
    place = Place()
    keeper = place.keeper(login(ends=NOW + 300))
    keeper.start()
    keeper.start()
    async with asyncio.timeout(30):
        while not place.desk.asked:
            await asyncio.sleep(0.001)
    await keeper.stop()
    await keeper.stop()
    assert place.desk.asked == ["rt-0"]


async def test_what_is_due_at_the_start_is_renewed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 3600.0)
    place = Place()
    keeper = place.keeper(login(ends=NOW + 300))
    keeper.start()
    async with asyncio.timeout(30):
        while not place.desk.asked:
            await asyncio.sleep(0.001)
    await keeper.stop()
    found = keeper.current("a")
    assert found is not None and found.refresh_token == "rt-n1"


async def test_nothing_secret_is_in_what_it_shows() -> None:
    place = Place()
    keeper = place.keeper(login(ends=NOW - 1))
    await keeper.token("a")
    shown = repr(keeper._entries["a"])
    assert "rt-" not in shown and "eyJ" not in shown


async def test_tokens_that_are_known_to_be_over_ask_nobody_until_there_are_others() -> None:
    place = Place()
    keeper = place.keeper()
    over = Problem(Trouble.PERMANENT, "It was refused before.")
    keeper.adopt("one", login(), over)
    place.store.put("one", login())
    assert keeper.current("one") is None
    for _ in range(2):
        with pytest.raises(NoToken, match="refused before") as failed:
            await keeper.token("one")
        assert failed.value.final
    await keeper.look()
    assert (place.desk.asked, place.lost) == ([], [])
    keeper.adopt("one", login(2))
    assert await keeper.token("one") == login(2)
    assert keeper.trouble("one") is None
