"""The one place that parses and writes JSON.

It decides what counts as JSON at the door: UTF-8 only, no NaN or Infinity, no lone surrogates, no number
that overflows, at most MAX_DEPTH levels. It writes compactly, in insertion order, without escaping
non-ASCII text, so that two equal requests are equal bytes (RFC 8259; the prompt cache depends on it).
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any, NoReturn

import orjson

MAX_DEPTH = 256

_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_LITTLE = 16 * 1024  # up to here counting brackets costs less than a trial write
_LOOKED_AT = 1024 * 1024
_SLICE = 64 * 1024
_KEEP = b'"[]{}'
_DROP = bytes(c for c in range(256) if c not in _KEEP)
_BRACES = bytes.maketrans(b"[]", b"{}")
_STEP = [0] * 256
_STEP[ord("{")] = 1
_STEP[ord("}")] = -1
_HALF = re.compile("[\ud800-\udfff]")
_NOT_ASCII = re.compile("[^\x00-\x7f]")
_SSE_UNSAFE = ("\u2028", "\u2029", "\u0085")


class InvalidJson(ValueError):
    """The bytes are not JSON that this gateway accepts; the message says why, without quoting them."""


def parse(data: bytes) -> Any:
    """Parses a complete JSON document.

    Raises InvalidJson for anything that is not strict JSON or is nested deeper than MAX_DEPTH.
    """
    try:
        value = orjson.loads(data)  # goes 1024 levels deep itself, so it meets no stack's end
    except RecursionError as error:
        raise InvalidJson(_TOO_DEEP) from error
    except orjson.JSONDecodeError as error:
        read = data[: min(error.pos, _LOOKED_AT)]  # what was read until the mistake; a hint needs no more
        raise InvalidJson(_TOO_DEEP if _deeper_than(read, MAX_DEPTH) else str(error)) from error
    if len(data) > MAX_DEPTH and _too_deep(data, value):
        raise InvalidJson(_TOO_DEEP)
    return value


def _too_deep(data: bytes, value: Any) -> bool:
    if len(data) < _LITTLE and data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return False
    return not _writable(value) and _deeper_than(data, MAX_DEPTH)


def _writable(value: Any) -> bool:
    """Whether the writer, which goes 254 levels deep, gets to the end: a tenth of the cost of counting."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def parse_event(data: bytes) -> Any:
    """Parses one event of an upstream stream: like parse, but a delta may end inside a character.

    Servers cut text wherever they like, so an escaped surrogate pair may be spread over two events. Its
    halves survive in the event's own `delta`, for the translator to join; anywhere else a lone half
    becomes U+FFFD. Raises InvalidJson.
    """
    try:
        value = orjson.loads(data)
    except (RecursionError, orjson.JSONDecodeError):
        return _parse_halves(data)
    if len(data) > MAX_DEPTH and _too_deep(data, value):
        raise InvalidJson(_TOO_DEEP)
    return value


def parse_events(found: list[bytes]) -> list[Any]:
    """All events of one read: parse_event for each, at half the cost. Raises InvalidJson for any of them."""
    try:
        values = list(map(orjson.loads, found))
    except (RecursionError, orjson.JSONDecodeError):
        return list(map(parse_event, found))
    for data, value in zip(found, values, strict=True):
        if len(data) > MAX_DEPTH and _too_deep(data, value):
            raise InvalidJson(_TOO_DEEP)
    return values


def _parse_halves(data: bytes) -> Any:
    """Parses what the strict parser refused, perhaps for half a character."""
    try:
        return parse(data)  # for its reason
    except InvalidJson:
        if b"\\ud" not in data and b"\\uD" not in data:
            raise
    if _deeper_than(data, MAX_DEPTH):
        raise InvalidJson(_TOO_DEEP)
    try:
        event = json.loads(data.decode(), parse_constant=_refuse, parse_float=_number, parse_int=_number)
    except (ValueError, RecursionError) as error:
        raise InvalidJson(str(error)) from error
    if isinstance(event, dict) and isinstance(delta := event.get("delta"), str):
        return {**_whole(event), "delta": delta}
    return _whole(event)


def _refuse(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not JSON")


def _number(digits: str) -> int | float:
    # As the fast parser has it: 64 bits exactly, then a float, never infinity.
    if digits.lstrip("-").isdecimal() and len(digits) < 19:
        return int(digits)
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise InvalidJson("a number is out of range")
    return number


def _whole(value: Any) -> Any:
    """A copy in which no string holds half a character."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


def dump(value: Any) -> bytes:
    """Writes compact JSON in insertion order. Raises InvalidJson where a value has no JSON form."""
    try:
        return orjson.dumps(value)
    except (TypeError, RecursionError) as error:
        raise InvalidJson(str(error)) from error


def dump_text(value: Any) -> str:
    """The same as dump, as text (tool arguments travel as a JSON string inside JSON)."""
    return dump(value).decode()


def dump_line(value: Any) -> bytes:
    """JSON for one SSE `data:` line: also the line ends that only some clients split at are escaped."""
    data = dump(value)
    if data.isascii():
        return data
    if b"\xe2\x80\xa8" in data or b"\xe2\x80\xa9" in data or b"\xc2\x85" in data:
        text = data.decode()
        for char in _SSE_UNSAFE:
            text = text.replace(char, f"\\u{ord(char):04x}")
        return text.encode()
    return data


def dump_ascii(value: Any) -> bytes:
    """The same as dump in ASCII alone, for lines that any program, terminal or spreadsheet may read."""
    data = dump(value)
    return data if data.isascii() else _NOT_ASCII.sub(_escape, data.decode()).encode()


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def _deeper_than(data: bytes, limit: int) -> bool:
    """Whether brackets outside strings nest deeper than limit. Linear in the input, in C."""
    if len(data) <= limit or data.count(b"{") + data.count(b"[") <= limit:
        return False
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Between quotes 0, 2, 4 … lies structure, between 1, 3, 5 … text.
    outside = b"".join(data.translate(_BRACES, _DROP).split(b'"')[::2])
    for _ in range(32):  # ordinary bodies are empty after about ten rounds
        shorter = outside.replace(b"{}", b"")
        if not shorter:
            return False
        if len(shorter) == len(outside):
            break
        outside = shorter
    else:
        limit -= 32
    depth = 0
    for start in range(0, len(outside), _SLICE):
        depths = list(
            itertools.accumulate(map(_STEP.__getitem__, outside[start : start + _SLICE]), initial=depth)
        )
        if max(depths) > limit:
            return True
        depth = depths[-1]
    return False
