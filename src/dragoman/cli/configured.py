"""What the settings refer to: secrets in variables and files, aliases, certificates.

It finds and judges; it never makes a file, opens a socket or changes a value. `serve` stops at the first
problem, `config check` and `doctor` ask for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from dragoman.settings import Settings, SettingsError
from dragoman.translate.models import Alias, parse_aliases
from dragoman.wire.errors import Refused

# The aliases of the demo, where neither an account nor a model is configured.
DEMO_MODELS = {"claude-*": "gpt-5.5@medium"}


def is_demo(settings: Settings) -> bool:
    """Whether the built-in simulator answers behind a key of its own."""
    return not settings.accounts and not settings.keys


def aliases(settings: Settings) -> tuple[Alias, ...]:
    """The table `[models]`, the demo's own where nothing is configured. Raises SettingsError."""
    models: Mapping[str, str] = settings.models or ({} if settings.accounts else DEMO_MODELS)
    try:
        return parse_aliases(models)
    except Refused as refusal:
        raise SettingsError(f"models: {refusal.failure.message}") from None
