"""Takes the pictures of docs/console.md: a gateway with the simulator, invented people, keys and requests.

`make screenshots` writes docs/images/console-*.png anew, 1280 pixels wide and 800 high. The gateway's clock
is the machine's, so the browser is put into a zone where it is afternoon: a working day is behind it whenever
this runs. A screen that the console does not have is passed over and named; a page that breaks the law of
tests/support/browser.py fails the call.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page

from tests.support.browser import chromium, settled, visit
from tests.support.console import ADMIN, HOUSE_STYLE, PASSWORD, Console, furnished
from tests.support.past import month

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
# What the lines to copy show. Browsers take every name below localhost for this machine, and trust it.
NAME = "dragoman.localhost"
AFTERNOON = 15
# How slow the invented model is, in milliseconds.
PACE = {"first_token_ms": 420, "per_chunk_ms": 30}


def zone(now: float) -> int:
    """By how many hours clocks must be ahead of UTC, so that it is afternoon."""
    return (AFTERNOON - int(now // 3600) + 11) % 24 - 11


def places(console: Console) -> dict[str, str]:
    """The address of every picture. The turn is the last whose cached prefix broke, the conversation is of
    the longest one in which that happened."""
    rows = console.session().send("GET", "/log?limit=500&cache_verdict=messages_changed(0)")["data"]
    turn, *others = (row["request_id"] for row in rows)
    longest = max(others, key=lambda name: name[-4:], default=turn)  # invented ids end with the turn's number
    return {
        "overview": "#/overview",
        "log": "#/log",
        "turn": f"#/log/{turn}",
        "conversation": f"#/log/{longest}/session",
        "accounts": "#/accounts",
        "keys": "#/keys",
        "models": "#/models",
        "settings": "#/settings",
    }


def work(console: Console, ahead: int) -> None:
    """The month before, and a last conversation on top of what every furnished gateway has."""
    console.remember(month(time.time(), zone=ahead, gap=120))
    turns = ("Read the log of the failing test.", "Then fix it.", "Now the same for the other clock.")
    console.converse("5f0c7a52-0000-4000-8000-000000000009", turns, HOUSE_STYLE)
    time.sleep(3)  # until the last row is in the sums


def take(page: Page, name: str) -> None:
    """Writes one picture, with the pointer and the caret out of it."""
    page.mouse.move(0, 799)
    page.wait_for_timeout(700)
    page.screenshot(path=IMAGES / f"console-{name}.png", animations="disabled")
    print(f"console-{name}.png")


def log_in(page: Page) -> None:
    """The login with a name typed in, and then through it."""
    page.goto("/console")
    page.get_by_label("Name", exact=True).fill(ADMIN)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    take(page, "login")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("#content > *")


def screens(page: Page, console: Console) -> None:
    """Every screen that the console has, once it has read what it shows."""
    for name, place in places(console).items():
        page.goto(f"/console{place}")
        page.wait_for_selector("#content > *")
        settled(page)
        if page.get_by_text("There is no such screen.").count():
            print(f"console-{name}.png: the console has no such screen", file=sys.stderr)
            continue
        take(page, name)


def main() -> int:
    """Takes them all."""
    IMAGES.mkdir(exist_ok=True)
    ahead = zone(time.time())
    clock = f"Etc/GMT{-ahead:+d}" if ahead else "UTC"  # signs of these names are the other way round
    with tempfile.TemporaryDirectory(prefix="dragoman-") as place, furnished(Path(place), PACE) as console:
        work(console, ahead)
        origin = f"http://{NAME}:{console.url.rpartition(':')[2]}"
        with chromium() as browser, visit(browser, origin, zone=clock) as context:
            page = context.new_page()
            log_in(page)
            screens(page, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
