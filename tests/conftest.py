"""What every test may use: the options of the suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from dragoman.upstream import client
from tests.support import zygote

# How fast a machine makes examples, or runs one, says nothing about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

pytest_plugins = ["tests.support.databases", "tests.support.failing", "tests.support.verbs"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="write the golden expectations anew")
    parser.addoption("--soak", action="store_true", help="run the long rounds too")


# Their tests wait long for processes: begun last, one of them would run when all others have ended. All at
# once they would be in each other's way. So they are spread over the first half.
LONG = frozenset(
    {
        "test_cli_verbs.py",
        "test_config_verbs.py",
        "test_crowd.py",
        "test_doctor.py",
        "test_one_after_another.py",
        "test_redaction.py",
        "test_replicas.py",
        "test_rolling.py",
        "test_soak.py",
    }
)


def _spread(items: list[pytest.Item]) -> None:
    """Puts the long tests between the others of the first half."""
    long = [item for item in items if item.path.name in LONG]
    rest = [item for item in items if item.path.name not in LONG]
    step = len(rest) // (2 * len(long)) if long else 0
    items[:] = rest
    for number, item in enumerate(long):
        items.insert(number * (step + 1), item)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _spread(items)
    if config.getoption("--soak"):
        return
    skip = pytest.mark.skip(reason="a long round: make soak")
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(skip)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before fixtures of any scope: how processes of this test are started."""
    zygote.wanted = "e2e" not in item.path.parts and item.get_closest_marker("installed") is None


@pytest.fixture(autouse=True, scope="session")
def _patient_counts() -> Iterator[None]:
    """A busy machine must not turn exact counts into estimates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "COUNT_SECONDS", 60.0)
        yield


@pytest.fixture
def rewrite_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite-golden"))
