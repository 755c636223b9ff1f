from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.wire import jsonio
from dragoman.wire.jsonio import MAX_DEPTH, InvalidJson

REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "a cut": b'{"a":',
    "NaN": b'{"a":NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "a number that overflows": b"1e400",
    "a lone high surrogate": b'"\\ud83d"',
    "a lone low surrogate": b'"\\ude00"',
    "an encoded surrogate": b'"\xed\xa0\x80"',
    "a byte that is no UTF-8": b'"\xff"',
    "a cut character": '"é"'.encode()[:2],
    "a BOM": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "two documents": b"{}{}",
    "a trailing comma": b"[1,]",
    "single quotes": b"{'a':1}",
    "a comment": b"{}//",
    "a raw control character": b'"a\nb"',
    "a raw NUL": b'"\x00"',
    "a very long integer": b"9" * 5000,
    "brackets never closed": b"[" * 100_000,
    "brackets closed before they open": b"]" * 300 + b"[" * 300,
    "mixed brackets never closed": b'{"a":[' * 50_000,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_strict_json_is_refused(name: str) -> None:
    """B50, B79: one error class for everything, whatever the parser beneath raises."""
    with pytest.raises(InvalidJson):
        jsonio.parse(REFUSED[name])


def test_the_reason_does_not_quote_the_document() -> None:
    with pytest.raises(InvalidJson) as caught:
        jsonio.parse(b'{"secret": "sk-marker",')
    assert "marker" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'"\\u0000"', "\x00"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b"1.0", 1.0),
        (b"-0.0", -0.0),
        (b"18446744073709551615", 18446744073709551615),
        (b" \r\n\t[] ", []),
    ],
)
def test_what_strict_json_allows_is_kept(data: bytes, value: object) -> None:
    """B50: an escaped NUL is text and is kept."""
    assert jsonio.parse(data) == value


def _nested(depth: int) -> bytes:
    return b'{"a":[' * (depth // 2) + b"[]" * (depth % 2) + b"]}" * (depth // 2)


def test_the_depth_limit_is_exact() -> None:
    assert isinstance(jsonio.parse(_nested(MAX_DEPTH)), dict)
    for depth in (MAX_DEPTH + 1, MAX_DEPTH + 31, MAX_DEPTH + 40, 1000, 5000):
        with pytest.raises(InvalidJson, match="nested deeper than 256 levels"):
            jsonio.parse(_nested(depth))


def test_brackets_inside_strings_do_not_count() -> None:
    text = '[{"' * 400 + "\\" * 3 + '"'
    assert jsonio.parse(jsonio.dump({"a": text, "b": ["]" * 400]})) == {"a": text, "b": ["]" * 400]}


def test_many_shallow_brackets_are_not_deep() -> None:
    wide: list[Any] = [[[{}]] for _ in range(1000)]
    assert jsonio.parse(jsonio.dump(wide)) == wide


def test_a_document_that_meets_the_interpreters_recursion_limit_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exhausted(_: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr("orjson.loads", exhausted)
    with pytest.raises(InvalidJson, match="nested"):
        jsonio.parse(b"{}")


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
def test_what_is_written_is_read_back(value: object) -> None:
    data = jsonio.dump(value)
    assert jsonio.parse(data) == value
    assert jsonio.dump_text(value) == data.decode()
    assert jsonio.parse(jsonio.dump_line(value)) == value
    assert jsonio.parse_event(data) == value


@given(_JSON)
def test_a_data_line_holds_no_line_end_of_any_kind(value: object) -> None:
    """behaviours B70: U+2028, U+2029 and U+0085 end a line for some clients."""
    assert len(jsonio.dump_line({"v": value, "w": "\u2028\u2029\u0085\n\r"}).decode().splitlines()) == 1


def test_order_is_kept_and_nothing_is_escaped_needlessly() -> None:
    assert jsonio.dump({"z": 1, "a": ["é", 1.0, None]}) == '{"z":1,"a":["é",1.0,null]}'.encode()


def test_equal_bytes_where_no_line_needs_care() -> None:
    assert jsonio.dump_line({"a": "é"}) == jsonio.dump({"a": "é"})
    assert jsonio.dump_line("\u0085") == b'"\\u0085"'


@pytest.mark.parametrize("value", ["\ud800", {"a": {1, 2}}, 2**70, b"bytes"])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(InvalidJson):
        jsonio.dump(value)


@pytest.mark.parametrize("padding", [0, 64 * 1024], ids=["small", "large"])
def test_an_event_deeper_than_the_limit_is_refused(padding: int) -> None:
    """Small ones are judged by their brackets, large ones by a trial write."""
    nested = b"[" * 300 + b"]" * 300
    with pytest.raises(InvalidJson, match="deeper"):
        jsonio.parse_event(b'{"delta":"' + b"x" * padding + b'","deep":' + nested + b"}")
    wide = b"[" + b"[]," * 300 + b"[]]"
    event = jsonio.parse_event(b'{"delta":"' + b"x" * padding + b'","wide":' + wide + b"}")
    assert len(event["wide"]) == 301


def test_a_value_deeper_than_the_writer_goes_is_refused() -> None:
    value: list[Any] = []
    for _ in range(2000):
        value = [value]
    with pytest.raises(InvalidJson):
        jsonio.dump(value)


@pytest.mark.parametrize("name", sorted(set(REFUSED) - {"a lone high surrogate", "a lone low surrogate"}))
def test_an_event_is_as_strict_as_a_body(name: str) -> None:
    with pytest.raises(InvalidJson):
        jsonio.parse_event(REFUSED[name])


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b'{"delta":"a\\ud83d"}', {"delta": "a\ud83d"}),
        (b'{"delta":"\\uDE00b"}', {"delta": "\ude00b"}),
        (b'{"delta":"\\ud83d\\ude00"}', {"delta": "😀"}),
        (b'{"text":"a\\ud83d"}', {"text": "a\ufffd"}),
        (b'{"part":{"delta":"\\ud83d"}}', {"part": {"delta": "\ufffd"}}),
        (b'{"a":["\\ud83d",1,2.5,null,true]}', {"a": ["\ufffd", 1, 2.5, None, True]}),
        (b'{"\\ud83d":1}', {"\ufffd": 1}),
        (b'{"delta":7,"a":"\\ud83d"}', {"delta": 7, "a": "\ufffd"}),
        (b'["\\ud83d"]', ["\ufffd"]),
        (b'"\\ud83d"', "\ufffd"),
        (b'{"n":12345678901234567890123,"a":"\\ud83d"}', {"n": 1.2345678901234568e22, "a": "\ufffd"}),
        (b'{"n":-5,"a":"\\ud83d"}', {"n": -5, "a": "\ufffd"}),
    ],
)
def test_half_a_character_survives_only_in_the_delta_of_an_event(data: bytes, event: object) -> None:
    """B50, B70: servers cut between the halves of an escaped pair."""
    assert jsonio.parse_event(data) == event


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":"\\ud83d","b":NaN}',
        b'{"a":"\\ud83d","b":1e999}',
        b'{"a":"\\ud83d","b":-1e999}',
        b'{"a":"\\ud83d","b":"\xff"}',
        b'{"a":"\\ud83d"',
        b'{"a":"\\ud83d","b":' + b"[" * 300 + b"]" * 300 + b"}",
    ],
)
def test_an_event_with_half_a_character_is_otherwise_strict(data: bytes) -> None:
    with pytest.raises(InvalidJson):
        jsonio.parse_event(data)


