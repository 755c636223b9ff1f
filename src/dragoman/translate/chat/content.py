"""Parts of a chat message as input parts: text, images, files, and tools' outputs.

Every part becomes one of its own, in order; data and URLs pass unchanged and nothing is fetched. A string
and a list of one text become the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.translate.messages.content import (
    DEFAULT_FILENAME,
    FILE_OMITTED,
    IMAGE_OMITTED,
    Content,
    Part,
    text_part,
)


class ChatContent(Content):
    """Makes parts for one request, of user messages and of tools' outputs."""

    __slots__ = ()

    def parts(self, block: Mapping[str, Any], path: str) -> list[Part]:
        """The parts of one part of a message; none for an empty text."""
        kind = block["type"]
        if kind == "text":
            return [text_part(block["text"])] if block["text"] else []
        if kind == "image_url":
            return [self._picture(block["image_url"], path)]
        return [self._file(block["file"], path)]

    def message(self, content: str | list[dict[str, Any]] | None, path: str) -> list[Part]:
        """All parts of a message's content, whichever way it is written."""
        return self.result_parts({"content": content}, path)

    def _picture(self, image: Mapping[str, Any], path: str) -> Part:
        if not self._capability.images:
            self.ignored.append(path)
            return text_part(IMAGE_OMITTED)
        return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail") or "auto"}

    def _file(self, file: Mapping[str, Any], path: str) -> Part:
        if not self._capability.files:
            self.ignored.append(path)
            return text_part(FILE_OMITTED)
        name = file.get("filename") or DEFAULT_FILENAME
        return {"type": "input_file", "filename": name, "file_data": file["file_data"]}
