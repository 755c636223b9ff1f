"""Whether the groups that a key is bound to have any account.

It judges what an operator writes; which accounts serve one request is policy's. An
account without a group has "".
"""

from __future__ import annotations

from collections.abc import Iterable


def unknown(group: str, known: Iterable[str]) -> str | None:
    """What is wrong with a key's group, in words to follow its path; None where nothing is.

    `known` are the groups of all accounts, one each. Where there is no account yet nothing can be judged.
    """
    groups = set(known)
    if not groups or group in groups:
        return None
    named = sorted(groups - {""})
    there = f"there are {', '.join(map(repr, named))}" if named else "none has a group"
    return f"no account is in the group {group!r}; {there}"
