"""Reads what an upstream says of its limits: response headers, stream events, the usage page.

A window is classified by its length, never by the slot it came in: for some plans the weekly window is the
"primary" one. Nothing here is trusted and nothing raises: what makes no sense is as if it had not been said.
It never decides what a reading means for an account; quota.py keeps the readings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dragoman.translate.messages.waits import LONGEST, span

Source = Literal["header", "event", "usage"]

# The account's own meter; every other name is a meter that some model has for itself.
MAIN = "main"
# The two buckets of the public API, per minute. They refill all the time, so an empty one blocks nobody here.
BUCKETS = ("requests", "tokens")
_BUCKET_SECONDS = 60

_LONGEST_WINDOW = 366 * 86_400
_MOST_USED = 100.0
_MILLISECONDS_FROM = 1e11
_NAME_LENGTH = 64
# So many meters of one reading are taken; an upstream that sends more is not telling limits.
_METERS = 16

_FIELD = re.compile(
    r"x-(?P<limit>[a-z0-9_-]{1,80}?)-(?P<slot>[a-z]+)-"
    r"(?P<what>used-percent|window-minutes|reset-at|reset-after-seconds)"
)
_OWN = frozenset({"", "codex"})


@dataclass(frozen=True, slots=True)
class Window:
    """One usage window as it was last told.

    meter      MAIN, a bucket of the public API, or the name of a model's own meter
    seconds    its length
    used       0 is unused, 1 is used up; more is possible
    resets_at  epoch seconds between the reading and eight days later, None where it was not told
    seen_at    epoch seconds of the reading
    """

    meter: str
    seconds: int
    used: float
    resets_at: float | None
    seen_at: float
    source: Source


@dataclass(frozen=True, slots=True)
class Credits:
    """Paid credits that carry on where the windows end. `balance` in the upstream's unit."""

    has: bool
    unlimited: bool
    balance: float | None
    seen_at: float

    @property
    def usable(self) -> bool:
        """Whether an account with spent windows is still served."""
        return self.unlimited or (self.has and (self.balance is None or self.balance > 0))


def from_headers(headers: Mapping[str, str], now: float) -> list[Window]:
    """The windows that the headers of any answer tell, refusals included. Field names in any case."""
    fields = {name.lower(): value for name, value in headers.items() if name[:2] in ("x-", "X-")}
    slots: dict[tuple[str, str], dict[str, Any]] = {}
    for name, value in fields.items():
        if found := _FIELD.fullmatch(name):
            slots.setdefault((found["limit"], found["slot"]), {})[found["what"]] = value
    windows = []
    for (limit, _), told in list(slots.items())[: 3 * _METERS]:
        minutes = number(told.get("window-minutes"))
        window = _window(
            meter_name(fields.get(f"x-{limit}-limit-name"), limit),
            None if minutes is None else minutes * 60,
            told.get("used-percent"),
            told.get("reset-after-seconds"),
            told.get("reset-at"),
            now,
            "header",
        )
        if window:
            windows.append(window)
    return windows + list(_buckets(fields, now))


def from_event(event: Mapping[str, Any], now: float) -> list[Window]:
    """The windows of a `codex.rate_limits` event; a named meter is kept apart from the account's own."""
    meter = meter_name(*(event.get(key) for key in ("limit_name", "metered_limit_name", "limit_id")))
    return list(_slots(event.get("rate_limits"), meter, now, "event"))


def from_usage(document: Mapping[str, Any], now: float) -> list[Window]:
    """The windows of the ChatGPT backend's usage page. Which of them exist is the plan's business."""
    windows = list(_slots(document.get("rate_limit"), MAIN, now, "usage"))
    further = document.get("additional_rate_limits")
    for entry in further[:_METERS] if isinstance(further, list) else ():
        if isinstance(entry, Mapping):
            meter = meter_name(entry.get("limit_name"), entry.get("metered_feature"))
            if meter != MAIN:
                windows += _slots(entry.get("rate_limit"), meter, now, "usage")
    return windows


