"""The settings in a browser: what is in force, people, sessions, tokens, the trail, lines for clients."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dragoman.cli import environment, launch
from tests.support.browser import Guard, enter, overflow, settled, visit
from tests.support.console import ADMIN, KEY, PASSWORD, VIEWER, Console

PARTS = ["effective", "connect", "connect/codex", "connect/curl", "users", "sessions", "tokens", "audit"]


def block(page: Page, title: str) -> str:
    """The lines below a heading."""
    return page.locator(".block", has=page.get_by_role("heading", name=title)).locator("pre").inner_text()


# -- what is in force ----------------------------------------------------------------------------------------


def test_settings_have_their_origin_and_no_secret(admin: Page) -> None:
    admin.goto("/console#/settings")
    settled(admin)
    drain = admin.locator("tr", has_text="server.drain_seconds")
    expect(drain).to_contain_text("file")
    expect(admin.locator("tr", has_text="keys.laptop.key").first).to_contain_text("not shown")
    assert KEY not in admin.content()
    admin.get_by_label("Only what was set").check()
    expect(admin.locator("tr", has_text="server.queue_seconds")).to_have_count(0)
    expect(drain).to_be_visible()
    admin.get_by_label("Search settings").fill("nothing like it")
    expect(admin.get_by_text("No setting matches")).to_be_visible()
    admin.get_by_role("link", name="Show all").click()
    expect(admin.locator("tr", has_text="server.queue_seconds")).to_be_visible()


# -- the lines -----------------------------------------------------------------------------------------------


def test_claude_codes_lines_are_those_of_the_launcher(
    admin: Page, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in os.environ if one.startswith(("ANTHROPIC_", "CLAUDE_", "DRAGOMAN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ITS_KEY", KEY)
    for model in (None, "gpt-5.5"):
        order = launch.Order(url=console.url, key_env="ITS_KEY", model=model)
        plan = launch.prepare(order)
        variables = environment.variables(plan)
        admin.goto(f"/console#/settings/connect/claude-code?model={model or ''}")
        settled(admin)
        told = json.loads(block(admin, "For every session").replace("YOUR-CLIENT-KEY", KEY))
        assert told == {"env": variables}
        lines = block(admin, "For one shell").replace("YOUR-CLIENT-KEY", KEY).splitlines()
        assert sorted(lines[0].split()[1:]) == sorted(environment.unset(plan, ()))
        assert lines[1:] == [f"export {name}='{value}'" for name, value in variables.items()]


def test_a_key_that_was_just_made_is_taken_over_and_forgotten(
    admin: Page, console: Console, tmp_path: Path
) -> None:
    admin.goto("/console#/keys")
    admin.get_by_role("button", name="New key").click()
    admin.get_by_label("Name", exact=True).fill("connected")
    admin.get_by_role("button", name="Make the key").click()
    key = admin.locator("dialog pre").inner_text()
    admin.get_by_role("button", name="Connect a client").click()
    expect(admin.get_by_text("The lines hold the key connected")).to_be_visible()
    assert key in block(admin, "For one shell")

    # The lines work as they stand.
    admin.get_by_role("link", name="curl", exact=True).click()
    for title, mark in (("Anthropic Messages", "message"), ("OpenAI Chat Completions", "chat.completion")):
        done = subprocess.run(["sh", "-c", block(admin, title)], capture_output=True, timeout=120, check=True)
        answer = json.loads(done.stdout)
        assert mark in (answer.get("type"), answer.get("object")), answer
    admin.get_by_role("link", name="Anthropic Python").click()
    assert f'api_key="{key}"' in block(admin, "A first question")
    for name, mark in (("Anthropic Python", "first"), ("OpenAI Python", "second")):
        admin.get_by_role("link", name=name).click()
        program = tmp_path / f"{mark}.py"
        program.write_text(block(admin, "A first question"))
        environ = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
        ran = subprocess.run([sys.executable, str(program)], capture_output=True, timeout=120, env=environ)
        assert ran.returncode == 0, ran.stderr.decode()
        assert ran.stdout.strip()

    admin.get_by_role("button", name="Take it out").click()
    expect(admin.get_by_text("in place of")).to_be_visible()
    assert key not in admin.content()


def test_the_address_and_the_shell_are_chosen(admin: Page) -> None:
    admin.goto("/console#/settings/connect/codex")
    settled(admin)
    admin.get_by_label("Address").fill("https://gateway.example/")
    assert 'base_url = "https://gateway.example/v1"' in block(admin, "In ~/.codex/config.toml")
    admin.get_by_label("Shell").select_option("powershell")
    assert block(admin, "The variable that holds the key") == "$env:DRAGOMAN_KEY = 'YOUR-CLIENT-KEY'"
    expect(admin).to_have_url(re.compile("shell=powershell"))


def test_lines_are_copied_with_one_press(admin: Page) -> None:
    admin.context.grant_permissions(["clipboard-read", "clipboard-write"])
    admin.goto("/console#/settings/connect/codex")
    settled(admin)
    admin.get_by_role("button", name="The variable that holds the key").click()
    expect(admin.get_by_role("button", name="Copied")).to_be_visible()
    assert admin.evaluate("navigator.clipboard.readText()") == "export DRAGOMAN_KEY='YOUR-CLIENT-KEY'"


# -- people --------------------------------------------------------------------------------------------------


def test_a_user_is_added_promoted_reset_and_removed(
    admin: Page, browser: Browser, console: Console, guard: Guard
) -> None:
    guard.expect_error(r"the server responded with a status of 400")
    admin.goto("/console#/settings/users")
    settled(admin)
    admin.get_by_role("button", name="Add a user").click()
    form = admin.locator("dialog")
    form.get_by_label("Name").fill("eve")
    form.get_by_label("First password").fill("short")
    form.get_by_role("button", name="Add", exact=True).click()
    expect(form.locator(".field.wrong .problem")).to_contain_text("8")
    form.get_by_role("button", name="Make one up").click()
    first = form.get_by_label("First password").input_value()
    assert len(first) == 20
    form.get_by_role("button", name="Add", exact=True).click()
    row = admin.locator("tr", has_text="eve")
    expect(row).to_contain_text("viewer")

    row.get_by_role("button", name="Make admin").click()
    admin.locator("dialog").get_by_role("button", name="Make admin").click()
    expect(row.locator(".badge")).to_have_text("admin")
    with visit(browser, console.url) as context:
        eve = enter(context, "eve", first)
        eve.goto("/console#/settings/users")
        expect(eve.locator("tr", has_text=ADMIN)).to_be_visible()

    row.get_by_role("button", name="Reset").click()
    admin.get_by_label("First password").fill("another long password")
    admin.locator("dialog").get_by_role("button", name="Reset", exact=True).click()
    expect(admin.get_by_text("logs in with the new password")).to_be_visible()
    row.get_by_role("button", name="Remove").click()
    admin.locator("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    # Nobody takes their own role or themselves away.
    expect(admin.locator("tr", has_text=ADMIN).get_by_role("button")).to_have_count(0)


def test_sessions_are_seen_and_ended(admin: Page, browser: Browser, console: Console) -> None:
    expected = Guard(console.url)
    expected.expect_error(r"the server responded with a status of 401")
    with visit(browser, console.url, guard=expected) as context:
        vera = enter(context, VIEWER, PASSWORD)
        vera.goto("/console#/settings/sessions")
        settled(vera)
        expect(vera.locator("tbody tr", has_text=ADMIN)).to_have_count(0)
        admin.goto("/console#/settings/sessions")
        settled(admin)
        expect(admin.locator("tbody tr", has_text="this one")).to_have_count(1)
        rows = admin.locator("tbody tr", has_text=VIEWER)
        while (left := rows.count()) > 0:
            rows.first.get_by_role("button", name="End").click()
            expect(rows).to_have_count(left - 1)
        vera.goto("/console#/settings/effective")
        expect(vera.locator("input[name=username]")).to_be_visible()


def test_a_token_is_made_shown_once_and_revoked(admin: Page, console: Console) -> None:
    admin.goto("/console#/settings/tokens")
    expect(admin.get_by_text("No token.")).to_be_visible()
    admin.get_by_role("button", name="New token").click()
    admin.locator("dialog").get_by_label("Name").fill("scraper")
    admin.get_by_role("button", name="Make the token").click()
    once = admin.locator("dialog")
    expect(once.get_by_role("alert")).to_contain_text("never again")
    text = once.locator("pre").first.inner_text()
    line = once.locator("pre").last.inner_text()
    done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=120, check=True)
    assert json.loads(done.stdout)["status"] == "ready"
    once.get_by_role("button", name="I have kept it").click()
    row = admin.locator("tbody tr", has_text="scraper")
    expect(row).to_contain_text(re.compile("in (89|90) d"))
    assert text not in admin.content()
    row.get_by_role("button", name="Revoke").click()
    admin.locator("dialog").get_by_role("button", name="Revoke").click()
    expect(admin.get_by_text("No token.")).to_be_visible()
    again = subprocess.run(["sh", "-c", line], capture_output=True, timeout=120, check=True)
    assert json.loads(again.stdout)["error"]["type"] == "authentication_error"


def test_the_trail_goes_back_page_by_page(admin: Page, console: Console) -> None:
    session = console.session()
    for number in range(30):
        session.send("PUT", "/prices/gpt-made-up", {"input": number + 1, "output": 1})
    session.send("DELETE", "/prices/gpt-made-up")
    for number in range(30):
        session.send("PUT", "/prices/gpt-made-up", {"input": number + 1, "output": 1})
    session.send("DELETE", "/prices/gpt-made-up")
    admin.goto("/console#/settings/audit")
    settled(admin)
    expect(admin.locator("tbody tr").first).to_contain_text("price.remove")
    expect(admin.locator("tbody tr")).to_have_count(50)
    admin.get_by_role("link", name="Older").click()
    expect(admin).to_have_url(re.compile("before="))
    expect(admin.locator("tbody")).to_contain_text("setup")
    admin.go_back()
    expect(admin.locator("tbody tr").first).to_contain_text("price.remove")
    assert PASSWORD not in admin.content()


# -- for whom ------------------------------------------------------------------------------------------------


def test_a_viewer_has_what_is_theirs_alone(viewer: Page) -> None:
    viewer.goto("/console#/settings")
    settled(viewer)
    names = viewer.get_by_role("navigation", name="Parts of the settings").get_by_role("link")
    expect(names).to_have_text(["In force", "Connect", "Sessions", "Your password and second factor"])
    for part in ("users", "tokens", "audit"):
        viewer.goto(f"/console#/settings/{part}")
        expect(viewer.get_by_text("or it is for admins")).to_be_visible()


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_wider_than_a_narrow_page(narrow: Page, part: str) -> None:
    narrow.goto(f"/console#/settings/{part}")
    settled(narrow)
    assert overflow(narrow) <= 0
