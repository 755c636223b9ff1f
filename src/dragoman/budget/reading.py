"""How tables that people write are read: exact numbers, known keys, model names.

It decides what counts as a number of money or tokens and how a mistake is told: one sentence that begins
with the path. It never rounds what was written, and never knows what the numbers are for.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

# `[1m]` and the like choose a window, not a model.
_SUFFIX = re.compile(r"(?:\[[^\[\]]*\])+$")


def bare(requested: str) -> str:
    """A requested model's name without spaces around it and without a suffix in brackets."""
    asked = requested.strip()
    return _SUFFIX.sub("", asked) or asked


def present(path: str, table: Any, known: Collection[str]) -> dict[str, Any]:
    """The keys of a table that have a value. Raises ValueError for no table and for a key not in `known`."""
    if not isinstance(table, Mapping):
        raise ValueError(f"{path}: must be a table with the keys {', '.join(known)}")
    for key in table:
        if key not in known:
            raise ValueError(f"{path}.{key}: unknown key{nearest(str(key), known)}")
    return {key: value for key, value in table.items() if value is not None}


def needed(path: str, table: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Raises ValueError for the first of `keys` that is not in the table."""
    for key in keys:
        if key not in table:
            raise ValueError(f"{path}.{key}: is missing")


def nearest(name: str, known: Collection[str]) -> str:
    """The end of a message about an unknown name: the known one that it resembles, or all of them."""
    match = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f", did you mean {match[0]}?" if match else f" (known: {', '.join(known)})"


def whole(path: str, value: Any, what: str, most: int) -> int:
    """A whole number from 0 to `most`; `what` names it in the message. Raises ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{path}: must be a whole number{what}, 0 or more")
    if value > most:
        raise ValueError(f"{path}: must be a whole number{what}, at most {most:,}")
    number: int = value
    return number


def scaled(path: str, value: Any, what: str, most: int, digits: int) -> int:
    """A number from 0 to `most`, times 10**`digits`, exactly as its decimals were written.

    Raises ValueError for anything else, also for more decimals than `digits`, which is 1 or more.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise ValueError(f"{path}: must be a number{what}, 0 or more")
    if value > most:
        raise ValueError(f"{path}: must be a number{what}, at most {most:,}")
    # 0.1 is meant as a tenth: the shortest text of a float is what was written, its binary value is not. It
    # ends in a digit that counts, or in `.0`.
    mantissa, _, exponent = repr(float(value)).partition("e")
    units, _, decimals = mantissa.partition(".")
    shift = digits + int(exponent or 0) - len(decimals)
    if shift < 0:
        raise ValueError(f"{path}: must be a number{what}, with at most {digits} decimals")
    return int(units + decimals) * int(10**shift)
