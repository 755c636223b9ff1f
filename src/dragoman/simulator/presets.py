"""Presets: the refusals and breakdowns that real upstreams are known for, by name.

Each gives the exact status, headers and body of its flavour, or a terminal event inside the stream, and some
change the account (an expired token stays expired until it is refreshed). Sources: OpenAI's error guide and
public reports about the Codex backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dragoman.simulator.accounts import Account
from dragoman.simulator.refusal import Answer, error_body


@dataclass(frozen=True, slots=True)
class Use:
    """A preset as a rule names it; `args` override figures such as `retry_after`."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a preset needs to know of the request."""

    account: Account
    model: str
    now: float
    args: Mapping[str, Any]

    @property
    def codex(self) -> bool:
        return self.account.kind == "codex"


@dataclass(frozen=True, slots=True)
class Ending:
    """A preset that strikes inside the stream: the terminal event's kind and its error."""

    kind: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Page:
    """A preset that is no JSON at all."""

    status: int
    content_type: str
    text: str


Effect = Answer | Ending | Page


def strike(use: Use, account: Account, model: str, now: float) -> Effect:
    """What the preset does to this request; may change the account."""
    return _TABLE[use.name](Scene(account, model, now, use.args))


def _expired(scene: Scene) -> Answer:
    if scene.account.access:
        scene.account.expires = scene.now
    message = "Provided authentication token is expired. Please try signing in again."
    return Answer(401, error_body(message, code="token_expired"))


def _revoked(scene: Scene) -> Answer:
    scene.account.revoked = True
    scene.account.refresh_fails = "refresh_token_invalidated"
    message = "Your authentication token has been invalidated. Please try signing in again."
    code = "token_invalidated" if scene.codex else "invalid_api_key"
    return Answer(401, error_body(message, code=code))


def _refresh_reused(scene: Scene) -> Answer:
    scene.account.refresh_fails = "refresh_token_reused"
    return _expired(scene)


def _model_denied(scene: Scene) -> Answer:
    if scene.codex:
        text = f"The '{scene.model}' model is not supported when using Codex with a ChatGPT account."
        return Answer(400, {"detail": text})
    text = f"Project does not have access to model `{scene.model}`"
    return Answer(403, error_body(text, code="model_not_found"))


def _deactivated(status: int) -> Callable[[Scene], Answer]:
    def strike_it(scene: Scene) -> Answer:
        scene.account.deactivated = True
        text = "This account has been deactivated."
        return Answer(status, error_body(text, code="account_deactivated"))

    return strike_it


