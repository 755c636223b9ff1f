"""Content blocks as input parts: text, images, PDFs, documents, search results, and tools' outputs.

Every block becomes parts of its own, in order; texts are never fused, base64 and URLs pass unchanged and
nothing is fetched. Two spellings of one thing (a string, a single text block; is_error false, absent) become
the same bytes, because clients switch between them in turns that were sent before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.translate.capability import Capability
from dragoman.translate.messages.notes import note

Part = dict[str, Any]

TOOL_ERROR = "[tool error]"
ORPHAN = "[tool result without its call]"
IMAGE_OMITTED = "[image omitted: this model reads no images]"
FILE_OMITTED = "[document omitted: this model reads no files]"
BESIDE = "[see the next message]"
SOURCE_OMITTED = "[file omitted: uploaded files are not available]"
DEFAULT_FILENAME = "document.pdf"


def text_part(text: str) -> Part:
    """A text as input part."""
    return {"type": "input_text", "text": text}


def tool_text(block: Mapping[str, Any], content: str) -> str:
    """A tool's output that is one text."""
    if block.get("is_error") is True:
        return f"{TOOL_ERROR}\n{content}" if content else TOOL_ERROR
    return content


class Content:
    """Makes parts for one request. `ignored` gathers paths of what could not be passed on.

    `named` gives the upstream's name of a tool.
    """

    __slots__ = ("_capability", "_documents", "_named", "ignored")

    def __init__(self, capability: Capability, named: Callable[[str], str]) -> None:
        self._capability = capability
        self._named = named
        self._documents = 0
        self.ignored: list[str] = []

    def parts(self, block: Mapping[str, Any], path: str) -> list[Part]:
        """The parts of one block of a user message or of a tool's result; none for an empty text."""
        kind = block["type"]
        if kind == "text":
            return [text_part(block["text"])] if block["text"] else []
        if kind == "image":
            return [self._image(block["source"], path)]
        if kind == "document":
            return self._document(block, path)
        if kind == "search_result":
            return [text_part(_search_result(block))]
        if kind == "tool_reference":
            return [text_part(f"[tool reference: {self._named(block['tool_name'])}]")]
        self.ignored.append(path)
        told = note(block)
        return [text_part(told)] if told else []

    def output(self, block: Mapping[str, Any], path: str) -> tuple[str | list[Part], list[Part]]:
        """A tool's output, and parts that this upstream takes only in a message of their own.

        A string if and only if there is a single text.
        """
        parts = self.result_parts(block, path)
        beside: list[Part] = []
        if not self._capability.output_parts:
            beside = [part for part in parts if part["type"] != "input_text"]
            parts = [part for part in parts if part["type"] == "input_text"]
            if beside and not parts:
                parts = [text_part(BESIDE)]
        texts_only = len(parts) < 2 and all(part["type"] == "input_text" for part in parts)
        if block.get("is_error") is True:
            if texts_only:
                return "\n".join([TOOL_ERROR, *(part["text"] for part in parts)]), beside
            return [text_part(TOOL_ERROR), *parts], beside
        if texts_only:
            return parts[0]["text"] if parts else "", beside
        if not self._capability.output_parts:
            return "\n\n".join(part["text"] for part in parts), beside
        return parts, beside

    def result_parts(self, block: Mapping[str, Any], path: str) -> list[Part]:
        """The parts of a tool_result's content, whichever way it is written."""
        content = block.get("content")
        if not content:
            return []
        if isinstance(content, str):
            return [text_part(content)]
        return [
            part
            for index, inner in enumerate(content)
            for part in self.parts(inner, f"{path}.content.{index}")
        ]

    def _image(self, source: Mapping[str, Any], path: str) -> Part:
        if source["type"] not in ("base64", "url"):
            self.ignored.append(f"{path}.source")
            return text_part(SOURCE_OMITTED)
        if not self._capability.images:
            self.ignored.append(path)
            return text_part(IMAGE_OMITTED)
        if source["type"] == "url":
            url = source["url"]
        else:
            url = f"data:{source['media_type']};base64,{source['data']}"
        return {"type": "input_image", "image_url": url, "detail": "auto"}

    def _document(self, block: Mapping[str, Any], path: str) -> list[Part]:
        source, title = block["source"], block.get("title")
        self._documents += 1
        before = [text_part(block["context"])] if block.get("context") else []
        kind = source["type"]
        if kind in ("text", "content"):
            return [*before, *self._wrapped(source, title, path)]
        if kind not in ("base64", "url"):
            self.ignored.append(f"{path}.source")
            return [*before, text_part(SOURCE_OMITTED)]
        if not self._capability.files:
            self.ignored.append(path)
            return [*before, text_part(FILE_OMITTED)]
        if kind == "url":
            return [*before, {"type": "input_file", "file_url": source["url"]}]
        data = f"data:application/pdf;base64,{source['data']}"
        return [*before, {"type": "input_file", "filename": title or DEFAULT_FILENAME, "file_data": data}]

    def _wrapped(self, source: Mapping[str, Any], title: Any, path: str) -> list[Part]:
        """A plain text document, or one of blocks, between marks that carry its number and title."""
        opening = f'<document index="{self._documents}"{_attribute("title", title)}>'
        content = source["data"] if source["type"] == "text" else source["content"]
        if isinstance(content, str):
            return [text_part(f"{opening}\n{content}\n</document>")]
        inner = [
            part
            for index, block in enumerate(content)
            for part in self.parts(block, f"{path}.source.content.{index}")
        ]
        return [text_part(opening), *inner, text_part("</document>")]


def _search_result(block: Mapping[str, Any]) -> str:
    marks = _attribute("source", block["source"]) + _attribute("title", block["title"])
    texts = "\n".join(part["text"] for part in block["content"])
    return f"<search_result{marks}>\n{texts}\n</search_result>"


def _attribute(name: str, value: Any) -> str:
    if not value:
        return ""
    quoted = value.replace('"', "&quot;").replace("\n", " ")
    return f' {name}="{quoted}"'
