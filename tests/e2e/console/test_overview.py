"""The overview: what is going on, the time before, accounts, who spends, and what is not well."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.support.browser import Guard, enter, overflow, settled, visit
from tests.support.console import ADMIN, PASSWORD, Console
from tests.support.past import month


@pytest.fixture(scope="module", autouse=True)
def past(console: Console) -> None:
    """A month of requests before those of today."""
    console.remember(month(time.time()))


def panel(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def answered(page: Page, path: str, change: Any) -> None:
    """Changes what the API answers to this path."""

    def fulfil(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        change(body)
        route.fulfill(response=answer, body=json.dumps(body))

    page.route(re.compile(rf"/admin/api{path}(\?|$)"), fulfil)


def test_the_day_so_far_and_what_runs(admin: Page) -> None:
    settled(admin)
    now = panel(admin, "Now")
    expect(now.get_by_text("All is well")).to_be_visible()
    expect(now).to_contain_text("In flight")
    today = panel(admin, "Today")
    for name in ("Requests", "Failed", "Input tokens", "Of them cached", "Output tokens", "Cost"):
        expect(today.get_by_text(name, exact=True)).to_be_visible()
    # What Claude Code would have cost at Anthropic stands beside it, both in dollars.
    expect(today.locator("dd", has_text="$")).to_have_count(2)


def test_a_request_shows_when_it_has_ended(admin: Page, console: Console) -> None:
    """Without being asked for, with its key, tokens and outcome; the day's sums follow."""
    feed = panel(admin, "As they end")
    expect(feed.get_by_text("live", exact=True)).to_be_visible()
    requests = panel(admin, "Today").locator("dd").first
    before = int(requests.inner_text())
    console.ask("Somebody asks while the page is open.", key=console.keys["notebook"])
    first = feed.locator("tbody tr").first
    expect(first).to_contain_text("notebook")
    expect(requests).not_to_have_text(str(before))
    expect(feed.locator("tbody tr")).to_have_count(10)


def test_a_row_leads_to_its_turn(admin: Page) -> None:
    """With the keyboard as with a press."""
    rows = panel(admin, "As they end").locator("tbody tr")
    expect(rows).to_have_count(10)
    wanted = rows.first.get_attribute("data-row")
    # The table of the series is closed: j begins in the feed.
    admin.keyboard.press("j")
    expect(rows.first).to_be_focused()
    admin.keyboard.press("Enter")
    admin.wait_for_url(f"**/console#/log/{wanted}")


