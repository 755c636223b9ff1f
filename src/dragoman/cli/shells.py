"""How three kinds of shell set and unset variables, with values quoted so that no character means anything.

It decides spelling only. A name is expected to be an identifier; a value holds no NUL (no environment can).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

# PowerShell ends a single-quoted text at any of the quotation marks that look like an apostrophe.
_POWERSHELL_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")


class Shell(NamedTuple):
    """How one shell says `set` and `unset`."""

    set: Callable[[str, str], str]
    unset: Callable[[str], str]


def sh(value: str) -> str:
    """For POSIX shells: sh, bash, zsh, dash."""
    return "'" + value.replace("'", "'\\''") + "'"


def fish(value: str) -> str:
    """For fish, which knows two escapes inside single quotes."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def powershell(value: str) -> str:
    """For PowerShell."""
    return "'" + _POWERSHELL_QUOTES.sub(r"\1\1", value) + "'"


SHELLS: dict[str, Shell] = {
    "sh": Shell(lambda name, value: f"export {name}={sh(value)}", lambda name: f"unset {name}"),
    "fish": Shell(lambda name, value: f"set -gx {name} {fish(value)}", lambda name: f"set -e {name}"),
    "powershell": Shell(
        lambda name, value: f"$env:{name} = {powershell(value)}",
        lambda name: f"Remove-Item Env:{name} -ErrorAction SilentlyContinue",
    ),
}


def script(shell: str, variables: Mapping[str, str], unset: Iterable[str]) -> str:
    """Lines that a shell evaluates; what is unset comes first."""
    spelled = SHELLS[shell]
    lines = [spelled.unset(name) for name in unset]
    lines += [spelled.set(name, value) for name, value in variables.items()]
    return "\n".join(lines) + "\n"
