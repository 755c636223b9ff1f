"""What the front door takes at most, and for how long it waits.

Constructor values, so that tests can be short about waiting; they are no settings, because no deployment
needs other ones. Sizes are bytes on the wire, times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one connection."""

    # The head of a request.
    header_bytes: int = 64 * KIB
    header_fields: int = 200
    target_bytes: int = 8 * KIB
    header_seconds: float = 10.0
    # Its body: silence between two reads, and a floor under the rate.
    body_gap_seconds: float = 30.0
    body_rate: int = 4 * KIB
    body_rate_seconds: float = 60.0
    # A connection between two requests. Longer than the 60 s that load balancers keep theirs.
    idle_seconds: float = 75.0
    # A client that does not take what it asked for: so little in so long, and it is gone.
    stall_seconds: float = 60.0
    stall_bytes: int = 64 * KIB
    # Requests sent ahead of the answer: how many are understood, how many bytes of more are kept.
    pipelined: int = 16
    ahead_bytes: int = 64 * KIB
    # After a refusal the rest of the request is read and dropped, so that the answer is not lost to a reset.
    linger_seconds: float = 30.0
    linger_head_bytes: int = 1 * MIB
    linger_body_bytes: int = 64 * MIB
    # Beside a successor: a connection that nobody uses for so long is not about to be used.
    quiet_seconds: float = 5.0
    # After the drain's end a request is told to finish, and has so long for its last words.
    last_words_seconds: float = 5.0
