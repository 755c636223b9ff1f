"""Which upstream model a requested name means, and what is known about upstream models.

It holds one table of model families (limits, effort levels, what they take) after OpenAI's public model
pages, and the order in which a requested name is resolved. It never knows accounts or keys: what the
accounts list comes in as an argument.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

from dragoman.wire.errors import Failure, Kind, Refused, invalid

# Every effort level there is, ascending. A model lists the part of it that it takes.
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# Names that every supported version of Claude Code takes for the newest generation of a tier.
STANDARD = {tier: f"claude-{tier}-5-5" for tier in ("opus", "sonnet", "haiku")}
_RANK = {level: rank for rank, level in enumerate(EFFORTS)}
# Spellings of a level that some clients and catalogues use.
_SPELLED = {"ultra": "max"}

Via = Literal["alias", "published", "glob", "listed", "pass-through"]


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What is known about one upstream model. Windows and limits in tokens.

    family         short name of the table's row, "" for a name that no row knows
    efforts        levels the model takes, ascending; empty when it takes none
    default_effort the level the model uses by itself, None when unknown or without levels
    context_window most input tokens
    reasoning      it thinks before it answers (and may seal what it thought)
    sampling       temperature and top_p are taken at any effort
    images, files  image and PDF input
    phase          its messages carry a `phase` that must be sent back
    breakpoints    the newer cache contract: entries at explicit and implicit breakpoints
    summaries      it writes reasoning summaries on request
    """

    name: str
    family: str
    efforts: tuple[str, ...]
    default_effort: str | None
    context_window: int
    max_output_tokens: int
    reasoning: bool
    sampling: bool
    images: bool
    files: bool
    phase: bool
    breakpoints: bool
    summaries: bool


@dataclass(frozen=True, slots=True)
class _Family:
    """One row of the table. `pattern` matches the start of a name; the first matching row wins."""

    pattern: str
    name: str
    efforts: tuple[str, ...] = ()
    default: str | None = None
    window: int = 272_000
    output: int = 128_000
    reasoning: bool = True
    sampling: bool = False
    images: bool = True
    files: bool = True
    phase: bool = False
    breakpoints: bool = False
    summaries: bool = True


_LOW_HIGH = ("low", "medium", "high")
_LOW_XHIGH = ("low", "medium", "high", "xhigh")
_NONE_XHIGH = ("none", *_LOW_XHIGH)
_PRO = ("medium", "high", "xhigh")

_FAMILIES = (
    _Family(
        r"gpt-(?:5\.(?:[6-9]|\d\d)|[6-9])",
        "gpt-5.6",
        (*_NONE_XHIGH, "max"),
        "medium",
        phase=True,
        breakpoints=True,
    ),
    _Family(r"gpt-5\.5-pro", "gpt-5.5-pro", _PRO, "medium", phase=True),
    _Family(r"gpt-5\.5", "gpt-5.5", _NONE_XHIGH, "medium", phase=True),
    _Family(r"gpt-5\.4-pro", "gpt-5.4-pro", _PRO, "medium", phase=True),
    _Family(r"gpt-5\.4", "gpt-5.4", _NONE_XHIGH, "medium", phase=True),
    _Family(
        r"gpt-5\.3-codex-spark",
        "gpt-5.3-spark",
        _LOW_XHIGH,
        "medium",
        window=128_000,
        images=False,
        files=False,
        phase=True,
    ),
    _Family(r"gpt-5\.[34]-codex", "gpt-5.3-codex", _LOW_XHIGH, "medium", phase=True),
    _Family(r"gpt-5\.2-codex", "gpt-5.2-codex", _LOW_XHIGH, "medium"),
    _Family(r"gpt-5\.[23]-pro", "gpt-5.2-pro", _PRO, "medium"),
    _Family(r"gpt-5\.[23]", "gpt-5.2", _NONE_XHIGH, "medium"),
    _Family(r"gpt-5\.1-codex-max", "gpt-5.1-codex-max", _LOW_XHIGH, "medium"),
    _Family(r"gpt-5(?:\.1)?-codex", "gpt-5-codex", _LOW_HIGH, "medium"),
    _Family(r"gpt-5\.1", "gpt-5.1", ("none", *_LOW_HIGH), "none"),
    _Family(r"gpt-5-pro", "gpt-5-pro", ("high",), "high"),
    _Family(r"gpt-5-chat", "gpt-5-chat", window=128_000, output=16_384, reasoning=False, sampling=True),
    _Family(r"gpt-5", "gpt-5", ("minimal", *_LOW_HIGH), "medium"),
    _Family(
        r"gpt-oss",
        "gpt-oss",
        _LOW_HIGH,
        "medium",
        window=131_072,
        output=131_072,
        images=False,
        files=False,
        summaries=False,
    ),
    _Family(r"o[13]-mini", "o-mini", _LOW_HIGH, "medium", 200_000, 100_000, images=False, files=False),
    _Family(r"o\d", "o", _LOW_HIGH, "medium", 200_000, 100_000),
    _Family(r"codex-mini", "codex-mini", _LOW_HIGH, "medium", 200_000, 100_000),
    _Family(r"gpt-4\.1", "gpt-4.1", window=1_047_576, output=32_768, reasoning=False, sampling=True),
    _Family(r"(?:chat)?gpt-[34]", "gpt-4", window=128_000, output=16_384, reasoning=False, sampling=True),
)
# A name that no row knows, typically an open model behind a Responses-compatible server.
_UNKNOWN = _Family("", "", _LOW_HIGH, None, window=200_000, output=128_000, sampling=True)
_TABLE = tuple((re.compile(rf"{row.pattern}(?![0-9])"), row) for row in _FAMILIES)