def _rate_limit(scene: Scene) -> Answer:
    wait = float(scene.args.get("retry_after", 1.2))
    text = (
        f"Rate limit reached for {scene.model} in organization {scene.account.scope} "
        f"on tokens per min (TPM): Limit 30000, Used 30000, Requested 600. Please try again in {wait:g}s."
    )
    waiting = {"retry-after": str(max(1, -int(-wait // 1))), "retry-after-ms": str(round(wait * 1000))}
    return Answer(429, error_body(text, "tokens", code="rate_limit_exceeded"), waiting)


def _usage_limit(scene: Scene) -> Answer:
    seconds = int(scene.args.get("resets_in_seconds", 13_872))
    body = {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": scene.account.plan,
        "resets_at": int(scene.now) + seconds,
        "resets_in_seconds": seconds,
        "eligible_promo": None,
    }
    headers = {
        "x-codex-primary-used-percent": "100.0",
        "x-codex-primary-window-minutes": str(scene.account.primary_minutes),
        "x-codex-primary-reset-at": str(int(scene.now) + seconds),
        "x-codex-primary-reset-after-seconds": str(seconds),
        "x-codex-plan-type": scene.account.plan,
    }
    return Answer(429, {"error": body}, headers)


def _plain(
    status: int, message: str, kind: str | None, code: str | None, param: str | None = None
) -> Callable[[Scene], Answer]:
    return lambda scene: Answer(status, error_body(message, kind, code=code, param=param))


def _ending(kind: str, code: str, message: str) -> Callable[[Scene], Ending]:
    return lambda scene: Ending(kind, code, message)


def _page(scene: Scene) -> Page:
    text = (
        "<!DOCTYPE html>\n<html><head><title>chatgpt.com | 502: Bad gateway</title></head>\n"
        "<body><h1>Bad gateway <span>Error code 502</span></h1><p>Cloudflare Ray ID: 8f00000000000000</p>"
        "</body></html>\n"
    )
    return Page(502, "text/html; charset=UTF-8", text)


def _unsupported(scene: Scene) -> Answer:
    param = str(scene.args.get("param", "max_output_tokens"))
    if scene.codex:
        return Answer(400, {"detail": f"Unsupported parameter: {param}"})
    text = f"Unsupported parameter: '{param}' is not supported with this model."
    return Answer(400, error_body(text, param=param, code="unsupported_parameter"))


def _not_verified(scene: Scene) -> Answer:
    code = scene.args.get("code", "invalid_encrypted_content")
    text = (
        "The encrypted content for item rs_0 could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed."
    )
    return Answer(400, error_body(text, code=code))


_BAD = "invalid_request_error"
_NO_IMAGE = "The image data you provided does not represent a valid image."
_OVERFLOW = "Your input exceeds the context window of this model. Please adjust your input and try again."
_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_SERVER = "The server had an error while processing your request. Sorry about that!"
_BUSY = "Our servers are currently overloaded. Please try again later."
_SLOW = "Your requests have raised the load too fast. Please slow down."

_TABLE: dict[str, Callable[[Scene], Effect]] = {
    "401_expired": _expired,
    "401_revoked": _revoked,
    "refresh_token_reused": _refresh_reused,
    "403_model": _model_denied,
    "402_deactivated": _deactivated(402),
    "403_deactivated": _deactivated(403),
    "429_rate_limit": _rate_limit,
    "429_message_only": _plain(429, "Too many requests. Please wait.", None, None),
    "429_usage_limit_reached": _usage_limit,
    "429_insufficient_quota": _plain(429, _QUOTA, "insufficient_quota", "insufficient_quota"),
    "429_usage_not_included": _plain(
        429, "To use Codex with your ChatGPT plan, upgrade to Plus.", "usage_not_included", None
    ),
    "400_context_length": _plain(400, _OVERFLOW, _BAD, "context_length_exceeded", "input"),
    "400_unsupported_parameter": _unsupported,
    "400_invalid_encrypted_content": _not_verified,
    "400_invalid_image": _plain(400, _NO_IMAGE, _BAD, "invalid_image_format", "input"),
    "400_invalid_pdf": _plain(
        400, "The file data provided is not a valid PDF.", _BAD, "invalid_value", "input"
    ),
    "400_cyber_policy": _plain(400, "This content can't be shown.", _BAD, "cyber_policy"),
    "404_model": _plain(404, "The requested model does not exist.", _BAD, "model_not_found", "model"),
    "500": _plain(500, _SERVER, "server_error", "server_error"),
    "502_html": _page,
    "503_overloaded": _plain(503, _BUSY, "server_error", "server_is_overloaded"),
    "503_slow_down": _plain(503, _SLOW, "server_error", "slow_down"),
    "529": _plain(529, "Overloaded", "overloaded_error", None),
    "failed_midstream_server_error": _ending("failed", "server_error", _SERVER),
    "failed_midstream_rate_limit": _ending(
        "failed", "rate_limit_exceeded", "Rate limit reached. Please try again in 11.054s."
    ),
    "failed_midstream_overloaded": _ending("failed", "server_is_overloaded", _BUSY),
    "failed_midstream_context_length": _ending("failed", "context_length_exceeded", _OVERFLOW),
    "failed_midstream_cyber_policy": _ending("failed", "cyber_policy", "This content can't be shown."),
    "websocket_60min": _plain(
        400,
        "Responses websocket connection limit reached (60 minutes). Create a new connection to continue.",
        _BAD,
        "websocket_connection_limit_reached",
    ),
}
NAMES = tuple(_TABLE)
