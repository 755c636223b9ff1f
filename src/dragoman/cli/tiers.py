"""Which names Claude Code is told to ask for, tier by tier, and whose window it compacts by.

What the gateway can serve is told by two arguments: a look-up of one name and the list of published names.
Nothing is asked over the network here, and no name is made up that the gateway does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dragoman.cli.environment import Plan
from dragoman.translate.models import STANDARD, profile

TIERS = tuple(STANDARD)
_NONE_FITS = (
    "the gateway has no alias for the names that Claude Code asks for: say which upstream models to use, as "
    "in `dragoman claude --model gpt-5.5`, or add a [models] table to its configuration"
)

# The window of a name in tokens, None for a name that the gateway does not publish.
Lookup = Callable[[str], int | None]


class NoModel(ValueError):
    """No name is known that the client could ask for."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user named: options, and as `argument` the `--model` among the client's own arguments."""

    main: str | None = None
    tiers: Mapping[str, str] = field(default_factory=dict)
    argument: str | None = None


def plan(
    url: str, token: str, wish: Wish, lookup: Lookup, published: Sequence[str], environ: Mapping[str, str]
) -> Plan:
    """Decides every name. An option wins over the gateway's aliases, these over variables of the shell.

    Raises NoModel when nothing of the three names a model for the conversation.
    """
    aliased = {tier: name for tier in TIERS if (name := _alias(tier, lookup, published)) is not None}
    tiers = {**aliased, **wish.tiers}
    main = wish.main
    if main is None and not {"opus", "sonnet"} & tiers.keys():
        tiers = {**_of_shell(environ), **tiers}
        main = environ.get("ANTHROPIC_MODEL") or None
    chosen = main or tiers.get("sonnet") or tiers.get("opus") or _plain(wish.argument)
    if chosen is None:
        raise NoModel(_NONE_FITS)
    for tier in TIERS:
        tiers.setdefault(tier, chosen)
    subagent = None
    if not aliased:  # a sub-agent that asks for a Claude name would be refused upstream
        tiers["fable"] = subagent = chosen
    return Plan(url, token, main, tiers, subagent, _window(main, wish.argument, tiers, lookup))


def _alias(tier: str, lookup: Lookup, published: Sequence[str]) -> str | None:
    if lookup(STANDARD[tier]) is not None:
        return STANDARD[tier]
    return next((name for name in published if name.startswith("claude-") and tier in name), None)


def _of_shell(environ: Mapping[str, str]) -> dict[str, str]:
    found = {tier: environ.get(f"ANTHROPIC_DEFAULT_{tier.upper()}_MODEL") for tier in TIERS}
    return {tier: name for tier, name in found.items() if name}


def _plain(argument: str | None) -> str | None:
    """The client's own `--model`, unless it is one of the client's words for a tier."""
    return None if argument is None or argument in (*TIERS, "default", "opusplan") else argument


def _window(main: str | None, argument: str | None, tiers: Mapping[str, str], lookup: Lookup) -> int:
    """The smallest window a conversation can meet: side calls of the haiku tier are no conversations."""
    named = tiers.get(argument or "", argument) or main
    names = [named] if named and named not in ("default", "opusplan") else [tiers["opus"], tiers["sonnet"]]
    return min(lookup(name) or profile(name.partition("[")[0]).context_window for name in names)


def model_argument(arguments: Sequence[str]) -> str | None:
    """The value of `--model` among the client's own arguments; it wins over every variable."""
    found = None
    for position, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--model" and position + 1 < len(arguments):
            found = arguments[position + 1]
        elif argument.startswith("--model="):
            found = argument.removeprefix("--model=")
    return found or None