@lru_cache(maxsize=512)
def profile(model: str) -> ModelProfile:
    """What is known about an upstream model; a vendor's prefix (`openai/gpt-5.5`) does not matter."""
    name = model.rpartition("/")[2].lower()
    row = next((row for pattern, row in _TABLE if pattern.match(name)), _UNKNOWN)
    return ModelProfile(
        model,
        row.name,
        row.efforts,
        row.default,
        row.window,
        row.output,
        row.reasoning,
        row.sampling,
        row.images,
        row.files,
        row.phase,
        row.breakpoints,
        row.summaries,
    )


def known_effort(level: str) -> str | None:
    """The canonical spelling of an effort level, None for a word that is none."""
    word = level.strip().lower()
    word = _SPELLED.get(word, word)
    return word if word in _RANK else None


def lower_effort(level: str, ceiling: str) -> str:
    """The level, or the ceiling where that is lower."""
    return min(level, ceiling, key=_RANK.__getitem__)


def clamp_effort(wanted: str | None, levels: ModelProfile | Sequence[str]) -> str | None:
    """The wanted level if the model has it, else the next lower one, else its lowest. Never more than asked.

    `max` is the highest the model has. None where nothing is wanted or the model has no levels.
    """
    efforts = levels.efforts if isinstance(levels, ModelProfile) else levels
    if wanted is None or not efforts:
        return None
    rank = _RANK[wanted]
    below = [level for level in efforts if _RANK[level] <= rank]
    return below[-1] if below else efforts[0]


# -- names -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alias:
    """`pattern` (a name or a glob) stands for `model`, at `effort` unless the request names one."""

    pattern: str
    model: str
    effort: str | None = None

    @property
    def is_glob(self) -> bool:
        return any(char in self.pattern for char in "*?[")


@dataclass(frozen=True, slots=True)
class Resolution:
    """The upstream model behind a requested name, and how it was found."""

    model: str
    effort: str | None
    via: Via


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """One row of `/v1/models`: `id` is what a client may request, `model` what serves it."""

    id: str
    display_name: str
    model: str
    profile: ModelProfile


# Claude Code and others mark a window with a suffix: `claude-opus-4-8[1m]`.
_SUFFIX = re.compile(r"(?:\[[^\[\]]*\])+$")
_PUBLISHED = "claude-"


def parse_aliases(table: Mapping[str, str]) -> tuple[Alias, ...]:
    """Reads requested name -> `model[@effort]`, keeping the order. Raises Refused naming the entry."""
    return tuple(_alias(pattern, target) for pattern, target in table.items())


def _alias(pattern: str, target: str) -> Alias:
    name, at, tail = target.strip().rpartition("@")
    effort = known_effort(tail) if at else None
    if effort is None:
        if at and tail.strip().isalpha():
            raise invalid(pattern, f"{tail.strip()!r} is no effort level; there are {', '.join(EFFORTS)}")
        name = target
    if not pattern.strip() or not name.strip():
        raise invalid(pattern, "an alias needs a name and a model")
    return Alias(pattern.strip(), name.strip(), effort)