@pytest.mark.parametrize(
    "found",
    [
        [],
        [b"{}", b'{"a":[1,{}]}', b"7"],
        [b'{"delta":"a\\ud83d"}', b'{"delta":"\\ude00b"}'],
        [b'{"wide":[' + b"[]," * 300 + b"[]]}", b"{}"],
    ],
    ids=["none", "several", "half a character", "long"],
)
def test_the_events_of_a_read_are_parsed_alike_together(found: list[bytes]) -> None:
    assert jsonio.parse_events(found) == [jsonio.parse_event(data) for data in found]


@pytest.mark.parametrize("bad", [b"{", b"[DONE]", b'{"deep":' + b"[" * 300 + b"]" * 300 + b"}"])
def test_one_bad_event_of_a_read_is_refused(bad: bytes) -> None:
    for found in ([bad], [b"{}", bad], [bad, b"{}"]):
        with pytest.raises(InvalidJson):
            jsonio.parse_events(found)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_the_one_error(data: bytes) -> None:
    try:
        value = jsonio.parse(data)
    except InvalidJson:
        return
    assert jsonio.parse_event(data) == value
    assert jsonio.parse(jsonio.dump(value)) == value
    assert json.loads(jsonio.dump(value)) == value


def test_brackets_without_end_are_refused_after_the_first_few() -> None:
    """Reliability R9: a body of brackets is looked at no longer than it takes to see that it is too deep."""
    with pytest.raises(InvalidJson, match="deeper"):
        jsonio.parse(b"[" * 30_000_000)


def test_a_depth_that_grows_late_is_seen() -> None:
    shallow = b"[" + b",".join([b"[" * 100 + b"]" * 100] * 2000)
    with pytest.raises(InvalidJson, match="deeper"):
        jsonio.parse(shallow + b"," + b"[" * 260 + b"]" * 260 + b"]")
    assert len(jsonio.parse(shallow + b"]")) == 2000


@pytest.mark.parametrize("tail", [b"] x", b",NaN]"], ids=["behind the end", "inside"])
def test_a_wide_document_with_a_mistake_is_not_called_deep(tail: bytes) -> None:
    with pytest.raises(InvalidJson) as caught:
        jsonio.parse(b"[" + b",".join([b"{}"] * 300) + tail)
    assert "deeper" not in str(caught.value)


@given(st.recursive(st.text(max_size=8) | st.integers(-9, 9) | st.none(), st.lists, max_leaves=6))
def test_ascii_says_the_same_in_ascii(value: object) -> None:
    data = jsonio.dump_ascii(value)
    assert data.isascii()
    assert b"\n" not in data
    assert jsonio.parse(data) == json.loads(data) == value


def test_ascii_writes_what_lies_beyond_16_bits_as_a_pair() -> None:
    assert jsonio.dump_ascii({"é": "😀\u2028"}) == rb'{"\u00e9":"\ud83d\ude00\u2028"}'
