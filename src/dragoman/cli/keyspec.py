"""What was said about a key on the command line, read into what the store keeps.

Every value is checked and an error names its option. Whether globs match anything and models have prices is
judged in `served`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dragoman.budget.limits import Limit, parse_limit
from dragoman.cli import moments
from dragoman.cli.keyoptions import Said
from dragoman.cli.options import MISUSED, Stop
from dragoman.store.clientkeys import KeySpec
from dragoman.translate.models import EFFORTS, known_effort
from dragoman.wire import jsonio

# What `--clear` can take back, and what is then in force.
CLEARABLE: dict[str, tuple[str, Any]] = {
    "models": ("models", None),
    "tags": ("tags", ()),
    "limits": ("limits", ()),
    "default-effort": ("default_effort", None),
    "enforced-effort": ("enforced_effort", None),
    "max-effort": ("max_effort", None),
    "concurrency": ("concurrency", None),
    "account-groups": ("account_groups", None),
    "expires": ("expires_at", None),
}
_NAME = 64
_GLOB = 256
_SHORT = re.compile(r"(?P<measure>[^/=@]+)/(?P<per>[^/=@]+)=(?P<max>[^@]+)(?:@(?P<models>.+))?")
_WHOLE = re.compile(r"-?[0-9]+(?:_[0-9]+)*")


def over(said: Said, spec: KeySpec, now: float) -> KeySpec:
    """The spec with what was said instead of what it had. Raises Stop naming the option."""
    changes: dict[str, Any] = {}
    if said.models:
        changes["models"] = tuple(_texts("--models", said.models, _GLOB))
    if said.tags:
        changes["tags"] = tuple(_texts("--tag", said.tags, _NAME))
    if said.account_groups:
        changes["account_groups"] = tuple(_texts("--account-group", said.account_groups, _NAME))
    if said.limits:
        changes["limits"] = read_limits("--limit", said.limits)
    for name in ("default_effort", "enforced_effort", "max_effort"):
        if (word := getattr(said, name)) is not None:
            changes[name] = _effort("--" + name.replace("_", "-"), word)
    if said.concurrency is not None:
        changes["concurrency"] = said.concurrency
    if said.active is not None:
        changes["active"] = said.active
    if said.expires is not None:
        changes["expires_at"] = moments.end("--expires", said.expires, now)
    made = replace(spec, **changes)
    if made.enforced_effort and made.max_effort:
        rank = EFFORTS.index
        if rank(made.enforced_effort) > rank(made.max_effort):
            raise Stop(
                f"--enforced-effort {made.enforced_effort}: is above --max-effort {made.max_effort}",
                MISUSED,
            )
    return made


def name_of(text: str) -> str:
    """A key's name, stripped. Raises Stop."""
    return _texts("NAME", [text], _NAME)[0]


def cleared(spec: KeySpec, words: Sequence[str]) -> KeySpec:
    """The spec without what the words name. Raises Stop."""
    changes = {}
    for word in words:
        if word not in CLEARABLE:
            raise Stop(f"--clear {word!r}: must be one of {', '.join(CLEARABLE)}", MISUSED)
        field, value = CLEARABLE[word]
        changes[field] = value
    return replace(spec, **changes)


def read_limits(option: str, texts: Sequence[str]) -> tuple[Limit, ...]:
    """Limits in their short or JSON form. Raises Stop for a wrong one and for two that count the same."""
    limits = tuple(_limit(option, text.strip()) for text in texts)
    counted = [(limit.measure, limit.per, limit.models) for limit in limits]
    for text, what in zip(texts, counted, strict=True):
        if counted.count(what) > 1:
            raise Stop(f"{option} {text!r}: the same is limited twice", MISUSED)
    return limits


def _limit(option: str, text: str) -> Limit:
    try:
        table = jsonio.parse(text.encode("utf-8", "surrogateescape")) if text[:1] == "{" else _short(text)
    except ValueError as error:
        raise Stop(f"{option} {text!r}: {error}", MISUSED) from None
    try:
        limit = parse_limit("limit", table)
    except ValueError as error:
        raise Stop(f"{option} {text!r}: {str(error).removeprefix('limit.')}", MISUSED) from None
    if limit.models is not None:
        _texts(f"{option} {text!r}: models", [limit.models], _GLOB)
    return limit


def _short(text: str) -> dict[str, Any]:
    """`measure/per=max[@glob]` as a table. Raises ValueError."""
    found = _SHORT.fullmatch(text)
    if found is None:
        raise ValueError("must be measure/per=max, for example tokens/day=1000 or cost_usd/month=20@claude-*")
    said = found["max"].strip()
    try:
        most = int(said) if _WHOLE.fullmatch(said) else float(said)
    except ValueError:
        raise ValueError(f"max: {said!r} is no number") from None
    table = {"measure": found["measure"].strip(), "per": found["per"].strip(), "max": most}
    return table if found["models"] is None else {**table, "models": found["models"]}


def _texts(option: str, texts: Sequence[str], most: int) -> list[str]:
    """The texts, stripped, each once. Raises Stop for one that is empty, long or not printable."""
    kept = []
    for text in texts:
        word = text.strip()
        if not word or not word.isprintable() or len(word) > most:
            raise Stop(f"{option} {word!r}: must be 1 to {most} printable characters", MISUSED)
        kept.append(word)
    return list(dict.fromkeys(kept))


def _effort(option: str, word: str) -> str:
    level = known_effort(word)
    if level is None:
        raise Stop(f"{option} {word!r}: must be one of {', '.join(EFFORTS)}", MISUSED)
    return level
