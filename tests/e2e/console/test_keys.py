"""The keys in a browser: made and shown once, changed, given a new text, revoked; read-only for viewers."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Guard, overflow, settled
from tests.support.console import KEY, Console

CLIENT_ERROR = r"the server responded with a status of (400|409)"


def make(page: Page, name: str) -> str:
    """A key without rules; its text."""
    page.goto("/console#/keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Make the key").click()
    text = page.locator("dialog pre").inner_text()
    page.get_by_role("button", name="I have kept it").click()
    expect(page.locator("dialog")).to_have_count(0)
    return text


def test_the_list_tells_state_use_and_what_is_left(admin: Page) -> None:
    admin.goto("/console#/keys")
    settled(admin)
    ci = admin.locator("tr[data-row=ci]")
    expect(ci).to_contain_text("active")
    expect(ci).to_contain_text("automation")
    expect(ci.locator(".limit")).to_contain_text("cost in USD a day")
    expect(ci.locator(".limit")).to_contain_text("of $25.00")
    expect(ci.locator(".limit-reset")).to_contain_text("resets in")
    expect(ci.get_by_role("img", name="cost in USD a day")).to_be_visible()
    expect(ci.locator("svg.spark rect")).to_have_count(7)
    expect(ci.locator("svg.spark rect:not(.nothing)")).to_have_count(1)
    laptop = admin.locator("tr[data-row=laptop]")
    expect(laptop).to_contain_text("configuration")
    # Costs of today and of the month, of requests that were priced.
    for cell in laptop.locator("td.number").all()[:2]:
        expect(cell).to_contain_text("$")


def test_a_key_is_made_shown_once_and_works(admin: Page, console: Console, guard: Guard) -> None:
    guard.expect_error(CLIENT_ERROR)
    admin.goto("/console#/keys")
    admin.get_by_role("button", name="New key").click()
    form = admin.locator("dialog")
    form.get_by_label("Name", exact=True).fill("robot")
    form.get_by_label("Tags").fill("team-a, dev")
    form.get_by_label("Models it may ask for").fill("claude-haiku-*\nnope-*")
    form.get_by_role("button", name="Add a limit").click()
    form.locator("input[name='limits.0.max']").fill("plenty")
    form.get_by_role("button", name="Make the key").click()
    expect(form.locator(".field:has(input[name='limits.0.max']) .problem")).to_have_text("must be a number")
    form.locator("input[name='limits.0.max']").fill("2M")
    form.get_by_role("button", name="Make the key").click()
    expect(form.locator(".field:has(textarea) .problem")).to_contain_text("'nope-*' matches no alias")
    expect(form.get_by_label("Take names that match nothing")).to_be_visible()
    form.get_by_label("Models it may ask for").fill("claude-haiku-*")
    form.get_by_label("Effort at most").select_option("medium")
    form.get_by_role("button", name="90 d").click()
    form.get_by_label("Requests at once").fill("3")
    form.get_by_role("button", name="Make the key").click()

    once = admin.locator("dialog")
    expect(once.get_by_role("alert")).to_contain_text("never again")
    text = once.locator("pre").inner_text()
    assert text.startswith("sk-drg-")
    admin.keyboard.press("Escape")  # nothing that is lost for good goes by an accident
    expect(once).to_be_visible()
    expect(once.get_by_role("button", name="Copy")).to_be_visible()
    once.get_by_role("button", name="I have kept it").click()
    expect(admin.locator("tr[data-row=robot]")).to_contain_text("ends in 89 d")

    assert console.ask("Hello", key=text, model="claude-haiku-4-5")["type"] == "message"
    assert "may not use" in console.ask("Hello", key=text, model="claude-opus-4-8")["error"]["message"]
    made = next(one for one in console.session().send("GET", "/keys")["data"] if one["name"] == "robot")
    assert (made["tags"], made["models"], made["concurrency"], made["max_effort"]) == (
        ["team-a", "dev"],
        ["claude-haiku-*"],
        3,
        "medium",
    )
    assert (made["limits"][0]["measure"], made["limits"][0]["per"], made["limits"][0]["max"]) == (
        "tokens",
        "day",
        2_000_000,
    )
    assert text not in admin.content()


def test_a_taken_name_stands_in_the_form(admin: Page, guard: Guard) -> None:
    guard.expect_error(CLIENT_ERROR)
    admin.goto("/console#/keys")
    admin.get_by_role("button", name="New key").click()
    admin.get_by_label("Name", exact=True).fill("ci")
    admin.get_by_role("button", name="Make the key").click()
    expect(admin.locator("dialog [role=alert]")).to_contain_text("ci")


def test_a_key_is_changed_rotated_and_revoked(admin: Page, console: Console) -> None:
    old = make(admin, "short-lived")
    admin.get_by_role("link", name="short-lived").click()
    admin.get_by_role("button", name="Change").click()
    admin.locator("dialog").get_by_label("Tags").fill("night")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("short-lived is changed")).to_be_visible()
    expect(admin.locator(".key-facts")).to_contain_text("night")

    admin.get_by_role("button", name="Rotate").click()
    admin.get_by_label("The old text works for").select_option("3600")
    admin.get_by_role("button", name="Make the new text").click()
    new = admin.locator("dialog pre").inner_text()
    admin.get_by_role("button", name="I have kept it").click()
    expect(admin.get_by_text("The text before the last rotation works until")).to_be_visible()
    for text in (old, new):
        assert console.ask("Hello", key=text)["type"] == "message"

    admin.get_by_role("button", name="Revoke").click()
    expect(admin.locator("dialog")).to_contain_text("For good")
    admin.get_by_role("button", name="Cancel").click()
    admin.get_by_role("button", name="Revoke").click()
    admin.get_by_role("button", name="Revoke the key").click()
    expect(admin.locator(".key-head .badge")).to_have_text("revoked")
    expect(admin.get_by_role("button", name="Change")).to_have_count(0)
    for text in (old, new):
        assert console.ask("Hello", key=text)["error"]["type"] == "authentication_error"
    admin.goto("/console#/keys")
    settled(admin)
    expect(admin.locator("tr[data-row=short-lived]")).to_have_count(0)
    admin.get_by_label("Revoked too").check()
    expect(admin.locator("tr[data-row=short-lived]")).to_contain_text("revoked")


def test_a_key_of_the_file_is_shown_and_not_changed(admin: Page) -> None:
    admin.goto("/console#/keys/laptop")
    expect(admin.get_by_text("stands in the configuration, or")).to_be_visible()
    for name in ("Change", "Rotate", "Revoke"):
        expect(admin.get_by_role("button", name=name)).to_have_count(0)
    expect(admin.get_by_role("link", name="Its requests")).to_have_attribute("href", "#/log?key=laptop")


def test_rows_are_found_and_opened_with_the_keyboard(admin: Page) -> None:
    admin.keyboard.press("g")
    admin.keyboard.press("k")
    expect(admin.get_by_role("heading", name="Keys", exact=True)).to_be_visible()
    settled(admin)
    admin.keyboard.press("/")
    admin.keyboard.type("autom")
    expect(admin.locator("tbody tr")).to_have_count(1)
    admin.keyboard.press("Escape")
    admin.keyboard.press("j")
    admin.keyboard.press("Enter")
    expect(admin.get_by_role("heading", name="ci")).to_be_visible()
    admin.keyboard.press("Escape")
    expect(admin.get_by_role("heading", name="Keys", exact=True)).to_be_visible()


def test_a_name_that_is_no_word_of_an_address_is_found(admin: Page) -> None:
    name = "büro/2 & 100 %"
    make(admin, name)
    admin.get_by_role("link", name=name).click()
    expect(admin.get_by_role("heading", name=name)).to_be_visible()
    admin.get_by_role("button", name="Revoke").click()
    admin.get_by_role("button", name="Revoke the key").click()
    expect(admin.locator(".key-head .badge")).to_have_text("revoked")
    admin.goto("/console#/keys/nobody")
    expect(admin.get_by_text("There is no key named nobody")).to_be_visible()


def test_a_key_is_switched_off_and_on_again(admin: Page) -> None:
    make(admin, "nightly")
    admin.get_by_role("link", name="nightly").click()
    state = admin.locator(".key-head .badge")
    expect(state).to_have_text("active")
    admin.get_by_role("button", name="Switch off").click()
    expect(state).to_have_text("off")
    expect(admin.get_by_text("nightly is off: whoever uses it gets 401")).to_be_visible()
    admin.get_by_role("button", name="Switch on").click()
    expect(state).to_have_text("active")


def test_a_viewer_sees_keys_and_has_no_button(viewer: Page) -> None:
    viewer.goto("/console#/keys")
    settled(viewer)
    expect(viewer.locator("tr[data-row=ci]")).to_contain_text("of $25.00")
    expect(viewer.locator("main button")).to_have_count(0)
    viewer.goto("/console#/keys/ci")
    expect(viewer.locator(".key-facts")).to_be_visible()
    expect(viewer.locator("main button")).to_have_count(0)


@pytest.mark.parametrize("place", ["keys", "keys/ci", "keys/laptop"])
def test_nothing_is_wider_than_a_narrow_page(narrow: Page, place: str) -> None:
    narrow.goto(f"/console#/{place}")
    settled(narrow)
    assert overflow(narrow) <= 0


def test_no_text_of_a_key_stays_anywhere_in_the_page(admin: Page) -> None:
    text = make(admin, "secretive")
    settled(admin)
    kept = admin.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")
    assert text not in json.dumps(kept)
    assert text not in admin.content()
    assert KEY not in admin.content()
