from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.wire import sse
from dragoman.wire.sse import Decoder, Event, EventTooLarge
from tests.support.chunks import assert_chunk_law

FRAMES: dict[str, tuple[bytes, list[Event]]] = {
    "one event": (b"event: a\ndata: {}\n\n", [Event("a", b"{}")]),
    "two events": (b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\n", [Event("a", b"1"), Event("b", b"2")]),
    "no event line": (b"data: 1\n\n", [Event("", b"1")]),
    "no space after the colon": (b"event:a\ndata:1\n\n", [Event("a", b"1")]),
    "only the first space is syntax": (b"data:  1\n\n", [Event("", b" 1")]),
    "several data lines": (b"data: 1\ndata: 2\ndata:\ndata\n\n", [Event("", b"1\n2\n\n")]),
    "empty data": (b"event: a\ndata:\n\n", [Event("a", b"")]),
    "comments, id and retry": (b": hi\nid: 7\nretry: 5\nevent: a\ndata: 1\n\n", [Event("a", b"1")]),
    "an event without data is none": (b"event: lost\n\ndata: 1\n\n", [Event("", b"1")]),
    "a bare event field takes the name back": (b"event: a\nevent\ndata: 1\n\n", [Event("", b"1")]),
    "unknown fields": (b"datax: 0\nfoo\ndata: 1\n\n", [Event("", b"1")]),
    "many blank lines before": (b"\n\n\n\n\ndata: 1\n\n", [Event("", b"1")]),
    "three line ends": (b"data: 1\n\n\ndata: 2\n\n", [Event("", b"1"), Event("", b"2")]),
    "cut inside a character": ("data: é漢😀\n\n".encode(), [Event("", "é漢😀".encode())]),
    "U+2028 is text": (
        "data: a\u2028b\u2029c\u0085d\n\n".encode(),
        [Event("", "a\u2028b\u2029c\u0085d".encode())],
    ),
    "form feed and VT are text": (b"data: a\x0bb\x0cc\n\n", [Event("", b"a\x0bb\x0cc")]),
    "BOM": (b"\xef\xbb\xbfdata: 1\n\n", [Event("", b"1")]),
    "a BOM later is no BOM": (
        b"data: 0\n\n\xef\xbb\xbfdata: 1\n\ndata: 2\n\n",
        [Event("", b"0"), Event("", b"2")],
    ),
}


def _with_ends(data: bytes, end: bytes) -> bytes:
    return data.replace(b"\n", end)


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_every_frame_is_decoded_alike_however_it_is_cut(name: str, end: bytes) -> None:
    """B70, behaviours S17."""
    data, expected = FRAMES[name]
    data = _with_ends(data, end)
    if end == b"\r\n":
        # The last LF belongs to a CR that already ended the line: nothing waits for it.
        data = data[:-1]
    assert_chunk_law(data, expected, lambda: Decoder().feed)
    assert_chunk_law(data, [event.data for event in expected], lambda: Decoder().feed_data)


def test_a_cr_at_the_end_of_a_chunk_and_a_lf_at_the_start_of_the_next_are_one_line_end() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: 1\r") == []
    assert decoder.feed(b"\ndata: 2\r") == []
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n\r") == [Event("", b"1\n2")]
    assert decoder.feed(b"\ndata: 3\r\n\r\n") == [Event("", b"3")]


def test_mixed_line_ends() -> None:
    assert Decoder().feed(b"data: 1\n\r\ndata: 2\r\r\ndata: 3\r\n\n") == [
        Event("", b"1"),
        Event("", b"2"),
        Event("", b"3"),
    ]


def test_an_event_name_that_is_not_utf8_is_replaced_and_data_is_left_alone() -> None:
    assert Decoder().feed(b"event: \xff\ndata: \xff\n\n") == [Event("\ufffd", b"\xff")]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\xef", []),
        (b"data: 1", []),
        (b"data: 1\n", [Event("", b"1")]),
        (b"data: 1\ndata: 2", []),
        (b"data: 1\r", [Event("", b"1")]),
        (b"event: a\n", []),
        (b"data: 0\n\n", []),
        (b"\n", []),
    ],
)
def test_flush_gives_the_event_that_lacked_only_its_blank_line(data: bytes, expected: list[Event]) -> None:
    decoder = Decoder()
    decoder.feed(data)
    assert decoder.flush() == expected
    assert decoder.flush() == []


