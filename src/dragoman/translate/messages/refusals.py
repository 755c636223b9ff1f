"""Reads what an upstream says when it refuses: HTTP answers and stream events of every dialect.

OpenAI's `error` object, the ChatGPT backend's `detail`, bare messages, pages of markup, errors wrapped in
errors. The class is found by code first, then by wording, then by status. Texts are scrubbed on the way
in: nothing else of an upstream's words is kept. It never decides what is done about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dragoman.translate.messages.causes import Cause, UpstreamFailure
from dragoman.translate.messages.waits import wait
from dragoman.wire import jsonio
from dragoman.wire.scrub import scrub

# Characters of a message that are looked at: patterns must not run over whole pages.
READ = 2000

CODES: dict[str, Cause] = {
    "context_length_exceeded": Cause.CONTEXT,
    "context_window_exceeded": Cause.CONTEXT,
    "invalid_encrypted_content": Cause.SEALED,
    "unsupported_parameter": Cause.PARAMETER,
    "unknown_parameter": Cause.PARAMETER,
    "unsupported_value": Cause.PARAMETER,
    "rate_limit_exceeded": Cause.RATE_LIMIT,
    "rate_limit_error": Cause.RATE_LIMIT,
    "usage_limit_reached": Cause.QUOTA,
    "insufficient_quota": Cause.QUOTA,
    "usage_not_included": Cause.QUOTA,
    "quota_exceeded": Cause.QUOTA,
    "billing_hard_limit_reached": Cause.QUOTA,
    "billing_error": Cause.QUOTA,
    "server_is_overloaded": Cause.OVERLOADED,
    "slow_down": Cause.OVERLOADED,
    "overloaded_error": Cause.OVERLOADED,
    "engine_overloaded": Cause.OVERLOADED,
    "server_error": Cause.SERVER,
    "internal_server_error": Cause.SERVER,
    "api_error": Cause.SERVER,
    "upstream_error": Cause.SERVER,
    "vector_store_timeout": Cause.SERVER,
    "stream_incomplete": Cause.CUT,
    "stream_idle_timeout": Cause.TIMEOUT,
    "upstream_request_timeout": Cause.TIMEOUT,
    "timeout_error": Cause.TIMEOUT,
    "invalid_api_key": Cause.CREDENTIALS,
    "authentication_error": Cause.CREDENTIALS,
    "permission_error": Cause.CREDENTIALS,
    "permission_denied": Cause.CREDENTIALS,
    "unsupported_country_region_territory": Cause.CREDENTIALS,
    "refresh_token_expired": Cause.LOGIN,
    "refresh_token_reused": Cause.LOGIN,
    "refresh_token_invalidated": Cause.LOGIN,
    "invalid_grant": Cause.LOGIN,
    "token_invalidated": Cause.LOGIN,
    "token_expired": Cause.LOGIN,
    "app_session_terminated": Cause.LOGIN,
    "account_session_expired": Cause.LOGIN,
    "account_auth_invalidated": Cause.LOGIN,
    "account_deactivated": Cause.DEAD,
    "account_suspended": Cause.DEAD,
    "account_deleted": Cause.DEAD,
    "deactivated_workspace": Cause.DEAD,
    "model_not_found": Cause.MODEL,
    "model_not_available": Cause.MODEL,
    "cyber_policy": Cause.POLICY,
    "bio_policy": Cause.POLICY,
    "content_policy_violation": Cause.POLICY,
    "image_content_policy_violation": Cause.POLICY,
    "content_filter": Cause.POLICY,
    "invalid_prompt": Cause.POLICY,
    "request_too_large": Cause.TOO_LARGE,
    # What is wrong with a picture is known also where a stream says it, without a status.
    "invalid_image": Cause.IMAGE,
    "invalid_image_format": Cause.IMAGE,
    "invalid_base64_image": Cause.IMAGE,
    "invalid_image_url": Cause.IMAGE,
    "invalid_image_mode": Cause.IMAGE,
    "image_too_large": Cause.IMAGE,
    "image_too_small": Cause.IMAGE,
    "image_parse_error": Cause.IMAGE,
    "image_file_too_large": Cause.IMAGE,
    "image_file_not_found": Cause.IMAGE,
    "empty_image_file": Cause.IMAGE,
    "unsupported_image_media_type": Cause.IMAGE,
    "failed_to_download_image": Cause.IMAGE,
}

_NAMED = r"['\"`]?(?P<param>[A-Za-z_][A-Za-z0-9_.\[\]]*)['\"`]?"
_UNKNOWN = r"un(?:supported|known|recognized|expected) (?:request )?(?:parameter|argument)s?(?: supplied)?:? "
_UNREADABLE = r"(?:could not|cannot|can't|failed|invalid|not)\b.*\b(?:verif|decrypt|decod|pars|valid|belong)"
_TOO_LONG = (
    r"prompt is too long|context[ _]length|context[ _]window|maximum context|input tokens exceed"
    r"|reduce the length of the (?:messages|input|prompt)"
)

# In this order; the first that fits wins. A group `param` is what was refused.
WORDINGS: tuple[tuple[re.Pattern[str], Cause], ...] = tuple(
    (re.compile(pattern, re.I), cause)
    for pattern, cause in (
        (_UNKNOWN + _NAMED, Cause.PARAMETER),
        (_NAMED + r" is not supported (?:on|with|by|for) this model", Cause.PARAMETER),
        (r"invalid value: ['\"`](?P<param>\w+)['\"`].*supported values are", Cause.PARAMETER),
        (r"\bencrypted[ _]content\b.*\b" + _UNREADABLE, Cause.SEALED),
        (r"\b(?:invalid|failed to \w+) encrypted[ _]content", Cause.SEALED),
        (r"\breasoning\b.* without its required following item", Cause.SEALED),
        (r"\bitem with id '?rs_", Cause.SEALED),
        (_TOO_LONG, Cause.CONTEXT),
        (r"model is not supported when using codex|requires a newer version of codex", Cause.MODEL),
        (r"\bmodel\b.*\b(?:does not exist|not found|is not available|do not have access)", Cause.MODEL),
        (r"\busage limit\b|exceeded your current quota|insufficient (?:balance|credits?)", Cause.QUOTA),
        (r"\brate limit", Cause.RATE_LIMIT),
        (r"\bat capacity\b|\boverloaded\b", Cause.OVERLOADED),
        (r"violat\w+ our usage policy|flagged as potentially", Cause.POLICY),
    )
)

STATUSES: dict[int, Cause] = {
    401: Cause.CREDENTIALS,
    402: Cause.QUOTA,
    403: Cause.CREDENTIALS,
    404: Cause.PROTOCOL,
    405: Cause.PROTOCOL,
    407: Cause.TRANSPORT,
    408: Cause.TIMEOUT,
    409: Cause.SERVER,
    413: Cause.TOO_LARGE,
    425: Cause.SERVER,
    429: Cause.BURST,
    503: Cause.OVERLOADED,
    504: Cause.TIMEOUT,
    529: Cause.OVERLOADED,
}

# What of a request was refused, where neither code nor status says it: by the field, else by the words.
_PICTURE = re.compile(r"(?:^|[.\]])image_url\b")
_FILE = re.compile(r"(?:^|[.\]])(?:file_data|file_url)\b")
_CANNOT = r"\b(?:could not|cannot|can't|failed to|unable to|error while) (?:\w+ ){1,2}(?:an? |the )?"
_BAD = r"\b(?:invalid|unsupported) "
_OF_A_PICTURE = re.compile(
    rf"{_CANNOT}image|{_BAD}image"
    r"|\bimage\b.*\b(?:not represent|invalid|unsupported|exceed|too (?:large|small))",
    re.I,
)
_OF_A_FILE = re.compile(
    rf"{_CANNOT}(?:pdf|document)|{_BAD}(?:pdf|document|file)"
    r"|\b(?:pdf|file data|document)\b.*\b(?:not a valid|invalid|corrupt|encrypted|password|too many pages)",
    re.I,
)

_PLACE = re.compile(r"input(?:\[\d+\]|\.\d+)(?:\.type)?")

_LIMITS = frozenset({Cause.RATE_LIMIT, Cause.QUOTA})

# With these statuses a sentence says nothing more.
_FIRM_STATUSES = frozenset({401, 413})


def from_http(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float | None = None
) -> UpstreamFailure:
    """Classifies an answer that is not a 200. Header names in lower case; `now` in epoch seconds."""
    try:
        payload = jsonio.parse(body)
    except jsonio.InvalidJson:
        text = body[:4000].decode("utf-8", "replace")
        if status == 403 and not scrub(text):
            # A page, not an answer: the edge in front of the upstream refused, not the upstream the account.
            return UpstreamFailure(Cause.SERVER, "", status)
        payload = {"message": text}
    return _classify(payload, status, headers, now)


def from_event(event: Mapping[str, Any], *, now: float | None = None) -> UpstreamFailure:
    """Classifies an `error` event, flat or wrapped, or a response that failed."""
    response = event.get("response")
    if isinstance(response, dict):
        payload: Any = {"error": response.get("error")}
    else:
        payload = {key: value for key, value in event.items() if key != "type"}
    status = event.get("status", event.get("status_code"))
    headers = event.get("headers")
    fields = {str(k).lower(): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}
    return _classify(payload, status if type(status) is int else None, fields, now)


def _classify(
    payload: Any, status: int | None, headers: Mapping[str, str], now: float | None
) -> UpstreamFailure:
    error = _innermost(payload)
    text = _text(error)[:READ]
    if (status is None or status < 400) and type(error.get("code")) is int:
        status = error["code"]  # some relays put the status there
    code, kind = _string(error.get("code")), _string(error.get("type"))
    if code is None or (code not in CODES and kind in CODES):
        code = kind or code
    if status is None and kind == "invalid_request_error":
        cause, named = _cause(code, text, 400)  # a stream has no status, but says the same by the type
    else:
        cause, named = _cause(code, text, status)
    seconds = wait(error, headers, text, now)
    if cause is Cause.BURST and seconds is not None:
        cause = Cause.RATE_LIMIT  # who names a wait means a limit
    elif status == 429 and cause in _LIMITS and seconds is None and code not in CODES:
        cause = Cause.BURST  # a sentence alone: nearly all such accounts serve again after seconds
    param = _string(error.get("param")) or _location(error)
    if named and (param is None or _PLACE.fullmatch(param)):
        param = named  # which kind of item was refused says more than where it stood
    if cause is Cause.REQUEST:
        cause = _refused_part(param or "", text)
    return UpstreamFailure(
        cause,
        scrub(text),
        status,
        scrub(code) if code else None,
        param,
        seconds,
        now + seconds if now is not None and seconds is not None else None,
    )


def _cause(code: str | None, text: str, status: int | None) -> tuple[Cause, str | None]:
    by_code = CODES.get(code) if code else None
    if by_code is not None and by_code is not Cause.PARAMETER:
        return by_code, None
    if status not in _FIRM_STATUSES:
        for pattern, cause in WORDINGS:
            if found := pattern.search(text):
                return cause, found.groupdict().get("param")
    if by_code is not None:
        return by_code, None
    return _by_status(status), None


def _refused_part(param: str, text: str) -> Cause:
    """What a request was refused for: clients leave out the picture or document that is named."""
    if _PICTURE.search(param):
        return Cause.IMAGE
    if _FILE.search(param):
        return Cause.DOCUMENT
    if _OF_A_PICTURE.search(text):
        return Cause.IMAGE
    return Cause.DOCUMENT if _OF_A_FILE.search(text) else Cause.REQUEST


def _by_status(status: int | None) -> Cause:
    if status is None:
        return Cause.SERVER
    if status in STATUSES:
        return STATUSES[status]
    if status < 400:
        return Cause.PROTOCOL  # a redirect, or a success that is none
    return Cause.REQUEST if status < 500 else Cause.SERVER


def _innermost(payload: Any, depth: int = 4) -> Mapping[str, Any]:
    """The object that has the message, however often it is wrapped, with the outer fields it lacks."""
    if isinstance(payload, str):
        return _unquoted(payload, depth)
    if not isinstance(payload, dict):
        return {}
    for key in ("error", "detail"):
        inner = payload.get(key)
        if depth and (isinstance(inner, dict) or (isinstance(inner, str) and "message" not in payload)):
            outer = {name: value for name, value in payload.items() if name != key}
            return {**outer, **_innermost(inner, depth - 1)}
    message = payload.get("message")
    if depth and isinstance(message, str) and message.lstrip().startswith("{"):
        return {**payload, **_unquoted(message, depth)}
    return payload


def _unquoted(text: str, depth: int) -> Mapping[str, Any]:
    """A message that is itself a JSON error, as some relays nest them; else the message as it is."""
    try:
        nested = jsonio.parse(text.encode())
    except (jsonio.InvalidJson, UnicodeEncodeError):
        return {"message": text}
    return _innermost(nested, depth - 1) if depth and isinstance(nested, dict) else {"message": text}


def _text(error: Mapping[str, Any]) -> str:
    message = error.get("message")
    if isinstance(message, str):
        return message
    details = error.get("detail")
    return "; ".join(_each(details)) if isinstance(details, list) else ""


def _each(details: list[Any]) -> Iterator[str]:
    for detail in details[:5]:
        if isinstance(detail, dict) and isinstance(detail.get("msg"), str):
            yield detail["msg"]


def _location(error: Mapping[str, Any]) -> str | None:
    """The field that a list of validation details names first: `["body", "reasoning", "effort"]`."""
    details = error.get("detail")
    first = details[0] if isinstance(details, list) and details else None
    where = first.get("loc") if isinstance(first, dict) else None
    if not isinstance(where, list):
        return None
    return ".".join(str(step) for step in where if step != "body") or None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
