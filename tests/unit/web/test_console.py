"""The console's files: what is served, how it may be kept, and what it may load."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dragoman.web import console
from dragoman.web.app import App
from dragoman.web.console import FOLDER, PREFIX, ConsoleDoor, front, is_console
from dragoman.web.incoming import Incoming
from dragoman.wire.errors import Failure, Kind, Refused

OWN = [path for path in sorted(FOLDER.rglob("*")) if path.suffix in console.TYPES]


class Answer:
    """One request at the door and what came of it."""

    def __init__(self, path: str, method: str = "GET", **headers: str) -> None:
        self.messages: list[dict[str, Any]] = []
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self.incoming = Incoming({}, self._receive, self._send, path, method, fields, "req_1")

    async def _receive(self) -> dict[str, Any]:
        raise AssertionError("nothing is read")

    async def _send(self, message: Any) -> None:
        self.messages.append(dict(message))

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return bytes(self.messages[1]["body"])


async def asked(door: ConsoleDoor, path: str, method: str = "GET", **headers: str) -> Answer:
    answer = Answer(path, method, **headers)
    await door(answer.incoming)
    return answer


def router() -> Any:
    house: Any = SimpleNamespace(simulated=False)
    app = App(house, cast(Any, None), max_body_bytes=1, keyless=lambda: False, scrape=cast(Any, None))
    return app.router


# -- serving -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/", f"{PREFIX}/index.html"])
async def test_the_page_has_one_content_under_each_of_its_names(path: str) -> None:
    answer = await asked(ConsoleDoor(), path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.body == (FOLDER / "index.html").read_bytes()
    assert answer.headers["content-length"] == str(len(answer.body))


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
async def test_every_file_leaves_with_its_type_and_every_guard(path: Path) -> None:
    """reliability X8: nothing but the console's own files is loaded, and nobody frames it."""
    answer = await asked(ConsoleDoor(), f"{PREFIX}/{path.relative_to(FOLDER).as_posix()}")
    assert answer.body == path.read_bytes()
    assert answer.headers["content-type"] == console.TYPES[path.suffix]
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_what_is_known_is_not_sent_again() -> None:
    door = ConsoleDoor()
    first = await asked(door, f"{PREFIX}/main.js")
    etag = first.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag)  # strong
    for told in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = await asked(door, f"{PREFIX}/main.js", if_none_match=told)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == etag
        assert "content-security-policy" in again.headers
    assert (await asked(door, f"{PREFIX}/main.js", if_none_match='"other"')).status == 200


async def test_a_head_is_told_what_a_get_would_get() -> None:
    got = await asked(ConsoleDoor(), f"{PREFIX}/main.js")
    head = await asked(ConsoleDoor(), f"{PREFIX}/main.js", "HEAD")
    assert head.body == b""
    assert head.headers == got.headers


async def test_only_names_with_a_version_are_kept_for_ever() -> None:
    door = ConsoleDoor()
    for path in OWN:
        name = path.relative_to(FOLDER).as_posix()
        answer = await asked(door, f"{PREFIX}/{name}")
        versioned = re.fullmatch(r"vendor/[a-z-]+-\d+\.\d+\.\d+\.(js|css)", name) is not None
        assert ("immutable" in answer.headers["cache-control"]) is versioned, name
        assert versioned or answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/../web/console.py",
        "/..%2fweb/console.py",
        "/vendor/../../settings.py",
        "//etc/passwd",
        "/vendor",
        "/vendor/README.md",
        "/api-types.d.ts",
        "/nothing.js",
        "/main.js\0",
        "/INDEX.HTML",
    ],
)
async def test_what_is_no_file_of_the_console_is_not_there(path: str) -> None:
    with pytest.raises(Refused) as refused:
        await asked(ConsoleDoor(), PREFIX + path)
    assert refused.value.failure.kind is Kind.NOT_FOUND


