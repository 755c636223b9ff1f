"""Schemathesis against the admin API: no input makes a fault, and every answer is what its document says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import allow_header_conformance, ignored_auth, positive_data_acceptance

from dragoman.simulator import server
from dragoman.simulator.state import State
from dragoman.web.admin.app import bare, openapi
from tests.support.admin import API, administered

DOCUMENT = openapi(bare())
# The feed has no end, and a try asks servers that are none of ours.
SCHEMA = (
    schemathesis.openapi.from_dict(DOCUMENT)
    .exclude(path=f"{API}/live")
    .exclude(path=f"{API}/accounts/{{name}}/test")
)
# What has the right form may still be refused: a glob that matches nothing, a price that is not known. And a
# made-up cookie beside a good token is no fault: test_admin_routes.py asks every route without login.
NOT_PROMISED: list[CheckFunction] = [positive_data_acceptance, ignored_auth]


class Served(NamedTuple):
    """A gateway in a thread of its own."""

    url: str
    headers: dict[str, str]
    log: Any


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with an admin's token."""
    place = tmp_path_factory.mktemp("gateway")
    ready = threading.Event()
    found: list[Served] = []
    stop: list[Any] = []

    async def serve() -> None:
        issuer = await server.start("127.0.0.1", 0, state=State())
        chatgpt = {"issuer": issuer.url, "base_url": f"{issuer.url}/backend-api"}
        async with administered(place, {"chatgpt": chatgpt}) as house:
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(ended.set))
            admin = await house.token()
            found.append(Served(house.url, admin.headers, house.gateway.log))
            ready.set()
            await ended.wait()
        await issuer.close()

    def run() -> None:
        try:
            asyncio.run(serve())
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(60)
    assert found, "the gateway did not start"
    try:
        yield found[0]
        assert "admin_fault" not in found[0].log.getvalue()
    finally:
        stop[0]()
        thread.join(60)


@SCHEMA.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_input_makes_a_fault_and_answers_conform(case: schemathesis.Case[Any], served: Served) -> None:
    excluded = list(NOT_PROMISED)
    if case.path.endswith("/aliases/test"):
        excluded.append(allow_header_conformance)  # an alias may have that name
    case.call_and_validate(base_url=served.url, headers=served.headers, excluded_checks=excluded, timeout=60)
