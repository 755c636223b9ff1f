"""What every test may use: the options of the suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from dragoman.upstream import client

# How fast a machine makes examples, or runs one, says nothing about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

pytest_plugins = ["tests.support.databases", "tests.support.failing", "tests.support.verbs"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="write the golden expectations anew")
    parser.addoption("--soak", action="store_true", help="run the long rounds too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--soak"):
        return
    skip = pytest.mark.skip(reason="a long round: make soak")
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True, scope="session")
def _patient_counts() -> Iterator[None]:
    """A busy machine must not turn exact counts into estimates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "COUNT_SECONDS", 60.0)
        yield


@pytest.fixture
def rewrite_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite-golden"))
