"""Reading bodies: limits, codings, bombs, strict JSON."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.gateway.pieces import Pieces
from dragoman.web import body
from dragoman.wire.errors import Kind, Refused

MIB = 1024 * 1024


def _scope(**headers: str | list[str]) -> dict[str, Any]:
    fields = []
    for name, values in headers.items():
        for value in [values] if isinstance(values, str) else values:
            fields.append((name.replace("_", "-").encode(), value.encode("latin-1")))
    return {"type": "http", "headers": fields}


class Sender:
    """An ASGI `receive` over given parts; remembers how many were asked for."""

    def __init__(self, parts: Iterable[bytes], *, leaves: bool = False) -> None:
        self._parts = iter(parts)
        self._next: bytes | None = next(self._parts, b"")
        self._leaves = leaves
        self.asked = 0

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        part, self._next = self._next, next(self._parts, None)
        if part is None or (self._leaves and self._next is None):
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": self._next is not None}


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def _zstd_of_unknown_size(data: bytes) -> bytes:
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return packer.compress(data) + packer.flush()


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw-deflate": ("deflate", _raw_deflate),
    "zstd": ("zstd", _zstd),
    "zstd-unknown-size": ("ZSTD", _zstd_of_unknown_size),
}
PACKED = pytest.mark.parametrize(("coding", "pack"), CODINGS.values(), ids=CODINGS.keys())


async def _kind_of(reading: Any) -> tuple[Kind, str | None]:
    with pytest.raises(Refused) as raised:
        await reading
    return raised.value.failure.kind, raised.value.failure.error_code


async def test_a_body_in_parts_is_joined() -> None:
    assert await body.read(_scope(), Sender([b"ab", b"", b"cd"])) == b"abcd"
    assert await body.read(_scope(content_length="2"), Sender([b"ab"])) == b"ab"
    assert await body.read(_scope(), Sender([])) == b""


async def test_a_declared_length_over_the_limit_is_refused_before_reading() -> None:
    """B88: 413 request_too_large."""
    sender = Sender([b"x"])
    reading = body.read(_scope(content_length="33000001"), sender, limit=33_000_000)
    assert await _kind_of(reading) == (Kind.TOO_LARGE, None)
    assert sender.asked == 0


async def test_a_body_without_length_is_counted_and_not_read_to_its_end() -> None:
    sender = Sender(itertools.repeat(b"x" * 1000))
    assert await _kind_of(body.read(_scope(), sender, limit=10_000)) == (Kind.TOO_LARGE, None)
    assert sender.asked == 11


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    assert len(await body.read(_scope(), Sender([b"x" * 500] * 20), limit=10_000)) == 10_000


async def test_a_client_that_leaves_is_told_apart_from_a_short_body() -> None:
    with pytest.raises(body.ClientGone):
        await body.read(_scope(content_length="9"), Sender([b"abc", b"d"], leaves=True))


@PACKED
async def test_one_coding_is_taken_off(coding: str, pack: Callable[[bytes], bytes]) -> None:
    data = b'{"text":"' + b"hello " * 100_000 + b'"}'
    packed = pack(data)
    parts = [packed[at : at + 7] for at in range(0, len(packed), 7)]
    assert await body.read(_scope(content_encoding=coding), Sender(parts)) == data


@PACKED
async def test_the_empty_body_under_a_coding(coding: str, pack: Callable[[bytes], bytes]) -> None:
    assert await body.read(_scope(content_encoding=coding), Sender([pack(b"")])) == b""


@pytest.mark.parametrize("field", ["identity", "", " , ", "Identity"])
async def test_no_coding_at_all(field: str) -> None:
    assert await body.read(_scope(content_encoding=field), Sender([b"{}"])) == b"{}"


@pytest.mark.parametrize(
    "field", ["br", "compress", "gzipx", "gzip, gzip", "gzip, identity", ["gzip", "zstd"], "*", "gzip;q=1"]
)
async def test_other_codings_and_layers_are_refused_before_reading(field: str | list[str]) -> None:
    sender = Sender([b"{}"])
    reading = body.read(_scope(content_encoding=field), sender)
    assert await _kind_of(reading) == (Kind.ENCODING_UNSUPPORTED, None)
    assert sender.asked == 0


@PACKED
async def test_a_body_that_does_not_match_its_coding_is_refused(
    coding: str, pack: Callable[[bytes], bytes]
) -> None:
    """B88: bad content-encoding is an Anthropic error, never a fault."""
    packed = pack(b'{"text":"hello, hello, hello"}')
    broken = {
        "plain": b'{"text":"hello"}',
        "empty": b"",
        "cut": packed[:-1],
        "cut short": packed[:3],
        "longer": packed + b"x",
        "twice": packed + packed,
        "far longer": packed + b"x" * 2000,
        "overwritten": b"\xff" * 6 + packed[6:],
    }
    for name, raw in broken.items():
        reading = body.read(_scope(content_encoding=coding), Sender([raw]))
        assert await _kind_of(reading) == (Kind.ENCODING_INVALID, None), name


@PACKED
async def test_a_bomb_stops_at_the_ceiling(coding: str, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(bytes(64 * MIB))
    assert len(bomb) < 100_000
    expected = (Kind.TOO_LARGE, "request_body_too_large_after_decoding")
    assert await _kind_of(body.read(_scope(content_encoding=coding), Sender([bomb]))) == expected


async def test_a_bomb_is_not_inflated_beyond_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out before the end is noticed is bounded, for the worst frame that can be made."""
    block = (131072 << 3 | 0b010).to_bytes(3, "little") + b"a"  # four bytes that stand for 128 KiB
    bomb = b"\x28\xb5\x2f\xfd\x00\x38" + block * 100_000
    largest = total = 0
    unpack = body._DECODERS["zstd"]
    assert unpack is not None

    def watched(raw: bytes) -> Any:
        nonlocal largest, total
        for part in unpack(raw):
            largest = max(largest, len(part))
            total += len(part)
            yield part

    monkeypatch.setitem(body._DECODERS, "zstd", watched)
    reading = body.read(_scope(content_encoding="zstd"), Sender([bomb]), limit=MIB)
    assert (await _kind_of(reading))[0] is Kind.TOO_LARGE
    assert largest <= 17 * MIB
    assert total <= 18 * MIB


