"""The operator's page at /console: static files of the package, and nothing else.

It serves what lies in the folder and was listed when it was asked first; no path of a request ever becomes a
path of the disk. The page itself holds no figures: it asks the admin API, which wants a login.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dragoman.web import reply
from dragoman.web.incoming import Incoming
from dragoman.wire.errors import Failure, Kind, Refused

PREFIX = "/console"
FOLDER = Path(__file__).parent.parent / "console"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
# Such a name never stands for other content; everything else is asked for again, and is mostly a 304.
_VERSIONED = re.compile(r"^/vendor/[^/]+-\d+\.\d+\.\d+\.(?:js|css)$")
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


class Page(NamedTuple):
    """A file as it was when it was read; `mark` tells whether it has changed since."""

    mark: tuple[int, int]
    body: bytes
    etag: str


class ConsoleDoor:
    """GET and HEAD of the page and its files. Nothing is read before the first request."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._files: dict[str, Path] | None = None
        self._pages: dict[str, Page] = {}

    async def __call__(self, incoming: Incoming) -> None:
        """Raises Refused(NOT_FOUND) for what is no file of the console."""
        name = incoming.path.removeprefix(PREFIX).rstrip("/") or "/index.html"
        page = await asyncio.to_thread(self._read, name)
        if page is None:
            raise Refused(Failure(Kind.NOT_FOUND, f"There is nothing at {incoming.path[:200]}."))
        fields = {
            **SECURITY,
            "etag": page.etag,
            "cache-control": _FOR_EVER if _VERSIONED.match(name) else _ASK_AGAIN,
            "request-id": incoming.request_id,
        }
        if _knows(incoming.headers, page.etag):
            await _send(incoming, 304, fields, b"")
            return
        fields["content-type"] = TYPES[Path(name).suffix]
        fields["content-length"] = str(len(page.body))
        await _send(incoming, 200, fields, b"" if incoming.method == "HEAD" else page.body)

    def _read(self, name: str) -> Page | None:
        if self._files is None:
            self._files = {
                "/" + path.relative_to(self._folder).as_posix(): path
                for path in self._folder.rglob("*")
                if path.suffix in TYPES and path.is_file()
            }
        path = self._files.get(name)
        if path is None:
            return None
        try:
            state = path.stat()
            mark = (state.st_mtime_ns, state.st_size)
            page = self._pages.get(name)
            if page is None or page.mark != mark:
                body = path.read_bytes()
                page = self._pages[name] = Page(mark, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        except FileNotFoundError:  # the package is being replaced
            return None
        return page


async def front(incoming: Incoming) -> None:
    """The bare address: a browser is led to the console, any other client gets the empty 200 it expects."""
    fields = {"request-id": incoming.request_id}
    if incoming.method == "GET" and "text/html" in incoming.headers.get("accept", "").lower():
        await reply.send_empty(incoming.send, 302, {**fields, "location": PREFIX, "vary": "accept"})
        return
    await reply.send_empty(incoming.send, 200, fields)


def is_console(path: str) -> bool:
    """Whether a path is the console's."""
    return path == PREFIX or path.startswith(PREFIX + "/")


def _knows(headers: Mapping[str, str], etag: str) -> bool:
    told = headers.get("if-none-match", "")
    return told.strip() == "*" or etag in {one.strip().removeprefix("W/") for one in told.split(",")}


async def _send(incoming: Incoming, status: int, fields: Mapping[str, str], body: bytes) -> None:
    headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in fields.items()]
    await incoming.send({"type": "http.response.start", "status": status, "headers": headers})
    await incoming.send({"type": "http.response.body", "body": body})