def credits_from(told: Mapping[str, Any], now: float) -> Credits | None:
    """Credits from headers, from an event, or from the usage page; None where none of them speaks of any."""
    inner = told.get("credits")
    if isinstance(inner, Mapping):
        has, unlimited, balance = (inner.get(key) for key in ("has_credits", "unlimited", "balance"))
    else:
        fields = {str(name).lower(): value for name, value in told.items()}
        has, unlimited, balance = (
            fields.get(f"x-codex-credits-{what}") for what in ("has-credits", "unlimited", "balance")
        )
    if _truth(has) is None:
        return None
    return Credits(bool(_truth(has)), bool(_truth(unlimited)), number(balance), now)


def meter_name(*told: Any) -> str:
    """The first name that says something, spelt as model ids are; MAIN for the account's own limit."""
    for name in told:
        if isinstance(name, str) and (plain := re.sub(r"[\s_]+", "-", name.strip().lower())):
            return MAIN if plain in _OWN or plain == MAIN else plain[:_NAME_LENGTH]
    return MAIN


def number(value: Any) -> float | None:
    """A finite number, also one that is spelt as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        figure = float(value)
    except (ValueError, OverflowError):
        return None
    return figure if math.isfinite(figure) else None


def clamp(resets_at: float, now: float) -> float:
    """A reset between now and eight days from now. Times in milliseconds are understood."""
    moment = resets_at / 1000 if resets_at > _MILLISECONDS_FROM else resets_at
    return min(max(moment, now), now + LONGEST)


def _slots(told: Any, meter: str, now: float, source: Source) -> Iterator[Window]:
    if not isinstance(told, Mapping):
        return
    for name in ("primary", "secondary", "primary_window", "secondary_window"):
        slot = told.get(name)
        if not isinstance(slot, Mapping):
            continue
        seconds = number(slot.get("limit_window_seconds"))
        if seconds is None and (minutes := number(slot.get("window_minutes"))) is not None:
            seconds = minutes * 60
        moment = slot.get("resets_at")
        window = _window(
            meter,
            seconds,
            slot.get("used_percent"),
            slot.get("reset_after_seconds"),
            slot.get("reset_at") if moment is None else moment,
            now,
            source,
        )
        if window:
            yield window


def _window(
    meter: str, seconds: float | None, percent: Any, after: Any, at: Any, now: float, source: Source
) -> Window | None:
    """A window whose length and use are known; a reset that is told in seconds goes before a date."""
    used = number(percent)
    if used is None or seconds is None or not 1 <= seconds <= _LONGEST_WINDOW:
        return None
    wait, moment = number(after), number(at)
    resets_at = None
    if wait is not None and wait >= 0:
        # No clock but ours is in it.
        resets_at = clamp(now + min(wait, LONGEST), now)
    elif moment is not None and moment > 0:
        resets_at = clamp(moment, now)
    return Window(meter, round(seconds), min(max(used / 100, 0.0), _MOST_USED), resets_at, now, source)


def _buckets(fields: Mapping[str, str], now: float) -> Iterator[Window]:
    """The public API's buckets: how empty, and when they will be full again."""
    for what in BUCKETS:
        limit = number(fields.get(f"x-ratelimit-limit-{what}"))
        left = number(fields.get(f"x-ratelimit-remaining-{what}"))
        if limit is None or left is None or limit <= 0:
            continue
        told = fields.get(f"x-ratelimit-reset-{what}")
        seconds = span(told) if isinstance(told, str) else None
        resets_at = None if seconds is None else clamp(now + min(seconds, LONGEST), now)
        used = min(max(1 - left / limit, 0.0), 1.0)
        yield Window(what, _BUCKET_SECONDS, used, resets_at, now, "header")


def _truth(value: Any) -> bool | None:
    """JSON's booleans, and the header spelling `True` / `False`."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    return None
