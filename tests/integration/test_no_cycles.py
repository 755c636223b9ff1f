"""A finished request leaves nothing to the garbage collector, whose rounds stop every stream for a while."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dragoman.gateway.chat import ChatTurn
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.messages import MessagesTurn
from dragoman.gateway.pacing import Pacer
from dragoman.gateway.responses import ResponsesTurn
from dragoman.gateway.route import Route
from dragoman.routing.policy import Demand
from dragoman.translate.messages.stream import ResponsesToMessages
from dragoman.translate.responses.relay import Relay
from tests.support.inprocess import gateway
from tests.support.upstream import upstream

_OF_A_REQUEST = (
    Exchange,
    Route,
    Demand,
    MessagesTurn,
    ChatTurn,
    ResponsesTurn,
    Pacer,
    ResponsesToMessages,
    Relay,
)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Only reference counts free memory."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive() -> set[str]:
    return {type(found).__name__ for found in gc.get_objects() if isinstance(found, _OF_A_REQUEST)}


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("more", [{"stream": True}, {"stream": False}, {"max_tokens": 0}], ids=str)
async def test_a_finished_request_is_freed_without_the_collector(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    """Reference counts alone end everything that was made for one request."""
    async with upstream() as up:
        account = {"name": "a", "kind": "openai", "base_url": up.url, "api_key": "sk-upstream"}
        async with gateway(tmp_path, {"accounts": [account]}) as house:
            assert (await house.ask(**more)).status == 200
            await house.row()
            async with asyncio.timeout(30):
                while alive():
                    await asyncio.sleep(0.01)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("more", [{"stream": True}, {"stream": False}, {"stop": "lo"}], ids=str)
async def test_a_finished_chat_is_freed_without_the_collector(tmp_path: Path, more: dict[str, Any]) -> None:
    async with upstream() as up:
        account = {"name": "a", "kind": "openai", "base_url": up.url, "api_key": "sk-upstream"}
        async with gateway(tmp_path, {"accounts": [account]}) as house:
            assert (await house.chat(**more)).status == 200
            await house.row()
            async with asyncio.timeout(30):
                while alive():
                    await asyncio.sleep(0.01)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("stream", [True, False])
async def test_a_finished_response_is_freed_without_the_collector(tmp_path: Path, stream: bool) -> None:
    async with upstream() as up:
        account = {"name": "a", "kind": "openai", "base_url": up.url, "api_key": "sk-upstream"}
        async with gateway(tmp_path, {"accounts": [account]}) as house:
            request = {"model": "gpt-5.5", "input": "Hi", "stream": stream}
            assert (await house.post("/v1/responses", request)).status == 200
            await house.row()
            async with asyncio.timeout(30):
                while alive():
                    await asyncio.sleep(0.01)
