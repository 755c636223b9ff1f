"""Asks an account's upstream something cheap, and says in one sentence what works and what is to be done.

ChatGPT accounts are asked for their usage, others for their models; a server without a list of models gets
one tiny request where the account names a model. Bodies of upstreams are not repeated, nor credentials.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from dragoman.gateway.ports import UpstreamError
from dragoman.routing.quota import QuotaRow, Quotas, credits_from, from_usage
from dragoman.translate.messages.causes import Cause, UpstreamFailure
from dragoman.upstream.calls import CallFailed, Reply
from dragoman.upstream.chatgpt import Page
from dragoman.upstream.roads import Road, Roads

SECONDS = 15.0
_NO_LIST = frozenset({404, 405, 501})
_TINY = {"input": "Say ok.", "max_output_tokens": 16, "store": False}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of asking. `fix` says what to do where it does not work; `windows` what is left of a plan."""

    works: bool
    sentence: str
    fix: str | None = None
    windows: Sequence[QuotaRow] = ()


class Asks(Protocol):
    """What calls; see upstream/calls."""

    async def get(self, url: str, headers: Mapping[str, str], *, seconds: float = ...) -> Reply: ...

    async def post_json(
        self, url: str, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Reply: ...


class Pages(Protocol):
    """The side pages of the ChatGPT backend; see upstream/chatgpt."""

    async def fetch_usage(self, account: str) -> Page: ...

    async def fetch_models(self, account: str, etag: str | None = None) -> Page: ...


class Prober:
    """Asks for accounts whose roads are known. `now` gives epoch seconds."""

    def __init__(self, calls: Asks, roads: Roads, backend: Pages, now: Callable[[], float]) -> None:
        self._calls = calls
        self._roads = roads
        self._backend = backend
        self._now = now

    async def probe(self, name: str, kind: str, models: Sequence[str] | None) -> Verdict:
        """One account, by the name that its road has."""
        if kind == "chatgpt":
            return await self._plan(name)
        road = self._roads.get(name)
        if road is None:
            return Verdict(False, "its credentials cannot be read", "add the account again")
        return await _answered(self._key(road, models))

    async def _plan(self, name: str) -> Verdict:
        try:
            page = await self._backend.fetch_usage(name)
        except UpstreamError as error:
            if error.failure.status not in _NO_LIST:
                return _refused(error.failure, name)
            try:
                page = await self._backend.fetch_models(name)
            except UpstreamError as again:
                return _refused(again.failure, name)
            count = len((page.document or {}).get("models", ()))
            return Verdict(True, f"the login is taken; the backend lists {count} models and tells no usage")
        return self._left(page.document or {})

    def _left(self, document: Mapping[str, Any]) -> Verdict:
        now = self._now()
        quotas = Quotas()
        quotas.learn(from_usage(document, now), credits_from(document, now))
        rows = quotas.rows(now)
        said = "; ".join(_window(row) for row in rows if row["meter"] == rows[0]["meter"])
        plan = document.get("plan_type")
        of = f" (plan {plan[:40]})" if isinstance(plan, str) and plan.isprintable() else ""
        spent = quotas.exhausted(None, now)
        if spent is not None:
            return Verdict(
                False, f"the login is taken{of}, but its quota is spent: {said}", "wait until then", rows
            )
        return Verdict(True, f"the login is taken{of}" + (f"; {said}" if said else ""), None, rows)

    async def _key(self, road: Road, models: Sequence[str] | None) -> Verdict:
        reply = await self._calls.get(f"{road.url}/models", road.headers, seconds=SECONDS)
        if reply.status == 200:
            return _listed(reply, models)
        if reply.status not in _NO_LIST:
            return _status(reply.status)
        if not models:
            return Verdict(
                True, "the server is reached; it has no list of models, so the credentials were not tried"
            )
        tiny = await self._calls.post_json(
            road.url + road.create, {"model": models[0], **_TINY}, road.headers
        )
        if tiny.status == 200:
            return Verdict(True, f"the server is reached and answers as {models[0]}")
        return _status(tiny.status)


async def _answered(asked: Awaitable[Verdict]) -> Verdict:
    try:
        return await asked
    except CallFailed as failure:
        return Verdict(
            False,
            f"the server cannot be reached ({failure.reason})",
            "check base_url, the network, HTTPS_PROXY and upstream.ca_file",
        )


def _listed(reply: Reply, models: Sequence[str] | None) -> Verdict:
    rows = reply.document.get("data") if isinstance(reply.document, dict) else None
    if not isinstance(rows, list):
        return Verdict(
            False, "what answers at base_url lists no models in OpenAI's way", "correct the address"
        )
    offered = {row.get("id") for row in rows if isinstance(row, dict)}
    missing = [name for name in models or () if name not in offered]
    if missing:
        return Verdict(
            False,
            f"the key is taken, but the server does not list {', '.join(missing[:5])}",
            "correct the account's models",
        )
    return Verdict(True, f"the key is taken; the server lists {len(offered)} models")


def _status(status: int) -> Verdict:
    said = f"(status {status})"
    if status in (401, 403):
        return Verdict(False, f"the server refuses the key {said}", "add the account again with a good key")
    if status == 429:
        return Verdict(False, f"the key is taken, but its limit is spent {said}", "wait, or add credit")
    if 300 <= status < 400:
        return Verdict(False, f"the server redirects {said}, which is not followed", "correct base_url")
    if status in _NO_LIST:
        return Verdict(False, f"there is no Responses server at base_url {said}", "correct base_url")
    return Verdict(False, f"the server is reached, but it fails now {said}", "try again later")


_PLAN: Mapping[Cause, tuple[str, str]] = {
    Cause.LOGIN: ("the login is over", "dragoman account login {name}"),
    Cause.CREDENTIALS: (
        "the backend refuses a token that is new",
        "try again in a minute, then dragoman account login {name}",
    ),
    Cause.DEAD: ("the account was closed by its operator", "dragoman account remove {name}"),
    Cause.TRANSPORT: (
        "the backend or the issuer cannot be reached",
        "check the network, HTTPS_PROXY, chatgpt.base_url and chatgpt.issuer",
    ),
    Cause.PROTOCOL: ("what answers is no ChatGPT backend", "check the account's base_url"),
    Cause.RATE_LIMIT: ("the login is taken, but its limit is reached", "wait until it is reset"),
    Cause.QUOTA: ("the login is taken, but its quota is spent", "wait until it is reset"),
    Cause.BURST: ("the backend takes no more requests at the moment", "try again in a minute"),
}


def _refused(failure: UpstreamFailure, name: str) -> Verdict:
    sentence, fix = _PLAN.get(failure.cause, ("the backend fails now", "try again later"))
    status = "" if failure.status is None else f" (status {failure.status})"
    return Verdict(False, sentence + status, fix.format(name=name))


def _window(row: QuotaRow) -> str:
    until = row["resets_at"]
    reset = "" if until is None else f", reset {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC"
    return f"{row['remaining']:.0%} of {row['window']} left{reset}"
