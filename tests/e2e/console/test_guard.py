"""The law that every page of the console keeps would be noticed if it were broken."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.support.browser import Guard


@pytest.mark.parametrize(
    ("breach", "told"),
    [
        ("console.error('something')", "something"),
        ("setTimeout(() => { throw new Error('nobody catches it') })", "nobody catches it"),
        ("fetch('http://127.0.0.2:9/').catch(() => {})", "policy: connect-src"),
        ("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.2:9/'}))", "policy: img-src"),
        ("document.body.append(Object.assign(document.createElement('script'), {text: '1'}))", "script-src"),
        ("document.body.setAttribute('style', 'color: red')", "style-src"),
    ],
)
def test_a_page_that_breaks_the_law_is_told(admin: Page, guard: Guard, breach: str, told: str) -> None:
    """Errors, uncaught exceptions, and what the content security policy forbids."""
    guard.verify()
    with admin.expect_event("console" if "throw" not in breach else "pageerror"):
        admin.evaluate(breach)
    admin.evaluate("1")
    with pytest.raises(AssertionError) as raised:
        guard.verify()
    assert told in str(raised.value)
    guard.expect_error("")
