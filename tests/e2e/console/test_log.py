"""The log: filters in the address, rows as they end, one click to the turn, a second to its session."""

from __future__ import annotations

import csv
import io
import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dragoman.gateway.ports import Row
from tests.support.browser import Guard, overflow, settled
from tests.support.console import Console
from tests.support.ledger import row

SESSION, MAIN, SIDE = "5" * 32, "c" * 32, "d" * 32
MANY = 70
HIT = "the earlier prompt was repeated and read from cache"
TOOLS = "tools were added, removed, reordered or edited"


def turn(number: int, **more: Any) -> Row:
    """A turn of one session an hour ago."""
    prompt = 20_000 + 1_000 * number
    cached = 0 if number == 0 else (prompt - 1_000) // 128 * 128
    values: dict[str, Any] = {
        "request_id": f"req_turn_{number}",
        "uid": f"turn-{number}",
        "time": round(time.time() - 3600 + 60 * number, 3),
        "key": "notebook",
        "requested_model": "claude-opus-4-8",
        "upstream_model": "gpt-5.5",
        "account": "platform",
        "session_hash": SESSION,
        "conversation_hash": MAIN,
        "stop_reason": "tool_use",
        "effort": "high",
        "input_tokens": prompt,
        "cached_tokens": cached,
        "output_tokens": 400,
        "reasoning_tokens": 150,
        "cost_nano": (prompt - cached) * 5_000 + cached * 500 + 400 * 30_000,
        "anthropic_cost_nano": (prompt - cached) * 5_000 + cached * 500 + 400 * 25_000,
        "queue_ms": 2.0,
        "connect_ms": 300.0,
        "first_byte_ms": 310.0,
        "first_token_ms": 2_000.0,
        "duration_ms": 9_000.0,
        "cache_verdict": "hit",
        "cache_story": f"{cached} of {prompt} input tokens read from cache ({cached} expected): {HIT}",
    }
    return row(number, **(values | more))


def broken() -> Row:
    """The sixth turn, whose tools were others."""
    story = f"1024 of 26000 input tokens read from cache (about 1024 expected): {TOOLS}"
    return turn(
        6,
        cached_tokens=1_024,
        cost_nano=24_976 * 5_000 + 1_024 * 500 + 400 * 30_000,
        cache_verdict="tools_changed",
        cache_story=f"{story} (first difference: tools[3])",
        ignored_fields=["top_k"],
        lineage="1f2e3d4c",
    )


@pytest.fixture(scope="module", autouse=True)
def past(console: Console) -> None:
    """A session with a break, its side calls, and one of every unhappy end; many small ones long before."""
    now = time.time()
    nothing = {
        **{"usage_source": "none", "input_tokens": 0, "cached_tokens": 0, "output_tokens": 0},
        **{"cost_nano": None, "anthropic_cost_nano": None, "cache_verdict": None, "cache_story": None},
        **{"first_byte_ms": None, "first_token_ms": None, "session_hash": None, "conversation_hash": None},
    }
    attempts = [
        {"account": "platform", "cause": "overloaded", "status": 503, "code": "server_is_overloaded"},
        {"account": "team-plan", "cause": "rate_limit", "status": 429, "code": None},
    ]
    console.remember(
        [
            *(turn(number) for number in range(6)),
            broken(),
            *(turn(number) for number in range(7, 10)),
            turn(
                20,
                lane="agent",
                conversation_hash=SIDE,
                attempts=attempts[:1],
                first_byte_ms=4_302.0,
                first_token_ms=4_400.0,
            ),
            turn(
                30,
                **(nothing | {"status": 529, "outcome": "upstream_error", "error_type": "overloaded_error"}),
                attempts=attempts,
            ),
            turn(31, **(nothing | {"outcome": "aborted", "status": 500, "duration_ms": None})),
            turn(32, upstream_model="house-model", cost_nano=None, anthropic_cost_nano=None),
            turn(33, outcome="client_gone", status=499, usage_source="estimated", cached_tokens=0),
            *(
                row(number, request_id=f"req_old_{number}", uid=f"old-{number}", time=now - 90_000 - number)
                for number in range(MANY)
            ),
        ]
    )


def rows(page: Page) -> Any:
    return page.locator(".log-rows tbody tr")


def opened(page: Page, path: str) -> None:
    page.goto(f"/console#/{path}")
    settled(page)


# -- the list ----------------------------------------------------------------------------------------------


def test_filters_stand_in_the_address_and_come_from_it(admin: Page) -> None:
    opened(admin, "log")
    admin.get_by_label("Cache", exact=True).select_option("tools_changed")
    expect(rows(admin)).to_have_count(1)
    assert "cache_verdict=tools_changed" in admin.url
    admin.get_by_label("Key", exact=True).select_option("laptop")
    expect(admin.get_by_text("No request fits these filters.")).to_be_visible()
    admin.get_by_role("link", name="Clear filters").first.click()
    expect(admin).to_have_url(re.compile("#/log$"))
    opened(admin, f"log?session_hash={SESSION}&outcome=ok")
    expect(rows(admin)).to_have_count(12)
    expect(admin.get_by_label("Outcome", exact=True)).to_have_value("ok")
    admin.get_by_role("link", name=re.compile("session 5555")).click()
    expect(admin).to_have_url(re.compile("#/log.outcome=ok$"))