async def test_a_window_beyond_the_standard_is_refused() -> None:
    """RFC 9659: a client may not make the server hold more than 8 MiB of history."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27, compression_level=1)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(b"hello" * 1000) + packer.flush()
    reading = body.read(_scope(content_encoding="zstd"), Sender([packed]))
    assert (await _kind_of(reading))[0] is Kind.ENCODING_INVALID


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_others_get_their_turn_while_a_body_is_decoded(coding: str) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    # For zstd one that decodes to nothing at all: thousands of empty blocks before the last one.
    if coding == "gzip":
        packed = gzip.compress(bytes(20 * MIB))
    else:
        packed = b"\x28\xb5\x2f\xfd\x00\x38" + b"\x00\x00\x00" * 400_000 + b"\x01\x00\x00"
    task = asyncio.ensure_future(other())
    await body.read(_scope(content_encoding=coding), Sender([packed]))
    task.cancel()
    await asyncio.wait([task])
    assert turns >= 4


@settings(deadline=None)
@given(data=st.binary(max_size=3000), coding=st.sampled_from(sorted(CODINGS)))
def test_arbitrary_bytes_under_a_coding_never_fault(data: bytes, coding: str) -> None:
    async def reading() -> None:
        field, pack = CODINGS[coding]
        assert await body.read(_scope(content_encoding=field), Sender([pack(data)])) == data
        try:
            await body.read(_scope(content_encoding=field), Sender([data]))
        except Refused as refusal:
            assert refusal.failure.kind is Kind.ENCODING_INVALID

    asyncio.run(reading())


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/vnd.api+json",
        "",
        None,
    ],
)
async def test_json_under_its_names_and_without_a_name(kind: str | None) -> None:
    scope = _scope() if kind is None else _scope(content_type=kind)
    assert await body.json_object(scope, b' {"a":[1,{"b":null}]} ', Pieces()) == {"a": [1, {"b": None}]}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "text/json", "a+json", "+json"]
)
async def test_another_content_type_is_refused(kind: str) -> None:
    with pytest.raises(Refused) as raised:
        await body.json_object(_scope(content_type=kind), b"{}", Pieces())
    assert raised.value.failure.kind is Kind.INVALID_REQUEST
    assert raised.value.failure.message == "content-type: must be application/json"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is empty"),
        (b" \r\n", "is empty"),
        (b"{", "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"),
        (b'{"a":1e400}', "not valid JSON"),
        (b'{"a":"\\ud800"}', "not valid JSON"),
        (b'{"a":"\xed\xa0\x80"}', "not valid JSON"),
        (b'{"a":"\xff"}', "not valid JSON"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        ('{"a":1}'.encode("utf-16"), "not valid JSON"),
        (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper than 256 levels"),
    ],
)
async def test_what_is_not_strict_json_is_a_400_that_says_why(raw: bytes, said: str) -> None:
    """B79, behaviours E13: the message helps, and quotes nothing of the body."""
    with pytest.raises(Refused) as raised:
        await body.json_object(_scope(), raw, Pieces())
    assert raised.value.failure.kind is Kind.INVALID_JSON
    assert said in raised.value.failure.message


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[]", "an array"),
        (b'"a"', "a string"),
        (b"1", "a number"),
        (b"1.5", "a number"),
        (b"true", "a boolean"),
        (b"null", "null"),
    ],
)
async def test_only_an_object_is_a_request(raw: bytes, said: str) -> None:
    with pytest.raises(Refused) as raised:
        await body.json_object(_scope(), raw, Pieces())
    assert raised.value.failure.kind is Kind.INVALID_REQUEST
    assert raised.value.failure.message == f"The request body must be a JSON object, not {said}."
