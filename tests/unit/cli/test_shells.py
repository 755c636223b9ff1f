"""Quoting: a real POSIX shell reads back what was meant; fish and PowerShell by their documented rules."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.cli.shells import SHELLS, script

NASTY = [
    "",
    "plain",
    "two words",
    "it's",
    "''",
    '"double" $HOME `id` $(id) \\ \\\\ !x #y ;&|<>*?[]{}~',
    "line\nbreak",
    "-n",
    "ünï ✓",
    "‘curly’",
]


def read_back(values: list[str]) -> list[str]:
    """What /bin/sh has in its variables after it evaluated the script."""
    names = [f"V{number}" for number in range(len(values))]
    text = script("sh", dict(zip(names, values, strict=True)), ["GONE"])
    text += "".join(f'printf "%s\\0" "${name}"\n' for name in names) + 'printf "%s" "${GONE-unset}"\n'
    done = subprocess.run(
        ["/bin/sh"],
        input=text.encode(),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "GONE": "still here"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    *found, gone = done.stdout.decode().split("\0")
    assert gone == "unset"
    return found


def test_a_posix_shell_reads_every_value_back() -> None:
    assert read_back(NASTY) == NASTY


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30), max_size=20
    )
)
@settings(max_examples=20, deadline=None)
def test_a_posix_shell_reads_any_value_back(values: list[str]) -> None:
    assert read_back(values) == values


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("", "''"),
        ("a b", "'a b'"),
        ("it's", "'it\\'s'"),
        ("back\\slash", "'back\\\\slash'"),
        ("$x (y)", "'$x (y)'"),
    ],
)
def test_fish(value: str, quoted: str) -> None:
    assert SHELLS["fish"].set("NAME", value) == f"set -gx NAME {quoted}"
    assert SHELLS["fish"].unset("NAME") == "set -e NAME"


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("", "''"),
        ("a b", "'a b'"),
        ("it's", "'it''s'"),
        ("‘x’ ‚y‛", "'‘‘x’’ ‚‚y‛‛'"),
        ("$x `n \\", "'$x `n \\'"),
    ],
)
def test_powershell(value: str, quoted: str) -> None:
    assert SHELLS["powershell"].set("NAME", value) == f"$env:NAME = {quoted}"
    assert SHELLS["powershell"].unset("NAME") == "Remove-Item Env:NAME -ErrorAction SilentlyContinue"
