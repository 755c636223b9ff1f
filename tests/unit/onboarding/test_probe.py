"""What an account's upstream says, as one sentence and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dragoman.gateway.ports import UpstreamError
from dragoman.onboarding.probe import Prober, Verdict
from dragoman.translate.messages.causes import Cause, UpstreamFailure
from dragoman.upstream.calls import CallFailed, Reply
from dragoman.upstream.chatgpt import Page
from dragoman.upstream.roads import FixedRoads, Road
from dragoman.wire import jsonio

NOW = 1_800_000_000.0
ROAD = Road("https://a.test/v1", {"authorization": "Bearer sk-secret"})


class Answers:
    """Calls and side pages that answer as told."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.asked: list[str] = []

    async def get(self, url: str, headers: Mapping[str, str], *, seconds: float = 1.0) -> Reply:
        return self._reply(url)

    async def post_json(
        self, url: str, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Reply:
        return self._reply(f"{url} {document['model']}")

    async def fetch_usage(self, account: str) -> Page:
        return self._page("usage")

    async def fetch_models(self, account: str, etag: str | None = None) -> Page:
        return self._page("models")

    def _reply(self, asked: str) -> Reply:
        self.asked.append(asked)
        told = self.replies.pop(0)
        if isinstance(told, Exception):
            raise told
        status, document = told
        return Reply(status, {}, jsonio.dump(document), document)

    def _page(self, asked: str) -> Page:
        self.asked.append(asked)
        told = self.replies.pop(0)
        if isinstance(told, UpstreamFailure):
            raise UpstreamError(told)
        return Page(told, {})


async def probe(
    *replies: Any, kind: str = "openai", models: list[str] | None = None
) -> tuple[Verdict, list[str]]:
    answers = Answers(*replies)
    prober = Prober(answers, FixedRoads({"a": ROAD}), answers, lambda: NOW)
    verdict = await prober.probe("a", kind, models)
    assert "sk-secret" not in repr(verdict)
    return verdict, answers.asked


@pytest.mark.parametrize(
    ("reply", "models", "works", "said", "fix"),
    [
        ((200, {"data": [{"id": "m"}]}), None, True, "the server lists 1 models", None),
        ((200, {"data": [{"id": "m"}]}), ["m", "n"], False, "does not list n", "models"),
        ((200, []), None, False, "lists no models in OpenAI's way", "address"),
        ((401, {}), None, False, "refuses the key (status 401)", "good key"),
        ((429, {}), None, False, "its limit is spent", "wait"),
        ((302, {}), None, False, "redirects", "base_url"),
        ((503, {}), None, False, "fails now (status 503)", "later"),
        ((404, {}), None, True, "the credentials were not tried", None),
        (CallFailed("no answer in time", sent=True), None, False, "cannot be reached", "base_url"),
    ],
)
async def test_a_key_is_tried_at_the_list_of_models(
    reply: Any, models: list[str] | None, works: bool, said: str, fix: str | None
) -> None:
    verdict, asked = await probe(reply, models=models)
    assert (verdict.works, asked) == (works, ["https://a.test/v1/models"])
    assert said in verdict.sentence
    assert verdict.fix is None if fix is None else fix in (verdict.fix or "")


@pytest.mark.parametrize(
    ("status", "works", "said"),
    [(200, True, "answers as m"), (401, False, "refuses the key"), (404, False, "no Responses server")],
)
async def test_a_server_without_a_list_gets_one_tiny_request(status: int, works: bool, said: str) -> None:
    verdict, asked = await probe((404, {}), (status, {}), kind="responses", models=["m"])
    assert (verdict.works, asked[1]) == (works, "https://a.test/v1/responses m")
    assert said in verdict.sentence


async def test_a_plan_tells_what_is_left() -> None:
    window = {"used_percent": 25, "limit_window_seconds": 18_000, "reset_after_seconds": 3600}
    page = {"plan_type": "plus", "rate_limit": {"primary_window": window}}
    verdict, _ = await probe(page, kind="chatgpt")
    assert verdict.works
    assert verdict.sentence == "the login is taken (plan plus); 75% of 5h left, reset 2027-01-15 09:00 UTC"
    assert [row["meter"] for row in verdict.windows]
    spent, _ = await probe(
        {"rate_limit": {"primary_window": {**window, "used_percent": 100}}}, kind="chatgpt"
    )
    assert (spent.works, spent.fix) == (False, "wait until then")
    bare, _ = await probe({}, kind="chatgpt")
    assert (bare.works, bare.sentence) == (True, "the login is taken")


@pytest.mark.parametrize("cause", list(Cause))
async def test_a_plan_that_does_not_work_says_what_to_do(cause: Cause) -> None:
    verdict, _ = await probe(UpstreamFailure(cause, "their words", 403, "code"), kind="chatgpt")
    assert not verdict.works and verdict.fix
    assert "their words" not in verdict.sentence
    if cause is Cause.LOGIN:
        assert verdict.fix == "dragoman account login a"


async def test_a_backend_without_usage_is_asked_for_its_models() -> None:
    gone = UpstreamFailure(Cause.REQUEST, "", 404)
    verdict, asked = await probe(gone, {"models": [{}, {}]}, kind="chatgpt")
    assert (verdict.works, asked) == (True, ["usage", "models"])
    assert "lists 2 models" in verdict.sentence
    both, _ = await probe(gone, UpstreamFailure(Cause.PROTOCOL, "", 200), kind="chatgpt")
    assert (both.works, both.fix) == (False, "check the account's base_url")


async def test_an_account_without_a_road_is_added_again() -> None:
    prober = Prober(Answers(), FixedRoads({}), Answers(), lambda: NOW)
    assert (await prober.probe("a", "openai", None)).fix == "add the account again"
