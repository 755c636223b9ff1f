"""The accounts: how each is doing, what may be done about it, and every way to a new one."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import Guard, overflow, settled
from tests.support.console import Console
from tests.support.logins import document

BAD = r"status of 400"
TAKEN = r"status of 409"


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name, exact=True)


def opened(page: Page, address: str = "/console#/accounts") -> Page:
    page.goto(address)
    expect(page.get_by_role("heading", level=1, name="Accounts")).to_be_visible()
    settled(page)
    return page


def adding(page: Page, way: str) -> Locator:
    """The dialog in which an account is added that way."""
    opened(page).get_by_role("button", name="Add account").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=re.compile(f"^{way}")).click()
    expect(dialog.get_by_text(way, exact=True)).to_be_visible()
    return dialog


def done(page: Page, name: str) -> Locator:
    """The card of what was just added."""
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"{name} is in use.")).to_be_visible()
    expect(dialog.get_by_text("Works:")).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    expect(dialog).to_have_count(0)
    expect(card(page, name)).to_be_visible()
    return card(page, name)


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def came_back(url: str, account: str) -> str:
    """Where the browser ends once somebody has logged in."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stays())
    with pytest.raises(urllib.error.HTTPError) as led:
        direct.open(f"{url}&account={account}", timeout=60)
    with led.value as answer:
        return str(answer.headers["location"])


def test_accounts_of_the_file_are_told_and_are_changed_there(admin: Page) -> None:
    """Kind, plan, windows with their resets, today's work, and where they stand; nothing to change."""
    opened(admin)
    plan = card(admin, "team-plan")
    # The furnishing had it answer with a 500.
    expect(plan.locator(".badge")).to_have_text(re.compile("^(ready|coming back)$"))
    expect(card(admin, "platform").locator(".badge")).to_have_text("ready")
    expect(plan.get_by_text("ChatGPT")).to_be_visible()
    for window in ("5h", "7d"):
        line = plan.get_by_role("listitem").filter(has_text=window)
        expect(line).to_contain_text(re.compile(r"\d %( used)"))
        expect(line).to_contain_text(re.compile(r"reset .* \(in "))
        expect(line.get_by_role("img")).to_have_attribute("aria-label", re.compile("window, all models"))
    expect(plan.get_by_text(re.compile(r"^\d+ requests?$"))).to_be_visible()
    expect(plan.get_by_text(re.compile(r"% of all tokens"))).to_be_visible()
    expect(plan.get_by_text("It stands in the configuration file")).to_be_visible()
    expect(card(admin, "platform").get_by_text("priority 1")).to_be_visible()
    expect(plan.get_by_role("button")).to_have_text(["Test now"])
    plan.get_by_role("button", name="Test now").click()
    expect(plan.get_by_role("status")).to_contain_text("Works: the login is taken")


def test_a_viewer_sees_everything_and_changes_nothing(viewer: Page) -> None:
    opened(viewer, "/console#/accounts?add=key")
    expect(card(viewer, "team-plan").get_by_text("In flight")).to_be_visible()
    expect(viewer.locator("#content button")).to_have_count(0)
    expect(viewer.get_by_role("dialog")).to_have_count(0)


def test_a_chatgpt_account_by_device_code(admin: Page) -> None:
    """The code is shown until it was entered; then it says that it is done."""
    dialog = adding(admin, "ChatGPT by device code")
    dialog.get_by_label("Name").fill("phone")
    dialog.get_by_role("button", name="Begin").click()
    expect(dialog.locator(".usercode code")).to_have_text(re.compile(r"^[A-Z0-9]{4}-[A-Z0-9]{4,5}$"))
    expect(dialog.get_by_role("link", name="Open the log-in page")).to_have_attribute(
        "href", re.compile(r"/codex/device$")
    )
    expect(dialog.get_by_text("Waiting for the code")).to_be_visible()
    expect(done(admin, "phone").get_by_role("button", name="Log in again")).to_be_visible()


def test_a_chatgpt_account_by_browser_and_its_login_again(admin: Page, guard: Guard) -> None:
    """A wrong address can be pasted anew; the next login of that account needs no name."""
    guard.expect_error(BAD)
    dialog = adding(admin, "ChatGPT by browser")
    dialog.get_by_label("Name").fill("desk")
    for round_ in range(2):
        dialog.get_by_role("button", name="Begin").click()
        link = dialog.get_by_role("link", name="Open the log-in page")
        expect(link).to_be_visible()
        field = dialog.get_by_label("Address the browser ended at")
        if not round_:
            field.fill("http://localhost:1455/")
            dialog.get_by_role("button", name="Complete").click()
            expect(dialog.get_by_text("There is no code in it")).to_be_visible()
        field.fill(came_back(link.get_attribute("href") or "", "acct-desk"))
        dialog.get_by_role("button", name="Complete").click()
        made = done(admin, "desk")
        if not round_:
            made.get_by_role("button", name="Log in again").click()
            dialog.get_by_role("button", name=re.compile("^ChatGPT by browser")).click()
            expect(dialog.get_by_label("Name")).to_be_disabled()


def test_a_login_that_is_left_is_given_up(admin: Page) -> None:
    dialog = adding(admin, "ChatGPT by device code")
    dialog.get_by_label("Name").fill("nobody")
    dialog.get_by_role("button", name="Begin").click()
    expect(dialog.locator(".usercode")).to_be_visible()
    with admin.expect_request(lambda one: one.method == "DELETE" and "/account-logins/" in one.url):
        admin.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(card(admin, "nobody")).to_have_count(0)


