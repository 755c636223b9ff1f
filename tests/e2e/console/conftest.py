"""A gateway and a browser for every module of tests, a visitor with cookies of their own for every test.

A module's tests share `console`: what one of them changes, the next ones see. One that needs a gateway of
its own asks for `bare_console`. Every page is watched by `guard`; what it must not do fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.browser import NARROW, Guard, chromium, enter, visit
from tests.support.console import ADMIN, PASSWORD, VIEWER, Console, bare, furnished

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A module stays on one worker, so that its gateway is started once."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group(f"console-{item.path.stem}"))
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A gateway with accounts, both people, keys and requests."""
    with furnished(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture
def bare_console(tmp_path: Path) -> Iterator[Console]:
    """A gateway that was just started, for one test."""
    with bare(tmp_path / "bare") as running:
        yield running


@pytest.fixture
def guard(console: Console) -> Guard:
    return Guard(console.url)


@pytest.fixture
def visitor(browser: Browser, console: Console, guard: Guard) -> Iterator[BrowserContext]:
    """A browser without cookies."""
    with visit(browser, console.url, guard=guard) as context:
        yield context


@pytest.fixture
def page(visitor: BrowserContext) -> Page:
    """A page that nobody is logged in on, and that shows nothing yet."""
    return visitor.new_page()


@pytest.fixture
def admin(visitor: BrowserContext) -> Page:
    """The overview, for the admin."""
    return enter(visitor, ADMIN, PASSWORD)


@pytest.fixture
def viewer(visitor: BrowserContext) -> Page:
    """The overview, for the viewer."""
    return enter(visitor, VIEWER, PASSWORD)


@pytest.fixture
def narrow(browser: Browser, console: Console, guard: Guard) -> Iterator[Page]:
    """The overview on a page of 360 pixels, for the admin."""
    with visit(browser, console.url, NARROW, guard=guard) as context:
        yield enter(context, ADMIN, PASSWORD)