def resolve(
    requested: str, aliases: Sequence[Alias], listed: Collection[str] | None, *, passes: bool = False
) -> Resolution:
    """Finds the upstream model. `listed` is every model the accounts list, None where none is known.

    `passes` says that other names are passed on all the same: what is listed was advertised, not decided.

    Order: exact alias, published `claude-…` id, first matching glob, a listed name, pass-through. Raises
    Refused(MODEL_NOT_FOUND) with the nearest name. A `[1m]` suffix is cut off.
    """
    asked, bare = requested.strip(), _bare(requested)
    exact = {alias.pattern: alias for alias in reversed(aliases)}
    for name in (asked, bare):
        if (alias := exact.get(name)) is not None:
            return Resolution(alias.model, alias.effort, "alias")
    if (found := _published_target(bare, aliases, listed)) is not None:
        return found
    for alias in aliases:
        if alias.is_glob and fnmatchcase(bare, alias.pattern):
            return Resolution(alias.model, alias.effort, "glob")
    if listed is not None and bare in listed:
        return Resolution(bare, None, "listed")
    if listed is None or passes:
        return Resolution(bare, None, "pass-through")
    sentence = _not_found(requested, bare, aliases, listed)
    raise Refused(Failure(Kind.MODEL_NOT_FOUND, sentence, param="model"))


def _bare(requested: str) -> str:
    """A requested name without its suffix."""
    asked = requested.strip()
    return _SUFFIX.sub("", asked) or asked


def _published_target(
    name: str, aliases: Sequence[Alias], listed: Collection[str] | None
) -> Resolution | None:
    target = name.removeprefix(_PUBLISHED)
    if target == name:
        return None
    if listed is not None and target in listed:
        return Resolution(target, None, "published")
    for alias in aliases:
        if alias.is_glob and _claude(alias.model) == name:
            return Resolution(alias.model, alias.effort, "published")
    return None


def _not_found(requested: str, bare: str, aliases: Sequence[Alias], listed: Collection[str]) -> str:
    names = [alias.pattern for alias in aliases]
    names += _names(aliases, listed)
    message = f"model: {requested!r} is not served here"
    near = difflib.get_close_matches(bare, names, 1, 0.0)
    return f"{message}; the nearest name is {near[0]!r}" if near else message


def published(
    aliases: Sequence[Alias], listed: Collection[str] | None, *, allowed: Sequence[str] | None = None
) -> list[PublishedModel]:
    """What `/v1/models` lists: exact aliases, then listed models as themselves and as `claude-<id>`.

    A glob is shown by its target, as `claude-<target>`. `allowed` are the globs that a key may request.
    """
    rows: dict[str, PublishedModel] = {}
    for name in _names(aliases, listed):
        if name not in rows and (allowed is None or any(fnmatchcase(name, glob) for glob in allowed)):
            model = resolve(name, aliases, listed).model
            rows[name] = PublishedModel(name, _display(name, model), model, profile(model))
    return list(rows.values())


def described(
    requested: str,
    aliases: Sequence[Alias],
    listed: Collection[str] | None,
    *,
    allowed: Sequence[str] | None = None,
) -> PublishedModel | None:
    """What `/v1/models/{id}` tells: also of a name that only a glob stands for.

    None for a name that is not served, that the key may not request, or that would merely be passed on.
    """
    names = (requested, _bare(requested))
    if allowed is not None and not any(
        name == glob or fnmatchcase(name, glob) for glob in allowed for name in names
    ):
        return None
    try:
        found = resolve(requested, aliases, listed)
    except Refused:
        return None
    if found.via == "pass-through":
        return None
    return PublishedModel(requested, _display(requested, found.model), found.model, profile(found.model))


def _names(aliases: Sequence[Alias], listed: Collection[str] | None) -> Iterable[str]:
    for alias in aliases:
        if not alias.is_glob:
            yield alias.pattern
    for model in sorted(listed or ()):
        yield model
        yield _claude(model)
    for alias in aliases:
        if alias.is_glob:
            yield _claude(alias.model)


def _claude(model: str) -> str:
    return model if model.startswith(_PUBLISHED) else _PUBLISHED + model


def _display(name: str, model: str) -> str:
    return model if name in (model, _claude(model)) else f"{name} ({model})"
