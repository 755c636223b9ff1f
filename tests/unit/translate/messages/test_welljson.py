from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jiter import from_json

from dragoman.translate.messages.welljson import (
    BEHIND,
    BROKEN,
    CLOSED,
    COMMA,
    CONTROLS,
    DEEPEST,
    ESCAPES,
    HALVES,
    MENDED,
    NUMBERS,
    WellJson,
)
from dragoman.wire import jsonio
from tests.support.spoilt import OBJECTS, cut, texts

relaxed = settings(max_examples=400, deadline=None)


def through(*pieces: str) -> tuple[str | None, list[str]]:
    """What comes of a whole text (None where it was cut), and what was mended."""
    mended: dict[str, None] = {}
    guard = WellJson(mended)
    out = "".join(map(guard.feed, pieces))
    unfinished = guard.unfinished
    rest = guard.finish()
    assert guard.sound == (rest == "" and not mended and not guard.blank)
    assert unfinished or not rest
    return None if rest is None else out + rest, list(mended)


@pytest.mark.parametrize(
    ("text", "expected", "mended"),
    [
        ('{"a":"1\n2\t\x00é"}', '{"a":"1\\n2\\t\\u0000é"}', [CONTROLS]),
        ('{"a\nb":1}', '{"a\\nb":1}', [CONTROLS]),
        (r'{"a":"\x41\q\("}', r'{"a":"\\x41\\q\\("}', [ESCAPES]),
        (r'{"a":"\u12g4\u"}', r'{"a":"\\u12g4\\u"}', [ESCAPES]),
        ('{"a":"\\\n"}', '{"a":"\\\\\\n"}', [ESCAPES, CONTROLS]),
        (r'{"a":"\ud83d"}', r'{"a":"\ufffd"}', [HALVES]),
        (r'{"\ude00":"\ud83d\n\ud83d\ud83d\ude00"}', r'{"\ufffd":"\ufffd\n\ufffd\ud83d\ude00"}', [HALVES]),
        (r'{"a":"\ud83d\q"}', r'{"a":"\ufffd\\q"}', [HALVES, ESCAPES]),
        ('{"a":NaN,"b":[-Infinity,Infinity]}', '{"a":null,"b":[null,null]}', [NUMBERS]),
        ('{"a":-1e999,"b":' + "9" * 400 + "}", '{"a":null,"b":null}', [NUMBERS]),
        ('{"a":1,}', '{"a":1}', [COMMA]),
        ('{"a":[1, ] , }', '{"a":[1] }', [COMMA]),
        ('{"a":1} {"b":2}', '{"a":1} ', [BEHIND]),
        ('{"a":1}}', '{"a":1}', [BEHIND]),
        ('{"a":1}, }', '{"a":1}', [BEHIND]),
        # beyond repair
        ("not json", "{}", [BROKEN]),
        (" [1]", "{}", [BROKEN]),
        ('"x"', "{}", [BROKEN]),
        ("}", "{}", [BROKEN]),
        ("{a:1}", "{}", [BROKEN]),
        ("{,}", "{}", [BROKEN]),
        ("{]", "{}", [BROKEN]),
        ('{"a" 1}', "{}", [BROKEN]),
        ('{"a":}', "{}", [BROKEN]),
        ('{"a":True}', "{}", [BROKEN]),
        ('{"a":nul,"b":1}', "{}", [BROKEN]),
        ('{"a":01}', "{}", [BROKEN]),
        ('{"a":1.}', "{}", [BROKEN]),
        ('{"a":+1}', "{}", [BROKEN]),
        ('{"a":- 1}', "{}", [BROKEN]),
        ('{"a":1,,"b":2}', '{"a":1}', [BROKEN]),
        ('{"a":1 "b":2}', '{"a":1 }', [BROKEN]),
        ('{"a":"x","b":"y" "c":{', '{"a":"x","b":"y" }', [BROKEN]),
        ('{"a":[1}', '{"a":[1]}', [BROKEN]),
        ('{"a":{"b":1]', '{"a":{"b":1}}', [BROKEN]),
        ('{"a":[1,{"b":x', '{"a":[1,{}]}', [BROKEN]),
        ('{"a":\x0b1}', "{}", [BROKEN]),
        ('{"a":\u00a01}', "{}", [BROKEN]),
        # only brackets are missing
        ('{"a":"x"', '{"a":"x"}', [CLOSED]),
        ('{"a":{"b":[1,"x"] ', '{"a":{"b":[1,"x"] }}', [CLOSED]),
        ('{"a":true', '{"a":true}', [CLOSED]),
        ('{"a":[null', '{"a":[null]}', [CLOSED]),
        ('{"a":NaN', '{"a":null}', [NUMBERS, CLOSED]),
        # nothing at all
        ("", "", []),
        (" \n", "", []),
    ],
)
def test_what_is_no_json_becomes_an_object(text: str, expected: str, mended: list[str]) -> None:
    """Whole, and a character at a time."""
    assert through(text) == (expected, mended)
    assert through(*text) == (expected, mended)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{ ",
        '{"',
        '{"a',
        '{"a"',
        '{"a":',
        '{"a": ',
        '{"a":1',
        '{"a":-',
        '{"a":1e',
        '{"a":tru',
        '{"a":"x',
        '{"a":"x\\',
        '{"a":"x\\ud83d',
        '{"a":[',
        '{"a":{',
        '{"a":["x",',
        '{"a":"x",',
        '{"a":"x", ',
        '{"a":"x","b',
        '{"command":"rm -rf /tmp/x", "descr',
    ],
)
def test_text_that_ends_in_the_middle_is_never_closed(text: str) -> None:
    """reliability E3: a half command must not run, and a half list must not empty a whole one."""
    assert through(text)[0] is None
    assert through(*text)[0] is None