def test_a_codex_login_from_a_file(admin: Page, console: Console, tmp_path: Path) -> None:
    assert console.sim is not None
    made = document("imported")
    tokens = made["tokens"]
    console.sim.account(
        "imported", kind="codex", access=tokens["access_token"], refresh=tokens["refresh_token"]
    )
    dialog = adding(admin, "auth.json of Codex")
    content = dialog.get_by_label("Content of the auth.json")
    for text, told in (("{", "This is no JSON"), ("[]", "An auth.json is an object")):
        content.fill(text)
        dialog.get_by_role("button", name="Add").click()
        expect(dialog.get_by_text(told)).to_be_visible()
    file = tmp_path / "auth.json"
    file.write_text(json.dumps(made))
    dialog.get_by_label("Take it from a file").set_input_files(file)
    expect(content).to_have_value(re.compile("refresh_token"))
    dialog.get_by_role("button", name="Add").click()
    done(admin, "imported")


def test_a_server_is_added_changed_paused_and_removed(admin: Page, console: Console, guard: Guard) -> None:
    """What is wrong stands beside its field; rules that are emptied are taken away; removal is asked."""
    assert console.sim is not None
    guard.expect_error(BAD)
    dialog = adding(admin, "Responses server")
    dialog.get_by_label("Name").fill("home")
    dialog.get_by_label("Address").fill("nonsense")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.locator(".field.wrong")).to_contain_text("Address")
    dialog.get_by_label("Address").fill(f"{console.sim.url}/v1")
    dialog.get_by_label("API key").fill("sk-of-home")
    dialog.get_by_label("Models").fill("gpt-5.5\ngpt-5.4")
    dialog.get_by_text("Rules and more").click()
    dialog.get_by_label("Requests at once").fill("7")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_text("home is in use.")).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    made = card(admin, "home")
    expect(made.get_by_text("0 of 7")).to_be_visible()
    expect(made.get_by_text("gpt-5.5, gpt-5.4")).to_be_visible()

    made.get_by_role("button", name="Rules").click()
    dialog.get_by_label("Weight").fill("heavy")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator(".field.wrong")).to_contain_text("must be a number")
    dialog.get_by_label("Weight").fill("0.5")
    dialog.get_by_label("Requests at once").fill("")
    dialog.get_by_label("Group").fill("own")
    dialog.get_by_role("button", name="Save").click()
    expect(made.get_by_text("weight 0.5, group own")).to_be_visible()
    expect(made.get_by_text("0 of 7")).to_have_count(0)
    told = console.session().send("GET", "/accounts/home")
    assert (told["concurrency"], told["models"]) == (None, ["gpt-5.5", "gpt-5.4"])

    made.get_by_role("button", name="Pause").click()
    expect(made.get_by_text("It gets nothing new")).to_be_visible()
    made.get_by_role("button", name="Resume").click()
    expect(made.get_by_text("ready", exact=True)).to_be_visible()

    made.get_by_role("button", name="Remove").click()
    expect(dialog.get_by_text("Remove home?")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    made.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(made).to_have_count(0)


def test_a_key_under_a_name_that_is_taken(admin: Page, guard: Guard) -> None:
    guard.expect_error(TAKEN)
    dialog = adding(admin, "OpenAI API key")
    dialog.get_by_label("Name").fill("platform")
    dialog.get_by_label("API key", exact=True).fill("sk-another")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_role("alert")).to_contain_text("platform")


def test_an_account_whose_login_is_over_says_what_to_do(admin: Page, console: Console) -> None:
    assert console.sim is not None
    made = document("ended")
    tokens = made["tokens"]
    console.sim.account(
        "ended",
        kind="codex",
        access=tokens["access_token"],
        refresh=tokens["refresh_token"],
        revoked=True,
        refresh_fails="refresh_token_expired",
    )
    console.session().send("POST", "/account-imports", {"name": "ended", "auth": made})
    opened(admin)
    ended = card(admin, "ended")
    ended.get_by_role("button", name="Test now").click()
    expect(ended.get_by_role("status")).to_contain_text("Does not work:")
    expect(ended.get_by_text("needs a login", exact=True)).to_be_visible()
    expect(ended.get_by_text("Log in again: its tokens")).to_be_visible()
    expect(ended.get_by_role("button", name="Pause")).to_have_count(0)
    expect(admin.locator(".page-head").get_by_text("1 needs you")).to_be_visible()


def test_accounts_are_filtered_and_linked_to(admin: Page) -> None:
    """The filter is part of the address; a link shows one account first; the keyboard goes through them."""
    opened(admin)
    admin.keyboard.press("/")
    admin.keyboard.type("openai platform")
    expect(admin.get_by_role("article")).to_have_count(1)
    assert admin.url.endswith("#/accounts?q=openai+platform")
    admin.reload()
    expect(admin.get_by_role("article")).to_have_count(1)
    admin.get_by_role("searchbox").fill("no such thing")
    expect(admin.get_by_text("No account is like that.")).to_be_visible()
    opened(admin, "/console#/accounts/platform")
    expect(card(admin, "platform")).to_have_class(re.compile("chosen"))
    admin.keyboard.press("Escape")
    admin.keyboard.press("j")
    admin.keyboard.press("k")
    expect(card(admin, "platform")).to_be_focused()


def test_accounts_fit_on_a_narrow_page(narrow: Page) -> None:
    opened(narrow)
    assert overflow(narrow) == 0
    narrow.get_by_role("button", name="Add account").click()
    expect(narrow.get_by_role("dialog")).to_be_visible()
    assert overflow(narrow) == 0
