"""Keeps docs/behaviours.md true: fills its proof column with the tests that name each behaviour.

A test proves a behaviour by naming its id in its docstring, a golden case by naming it in its `note.md`:
`B12` and `D7` anywhere, the ids of the tables S, T, C and E only behind the word `behaviours` (`behaviours
S3`), because other lists use the same letters. The test that runs the cases of a golden folder
(`test_golden_stream`) proves nothing by itself: its cases do.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "behaviours.md"
# How many entries each table has. Ids never change and none may be missing.
TABLES = {"B": 117, "S": 20, "T": 14, "C": 24, "E": 14, "D": 45}
SHOWN = 4
UNPROVEN = "**no test**"

_ROW = re.compile(r"^\| ([BSTCED]\d+) \| (.+?) \| (.*) \|$")
_ANYWHERE = re.compile(r"\b([BD])(\d+)(?:\s*[-–]\s*\1?(\d+))?\b")
_LIST = re.compile(r"\bbehaviours?\s+((?:[BSTCED]\d+(?:\s*[-–]\s*[BSTCED]?\d+)?(?:\s*,\s*|\s+and\s+|\s+)?)+)")
_IN_LIST = re.compile(r"([BSTCED])(\d+)(?:\s*[-–]\s*\1?(\d+))?")


def ids() -> list[str]:
    """Every id, in the order of the page."""
    return [f"{table}{number}" for table, count in TABLES.items() for number in range(1, count + 1)]


def named(text: str) -> set[str]:
    """The ids that a docstring or a note names."""
    found: set[str] = set()
    matches = list(_ANYWHERE.finditer(text))
    for listed in _LIST.finditer(text):
        matches += _IN_LIST.finditer(listed.group(1))
    for match in matches:
        table, first, last = match.group(1), int(match.group(2)), int(match.group(3) or match.group(2))
        for number in range(first, min(last, TABLES[table]) + 1):
            if 1 <= number <= TABLES[table]:
                found.add(f"{table}{number}")
    return found


def _tests() -> Iterator[tuple[str, str]]:
    """Name and text of everything that can prove: tests with a docstring, golden cases with a note."""
    tests = ROOT / "tests"
    runners = {f"test_golden_{folder.name.replace('-', '_')}" for folder in (tests / "golden").iterdir()}
    for path in sorted(tests.rglob("test_*.py")):
        if "node_modules" in path.parts:
            continue
        place = path.relative_to(tests).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_") and node.name not in runners:
                yield f"{place}::{node.name}", ast.get_docstring(node) or ""
    for note in sorted((tests / "golden").rglob("note.md")):
        yield note.parent.relative_to(tests).as_posix(), note.read_text(encoding="utf-8")


def proofs() -> dict[str, list[str]]:
    """Id -> the tests that name it, sorted."""
    found: dict[str, list[str]] = {name: [] for name in ids()}
    for test, text in _tests():
        for name in named(text):
            found[name].append(test)
    return {name: sorted(set(tests)) for name, tests in found.items()}


def _cell(tests: list[str]) -> str:
    if not tests:
        return UNPROVEN
    shown = ", ".join(f"`{test}`" for test in tests[:SHOWN])
    return shown if len(tests) <= SHOWN else f"{shown} and {len(tests) - SHOWN} more"


def filled(page: str) -> str:
    """The page with its proof column written anew."""
    found = proofs()
    lines = []
    for line in page.split("\n"):
        row = _ROW.match(line)
        if row is not None:
            line = f"| {row.group(1)} | {row.group(2)} | {_cell(found[row.group(1)])} |"
        lines.append(line)
    return "\n".join(lines)


def problems(page: str) -> list[str]:
    """Ids without a row or with two, and ids without a test; the page must be filled."""
    rows = [match for line in page.split("\n") if (match := _ROW.match(line))]
    listed = [row.group(1) for row in rows]
    told = [f"docs/behaviours.md: {name} has no row" for name in ids() if name not in listed]
    told += [f"docs/behaviours.md: {name} stands twice" for name in ids() if listed.count(name) > 1]
    unproven = [row.group(1) for row in rows if row.group(3) == UNPROVEN]
    if unproven:
        told.append(f"docs/behaviours.md: no test names {', '.join(unproven)}")
    return told


def main() -> int:
    """`--check` reports, otherwise the page is rewritten; exit code 1 when something is missing."""
    page = PAGE.read_text(encoding="utf-8")
    now = filled(page)
    told = problems(now)
    if "--check" in sys.argv[1:]:
        if now != page:
            told.insert(0, "docs/behaviours.md is stale: make docs")
    elif now != page:
        PAGE.write_text(now, encoding="utf-8")
    print("\n".join(told) or "docs/behaviours.md: every behaviour has its test")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
