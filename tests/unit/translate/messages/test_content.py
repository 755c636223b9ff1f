"""Notes, silent blocks and documents, as far as the fixtures do not show them."""

from __future__ import annotations

from typing import Any

from dragoman.translate.messages.content import Content
from dragoman.translate.messages.plan import Identity
from dragoman.translate.messages.request import translate, validate
from tests.support.requests import policy, request, target


def content(**fields: Any) -> Content:
    return Content(target(**fields).capability, lambda name: name)


def test_a_silent_block_between_texts_leaves_nothing() -> None:
    body = request([{"role": "user", "content": [{"type": "fallback"}, {"type": "text", "text": "x"}]}])
    validate(body)
    sent = translate(body, target(), policy(), Identity(), {}).body["input"]
    assert sent == [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}]


def test_base64_is_passed_on_unchanged() -> None:
    """B19, B22"""
    data = "QUJD" * 1000
    source = {"type": "base64", "media_type": "image/png", "data": data}
    (part,) = content().parts({"type": "image", "source": source}, "p")
    assert part == {"type": "input_image", "image_url": f"data:image/png;base64,{data}", "detail": "auto"}


def test_several_texts_of_an_output_are_never_fused() -> None:
    """B11, D29"""
    texts = [{"type": "text", "text": text} for text in ("A", "", "B")]
    output, beside = content().output({"content": texts}, "p")
    assert output == [{"type": "input_text", "text": "A"}, {"type": "input_text", "text": "B"}]
    assert beside == []
    assert content().output({"content": texts[:2]}, "p")[0] == "A"


def test_an_output_is_never_empty_where_its_image_went_beside_it() -> None:
    """B12, D8"""
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    only_texts = content(kind="responses", model="llama-9", learnt=frozenset({"input[0].output"}))
    output, beside = only_texts.output({"content": [image], "is_error": True}, "p")
    assert output == "[tool error]\n[see the next message]"
    assert [part["type"] for part in beside] == ["input_image"]


def test_documents_are_numbered_in_their_order() -> None:
    """B23"""
    made = content()
    source = {"type": "text", "data": "x"}
    told = [made.parts({"type": "document", "source": source}, "p")[0]["text"] for _ in range(2)]
    assert [text.split(">")[0] for text in told] == ['<document index="1"', '<document index="2"']
