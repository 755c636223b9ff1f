"""Which loads are put on every gateway: a table. How each kind is driven stands in measure.py."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["closed", "paced", "held", "burst", "mixed", "flat", "spaced"]


class Scenario(NamedTuple):
    """`body` by `connections` clients. `seconds` bounds closed loops; `requests` bounds everything else.

    `pooled` is for gateways that name it: those with several accounts.
    """

    kind: Kind
    body: str
    connections: int
    seconds: float = 0.0
    requests: int = 1_000_000
    beside: str = ""
    once: bool = False
    only: str = ""
    pooled: bool = False


SCENARIOS = {
    "plain_1k_c1": Scenario("closed", "plain_1k", 1, seconds=1.0),
    "plain_1k_c16": Scenario("closed", "plain_1k", 16, seconds=1.2),
    "plain_200k_c1": Scenario("closed", "plain_200k", 1, seconds=1.5),
    "plain_200k_c8": Scenario("closed", "plain_200k", 8, seconds=1.5),
    "one_1k_c1": Scenario("closed", "one_1k", 1, seconds=1.0),
    "one_200k_c1": Scenario("closed", "one_200k", 1, seconds=1.2),
    "full_1k_c16": Scenario("closed", "full_1k", 16, seconds=1.5),
    "full_200k_c8": Scenario("closed", "full_200k", 8, seconds=1.5),
    "paced_c50": Scenario("paced", "paced", 50, requests=50),
    "paced_c48": Scenario("paced", "paced", 48, requests=48, pooled=True),
    "paced_c200": Scenario("paced", "paced", 200, requests=200),
    "burst_300": Scenario("burst", "burst", 300, requests=300, seconds=1.0),
    "beside_200k": Scenario("mixed", "paced", 50, requests=50, beside="plain_200k"),
    "beside_2000k": Scenario("mixed", "paced", 50, requests=50, beside="plain_2000k"),
    "held_1000": Scenario("held", "held", 1000, requests=1000, once=True),
    "chat_1k_c16": Scenario("closed", "chat_plain_1k", 16, seconds=1.2),
    "chat_200k_c8": Scenario("closed", "chat_plain_200k", 8, seconds=1.5),
    "chat_full_1k_c16": Scenario("closed", "chat_full_1k", 16, seconds=1.5),
    "chat_paced_c50": Scenario("paced", "chat_paced", 50, requests=50),
    "responses_1k_c16": Scenario("closed", "responses_plain_1k", 16, seconds=1.2),
    "responses_200k_c8": Scenario("closed", "responses_plain_200k", 8, seconds=1.5),
    "responses_full_1k_c16": Scenario("closed", "responses_full_1k", 16, seconds=1.5),
    "responses_paced_c50": Scenario("paced", "responses_paced", 50, requests=50),
    "pooled_1000": Scenario("held", "held", 1000, requests=1000, once=True, pooled=True),
    "failover_1k": Scenario("spaced", "one_1k", 1, requests=12, once=True, pooled=True),
    "failover_200k": Scenario("spaced", "one_200k", 1, requests=12, once=True, pooled=True),
    "flat_100k": Scenario("flat", "plain_1k", 16, requests=100_000, seconds=300, once=True, only="dragoman"),
}

QUICK = (
    "plain_1k_c1",
    "plain_1k_c16",
    "plain_200k_c8",
    "one_1k_c1",
    "one_200k_c1",
    "full_1k_c16",
    "full_200k_c8",
    "paced_c50",
    "paced_c48",
    "burst_300",
    "beside_200k",
    "held_1000",
    "chat_1k_c16",
    "chat_full_1k_c16",
    "responses_1k_c16",
    "responses_full_1k_c16",
)
FULL = tuple(SCENARIOS)
