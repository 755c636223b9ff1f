"""Makes upstream error text fit for clients and logs: no markup, keys, cookies, machines, accounts or ids.

Upstream sentences help the user ("Unsupported value: …"), but they may quote credentials, organisation
ids or whole HTML pages. Only scrubbed text leaves the gateway. Names that clients choose are made fit to be
kept here too: people paste keys into every field there is.
"""

from __future__ import annotations

import re
from functools import lru_cache

LIMIT = 500
LONGEST_NAME = 256

_MARKUP = re.compile(
    r"<\s*/?\s*(?:!doctype|html|head|body|title|div|script|style|center|h\d|p|br|span|table|iframe|object|embed"
    r"|form|input|button|link|meta|svg|img)\b"
    # Short names are also words after a "less than": only as a tag that is written like one.
    r"|<!--|</?(?:a|b|i|u|s|em|hr|li|ol|ul|td|th|tr|pre|code|font|strong|base|section)(?:\s[^<]*)?/?>",
    re.I,
)
# Credentials of whatever length: nothing else looks like them.
_CREDENTIALS = (
    re.compile(r"(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9*_\-]{3,}|(?:pk|rk|sess|ek)-[A-Za-z0-9*_\-]{6,})"),
    re.compile(r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]+){0,2}"),
    re.compile(r"(?<![A-Za-z0-9])gAAAA[A-Za-z0-9_\-=]{8,}"),
    re.compile(r"\bBearer\s+\S+", re.I),
    re.compile(r"\b[0-9a-fA-F]{32,}\b"),
)
# The first two parts of an address that only machines next to it reach.
_NEAR = r"(?:(?:10|127)\.\d{1,3}|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01]))"
_PORT = r":\d{1,5}"
_SECRETS = (
    re.compile(r"\b(?:set-)?cookie:[^\r\n]*", re.I),
    re.compile(r"(?<![\w\-])(?:__\w[\w.\-]*|_cfuvid|cf_clearance|session(?:id|_token)?)=[^\s;,'\"]+", re.I),
    *_CREDENTIALS,
    # An id has a digit or is long; `user_location` and `account-level` are words.
    re.compile(
        r"\b(?:org|proj|user|acct|account|req|resp|cust|asst)[-_]"
        r"(?:(?=[A-Za-z0-9_\-]*\d)[A-Za-z0-9_\-]{6,}|[A-Za-z0-9]{16,})"
    ),
    re.compile(r"\bacct_[A-Za-z0-9_\-]+"),
    re.compile(r"\b(?:org|proj|acct)-(?!(?:level|wide|owned|scoped)\b)[A-Za-z0-9_\-]{3,}"),
    re.compile(r"\b(?:rs|msg|fc|ws|ct|ci|ig)_(?=[A-Za-z0-9_\-]*\d)[A-Za-z0-9_\-]{12,}"),
    re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I),
    re.compile(r"\b[A-Za-z0-9._%+\-]+@[A-Za-z0-9.\-]+\.[A-Za-z]{2,}\b"),
    # Machines behind the upstream: private addresses, and any with a port.
    re.compile(
        rf"(?<![\w.])(?:{_NEAR}(?:\.\d{{1,3}}){{2}}(?:{_PORT})?|\d{{1,3}}(?:\.\d{{1,3}}){{3}}{_PORT})(?!\.?\d)"
    ),
    re.compile(rf"(?<![\w.])(?:localhost{_PORT}|\[(?=[^\]:]*:[^\]:]*:)[0-9a-f:.]+\](?:{_PORT})?)", re.I),
    re.compile(r"\b(?=[A-Za-z0-9_\-]*\d)(?=[A-Za-z0-9_\-]*[A-Za-z])[A-Za-z0-9_\-]{40,}\b"),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


def scrub(text: str) -> str:
    """The text on one line, at most LIMIT characters, secrets replaced by `[…]`; "" where it is markup."""
    text = text[: LIMIT * 4]
    if _MARKUP.search(text):
        return ""
    for pattern in _SECRETS:
        text = pattern.sub("[…]", text)
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= LIMIT else text[: LIMIT - 1] + "…"


def name(text: str) -> str:
    """A name that a client chose, such as a model's, as it may be kept: short, one line, no credential."""
    return _name(text[:LONGEST_NAME])


@lru_cache(maxsize=512)
def _name(text: str) -> str:
    for pattern in _CREDENTIALS:
        text = pattern.sub("[…]", text)
    return _CONTROL.sub(" ", text).strip()
