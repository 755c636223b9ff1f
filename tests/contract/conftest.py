"""One simulator per worker and a new gateway for every test, with the official SDKs pointed at it.

New, because a gateway keeps in mind what its accounts did: one that refused rests for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest

from tests.support.house import Simulator, simulator
from tests.support.threaded import House, settings, threaded


@pytest.fixture(scope="session")
def _simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def house(_simulator: Simulator, tmp_path: Path) -> Iterator[House]:
    """A gateway, and a simulator that knows nothing yet; the test sets its scenario."""
    with threaded(tmp_path, settings(_simulator.url, server={"ping_seconds": 0.5})) as gate:
        made = House(_simulator, gate)
        made.start_over()
        yield made
        assert made.breaches() == []
        assert gate.faults() == []


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