@pytest.mark.parametrize("span", ["24 h", "7 d", "30 d"])
def test_the_time_before_is_drawn_and_stands_in_a_table(admin: Page, span: str) -> None:
    """Each measure; the address keeps what was chosen."""
    trend = panel(admin, "Over time")
    trend.get_by_role("button", name=span, exact=True).click()
    for measure in ("Requests", "Tokens", "Cost", "Cached share"):
        trend.get_by_role("button", name=measure, exact=True).click()
        picture = trend.get_by_role("img", name=re.compile(rf"^{measure}, {span}: \d[\d,]* requests in all"))
        expect(picture.locator("canvas")).to_be_visible()
    trend.get_by_text("As a table").click()
    rows = trend.get_by_role("table").locator("tbody tr")
    expect(rows.first).to_be_visible()
    if span == "30 d":
        # A night's job runs every day.
        assert rows.count() == 30
    assert re.search(rf"range={span.replace(' ', '')}&show=cached|show=cached&range=", admin.url)
    admin.reload()
    expect(panel(admin, "Over time").get_by_role("button", name=span, exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )


def test_pointing_at_a_bar_tells_its_figures(admin: Page) -> None:
    trend = panel(admin, "Over time")
    trend.get_by_role("button", name="30 d").click()
    expect(trend.locator(".plot-what")).to_contain_text("All")
    trend.locator(".u-over").hover()
    expect(trend.locator(".plot-what b").first).to_have_text(re.compile(r"^[A-Z][a-z]{2} \d+$"))


def test_the_plot_is_drawn_anew_for_the_dark(admin: Page) -> None:
    """Its colours are those of the theme, which a canvas does not follow by itself."""
    paint = "() => document.querySelector('.plot canvas').toDataURL()"
    admin.wait_for_selector(".plot canvas")
    light = admin.evaluate(paint)
    admin.get_by_role("button", name=re.compile("^Theme")).click()
    admin.get_by_role("button", name=re.compile("^Theme")).click()
    admin.wait_for_function(f"before => ({paint})() !== before", arg=light)


def test_who_spends_and_on_what(admin: Page) -> None:
    """The dearest first; each name leads to its rows in the log."""
    keys = panel(admin, "Who spends").locator("tbody tr")
    expect(keys.first).to_be_visible()
    costs = [
        float(text.strip("$≈ +,").replace(",", ""))
        for text in keys.locator("td:last-child").all_inner_texts()
    ]
    assert costs == sorted(costs, reverse=True)
    expect(keys.first.locator("a")).to_have_attribute("href", re.compile(r"^#/log\?key=\w+"))
    models = panel(admin, "On which models")
    expect(models.locator("a", has_text="gpt-5.5")).to_have_attribute("href", "#/log?upstream_model=gpt-5.5")


def test_accounts_tell_what_is_left_and_when_more_is(admin: Page) -> None:
    card = panel(admin, "Accounts").get_by_role("listitem").filter(has_text="team-plan")
    expect(card.get_by_text("ChatGPT, plus")).to_be_visible()
    for window in ("5h", "7d"):
        line = card.locator(".glance-window").filter(has_text=window)
        expect(line).to_contain_text(re.compile(r"\d %|\d\.\d %"))
        expect(line).to_contain_text(re.compile(r"left, full again in \d+ [dh]"))


def test_what_is_not_well_is_said_with_what_to_do(admin: Page) -> None:
    """Parts of the gateway, accounts that rest, windows that run out."""

    def ill(body: Any) -> None:
        body["ill"] = {"db_write": "the disk is full"}

    def tired(body: Any) -> None:
        first, second = body["data"][:2]
        first["live"] |= {"state": "cooling", "why": "quota", "until": "2100-01-01T00:00:00Z"}
        second["status"] = "needs_login"

    answered(admin, "/overview", ill)
    answered(admin, "/accounts", tired)
    admin.reload()
    now = panel(admin, "Now")
    expect(now.get_by_text("4 things are not well")).to_be_visible()
    found = now.locator(".ills li")
    expect(found).to_have_count(4)
    # The worst first: nobody is left to serve.
    expect(found.first).to_contain_text("No account takes requests now.")
    expect(found.filter(has_text="the disk is full")).to_contain_text("its disk has space")
    expect(found.filter(has_text="needs a new login").get_by_role("link")).to_have_attribute(
        "href", "#/accounts"
    )
    expect(found.filter(has_text="rests until")).to_contain_text("Its quota is used up.")


def test_a_store_that_does_not_answer_is_a_banner_and_what_was_there_stays(admin: Page, guard: Guard) -> None:
    guard.expect_error("status of 503")
    settled(admin)
    body = {
        "error": {"type": "api_error", "message": "The store does not answer now."},
        "request_id": "req_x",
    }
    admin.route(
        re.compile("/admin/api/overview"),
        lambda route: route.fulfill(status=503, body=json.dumps(body), content_type="application/json"),
    )
    expect(admin.get_by_text("Not everything can be read or changed now.")).to_be_visible()
    expect(panel(admin, "Now")).to_contain_text("In flight")
    admin.unroute_all()
    admin.locator(".banner").get_by_role("button", name="Try again").click()
    expect(admin.locator(".banner")).to_have_count(0)


def test_what_a_client_sends_is_a_text_and_nothing_else(admin: Page, console: Console) -> None:
    """A model's name that would be HTML stands there as it was sent; the guard sees whether it runs."""
    name = "<img src=/console/none onerror=console.error(1)><b>bold</b>"
    console.ask("Hello.", model=name)
    row = panel(admin, "As they end").locator("tbody tr").filter(has_text="onerror").first
    expect(row).to_contain_text(name)
    assert row.locator("img, b").count() == 0


def test_a_viewer_sees_the_same(viewer: Page) -> None:
    for title in ("Now", "Today", "Over time", "As they end", "Accounts", "Who spends"):
        expect(panel(viewer, title)).to_be_visible()


def test_it_fits_a_telephone(narrow: Page) -> None:
    for span in ("24 h", "30 d"):
        panel(narrow, "Over time").get_by_role("button", name=span, exact=True).click()
        expect(narrow.locator(".plot canvas")).to_be_visible()
        panel(narrow, "Over time").get_by_text("As a table").click()
        assert overflow(narrow) <= 0


def test_a_new_gateway_shows_how_the_first_request_is_made(browser: Browser, bare_console: Console) -> None:
    """The line for Claude Code with this address; after the first request it is gone by itself."""
    bare_console.settle()
    with visit(browser, bare_console.url) as context:
        page = enter(context, ADMIN, PASSWORD)
        first = panel(page, "Make the first request")
        expect(first).to_contain_text(f"ANTHROPIC_BASE_URL={bare_console.url}")
        expect(first.get_by_role("button", name=re.compile("Copy"))).to_be_visible()
        expect(first.get_by_role("link", name="Add an account")).to_be_visible()
        expect(panel(page, "Now").get_by_text("simulated")).to_be_visible()
        key = bare_console.gate.run.await_line(r"(sk-drg-[\w-]+)").group(1)
        bare_console.ask("The very first one.", key=key)
        expect(first).to_have_count(0)
        expect(panel(page, "As they end").locator("tbody tr")).to_have_count(1)
