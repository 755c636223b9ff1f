"""What globs over requested names can mean here, and which upstream models are behind them.

It compares globs with what is served: aliases, published names, models that accounts list. It judges what an
operator writes; what one request may is judged elsewhere, on the very name that was requested.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from dragoman.translate.models import Alias, published, resolve
from dragoman.wire.errors import Refused

_WILD = frozenset("*?[")
# What vendors call their models: where any name is passed on, such a one means something without an alias.
_VENDORS = ("gpt-*", "chatgpt-*", "codex-*", "o[1-9]*")


def is_glob(pattern: str) -> bool:
    """Whether a pattern stands for more than the name it spells."""
    return not _WILD.isdisjoint(pattern)


def meet(one: str, other: str) -> bool:
    """Whether some name matches both globs. Two sets in brackets are taken to share a character."""
    if one == other:
        return True
    first, second = _parts(one), _parts(other)
    seen: set[tuple[int, int]] = set()
    open_ends = [(0, 0)]
    while open_ends:
        place = open_ends.pop()
        if place in seen:
            continue
        seen.add(place)
        at, to = place
        if at == len(first) and to == len(second):
            return True
        star, other_star = first[at : at + 1] == ["*"], second[to : to + 1] == ["*"]
        if star:
            open_ends.append((at + 1, to))
        if other_star:
            open_ends.append((at, to + 1))
        if at == len(first) or to == len(second):
            continue
        if star and not other_star:
            open_ends.append((at, to + 1))
        elif other_star and not star:
            open_ends.append((at + 1, to))
        elif not star and _same(first[at], second[to]):
            open_ends.append((at + 1, to + 1))
    return False


def _parts(glob: str) -> list[str]:
    """A glob as `*`, `?`, sets in brackets and single characters, as fnmatch reads it."""
    parts: list[str] = []
    at = 0
    while at < len(glob):
        end = at + 1
        if glob[at] == "[":
            # A bracket that closes at once, or after `!`, belongs to the set.
            skip = 2 if glob[at + 1 : at + 2] == "!" else 1
            close = glob.find("]", at + skip + 1)
            end = at + 1 if close < 0 else close + 1
        if glob[at] != "*" or parts[-1:] != ["*"]:
            parts.append(glob[at:end])
        at = end
    return parts


def _same(one: str, other: str) -> bool:
    """Whether two parts, neither a star, have a character in common."""
    for char, part in ((one, other), (other, one)):
        if len(char) == 1 and char != "?":
            return fnmatchcase(char, part)
    return True


def covers(earlier: str, later: str) -> bool:
    """Whether every name that the later glob matches is the earlier one's already, as far as can be told."""
    if earlier == later:
        return True
    simple = not set("?[") & set(earlier) and "[" not in later
    return simple and fnmatchcase(later, earlier)


def known(aliases: Sequence[Alias], listed: Collection[str] | None) -> list[str]:
    """Every name and glob that clients may request with success, pass-through left aside."""
    names = [row.id for row in published(aliases, listed)]
    return list(dict.fromkeys(names + [alias.pattern for alias in aliases]))


def nearest_instead(glob: str, aliases: Sequence[Alias], listed: Collection[str] | None) -> str | None:
    """The known name that resembles a glob which matches none; None when it matches, or none is known."""
    names = known(aliases, listed)
    if not names or any(meet(glob, name) for name in names):
        return None
    if listed is None and any(meet(glob, vendor) for vendor in _VENDORS):
        return None
    return difflib.get_close_matches(glob, names, 1, 0.0)[0]


def behind(
    models: Sequence[str] | None,
    limited: str | None,
    aliases: Sequence[Alias],
    listed: Collection[str] | None,
) -> dict[str, str]:
    """The upstream models that can be named, each with a requested name or glob that leads to it.

    `models` are the globs a key may request (None: all), `limited` narrows them further. Names that are only
    passed on are found where they are spelled out.
    """
    narrow = limited or "*"
    offers = [(row.id, row.model) for row in published(aliases, listed)]
    offers += [(alias.pattern, alias.model) for alias in _first_globs(aliases)]
    found: dict[str, str] = {}
    for glob in models or ("*",):
        if not meet(glob, narrow):
            continue
        spelled = next((pattern for pattern in (glob, narrow) if not is_glob(pattern)), None)
        if spelled is None:
            for name, model in offers:
                if meet(name, glob) and meet(name, narrow):
                    found.setdefault(model, name)
            continue
        try:
            found.setdefault(resolve(spelled, aliases, listed).model, spelled)
        except Refused:
            continue  # it leads nowhere, and costs nothing
    return found


def _first_globs(aliases: Sequence[Alias]) -> list[Alias]:
    """The globs that an earlier one does not cover."""
    kept: list[Alias] = []
    for alias in aliases:
        if alias.is_glob and not any(covers(one.pattern, alias.pattern) for one in kept):
            kept.append(alias)
    return kept