def test_nesting_ends_where_clients_cannot_follow() -> None:
    deepest = '{"a":' * DEEPEST + "1" + "}" * DEEPEST
    assert through(deepest) == (deepest, [])
    text, mended = through('{"a":' * 300 + "1" + "}" * 300)
    assert mended == [BROKEN]
    assert text == '{"a":' * (DEEPEST - 1) + "{" + "}" * DEEPEST
    lists = '{"a":' + "[" * 300
    assert through(lists) == ('{"a":' + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1) + "}", [BROKEN])


def test_good_text_is_live() -> None:
    """B58: held back is only what has no meaning yet."""
    guard = WellJson({})
    steps = [
        ("  ", ""),
        ("{", "  {"),
        (' "pa', " "),
        ('th"', ""),
        (": ", ""),
        ('"/a', '"path": "/a'),
        ("/b", "/b"),
        ("\\", ""),
        ("n", "\\n"),
        ("\\ud8", ""),
        ("3d\\ude", ""),
        ("00", "\\ud83d\\ude00"),
        ('"', '"'),
        (" , ", " "),
        ('"list":[', ', "list":['),
        ("1", ""),
        ("2", ""),
        (",", "12"),
        (" tr", ""),
        ("ue ", ", true "),
        ("]", "]"),
        ("}", "}"),
        ("\n", "\n"),
    ]
    for piece, sent in steps:
        assert guard.feed(piece) == sent
    assert (guard.finish(), guard.sound) == ("", True)


def test_nothing_is_heard_behind_the_first_fault() -> None:
    guard = WellJson({})
    assert guard.feed('{"a":"x" y') == '{"a":"x" }'
    assert guard.feed('"b":1}') == guard.feed("{}") == guard.finish() == ""
    assert (guard.sound, guard.unfinished, guard.blank) == (False, False, False)


# -- laws ------------------------------------------------------------------------------------------------


@relaxed
@given(OBJECTS, st.booleans(), st.sampled_from([None, 1]), st.text(" \t\n\r", max_size=2), st.data())
def test_an_object_passes_letter_for_letter_however_it_is_cut(
    value: Any, ascii_only: bool, indent: int | None, space: str, data: st.DataObject
) -> None:
    """B9, B58."""
    text = space + json.dumps(value, ensure_ascii=ascii_only, indent=indent) + space
    assert through(*data.draw(cut(text))) == (text, [])
    assert through(*text) == (text, [])


@relaxed
@given(texts(), st.data())
def test_whatever_comes_is_an_object_or_was_cut(text: str, data: st.DataObject) -> None:
    """Also for the parser of the official clients, and wherever the text was cut."""
    said, mended = through(text)
    assert through(*data.draw(cut(text))) == through(*text) == (said, mended)
    assert set(mended) <= set(MENDED)
    if said is None:
        with pytest.raises(jsonio.InvalidJson):
            jsonio.parse(text.encode())
    elif said:
        value = jsonio.parse(said.encode())
        assert isinstance(value, dict)
        assert from_json(said.encode()) == value
    else:
        assert not text.strip(" \t\n\r")
    if not mended and said:
        assert said == text


@relaxed
@given(texts())
def test_a_client_can_read_every_beginning(text: str) -> None:
    """B72: the SDK parses what it has at every delta, with jiter's partial mode."""
    guard, sent = WellJson({}), ""
    for letter in text:
        sent += guard.feed(letter)
        assert not sent or isinstance(from_json(sent.encode(), partial_mode=True), dict)


@relaxed
@given(texts())
def test_only_objects_are_sound(text: str) -> None:
    guard = WellJson({})
    guard.feed(text)
    try:
        good = isinstance(jsonio.parse(text.encode()), dict)
    except jsonio.InvalidJson:
        good = False
    assert guard.sound == good
