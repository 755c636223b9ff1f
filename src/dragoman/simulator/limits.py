"""Limits: rate buckets of the public API, usage windows of ChatGPT accounts, and their headers.

It follows OpenAI's rate limit headers (`x-ratelimit-*`, durations such as `6m0s`) and the Codex backend's
`x-codex-*` family. All time is virtual.
"""

from __future__ import annotations

from typing import Any

from dragoman.simulator.accounts import Account
from dragoman.simulator.refusal import Answer, Refused, denied, error_body

_UNLIMITED = {"requests": 10_000, "tokens": 30_000_000}
# A cached token weighs a tenth in a usage window, as its price does.
_CACHED_WEIGHT = 0.1


def admit(account: Account, model: str, tokens: int, now: float) -> None:
    """Takes one request of so many input tokens from the account. Raises Refused with a 429."""
    if account.kind == "codex":
        _admit_codex(account, now)
        return
    for name, limit, cost in (("requests", account.rpm, 1), ("tokens", account.tpm, tokens)):
        if not limit:
            continue
        left = _level(account, name, limit, now)
        if left < cost:
            raise _too_fast(account, model, name, limit, left, cost)
    for name, limit, cost in (("requests", account.rpm, 1), ("tokens", account.tpm, tokens)):
        if limit:
            account.buckets[name] = (_level(account, name, limit, now) - cost, now)


def settle(account: Account, usage: dict[str, Any], now: float) -> None:
    """Charges a finished request."""
    details = usage["input_tokens_details"]
    spent = account.spent
    spent.requests += 1
    spent.input_tokens += usage["input_tokens"]
    spent.cached_tokens += details["cached_tokens"]
    spent.cache_write_tokens += details["cache_write_tokens"]
    spent.output_tokens += usage["output_tokens"]
    if account.kind == "codex":
        weight = usage["total_tokens"] - details["cached_tokens"] * (1 - _CACHED_WEIGHT)
        for slot in ("primary", "secondary"):
            used, since = _window(account, slot, now)
            account.windows[slot] = (used + weight, since)


def headers(account: Account, now: float) -> dict[str, str]:
    """The limit headers of an answer, refused ones included."""
    return _codex_headers(account, now) if account.kind == "codex" else _api_headers(account, now)


def used_percent(account: Account, slot: str, now: float) -> float:
    quota = account.primary_quota if slot == "primary" else account.secondary_quota
    used, _ = _window(account, slot, now)
    return min(100.0, 100 * used / quota) if quota else 0.0


def windows(account: Account, now: float) -> dict[str, dict[str, Any]]:
    """Both usage windows: percent used, length and reset."""
    shown: dict[str, dict[str, Any]] = {}
    for slot, minutes in (("primary", account.primary_minutes), ("secondary", account.secondary_minutes)):
        if minutes:
            _, since = _window(account, slot, now)
            shown[slot] = {
                "used_percent": round(used_percent(account, slot, now), 1),
                "window_minutes": minutes,
                "reset_at": int(since + minutes * 60),
                "reset_after_seconds": max(0, int(since + minutes * 60 - now)),
            }
    return shown


def usage_page(account: Account, now: float) -> dict[str, Any]:
    """The answer of `GET /wham/usage`."""
    shown: dict[str, Any] = {}
    for slot, window in windows(account, now).items():
        shown[f"{slot}_window"] = {
            "used_percent": window["used_percent"],
            "limit_window_seconds": window["window_minutes"] * 60,
            "reset_after_seconds": window["reset_after_seconds"],
            "reset_at": window["reset_at"],
        }
    return {
        "plan_type": account.plan,
        "rate_limit": shown,
        "credits": {
            "has_credits": account.credits is not None,
            "unlimited": False,
            "balance": str(account.credits or 0),
        },
        "additional_rate_limits": [],
        "rate_limit_reset_credits": {"available_count": 0},
    }


def rate_limits_event(account: Account, now: float) -> dict[str, Any]:
    """The non-standard first event of a Codex stream."""
    shown = windows(account, now)
    return {
        "type": "codex.rate_limits",
        "plan_type": account.plan,
        "rate_limits": {slot: shown.get(slot) for slot in ("primary", "secondary")},
        "credits": None,
    }


def duration(seconds: float) -> str:
    """A Go-style duration: `120ms`, `1s`, `6m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(int(seconds + 0.999), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _level(account: Account, name: str, limit: int, now: float) -> float:
    level, at = account.buckets.get(name, (float(limit), now))
    return min(float(limit), level + (now - at) * limit / 60)


def _too_fast(account: Account, model: str, name: str, limit: int, left: float, cost: int) -> Refused:
    wait = (cost - left) * 60 / limit
    short = "RPM" if name == "requests" else "TPM"
    message = (
        f"Rate limit reached for {model} in organization {account.scope} on {name} per min ({short}): "
        f"Limit {limit}, Used {round(limit - left)}, Requested {cost}. Please try again in {duration(wait)}."
    )
    waiting = {"retry-after": str(max(1, -int(-wait // 1))), "retry-after-ms": str(round(wait * 1000))}
    return denied(429, message, name, code="rate_limit_exceeded", headers=waiting)


def _admit_codex(account: Account, now: float) -> None:
    for slot, window in windows(account, now).items():
        if used_percent(account, slot, now) >= 100 and account.credits is None:
            body = error_body("The usage limit has been reached", "usage_limit_reached")["error"]
            body = {
                "type": body["type"],
                "message": body["message"],
                "plan_type": account.plan,
                "resets_at": window["reset_at"],
                "resets_in_seconds": window["reset_after_seconds"],
                "eligible_promo": None,
            }
            raise Refused(Answer(429, {"error": body}))


def _window(account: Account, slot: str, now: float) -> tuple[float, float]:
    minutes = account.primary_minutes if slot == "primary" else account.secondary_minutes
    used, since = account.windows.get(slot, (0.0, now))
    if minutes and now >= since + minutes * 60:
        used, since = 0.0, now
    account.windows[slot] = (used, since)
    return used, since


def _api_headers(account: Account, now: float) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, limit in (("requests", account.rpm), ("tokens", account.tpm)):
        shown = limit or _UNLIMITED[name]
        left = _level(account, name, limit, now) if limit else float(shown)
        fields[f"x-ratelimit-limit-{name}"] = str(shown)
        fields[f"x-ratelimit-remaining-{name}"] = str(max(0, int(left)))
        fields[f"x-ratelimit-reset-{name}"] = duration((shown - left) * 60 / shown)
    return fields


def _codex_headers(account: Account, now: float) -> dict[str, str]:
    fields: dict[str, str] = {}
    for slot, window in windows(account, now).items():
        fields[f"x-codex-{slot}-used-percent"] = str(window["used_percent"])
        fields[f"x-codex-{slot}-window-minutes"] = str(window["window_minutes"])
        fields[f"x-codex-{slot}-reset-at"] = str(window["reset_at"])
        fields[f"x-codex-{slot}-reset-after-seconds"] = str(window["reset_after_seconds"])
    fields["x-codex-plan-type"] = account.plan
    fields["x-codex-active-limit"] = "premium"
    fields["x-codex-primary-over-secondary-limit-percent"] = ""
    fields["x-codex-credits-has-credits"] = str(account.credits is not None)
    fields["x-codex-credits-unlimited"] = "False"
    fields["x-codex-credits-balance"] = "" if account.credits is None else str(account.credits)
    return fields