def test_a_search_finds_a_hash_and_a_part_of_a_name(admin: Page) -> None:
    opened(admin, "log")
    admin.keyboard.press("/")
    admin.keyboard.type("house-mod")
    expect(rows(admin)).to_have_count(1)
    assert "search=house-mod" in admin.url
    # What is unknown is said to be.
    expect(rows(admin)).to_contain_text("unknown")
    admin.get_by_role("searchbox").fill(MAIN[:8])
    admin.keyboard.press("Enter")
    expect(rows(admin)).to_have_count(12)


def test_older_rows_come_on_request_to_the_end(admin: Page) -> None:
    opened(admin, "log?key=laptop")
    expect(rows(admin)).to_have_count(50)
    admin.get_by_role("button", name="Older").click()
    expect(admin.get_by_text("That is the end of the log.")).to_be_visible()
    assert rows(admin).count() >= MANY
    expect(admin.get_by_role("button", name="Older")).to_have_count(0)


def test_rows_appear_as_they_end_and_wait_while_it_is_paused(admin: Page, console: Console) -> None:
    opened(admin, "log?key=ci")
    expect(admin.get_by_text("live", exact=True)).to_be_visible()
    before = rows(admin).count()
    key = console.keys["ci"]
    console.ask("A first one.", key=key, model="claude-haiku-4-5")
    expect(rows(admin)).to_have_count(before + 1)
    admin.keyboard.press("p")
    expect(admin.get_by_text("paused", exact=True)).to_be_visible()
    console.ask("A second one.", key=key, model="claude-haiku-4-5")
    console.ask("One of another key.", model="claude-haiku-4-5")
    expect(admin.get_by_role("button", name="Resume (1 new)")).to_be_visible()
    expect(rows(admin)).to_have_count(before + 1)
    admin.keyboard.press("p")
    expect(rows(admin)).to_have_count(before + 2)
    expect(admin.get_by_text("live", exact=True)).to_be_visible()


@pytest.mark.parametrize(("name", "ending"), [("CSV", ".csv"), ("JSON lines", ".jsonl")])
def test_what_the_filters_let_through_is_exported(viewer: Page, name: str, ending: str) -> None:
    """For viewers as well: it changes nothing."""
    opened(viewer, "log?search=house-model")
    expect(rows(viewer)).to_have_count(1)
    with viewer.expect_download() as caught:
        viewer.get_by_role("link", name=name).click()
    assert caught.value.suggested_filename == f"dragoman-log{ending}"
    text = Path(caught.value.path()).read_text()
    if ending == ".csv":
        assert [one["request_id"] for one in csv.DictReader(io.StringIO(text))] == ["req_turn_32"]
    else:
        assert text.count("\n") == 1
        assert "req_turn_32" in text


def test_the_keyboard_opens_a_row_and_comes_back_to_it(admin: Page) -> None:
    opened(admin, f"log?session_hash={SESSION}")
    expect(rows(admin).first).to_be_visible()
    for _ in range(3):
        admin.keyboard.press("j")
    wanted = rows(admin).nth(2)
    expect(wanted).to_be_focused()
    name = (wanted.get_attribute("data-row") or "").split(" ")[0]
    admin.keyboard.press("Enter")
    expect(admin).to_have_url(re.compile(f"#/log/{name}\\?session_hash={SESSION}$"))
    admin.keyboard.press("Escape")
    expect(admin).to_have_url(re.compile(f"#/log.session_hash={SESSION}$"))
    expect(admin.locator("tr.chosen")).to_have_attribute("data-row", re.compile(name))


def test_keys_in_a_row_meet_the_screen_they_were_meant_for(admin: Page) -> None:
    """Nothing is waited for between two keys: not the browser's word of the new address, not the turn."""
    for _ in range(5):
        opened(admin, f"log?session_hash={SESSION}")
        expect(rows(admin).nth(4)).to_be_visible()
        admin.keyboard.press("j")
        admin.keyboard.press("Enter")
        admin.keyboard.press("Escape")
        expect(admin).to_have_url(re.compile(f"#/log.session_hash={SESSION}$"))
        expect(admin.locator("tr.chosen")).to_have_count(1)
        admin.goto("/console#/overview")
        settled(admin)


# -- the turn ----------------------------------------------------------------------------------------------


