"""One house per worker for all contract tests, and the official SDKs pointed at it."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest

from tests.support.house import House
from tests.support.house import house as started


@pytest.fixture(scope="session")
def _house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with started(tmp_path_factory.mktemp("contract"), server="ping_seconds = 0.5") as running:
        yield running


@pytest.fixture
def house(_house: House) -> Iterator[House]:
    """The worker's house with a simulator that knows nothing yet; the test sets its scenario."""
    _house.start_over()
    yield _house
    assert _house.breaches() == []
    assert _house.gate.faults() == []


@pytest.fixture
def client(house: House) -> Iterator[anthropic.Anthropic]:
    """The SDK without retries of its own."""
    with anthropic.Anthropic(base_url=house.url, api_key=house.key, max_retries=0, timeout=60) as made:
        yield made


@pytest.fixture
def chatter(house: House) -> Iterator[openai.OpenAI]:
    """OpenAI's SDK without retries of its own."""
    with openai.OpenAI(base_url=f"{house.url}/v1", api_key=house.key, max_retries=0, timeout=60) as made:
        yield made
