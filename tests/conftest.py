"""What every test may use: the options of the suite."""

from __future__ import annotations

import pytest

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


@pytest.fixture
def rewrite_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite-golden"))
