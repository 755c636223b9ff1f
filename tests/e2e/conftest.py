"""A house of its own for every end-to-end test: what the upstream saw belongs to that test alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.claude import NEWEST, Claude, Open
from tests.support.house import House
from tests.support.house import house as started


@pytest.fixture
def contract() -> str:
    """The upstream's cache contract; tests parametrize it where both matter."""
    return "A"


@pytest.fixture
def house(tmp_path: Path, contract: str) -> Iterator[House]:
    with started(tmp_path / "house", contract) as running:
        yield running


@pytest.fixture
def claude(house: House, tmp_path: Path) -> Open:
    """Makes a client of a version, with more of its environment."""

    def make(version: str = NEWEST, **environment: str) -> Claude:
        return Claude(house.url, house.key, tmp_path / f"client-{version}", version, **environment)

    return make
