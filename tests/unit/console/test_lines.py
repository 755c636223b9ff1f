"""The console's lines for Claude Code name the launcher's variables: all of them, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import dragoman
from dragoman.cli import environment

LINES = Path(dragoman.__file__).parent / "console" / "screens" / "settings" / "lines.js"
NAME = re.compile(r"\b(?:ANTHROPIC|CLAUDE_CODE|ENABLE)_[A-Z_]+\b")


def test_the_page_and_the_launcher_know_the_same_variables() -> None:
    told = set(NAME.findall(LINES.read_text()))
    assert told == {one.name for one in environment.TABLE} | set(environment.CONFLICTS)
