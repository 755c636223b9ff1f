"""The variables that lead Claude Code to this gateway, and those that would lead it elsewhere.

One table says what is set and why. Everything here is a function of its arguments: no process environment is
read or changed, and no name of a model is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

TOKEN = "ANTHROPIC_AUTH_TOKEN"
BASE_URL = "ANTHROPIC_BASE_URL"
API_KEY = "ANTHROPIC_API_KEY"


@dataclass(frozen=True, slots=True)
class Plan:
    """What one start of Claude Code needs. Names are those the client will request; the window in tokens.

    url       the gateway's address, without /v1
    token     the client key
    main      the model of the conversation, where one was named
    tiers     tier (`opus`, `sonnet`, `haiku`, `fable`) to name
    subagent  the model of every sub-agent, where it may not choose by itself
    window    what the upstream model behind the conversation takes
    """

    url: str
    token: str = field(repr=False)
    main: str | None = None
    tiers: Mapping[str, str] = field(default_factory=dict)
    subagent: str | None = None
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: its value for a plan (None: it is taken away), and why."""

    name: str
    value: Callable[[Plan], str | None]
    why: str


def _tier(tier: str) -> Variable:
    return Variable(
        f"ANTHROPIC_DEFAULT_{tier.upper()}_MODEL",
        lambda plan: plan.tiers.get(tier),
        f"the model that the client calls {tier}",
    )


def _window(plan: Plan) -> str | None:
    return None if plan.window is None else str(plan.window)


def _always(value: str) -> Callable[[Plan], str]:
    return lambda plan: value


TABLE: tuple[Variable, ...] = (
    Variable(BASE_URL, lambda plan: plan.url, "where the gateway listens; the client appends /v1 itself"),
    Variable(TOKEN, lambda plan: plan.token, "your client key, sent as a bearer token"),
    Variable(API_KEY, _always(""), "empty, so that no other key is sent instead"),
    Variable("ANTHROPIC_MODEL", lambda plan: plan.main, "the conversation's model, where you named one"),
    _tier("opus"),
    _tier("sonnet"),
    _tier("haiku"),
    _tier("fable"),
    Variable(
        "CLAUDE_CODE_SUBAGENT_MODEL",
        lambda plan: plan.subagent,
        "the model of sub-agents, where the gateway knows no Claude names that they could ask for",
    ),
    Variable(
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
        _window,
        "the window of the upstream model, which the client cannot know",
    ),
    Variable("CLAUDE_CODE_AUTO_COMPACT_WINDOW", _window, "the client compacts by this window"),
    Variable(
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY",
        _always("1"),
        "`/model` shows the gateway's list (newer clients)",
    ),
    Variable("CLAUDE_CODE_ATTRIBUTION_HEADER", _always("0"), "no billing line in front of the prompt"),
    Variable("ENABLE_TOOL_SEARCH", _always("true"), "tools of MCP servers are loaded when they are needed"),
    Variable(
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        _always("1"),
        "no telemetry, update checks or title calls",
    ),
)

# Switches onto other providers are named alike: the next one is caught, too.
PROVIDER_PREFIX = "CLAUDE_CODE_USE_"
_PROVIDERS = ("BEDROCK", "VERTEX", "FOUNDRY", "GATEWAY", "MANTLE", "ANTHROPIC_AWS", "ANTHROPIC_GOOGLE_CLOUD")
_FEDERATION = "a federated identity, which the client would use instead of the client key"
# Name -> what it would do. Unset before the client starts.
CONFLICTS: dict[str, str] = {
    **{f"{PROVIDER_PREFIX}{name}": "sends the client to another provider" for name in _PROVIDERS},
    "ANTHROPIC_PROFILE": "names a login profile, which the client would use instead of the client key",
    "ANTHROPIC_FEDERATION_RULE_ID": _FEDERATION,
    "ANTHROPIC_ORGANIZATION_ID": _FEDERATION,
    "ANTHROPIC_SERVICE_ACCOUNT_ID": _FEDERATION,
    "ANTHROPIC_WORKSPACE_ID": _FEDERATION,
    "ANTHROPIC_IDENTITY_TOKEN": _FEDERATION,
    "ANTHROPIC_IDENTITY_TOKEN_FILE": _FEDERATION,
    "ANTHROPIC_UNIX_SOCKET": "sends requests to a local socket instead of the base URL",
    "CLAUDE_CODE_API_BASE_URL": "another base URL that would win",
    "CLAUDE_CODE_OAUTH_TOKEN": "a subscription's login, which must not reach this gateway",
    "ANTHROPIC_SMALL_FAST_MODEL": "the older name of the haiku tier, which would hide it",
}


def variables(plan: Plan) -> dict[str, str]:
    """What is set, in the order of the table."""
    return {one.name: value for one in TABLE if (value := one.value(plan)) is not None}


def conflicting(names: Iterable[str]) -> list[str]:
    """Those of the names that would take another road, in alphabetical order."""
    return sorted(name for name in names if name in CONFLICTS or name.startswith(PROVIDER_PREFIX))


def unset(plan: Plan, names: Iterable[str]) -> list[str]:
    """What must be taken away from an environment of these names: conflicts, and stale choices of models."""
    ours = {one.name for one in TABLE if one.value(plan) is None}
    return conflicting({*names, *CONFLICTS}) + sorted(ours)


def applied(environ: Mapping[str, str], plan: Plan) -> dict[str, str]:
    """The environment of the client's process."""
    gone = set(unset(plan, environ))
    return {name: value for name, value in environ.items() if name not in gone} | variables(plan)
