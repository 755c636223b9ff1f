"""Checks the budgets of ARCHITECTURE.md that can be counted: sizes, dependencies, settings, README.

Exit code 1 with one line per breach. Times and memory are measured by `make bench`, not here.
"""

from __future__ import annotations

import ast
import gzip
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE_LINES = 600
TEST_LINES = 900
FUNCTION_LINES = 80
DIRECT_DEPENDENCIES = 22
ALL_DEPENDENCIES = 55
SETTINGS = 40
CONSOLE_KB = 200
README_LINES = 140
# Style files that are no single screen's.
SHARED_STYLES = ("base", "parts", "lists")
# Pictures of the docs: at most so many kB, and neither icons nor posters, in pixels.
PICTURE_KB = 200
PICTURE_PIXELS = range(320, 1921)
# What the console's own files never hold: ways from a text to HTML or code, and addresses of other servers.
UNSAFE = (
    re.compile(
        r"\b(?:inner|outer)HTML\b|insertAdjacentHTML|dangerouslySet|document\.write|createContextualFragment"
    ),
    re.compile(r"\beval\(|new Function\b|\bsrcdoc\b|javascript:"),
    re.compile(r"https?://(?!www\.w3\.org/|\$\{)[a-z0-9]", re.IGNORECASE),
)
_PICTURE = re.compile(r"!\[[^\]]*\]\((images/[^)\s]+)\)")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CLASS = re.compile(r"\.([\w-]+)")
_ELSEWHERE = re.compile(r"sys_platform == '(?:emscripten|win32)'")
# Names that say nothing about a file's duty.
EMPTY_NAMES = {
    "manager",
    "helper",
    "helpers",
    "utils",
    "util",
    "service",
    "services",
    "misc",
    "common",
    "data",
}
# Things that must not be in a repository that speaks of itself alone.
FOREIGN = (
    re.compile(r"/home/[a-z]|/Users/[A-Za-z]|/wor[k]/|/roo[t]/"),
    re.compile(r"registry\.npm[j]s|files\.python[h]osted|pypi\.or[g]"),
)


def tracked() -> list[Path]:
    """Files that git knows or would add, without the ignored ones."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]


def sizes(path: Path) -> Iterator[str]:
    """Lines of a Python file and of its functions."""
    name = path.relative_to(ROOT)
    text = path.read_text(encoding="utf-8")
    is_test = name.parts[0] == "tests"
    cap = TEST_LINES if is_test else SOURCE_LINES
    if (lines := text.count("\n")) > cap:
        yield f"{name}: {lines} lines (cap {cap})"
    if path.stem in EMPTY_NAMES:
        yield f"{name}: a file is a noun of the domain, not {path.stem!r}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_test:
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{name}:{node.lineno} {node.name}: {length} lines (cap {FUNCTION_LINES})"


def foreign(path: Path) -> Iterator[str]:
    """Machine paths and registry hosts."""
    if path.stat().st_size > 2_000_000:
        return
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    for pattern in FOREIGN:
        if found := pattern.search(text):
            yield f"{path.relative_to(ROOT)}: says {found.group(0)!r}"


def console() -> Iterator[str]:
    """The size of the console's scripts together, and what may not stand in one of its own."""
    total = 0
    for path in sorted((ROOT / "src" / "dragoman" / "console").rglob("*")):
        if path.suffix == ".js":
            total += len(gzip.compress(path.read_bytes(), 9, mtime=0))
        if path.suffix not in (".js", ".css", ".html") or path.parent.name == "vendor":
            continue
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > SOURCE_LINES:
            yield f"{path.relative_to(ROOT)}: {lines} lines (cap {SOURCE_LINES})"
        if path.stem in EMPTY_NAMES:
            yield f"{path.relative_to(ROOT)}: a file is a noun of the domain, not {path.stem!r}"
        for pattern in UNSAFE:
            if found := pattern.search(text):
                yield f"{path.relative_to(ROOT)}: holds {found.group(0)!r}"
    if total > CONSOLE_KB * 1000:
        yield f"{total / 1000:.0f} kB of gzipped console scripts (cap {CONSOLE_KB})"


