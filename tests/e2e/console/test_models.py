"""Names, prices and the catalogue: where a name goes and why, what is set and taken away."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.support.browser import Guard, overflow, settled
from tests.support.console import Console

REFUSED = r"status of 40[04]"


def opened(page: Page, query: str = "") -> Page:
    page.goto(f"/console#/models{query}")
    expect(page.get_by_role("heading", level=1, name="Models")).to_be_visible()
    settled(page)
    expect(page.get_by_role("table", name="Catalogue")).to_be_visible()
    return page


def row(page: Page, table: str, name: str) -> Locator:
    """The row whose first cells hold just this name."""
    cell = page.get_by_role("cell", name=name, exact=True)
    return page.get_by_role("table", name=table, exact=True).get_by_role("row").filter(has=cell)


def test_a_name_is_tried(admin: Page, guard: Guard) -> None:
    """The rule is marked in the order, the accounts lead to their cards, the address keeps the name."""
    opened(admin)
    admin.keyboard.press("/")
    admin.keyboard.type("claude-haiku-4-5")
    goal = admin.locator(".trial-goal")
    expect(goal).to_contain_text("gpt-5.4-mini")
    hit = admin.locator(".order li[aria-current]")
    expect(hit).to_contain_text("claude-haiku-* of the configuration file")
    answer = admin.locator(".trial-answer")
    expect(answer).to_contain_text(re.compile(r"Context window\s*272,000"))
    expect(answer.get_by_role("link", name="team-plan")).to_be_visible()
    admin.reload()
    expect(goal).to_contain_text("gpt-5.4-mini")
    field = admin.get_by_label("A model's name as a client sends it")
    field.fill("some-other-name")
    expect(hit).to_contain_text("Passed on as it is")
    field.fill("gpt-5.5")
    expect(hit).to_contain_text("under its own name")
    answer.get_by_role("link", name="platform").click()
    expect(admin.get_by_role("article", name="platform")).to_have_class(re.compile("chosen"))


def test_an_alias_is_set_overridden_and_removed(admin: Page, console: Console, guard: Guard) -> None:
    guard.expect_error(REFUSED)
    opened(admin, "?try=claude-opus-4-8")
    admin.get_by_role("button", name="Add alias").click()
    dialog = admin.get_by_role("dialog")
    dialog.get_by_label("Requested name").fill("claude-opus-*")
    dialog.get_by_label("Upstream model").fill("gpt-5.4")
    dialog.get_by_label("Effort").select_option("high")
    dialog.get_by_role("button", name="Save").click()
    made = row(admin, "Aliases", "claude-opus-*")
    expect(made).to_contain_text(re.compile(r"gpt-5\.4\s*high\s*store\s*yes"))
    expect(admin.locator(".order li[aria-current]")).to_contain_text("claude-opus-* of the store")

    made.get_by_role("button", name="Change").click()
    expect(dialog.get_by_label("Requested name")).to_be_disabled()
    dialog.get_by_label("Effort").select_option("")
    dialog.get_by_role("button", name="Save").click()
    expect(made).to_contain_text("as asked")

    # A name of the file is overridden: the file's stands there and no longer counts.
    row(admin, "Aliases", "claude-*").get_by_role("button", name="Override").click()
    dialog.get_by_label("Upstream model").fill("gpt-5.6-sol")
    dialog.get_by_role("button", name="Save").click()
    expect(row(admin, "Aliases", "claude-*")).to_have_count(2)
    expect(admin.get_by_text("no: claude-* goes before it")).to_have_count(2)

    ours = row(admin, "Aliases", "claude-*").filter(has_text="store")
    ours.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(row(admin, "Aliases", "claude-*")).to_have_count(1)
    made.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(made).to_have_count(0)
    assert [one["origin"] for one in console.session().send("GET", "/aliases")["data"]] == ["config"] * 2


def test_a_price_is_unknown_until_it_is_set(admin: Page, console: Console, guard: Guard) -> None:
    guard.expect_error(REFUSED)
    console.session().send("PUT", "/aliases/new", {"target": "nobody-sells-this"})
    opened(admin)
    ours = row(admin, "Prices", "nobody-sells-this")
    expect(ours).to_contain_text("unknown")
    expect(admin.get_by_text("1 model has no price")).to_be_visible()
    ours.get_by_role("button", name="Set").click()
    dialog = admin.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Input").first.fill("2.5")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator(".field.wrong")).to_contain_text("Output")
    dialog.get_by_role("textbox", name="Output").first.fill("10")
    dialog.get_by_role("button", name="Save").click()
    expect(ours).to_contain_text(re.compile(r"2\.50\s*2\.50\s*2\.50\s*10\.00\s*store"))
    expect(admin.get_by_text("1 model has no price")).to_have_count(0)
    ours.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(ours).to_contain_text("unknown")
    expect(row(admin, "Prices", "gpt-5.5").get_by_role("button")).to_have_text(["Override"])
    console.session().send("DELETE", "/aliases/new")


def test_the_catalogue_tells_limits_efforts_and_who_lists_a_model(admin: Page) -> None:
    opened(admin)
    known = row(admin, "Catalogue", "gpt-5.5")
    expect(known).to_contain_text("272k")
    expect(known.locator(".badge.good")).to_have_text("medium")
    expect(known.get_by_role("link", name="team-plan")).to_be_visible()
    expect(known).to_contain_text("claude-*")


def test_a_viewer_tries_names_and_changes_nothing(viewer: Page) -> None:
    opened(viewer, "?try=claude-sonnet-5-5")
    expect(viewer.locator(".trial-goal")).to_contain_text("gpt-5.5")
    expect(viewer.locator("#content button")).to_have_count(0)


def test_models_fit_on_a_narrow_page(narrow: Page) -> None:
    opened(narrow, "?try=claude-sonnet-5-5")
    assert overflow(narrow) == 0
    narrow.get_by_role("button", name="Set a price").click()
    expect(narrow.get_by_role("dialog")).to_be_visible()
    assert overflow(narrow) == 0
