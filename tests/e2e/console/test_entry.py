"""Coming in and going out: the first admin, passwords, the second factor, sessions that end, roles."""

from __future__ import annotations

import base64
import re
import time

from playwright.sync_api import Browser, BrowserContext, Page, expect

from dragoman.web.admin.codes import code_at
from tests.support.browser import NARROW, Guard, enter, overflow, settled, visit
from tests.support.console import ADMIN, PASSWORD, VIEWER, Console

# What Chromium writes about an answer with this status.
REFUSED = r"status of 401"
OTHER = "another long password"


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in").click()


def title(page: Page, text: str) -> None:
    """Waits for the heading of a screen."""
    expect(page.get_by_role("heading", level=1, name=text, exact=True)).to_be_visible()


def test_the_first_admin_is_made_with_the_token_that_was_printed(
    browser: Browser, bare_console: Console
) -> None:
    """The form comes by itself, says what is missing, refuses a wrong token and works once."""
    guard = Guard(bare_console.url)
    guard.expect_error(REFUSED)
    with visit(browser, bare_console.url, guard=guard) as context:
        page = context.new_page()
        page.goto("/")
        title(page, "Make the first admin")
        assert page.url.startswith(f"{bare_console.url}/console")
        make = page.get_by_role("button", name="Make admin and log in")
        make.click()
        expect(page.get_by_text("is needed")).to_have_count(2)
        page.get_by_label("Set-up token").fill("drg-setup-wrong")
        page.get_by_label("Name", exact=True).fill(ADMIN)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Password again").fill("something else")
        expect(page.get_by_text("is not the same")).to_be_visible()
        page.get_by_label("Password again").fill(PASSWORD)
        make.click()
        expect(page.locator(".problem")).to_have_count(1)
        page.get_by_label("Set-up token").fill(bare_console.token)
        make.click()
        title(page, "Overview")
        page.reload()
        title(page, "Overview")
    with visit(browser, bare_console.url) as context:
        page = context.new_page()
        page.goto("/console")
        title(page, "Log in")


def test_a_login_leads_where_one_wanted_to_be(page: Page) -> None:
    page.goto("/console#/me?from=mail")
    title(page, "Log in")
    log_in(page, ADMIN)
    title(page, ADMIN)
    assert page.url.endswith("/console#/me?from=mail")


def test_a_wrong_password_says_so_and_how_to_get_in_again(page: Page, guard: Guard) -> None:
    guard.expect_error(REFUSED)
    page.goto("/console")
    log_in(page, ADMIN, "not the password")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_text("dragoman token setup")).to_be_visible()
    log_in(page, ADMIN)
    title(page, "Overview")


def test_logging_out_ends_the_session(admin: Page, visitor: BrowserContext, guard: Guard) -> None:
    guard.expect_error(REFUSED)
    admin.locator("a.you").click()
    admin.get_by_role("button", name="Log out").click()
    title(admin, "Log in")
    admin.go_back()
    title(admin, "Log in")
    assert visitor.request.get("/admin/api/me").status == 401


def test_a_session_that_ended_leads_to_the_login_and_back(
    console: Console, visitor: BrowserContext, guard: Guard
) -> None:
    """An admin gave the user a new password: the page notices by itself."""
    guard.expect_error(REFUSED)
    boss = console.session()
    boss.send("POST", "/users", {"name": "edda", "role": "viewer", "password": PASSWORD})
    page = enter(visitor, "edda", PASSWORD)
    page.goto("/console#/overview?kept=1")
    title(page, "Overview")
    boss.send("POST", "/users/edda/reset", {"password": OTHER})
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    log_in(page, "edda", OTHER)
    title(page, "Overview")
    assert page.url.endswith("#/overview?kept=1")


def test_the_second_factor_is_set_up_asked_for_and_replaced_by_a_recovery_code(
    console: Console, visitor: BrowserContext, guard: Guard
) -> None:
    guard.expect_error(r"status of 40[01]")
    console.session().send("POST", "/users", {"name": "tess", "role": "viewer", "password": PASSWORD})
    page = enter(visitor, "tess", PASSWORD)
    page.locator("a.you").click()
    page.get_by_role("button", name="Set up").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Password now").fill(PASSWORD)
    page.keyboard.press("Enter")
    spelled = re.sub(r"[\s-]", "", dialog.locator("pre").first.inner_text()).upper()
    secret = base64.b32decode(spelled + "=" * (-len(spelled) % 8))
    dialog.get_by_label("Code that it shows").fill(code_at(secret, time.time()))
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="I have kept them")).to_be_visible()
    recovery = dialog.locator("pre").inner_text().split()
    assert len(recovery) == 10
    # Escape does not lose them.
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_text("10 recovery codes left.")).to_be_visible()

    for code, left in ((code_at(secret, time.time() + 30), 10), (recovery[0], 9)):
        page.get_by_role("button", name="Log out").click()
        log_in(page, "tess")
        field = page.get_by_label("Code", exact=True)
        expect(field).to_be_focused()
        field.fill("000000")
        page.keyboard.press("Enter")
        expect(page.locator(".problem")).to_be_visible()
        field.fill(code)
        page.keyboard.press("Enter")
        expect(page.get_by_text(f"{left} recovery codes left.")).to_be_visible()


def test_a_viewer_is_told_so_and_can_change_their_own_password_alone(
    viewer: Page, visitor: BrowserContext, guard: Guard
) -> None:
    guard.expect_error(r"status of 403")
    expect(viewer.locator("a.you")).to_have_attribute("title", re.compile("viewer"))
    viewer.locator("a.you").click()
    expect(viewer.get_by_role("button", name="Change password")).to_be_visible()
    me = visitor.request.get("/admin/api/me").json()
    refused = visitor.request.post(
        "/admin/api/keys", data={"name": "mine"}, headers={"x-csrf-token": me["csrf_token"]}
    )
    assert refused.status == 403
    assert me["name"] == VIEWER


def test_nothing_is_wider_than_a_telephone(browser: Browser, console: Console, narrow: Page) -> None:
    """360 pixels: no screen scrolls sideways, in light and dark."""
    links = narrow.locator("nav a")
    places = [links.nth(number).get_attribute("href") or "" for number in range(links.count())]
    for dark in ("light", "dark"):
        narrow.evaluate("theme => { document.documentElement.dataset.theme = theme }", dark)
        for place in [*places, "#/me", "#/nowhere"]:
            narrow.goto(f"/console{place}")
            settled(narrow)
            assert overflow(narrow) <= 0, place
    with visit(browser, console.url, NARROW) as context:
        page = context.new_page()
        for place in ("#/login", "#/setup"):
            page.goto(f"/console{place}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert overflow(page) <= 0, place
