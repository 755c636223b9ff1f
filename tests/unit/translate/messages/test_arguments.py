from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.translate.messages.arguments import Trimmer, client_call_id, trimmed
from dragoman.wire import jsonio


@pytest.mark.parametrize("call_id", ["call_1", "toolu_01AbC", "a" * 64, "-", "functions-Bash-0"])
def test_ids_that_clients_may_send_stay_as_they_are(call_id: str) -> None:
    """D25, B16."""
    assert client_call_id(call_id) == call_id


@pytest.mark.parametrize("call_id", ["functions.Bash:0", "a" * 65, "", "漢", "a b", "call_1\n", "\ud83d"])
def test_odd_ids_are_mapped_to_good_ones_always_the_same(call_id: str) -> None:
    made = client_call_id(call_id)
    assert client_call_id(made) == made
    assert made == client_call_id(call_id)
    assert made != client_call_id(call_id + "x")


def test_a_taken_id_is_never_given_twice() -> None:
    taken: set[str] = set()
    for _ in range(4):
        made = client_call_id("call_1", taken)
        assert made not in taken
        assert client_call_id(made) == made
        taken.add(made)
    assert "call_1" in taken


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"file_path":"/a","pages":""}', '{"file_path":"/a"}'),
        ('{"file_path":"/a", "pages" : "" , "limit":5}', '{"file_path":"/a" , "limit":5}'),
        ('{"pages":"","file_path":"/a"}', '{"file_path":"/a"}'),
        ('{ "pages":"" ,"file_path":"/a"}', '{"file_path":"/a"}'),
        ('{"file_path":"/a","pages":"1-3"}', '{"file_path":"/a","pages":"1-3"}'),
        ('{"file_path":",\\"pages\\":\\"\\""}', '{"file_path":",\\"pages\\":\\"\\""}'),
        ('{"file_path":"pages","pages":""}', '{"file_path":"pages"}'),
        ('{"a":{"pages":""}}', '{"a":{"pages":""}}'),
        ("{}", "{}"),
        ("", ""),
        ('{"file_path":"/a","pages":"', '{"file_path":"/a","pages":"'),
    ],
)
def test_an_empty_optional_argument_of_read_is_left_out(arguments: str, expected: str) -> None:
    """behaviours C9."""
    assert trimmed("Read", arguments) == expected
    assert trimmed("Write", arguments) == arguments
    trimmer = Trimmer(("pages",))
    assert "".join(map(trimmer.feed, arguments)) + trimmer.flush() == expected


def test_what_cannot_be_the_empty_argument_is_sent_at_once() -> None:
    """B58: the live deltas stay live."""
    trimmer = Trimmer(("pages",))
    assert trimmer.feed('{"file_') == '{"file_'
    assert trimmer.feed('path":"/a') == 'path":"/a'
    assert trimmer.feed('","pa') == '"'
    assert trimmer.feed('th":1') == ',"path":1'
    assert trimmer.feed(',"pages":""') == ""
    assert trimmer.feed("}") == "}"


_VALUES = st.one_of(st.text(alphabet='pages",:{} \\', max_size=12), st.integers(0, 9), st.none())


@given(st.dictionaries(st.sampled_from(["file_path", "pages", "limit", "a"]), _VALUES), st.data())
def test_trimming_takes_away_exactly_the_empty_member_however_it_is_cut(
    value: dict[str, object], data: st.DataObject
) -> None:
    """behaviours C9."""
    text = jsonio.dump_text(value)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    trimmer = Trimmer(("pages",))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    out = "".join(map(trimmer.feed, pieces)) + trimmer.flush()
    expected = {key: item for key, item in value.items() if (key, item) != ("pages", "")}
    if list(value.items()) == [("pages", "")]:
        expected = value  # nothing else: the call is wrong anyway, and stays as the model wrote it
    assert jsonio.parse(out.encode()) == expected
    assert out == trimmed("Read", text)
