"""Chromium for a test of the console, and the law that every page keeps.

`Guard` watches all pages of one context: no error in the browser's console, no uncaught exception, no breach
of the content security policy, no request to another host. What a test provokes itself it names with
`expect_error`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

CHROMIUM = "/usr/bin/chromium"
# The machine may be busy: a test that waits for nothing waits this long, in milliseconds.
PATIENCE = 45_000
WIDE = (1280, 800)
NARROW = (360, 740)

# A breach of the policy is told where the other errors are.
_TELL_BREACHES = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class Guard:
    """Collects what no page of the console may do."""

    origin: str
    seen: list[str] = field(default_factory=list)
    expected: list[re.Pattern[str]] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """From now on, in every page that the context has or opens."""
        context.add_init_script(_TELL_BREACHES)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.seen.append(f"uncaught: {error.error}"))
        context.on("request", self._asked)

    def expect_error(self, pattern: str) -> None:
        """The test provokes this: a refusal is an error line of the browser's."""
        self.expected.append(re.compile(pattern))

    def verify(self) -> None:
        """Raises AssertionError with what was seen."""
        wrong = [line for line in self.seen if not any(one.search(line) for one in self.expected)]
        assert wrong == [], wrong

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.seen.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _asked(self, request: Request) -> None:
        asked = urlsplit(request.url)
        if asked.scheme not in ("data", "blob") and f"{asked.scheme}://{asked.netloc}" != self.origin:
            self.seen.append(f"another host: {request.url}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Runs until the block ends. No loop of asyncio may run in this thread meanwhile."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(
    browser: Browser,
    origin: str,
    size: tuple[int, int] = WIDE,
    *,
    dark: bool = False,
    zone: str = "Europe/Berlin",
    guard: Guard | None = None,
) -> Iterator[BrowserContext]:
    """A visitor with cookies of their own; at the end the law is verified."""
    watch = guard or Guard(origin)
    context = browser.new_context(
        base_url=origin,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        locale="en-GB",
        timezone_id=zone,
    )
    context.set_default_timeout(PATIENCE)
    watch.watch(context)
    try:
        yield context
    finally:
        context.close()
    watch.verify()


def enter(context: BrowserContext, name: str, password: str) -> Page:
    """Logs in without the form and opens the console."""
    answer = context.request.post("/admin/api/login", data={"name": name, "password": password})
    assert answer.ok, answer.text()
    page = context.new_page()
    page.goto("/console")
    page.wait_for_selector("main#content h1")
    return page


def settled(page: Page) -> None:
    """Waits until the screen has read what it shows. The network is never still: the feed stays open."""
    page.wait_for_function(
        """() => {
          const shown = document.querySelector("#content, main.gate");
          return shown && shown.children.length && !shown.querySelector(".loading");
        }"""
    )


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider
