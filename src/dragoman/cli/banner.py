"""The block that `dragoman serve` prints at every start: where it listens and how to use it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TextIO

from dragoman import __version__
from dragoman.gateway.ports import Account


def show(
    out: TextIO,
    address: str,
    demo_key: str | None,
    *,
    simulated: bool,
    accounts: Iterable[Account],
    keyed: bool,
    setup: str | None = None,
) -> None:
    """Writes the block. `address` is `http://host:port`; a demo key is shown in clear, others never.

    `keyed` tells whether any key exists, `setup` is the token for the first admin, shown this once.
    """
    key = demo_key or "<one of your keys>"
    lines = [f"dragoman {__version__}", f"  listening   {address}"]
    if simulated:
        lines += [
            "  upstream    SIMULATED: the built-in simulator answers, no model does.",
            "              `dragoman account login NAME` or [[accounts]] bring a real one (see README).",
        ]
    else:
        names = ", ".join(f"{account.name} ({account.kind})" for account in accounts)
        lines.append(f"  upstream    {names}")
    needs_key = bool(demo_key or keyed)
    if needs_key:
        lines.append(f"  client key  {key}")
    else:
        lines.append("  client key  none needed: bound to loopback and no key configured")
    lines.append(f"  console     {address}/console")
    if setup is not None:
        lines += [
            f"  admin       {setup}",
            "              sets the first password in the console, shown once, good for a day;",
            "              `dragoman token setup` makes another.",
        ]
    token = key if needs_key else "unused"
    lines += [
        "",
        "  Try it in another terminal:",
        "",
        f"  ANTHROPIC_BASE_URL={address} ANTHROPIC_AUTH_TOKEN='{token}' ANTHROPIC_API_KEY= \\",
        "    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 claude -p 'Say hello' --model claude-sonnet-5-5",
        "",
    ]
    with contextlib.suppress(OSError):  # nobody reads it, or there is no space: no reason not to serve
        out.write("\n".join(lines) + "\n")
        out.flush()