@pytest.mark.parametrize("cut", [1, 3, 64])
def test_the_limit_holds_for_unfinished_and_for_finished_events(cut: int) -> None:
    def run(data: bytes, limit: int) -> list[Event]:
        decoder = Decoder(limit)
        return [event for i in range(0, len(data), cut) for event in decoder.feed(data[i : i + cut])]

    frame = b"data: 0123456789"
    assert run((frame + b"\n\n") * 9, len(frame)) == [Event("", b"0123456789")] * 9
    with pytest.raises(EventTooLarge, match="15 bytes"):
        run(frame + b"\n\n", len(frame) - 1)
    with pytest.raises(EventTooLarge):
        run(b"data: 1\n\n" + frame, len(frame) - 1)


def test_a_large_event_in_small_chunks_is_joined_once() -> None:
    """The pieces are kept apart until the end is seen, so the cost is linear in the size."""
    decoder = Decoder()
    for _ in range(64):
        assert decoder.feed(b"x" * 65536) == []
    assert decoder.feed(b"\ndata: end\n\n") == [Event("", b"end")]
    for _ in range(24):
        decoder.feed(b"data: " + b"y" * 65530)
    [event] = decoder.feed(b"\n\n")
    assert len(event.data) == 24 * 65536 - 6


@pytest.mark.soak
def test_the_largest_event_in_64_kib_chunks() -> None:
    decoder = Decoder()
    for _ in range(10):
        feed: Callable[[bytes], list[Event]] = decoder.feed
        feed(b"data: ")
        for _ in range(255):
            feed(b"z" * 65536)
        assert len(feed(b"\n\n")[0].data) == 255 * 65536


def _oracle(data: bytes) -> list[tuple[str, str]]:
    response = httpx2.Response(
        200,
        headers={"content-type": "text/event-stream"},
        content=data,
        request=httpx2.Request("GET", "http://x"),
    )
    return [(event.event, event.data) for event in httpx2.EventSource(response) if event.data]


_LINES = st.sampled_from(
    [
        "data: 1",
        "data:2",
        "data: é😀",
        "data",
        "event: a",
        "event:b",
        ": c",
        "id: 1",
        "retry: 2",
        "x: y",
        "",
        "",
        "",
    ]
)
_ENDS = st.sampled_from(["\n", "\n", "\r\n", "\r"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(_LINES, _ENDS), max_size=20), st.lists(st.integers(1, 9), max_size=40))
def test_the_decoder_agrees_with_another_implementation(
    lines: list[tuple[str, str]], cuts: list[int]
) -> None:
    """B70: any stream of LF, CRLF and CR lines, cut anywhere, against the parser of an HTTP library.

    That parser also reports frames without data, and dispatches at the blank line only, as this one.
    """
    data = "".join(line + end for line, end in lines).encode() + b"\n"
    decoder, found, at = Decoder(), [], 0
    for size in cuts:
        found += decoder.feed(data[at : at + size])
        at += size
    found += decoder.feed(data[at:])
    assert [(event.name or "message", event.data.decode()) for event in found if event.data] == _oracle(data)


_FRAMES = st.sampled_from(
    [
        b"event: a\ndata: 1\n\n",
        b"event: a\ndata: " + b"2" * 40 + b"\n\n",
        b"event: a\ndata: \n\n",
        b"event: a\ndata: 1\ndata: 2\n\n",
        b"data: 3\n\n",
        b"data: 3\nevent: a\n\n",
        b"event: a\nid: 7\ndata: 4\n\n",
        b"event: a\n\n",
        b": ping\n\n",
        b"\n",
        b"event: a\r\ndata: 5\r\n\r\n",
        b"event: a\rdata: 6\r\r",
        "event: a\ndata: é\u2028😀\n\n".encode(),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_FRAMES, max_size=12), st.lists(st.integers(0, 90), max_size=12))