def styles(folder: Path) -> Iterator[str]:
    """Classes that the style files of two screens both give a look: all files are loaded at once."""
    first: dict[str, str] = {}
    for path in sorted(folder.glob("*.css")):
        if path.stem in SHARED_STYLES:
            continue
        text = _COMMENT.sub("", path.read_text(encoding="utf-8"))
        rules = (rule.strip() for head in re.findall(r"([^{}]+)\{", text) for rule in head.split(","))
        for name in sorted({found.group(1) for rule in rules if (found := _CLASS.fullmatch(rule))}):
            if (other := first.setdefault(name, path.name)) != path.name:
                yield f"style/{path.name}: .{name} is a class of style/{other} too"


def pictures(folder: Path) -> Iterator[str]:
    """Whether the pictures that docs/console.md names are there and of a sane size, and no others."""
    named = {folder / name for name in _PICTURE.findall((folder / "console.md").read_text(encoding="utf-8"))}
    for path in sorted(named | set((folder / "images").glob("*"))):
        name = f"docs/images/{path.name}"
        if path not in named:
            yield f"{name}: docs/console.md does not show it"
        elif not path.is_file():
            yield f"{name}: docs/console.md shows it, and it is not there (make screenshots)"
        elif (content := path.read_bytes())[:8] != b"\x89PNG\r\n\x1a\n" or content[12:16] != b"IHDR":
            yield f"{name}: is no PNG"
        elif len(content) > PICTURE_KB * 1000:
            yield f"{name}: {len(content) / 1000:.0f} kB (cap {PICTURE_KB})"
        else:
            width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
            if width not in PICTURE_PIXELS or height not in PICTURE_PIXELS:
                yield f"{name}: {width} × {height} pixels is no size for a page"


def counts() -> Iterator[str]:
    """Dependencies, settings, README."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if (direct := len(project["dependencies"])) > DIRECT_DEPENDENCIES:
        yield f"{direct} direct runtime dependencies (cap {DIRECT_DEPENDENCIES})"
    lines = (ROOT / "requirements" / "runtime.txt").read_text().splitlines()
    # The lock is for every platform; what only Windows or a browser's Python gets is not counted.
    pinned = sum("==" in line and not _ELSEWHERE.search(line) for line in lines if line[:1].isalpha())
    if pinned > ALL_DEPENDENCIES:
        yield f"{pinned} runtime packages in all (cap {ALL_DEPENDENCIES})"
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    for line in project["dependencies"]:
        name = re.split(r"[^A-Za-z0-9_-]", line)[0]
        if f"`{name}`" not in reasons:
            yield f"docs/dependencies.md: does not say why `{name}` is here"
    if (readme := (ROOT / "README.md").read_text().count("\n")) > README_LINES:
        yield f"README.md: {readme} lines (cap {README_LINES})"
    if (named := settings()) > SETTINGS:
        yield f"{named} settings (cap {SETTINGS})"


def settings() -> int:
    """Keys of the configuration, those of the repeated tables not counted."""
    sys.path.insert(0, str(ROOT / "src"))
    from dragoman.settings import Section, Settings

    total = 0
    for field in Settings.model_fields.values():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            total += len(kind.model_fields)
        else:
            total += 1
    return total


def main() -> int:
    """Prints every breach."""
    breaches: list[str] = []
    for path in tracked():
        breaches += foreign(path)
        if path.suffix == ".py":
            breaches += sizes(path)
    breaches += console()
    breaches += styles(ROOT / "src" / "dragoman" / "console" / "style")
    breaches += pictures(ROOT / "docs")
    breaches += counts()
    print("\n".join(breaches) or f"budgets kept ({settings()} settings)")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
