"""The models the simulator serves: what each family accepts and which cache contract it has.

One table by name pattern, first match wins. It follows OpenAI's public model pages as far as the strictness
of the request contract depends on them; it never decides prices.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Contract = Literal["A", "B"]

ALL_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Family:
    """What one family of models accepts. `efforts` is empty for models that do not reason."""

    pattern: str
    contract: Contract = "A"
    efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    window: int = 272_000
    max_output: int = 128_000
    verbosity: bool = True
    explicit_cache: bool = False
    all_turns: bool = False
    extended_only: bool = False  # prompt_cache_retention accepts only "24h"
    images: bool = True

    @property
    def reasons(self) -> bool:
        return bool(self.efforts)


_TO_XHIGH = ("none", "low", "medium", "high", "xhigh")
_CODEX = ("low", "medium", "high", "xhigh")

FAMILIES: tuple[Family, ...] = (
    Family(r"gpt-5-chat", "A", window=128_000, max_output=16_384, verbosity=False),
    Family(
        r"gpt-(5\.([6-9]|\d\d)|[6-9])",
        "B",
        (*_TO_XHIGH, "max"),
        "medium",
        explicit_cache=True,
        all_turns=True,
        extended_only=True,
    ),
    Family(r"gpt-5\.5-pro", "A", ("medium", "high", "xhigh"), "medium", extended_only=True),
    Family(r"gpt-5\.5", "A", _TO_XHIGH, "medium", extended_only=True),
    Family(r"gpt-5\.[2-4]-pro", "A", ("medium", "high", "xhigh"), "medium"),
    Family(r"gpt-5\.3-codex-spark", "A", _CODEX, "medium", window=128_000, images=False),
    Family(r"gpt-5\.[2-4]-codex", "A", _CODEX, "medium"),
    Family(r"gpt-5\.[2-4]", "A", _TO_XHIGH, "medium"),
    Family(r"gpt-5\.1-codex-max", "A", _CODEX, "medium"),
    Family(r"gpt-5(\.1)?-codex", "A", ("low", "medium", "high"), "medium"),
    Family(r"gpt-5\.1", "A", ("none", "low", "medium", "high"), "none"),
    Family(r"gpt-5-pro", "A", ("high",), "high"),
    Family(r"gpt-5", "A", ("minimal", "low", "medium", "high"), "medium"),
    Family(
        r"gpt-oss", "A", ("low", "medium", "high"), "medium", 131_072, 131_072, verbosity=False, images=False
    ),
    Family(
        r"o[13]-mini",
        "A",
        ("low", "medium", "high"),
        "medium",
        200_000,
        100_000,
        verbosity=False,
        images=False,
    ),
    Family(r"o[1-9]", "A", ("low", "medium", "high"), "medium", 200_000, 100_000, verbosity=False),
    Family(r"codex-mini", "A", ("low", "medium", "high"), "medium", 200_000, 100_000, verbosity=False),
    Family(r"gpt-4\.1", "A", window=1_047_576, max_output=32_768, verbosity=False),
    Family(r"(chat)?gpt-4", "A", window=128_000, max_output=16_384, verbosity=False),
    Family(r"gpt-|chatgpt-|computer-use", "A", window=128_000, max_output=16_384, verbosity=False),
)

# A name that only the `models` switch knows, such as another vendor's model behind a Responses server.
UNLISTED = Family(r"", "A", ALL_EFFORTS, "medium")

_COMPILED = tuple((re.compile(family.pattern), family) for family in FAMILIES)

LISTED = (
    "gpt-6",
    "gpt-5.6",
    "gpt-5.6-sol",
    "gpt-5.6-terra",
    "gpt-5.6-luna",
    "gpt-5.5",
    "gpt-5.4",
    "gpt-5.4-mini",
    "gpt-5.3-codex",
    "gpt-5.2",
    "gpt-5.1",
    "gpt-5",
    "gpt-5-mini",
    "gpt-4.1",
    "gpt-4o",
)


def family(name: str) -> Family | None:
    """The family of a model name, or None for a name that no family knows."""
    for pattern, found in _COMPILED:
        if pattern.match(name):
            return found
    return None