def test_data_alone_is_what_the_events_hold(frames: list[bytes], cuts: list[int]) -> None:
    """The quick way through well-formed frames gives what the grammar gives, however mixed and cut."""
    data = b"".join(frames)
    whole, alone, at = Decoder(), Decoder(), 0
    for size in [*cuts, len(data)]:
        chunk = data[at : at + size]
        at += size
        assert alone.feed_data(chunk) == [event.data for event in whole.feed(chunk)]
    assert alone.flush() == whole.flush()


def test_data_alone_keeps_to_the_limit() -> None:
    frame = b"event: a\ndata: 0123456789\n\n"
    assert Decoder(len(frame)).feed_data(frame * 9) == [b"0123456789"] * 9
    with pytest.raises(EventTooLarge):
        Decoder(len(frame) - 3).feed_data(frame * 9)
    with pytest.raises(EventTooLarge):
        Decoder(len(frame) - 3).feed_data(frame[:-1])


def test_encode_names_the_frame_after_the_type_of_the_event() -> None:
    """behaviours S15: a frame without `event:` line is not seen by any client."""
    assert sse.encode({"type": "ping"}) == sse.PING
    assert sse.encode({"type": "x", "t": "a\nb\r\u2028\u2029\u0085é"}) == (
        'event: x\ndata: {"type":"x","t":"a\\nb\\r\\u2028\\u2029\\u0085é"}\n\n'.encode()
    )


def test_encode_all_joins_the_frames_of_a_chunk() -> None:
    assert sse.encode_all([]) == b""
    assert sse.encode_all([{"type": "a"}, {"type": "b"}]) == (
        b'event: a\ndata: {"type":"a"}\n\nevent: b\ndata: {"type":"b"}\n\n'
    )


@given(st.text(max_size=40))
def test_whatever_is_encoded_is_one_event_for_the_decoder(text: str) -> None:
    event = {"type": "t", "text": text}
    data = sse.encode(event)
    assert len(data.decode().splitlines()) == 3, "a client that splits at any line end must see one frame"
    assert [found.name for found in Decoder().feed(data)] == ["t"]


def test_frames_are_handed_on_as_they_came() -> None:
    """Whatever stands between two blank lines, comments and fields that nobody reads included."""
    text = b"event: a\ndata: 1\nid: 7\n\n: hello\n\n\n\ndata:2\n\ndata: half"
    decoder = sse.Decoder()
    frames = [frame for at in range(0, len(text), 3) for frame in decoder.feed_frames(text[at : at + 3])]
    assert frames == [b"event: a\ndata: 1\nid: 7", b": hello", b"data:2"]
    assert decoder.rest() == b""  # cut inside a line
    assert sse.join(frames) == b"event: a\ndata: 1\nid: 7\n\n: hello\n\ndata:2\n\n"


def test_a_last_frame_without_its_blank_line_is_whole() -> None:
    decoder = sse.Decoder()
    assert decoder.feed_frames(b"data: 1\n\ndata: 2\n") == [b"data: 1"]
    assert decoder.rest() == b"data: 2"
    assert decoder.rest() == b""


def test_frames_go_on_as_they_came_but_for_line_separators() -> None:
    """Reliability I9: as JSON's escapes they are the same text, and no client splits there."""
    plain = ["data: 1", "event: a\ndata: é漢😀"]
    frames = [*plain, 'data: "a\u2028b\u2029c\u0085d"']
    assert sse.sound([frame.encode() for frame in plain[:1]]) == ([b"data: 1"], True)
    assert sse.sound([frame.encode() for frame in frames]) == (
        [*(frame.encode() for frame in plain), b'data: "a\\u2028b\\u2029c\\u0085d"'],
        True,
    )


@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\x80", b"\xe2\x80", b"\xc0\xaf"])
def test_frames_go_on_up_to_the_first_that_is_no_utf8(bad: bytes) -> None:
    """Reliability 3.4."""
    frames = [b"data: 1", "data: é".encode(), b"data: " + bad, b"data: 2"]
    assert sse.sound(frames) == (frames[:2], False)