async def test_a_changed_file_is_read_again_and_a_lost_one_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("one")
    door = ConsoleDoor(tmp_path)
    first = await asked(door, PREFIX)
    (tmp_path / "index.html").write_text("another")
    second = await asked(door, PREFIX, if_none_match=first.headers["etag"])
    assert (second.status, second.body) == (200, b"another")
    (tmp_path / "index.html").unlink()
    with pytest.raises(Refused):
        await asked(door, PREFIX)


async def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    door = ConsoleDoor(tmp_path / "later")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "index.html").write_text("here")
    assert (await asked(door, PREFIX)).body == b"here"


# -- its place among the paths -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/", f"{PREFIX}/main.js", f"{PREFIX}/v1/messages"])
def test_everything_below_its_prefix_is_the_consoles(path: str) -> None:
    assert is_console(path)
    assert isinstance(router().find("GET", path), ConsoleDoor)
    refused = router().find("POST", path)
    assert isinstance(refused, Failure)
    assert refused.kind is Kind.METHOD_NOT_ALLOWED


@pytest.mark.parametrize("path", ["/consoles", "/v1/console", "/console.js", "/admin/console", "/"])
def test_no_other_path_is(path: str) -> None:
    assert not is_console(path)
    assert not isinstance(router().find("GET", path), ConsoleDoor)


@pytest.mark.parametrize(
    ("method", "accept", "status"),
    [
        ("GET", "text/html,application/xhtml+xml,*/*;q=0.8", 302),
        ("GET", "*/*", 200),
        ("GET", "", 200),
        ("GET", "application/json", 200),
        ("HEAD", "text/html", 200),
    ],
)
async def test_the_bare_address_leads_browsers_alone_to_the_console(
    method: str, accept: str, status: int
) -> None:
    answer = Answer("/", method, accept=accept)
    await front(answer.incoming)
    assert (answer.status, answer.body) == (status, b"")
    assert answer.headers.get("location") == (PREFIX if status == 302 else None)


# -- the files themselves ----------------------------------------------------------------------------------


def test_what_is_vendored_is_what_the_note_says() -> None:
    folder = FOLDER / "vendor"
    rows = re.findall(
        r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$", (folder / "README.md").read_text(), re.MULTILINE
    )
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name, _ in rows} == there - {"README.md"}
    for name, digest in rows:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, f"{name}: make vendor"


def test_each_library_comes_with_its_licence() -> None:
    note = (FOLDER / "vendor" / "README.md").read_text()
    packages = re.findall(r"^\| `([^`]+)` \| [\d.]+ \| (?:MIT|Apache-2\.0) \|$", note, re.MULTILINE)
    assert len(packages) == 5
    for package in packages:
        name = package.removeprefix("@").replace("/", "-")
        assert "icen" in (FOLDER / "vendor" / "licences" / f"{name}.txt").read_text()


@pytest.mark.parametrize("path", [path for path in OWN if path.suffix == ".js"], ids=lambda path: path.name)
def test_each_import_is_a_file_beside(path: Path) -> None:
    # Comments name types, for the type check; names of texts may end in "from" or "import".
    code = re.sub(r"/\*.*?\*/|^\s*//.*?$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    for name in re.findall(r"""(?<![\w."'])(?:from|import\(?)\s*["']([^"'\s]+)["']""", code):
        assert name.startswith("."), f"{path.name} imports {name}"
        assert (path.parent / name).is_file(), f"{path.name} imports {name}"


def test_nothing_is_fetched_from_another_server() -> None:
    # An XML namespace and the homepage in a comment are no addresses that anything asks.
    known = ("http://www.w3.org/", "https://github.com/leeoniya/uPlot")
    for path in OWN:
        if path.suffix == ".txt":
            continue
        for address in re.findall(r"https?://[^\s\"'`)<>]+", path.read_text()):
            assert address.startswith(known), f"{path.name}: {address}"


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page)
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert (FOLDER / address.removeprefix(f"{PREFIX}/")).is_file(), address