def test_a_turn_says_why_it_was_slow_and_dear(admin: Page) -> None:
    opened(admin, "log/req_turn_6")
    short = admin.get_by_role("region", name="In short")
    expect(short).to_contain_text("7.00 s of 9.00 s went into the answer itself")
    expect(short).to_contain_text("$0.1374 in all")
    expect(short).to_contain_text("The cache miss added about $0.1079.")
    expect(short).to_contain_text("1,024 of 26,000 input tokens were read from the cache")
    expect(short).to_contain_text("Tools were added, removed, reordered or edited.")
    cost = admin.get_by_role("region", name="Cost")
    for part in ("fresh input", "cached input", "written to the cache", "output", "reasoning"):
        expect(cost.get_by_role("row", name=re.compile(part))).to_be_visible()
    expect(cost.get_by_role("row", name=re.compile("fresh input"))).to_contain_text("24,976")
    expect(cost).to_contain_text("claude-opus-4-8 itself")
    expect(cost).to_contain_text("The cache saved")
    expect(admin.get_by_role("region", name="Cache")).to_contain_text("tools[3]")
    request = admin.get_by_role("region", name="Request")
    for said in ("tool_use", "high", "platform", "notebook", "top_k"):
        expect(request).to_contain_text(said)
    ids = admin.get_by_role("region", name="Ids")
    for said in ("req_turn_6", SESSION, MAIN, "1f2e3d4c"):
        expect(ids).to_contain_text(said)
    expect(ids.get_by_role("button", name="Copy")).to_have_count(4)


def test_the_turns_of_a_conversation_follow_each_other(admin: Page) -> None:
    opened(admin, "log/req_turn_6")
    expect(admin.get_by_text("In short")).to_be_visible()
    admin.keyboard.press("[")
    expect(admin).to_have_url(re.compile("#/log/req_turn_5$"))
    expect(admin.get_by_role("link", name=re.compile("Later turn"))).to_be_visible()
    admin.keyboard.press("]")
    expect(admin).to_have_url(re.compile("#/log/req_turn_6$"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("req_turn_20", ["Attempts that failed took 4.00 s of it.", "1 failed attempt", "overloaded"]),
        ("req_turn_30", ["upstream failed", "went into attempts that failed", "No tokens were used"]),
        ("req_turn_31", ["aborted", "Nothing is known of its time.", "No verdict"]),
        ("req_turn_32", ["Unknown: house-model has no price.", "unknown"]),
        ("req_turn_33", ["client left", "tokens and costs are estimated", "≈ 53,000", "unknown"]),
    ],
)
def test_what_went_wrong_and_what_is_not_known_is_said(admin: Page, name: str, said: list[str]) -> None:
    opened(admin, f"log/{name}")
    expect(admin.get_by_text("In short")).to_be_visible()
    for words in said:
        expect(admin.locator("main")).to_contain_text(words)
    expect(admin.locator("main")).not_to_contain_text("NaN")
    expect(admin.locator("main")).not_to_contain_text("undefined")


def test_an_id_that_is_not_in_the_log_leads_back(admin: Page, guard: Guard) -> None:
    guard.expect_error("404")
    for path in ("log/req_nowhere", "log/req_nowhere/session"):
        opened(admin, path)
        expect(admin.get_by_text("No request of this id is in the log.")).to_be_visible()
    expect(admin.locator("[data-escape]")).to_be_visible()


# -- the session -------------------------------------------------------------------------------------------


def test_the_turn_where_the_cache_broke_stands_out(admin: Page) -> None:
    opened(admin, "log/req_turn_8")
    expect(admin.get_by_text("In short")).to_be_visible()
    admin.keyboard.press("c")
    strip = admin.locator(".strip").first
    expect(strip.locator("a")).to_have_count(12)
    expect(strip.locator("a[aria-current]")).to_have_attribute("href", re.compile("req_turn_8"))
    expect(strip.locator(".mark.bad")).to_have_count(1)
    expect(admin.get_by_role("region", name="main loop")).to_contain_text("1 miss")
    expect(admin.locator("tr.chosen")).to_contain_text("this turn")
    # The side call has a strip of its own.
    expect(admin.get_by_role("region", name="sub-agent").locator(".strip a")).to_have_count(1)
    strip.locator("a").nth(6).click()
    expect(admin).to_have_url(re.compile("#/log/req_turn_6$"))
    expect(admin.get_by_text("In short")).to_be_visible()


def test_a_request_without_a_session_says_so(admin: Page) -> None:
    opened(admin, "log/req_turn_30")
    expect(admin.get_by_text("In short")).to_be_visible()
    expect(admin.get_by_role("link", name="Conversation")).to_have_count(0)
    opened(admin, "log/req_turn_30/session")
    expect(admin.get_by_text("This request names no session.")).to_be_visible()


# -- everywhere --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["log", "log/req_turn_6", "log/req_turn_30", "log/req_turn_6/session"])
def test_it_fits_on_a_narrow_page(narrow: Page, path: str) -> None:
    opened(narrow, path)
    expect(narrow.locator("main .panel").first).to_be_visible()
    assert overflow(narrow) <= 0


def test_filters_are_folded_on_a_narrow_page(narrow: Page) -> None:
    opened(narrow, "log?key=ci")
    expect(narrow.get_by_label("Key", exact=True)).to_be_hidden()
    narrow.get_by_role("button", name="Filters (1)").click()
    expect(narrow.get_by_label("Key", exact=True)).to_have_value("ci")


def test_a_text_of_a_client_is_never_markup(admin: Page, console: Console) -> None:
    console.ask("Hello.", model="<img src=x onerror=alert(1)>")
    opened(admin, "log?search=onerror")
    expect(rows(admin).first).to_contain_text("<img src=x")
    expect(admin.locator("main img")).to_have_count(0)
