"""The sealed envelope in which upstream items travel through a client that cannot read them.

A reasoning item goes out whole in `thinking.signature` (or `redacted_thinking.data`), a web search in its
results, a compaction in its block; each comes back verbatim. The envelope is versioned, signed with the
gateway's key and names the account and model that made the item. What does not verify is no error: it is
simply not ours. Nothing here decides where an item is replayed.
"""

from __future__ import annotations

import hmac
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dragoman.wire import jsonio

PREFIX = "dgm1."
_MAC_BYTES = 16
# The fields of an item that are kept, in the order in which they are replayed.
_KEPT: Mapping[str, tuple[str, ...]] = {
    "reasoning": ("id", "summary", "content", "encrypted_content"),
    "compaction": ("id", "encrypted_content"),
    "web_search_call": ("id", "status", "action"),
}
# What rides on single results and citations of a search: only where they point to.
_POINTER = ("url",)
_REPLAYED = ("reasoning", "compaction")


@dataclass(frozen=True, slots=True)
class Seal:
    """What an envelope is made with: the gateway's key, and whose upstream item it will hold."""

    key: bytes
    account_tag: str
    model: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope that verified. `item` is complete: `type` first, then its fields in fixed order."""

    item: dict[str, Any]
    account_tag: str
    model: str


def seal_item(item: Mapping[str, Any], seal: Seal) -> str:
    """Puts a reasoning or compaction item (as in `output_item.done`) into an envelope. Pure, no padding."""
    kind = item["type"]
    kept = {name: item[name] for name in _KEPT.get(kind, _POINTER) if item.get(name) is not None}
    payload = jsonio.dump({"v": 1, "t": kind, "a": seal.account_tag, "m": seal.model, "i": kept})
    text = _b64(payload)
    return f"{PREFIX}{text}.{_b64(_mac(text, seal.key))}"


def open_item(text: Any, key: bytes) -> Opened | None:
    """Opens an envelope made by seal_item with the same key; None for anything else.

    Clients send all of them again with every turn, so the last ones are remembered: do not change the item.
    """
    opened = _open(text, key)
    return opened if opened is not None and opened.item["type"] in _REPLAYED else None


def seal_search(item: Mapping[str, Any], seal: Seal) -> str:
    """Puts a web_search_call, or a pointer (`type`, `url`) to one of its pages, into an envelope."""
    return seal_item(item, seal)


def open_search(text: Any, key: bytes) -> Opened | None:
    """Opens an envelope made by seal_search with the same key; None for anything else."""
    opened = _open(text, key)
    return opened if opened is not None and opened.item["type"] not in _REPLAYED else None


def _open(text: Any, key: bytes) -> Opened | None:
    if not isinstance(text, str) or not text.startswith(PREFIX) or not text.isascii():
        return None
    return _verified(text, key)


@lru_cache(maxsize=512)
def _verified(text: str, key: bytes) -> Opened | None:
    body, _, mac = text[len(PREFIX) :].partition(".")
    if not hmac.compare_digest(_b64(_mac(body, key)), mac):
        return None
    payload = jsonio.parse(_unb64(body))
    return Opened({"type": payload["t"], **payload["i"]}, payload["a"], payload["m"])


def _mac(text: str, key: bytes) -> bytes:
    # The prefix is signed too, so that no other version's envelope can be read as this one.
    return hmac.digest(key, (PREFIX + text).encode(), "sha256")[:_MAC_BYTES]


def _b64(data: bytes) -> str:
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL).decode()


def _unb64(text: str) -> bytes:
    return a2b_base64(text.encode().translate(_FROM_URL) + b"=" * (-len(text) % 4))


_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
