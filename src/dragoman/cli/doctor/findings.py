"""What doctor can find: one table of ids with their meaning and their remedy, and the shape of a finding.

docs/reference/doctor.md is generated from this table; an id that is not in it cannot be reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Level = Literal["ok", "warn", "error"]
LEVELS: tuple[Level, ...] = ("ok", "warn", "error")
PAGE = "docs/reference/doctor.md"


class Entry(NamedTuple):
    """What an id is about, and what to do when it is not ok."""

    meaning: str
    fix: str


CATALOG: dict[str, Entry] = {
    "data-dir": Entry(
        "The data directory and the files in it belong to their owner alone: folders 0700, files 0600.",
        "chmod -R go= on the data directory",
    ),
    "secret-file": Entry(
        "The gateway's own secret, which signs sealed reasoning and salts cache keys, can be read.",
        "start the gateway once, which makes the file, or set the variable named by secrets.key_env",
    ),
    "store": Entry(
        "The database is whole, its tables are those of this version, and the gateway's secret opens it.",
        "do what the sentence says; `dragoman db check` tells more",
    ),
    "store-journal": Entry(
        "Rows that a killed process left in its journal; the next start, or any verb, takes them in.",
        "dragoman log tail",
    ),
    "open-host": Entry(
        "A gateway that other machines reach has a client key; without one it does not start.",
        "dragoman key create NAME, or server.host = 127.0.0.1",
    ),
    "config": Entry(
        "The configuration loads, and everything it refers to is there: keys, files, aliases, certificates.",
        "correct the line that is named; `dragoman config check` tells all of them",
    ),
    "port": Entry(
        "Who is at the gateway's address: nobody, this gateway, or something else.",
        "stop the other program, or choose another server.port",
    ),
    "client-key": Entry(
        "A client key is found for the gateway, and the gateway knows it.",
        "dragoman key create NAME --save",
    ),
    "account": Entry(
        "Each account's server is reached (name, connection, TLS) and takes the account's key.",
        "correct base_url or the key of the account; behind a proxy set HTTPS_PROXY or upstream.ca_file",
    ),
    "account-address": Entry(
        "An account's base_url looks right: up to and without /responses, and not plain http over a network.",
        "set base_url to the https address in front of /responses, as in https://api.openai.com/v1",
    ),
    "account-login": Entry(
        "The store knows of no ChatGPT account whose login is over: each can still be renewed.",
        "dragoman account login NAME",
    ),
    "account-models": Entry(
        "The models that an account lists in the configuration are offered by its server.",
        "take the name out of the account's models, or correct its spelling",
    ),
    "account-none": Entry(
        "No account is configured: the built-in simulator answers, no model does.",
        "dragoman account login NAME, or add [[accounts]] to the configuration",
    ),
    "clock": Entry(
        "This machine's clock agrees with the servers' clocks; TLS, limits and log times need it.",
        "switch on time synchronisation (timedatectl set-ntp true)",
    ),
    "client-missing": Entry(
        "Claude Code is installed: `claude` is on the PATH.",
        "install Claude Code, or give `dragoman claude` its place with --claude",
    ),
    "client-shell": Entry(
        "Variables of this shell lead Claude Code to the gateway, and none leads it elsewhere.",
        "start with `dragoman claude`, which sets the right ones, or unset what is named",
    ),
    "client-settings": Entry(
        "No settings file of Claude Code overrides what `dragoman claude` sets; the `env` of a file wins.",
        "take the variables out of the file's env, or write the right ones: dragoman claude --write-settings",
    ),
    "client-committed-key": Entry(
        "No key stands in a project's .claude/settings.json, which is usually committed.",
        "move it to .claude/settings.local.json and make a new key",
    ),
    "stream": Entry(
        "An answer arrives in pieces while it is made: no proxy in front of the gateway collects it first.",
        "switch buffering off in the proxy (nginx: proxy_buffering off; gzip off for text/event-stream)",
    ),
    "cache": Entry(
        "Three growing turns of one conversation find their beginning in the upstream's prompt cache.",
        "look at cache_verdict and cache_story of the requests in the log; see docs/prompt-cache.md",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `fix` is None where there is nothing to do."""

    id: str
    level: Level
    sentence: str
    fix: str | None = None

    @property
    def docs(self) -> str:
        """Where the id is explained."""
        return f"{PAGE}#{self.id}"


def fine(name: str, sentence: str) -> Finding:
    """Nothing to do."""
    return _finding(name, "ok", sentence, None)


def warn(name: str, sentence: str, fix: str | None = None) -> Finding:
    """Something that may be wanted, or that will hurt later."""
    return _finding(name, "warn", sentence, fix)


def error(name: str, sentence: str, fix: str | None = None) -> Finding:
    """Something that does not work."""
    return _finding(name, "error", sentence, fix)


def _finding(name: str, level: Level, sentence: str, fix: str | None) -> Finding:
    entry = CATALOG[name]
    return Finding(name, level, sentence, None if level == "ok" else fix or entry.fix)


def worst(findings: Iterable[Finding]) -> Level:
    """The highest level there is."""
    return max((one.level for one in findings), key=LEVELS.index, default="ok")
