"""What every dialect tells the upstream of who is speaking, and what a key says about effort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dragoman.gateway.ports import Principal
from dragoman.translate.messages.plan import Policy

# Where an upstream routes by headers, all of them carry the value of the lane.
LANE_HEADERS: Mapping[str, tuple[str, ...]] = {"chatgpt": ("session-id", "thread-id", "x-client-request-id")}
# What the ChatGPT backend says with an answer, to hear it again with the next request of the same turn.
TURN_STATE = "x-codex-turn-state"


def key_policy(policy: Policy, key: Principal) -> Policy:
    """The operator's policy with what the key says of effort."""
    if (key.default_effort, key.enforced_effort, key.max_effort) == (None, None, None):
        return policy
    return replace(
        policy,
        key_effort=key.default_effort,
        enforced_effort=key.enforced_effort,
        max_effort=key.max_effort,
    )
