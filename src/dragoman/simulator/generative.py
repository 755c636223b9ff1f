"""What the simulator says when no rule of a scenario matches: plausible, short, deterministic, harmless.

It reflects the user's words, calls a suitable tool when the words sound like a task for one, and closes after
the tool has answered. Commands are limited to echo, ls and pwd, and tools whose names change things are never
called unasked. It invents content only; the stream's form is answer.py's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.simulator.example import example
from dragoman.simulator.models import Family
from dragoman.simulator.reading import Reading
from dragoman.simulator.steps import Step
from dragoman.simulator.switches import Switches
from dragoman.wire import jsonio

_WORD = re.compile(r"[\w'-]+")
_PATH = re.compile(r"(?<![\w/])(?:\.{0,2}/[\w./-]+|[\w-]+(?:/[\w.-]+)*\.[A-Za-z][\w]{0,4})(?![\w/])")
_QUOTED = re.compile(r"[`\"']([^`\"'\n]{1,80})[`\"']")
_SAFE_COMMAND = re.compile(r"(?:echo [\w .,!?:-]{0,60}|ls(?: -[a-zA-Z]+)?(?: [\w./-]+)?|pwd)")
# Tools that change something, start something or turn to the user: never called unasked.
_CHANGES = re.compile(
    r"write|edit|delete|remove|move|rename|create|update|kill|send|post|deploy|install|apply|patch|todo|agent"
    r"|task|commit|push|upload|notebook|plan|cron|worktree|ask|mode|skill|config|output|schedule|remote|slash",
    re.IGNORECASE,
)
# A client that wants structured output offers this tool and waits for its call.
_STRUCTURED = "StructuredOutput"
_SUMMARY = re.compile(r"summar(?:y|ise|ize).{0,200}conversation|conversation.{0,200}summar", re.I | re.S)
_SEARCHING = re.compile(r"\b(search|look up|latest|news|web|online|current)\b", re.I)
_ECHO_CHARS = 240
_RESULT_CHARS = 200
_LONG_PROMPT = 400

# What the words must look like -> tools that do it, best first.
_TASKS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"\b(read|open|show|cat|view|look at|print)\b.*(\.|/|file)", re.I | re.S), ("Read", "read")),
    (re.compile(r"\b(list|find|glob|which)\b.*\bfiles?\b", re.I | re.S), ("Glob", "LS", "glob", "list")),
    (re.compile(r"\b(grep|search)\b.*\b(for|in)\b.*\b(code|files?|repo)", re.I | re.S), ("Grep", "grep")),
    (
        re.compile(r"\b(run|execute|command|shell|terminal|bash|echo|ls|pwd|list|files?|directory)\b", re.I),
        ("Bash", "bash", "exec_command", "shell", "run_command", "execute_command"),
    ),
)
_COMMAND_KEYS = ("command", "cmd", "script")
_PATH_KEYS = ("file_path", "path", "filepath", "filename", "file", "absolute_path")


def compose(
    body: Mapping[str, Any], reading: Reading, family: Family, switches: Switches
) -> tuple[Step, ...]:
    """The steps of an answer."""
    if reading.compaction:
        return (Step("compaction", {"tokens": 500}),)
    steps = list(_thinking(body, reading, family))
    call = _tool_step(body, reading, switches)
    if call is not None:
        return (*steps, call)
    if _offers_search(body, reading):
        return (*steps, *_searched(reading, family))
    message = {"text": _text(body, reading, switches)}
    if family.reasons:
        message["phase"] = "final_answer"
    return (*steps, Step("message", message))


def _thinking(body: Mapping[str, Any], reading: Reading, family: Family) -> tuple[Step, ...]:
    effort = (body.get("reasoning") or {}).get("effort") or family.default_effort
    if not family.reasons or effort == "none":
        return ()
    about = "the tool's answer" if reading.after_tool else f"“{_clip(reading.user, 60) or 'the request'}”"
    return (Step("reasoning", {"summary": [f"**Considering**\n\nThinking about {about}."], "tokens": 64}),)


def _text(body: Mapping[str, Any], reading: Reading, switches: Switches) -> str:
    shape = (body.get("text") or {}).get("format") or {}
    if shape.get("type") == "json_schema":
        hint = _clip(reading.user, 50) or "Example"
        return jsonio.dump_text(example(shape.get("schema"), hint, fill=True))
    if shape.get("type") == "json_object":
        return jsonio.dump_text({"answer": _clip(reading.user, _ECHO_CHARS)})
    if switches.reply_words:
        return _words(reading.user, switches)
    if _is_summary_request(reading):
        return (
            "<analysis>\nThe conversation so far was read.\n</analysis>\n\n<summary>\n"
            f"1. Primary request: {_clip(reading.user, 120)}\n"
            "2. State: simulated; nothing is pending.\n</summary>"
        )
    if reading.after_tool:
        seen = " / ".join(_clip(output, _RESULT_CHARS) or "(empty)" for output in reading.outputs)
        return f"Done. The tool answered: {seen}"
    return f"This is a simulated answer to: {_clip(reading.user, _ECHO_CHARS) or '(nothing)'}"


def _is_summary_request(reading: Reading) -> bool:
    return len(reading.user) > _LONG_PROMPT and _SUMMARY.search(reading.user) is not None


def _words(user: str, switches: Switches) -> str:
    """A text of a length that follows from a hash of the input: the same request, the same answer."""
    count = 1 + _roll(user, switches.seed) % switches.reply_words
    found = _WORD.findall(user)[:200] or ["word"]
    return " ".join(found[index % len(found)] for index in range(count))


def _roll(text: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{text}".encode(), digest_size=6).digest())


def _clip(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _tool_step(body: Mapping[str, Any], reading: Reading, switches: Switches) -> Step | None:
    """A call of a client tool, or None when this turn is for words."""
    choice = body.get("tool_choice") or "auto"
    own = [tool for tool in _flat(reading.tools) if tool["type"] in ("function", "custom")]
    own = _allowed(own, choice)
    if choice == "none" or not own:
        return None
    forced = choice == "required" or (
        isinstance(choice, dict) and choice.get("type") in ("function", "custom")
    )
    forced = forced or (isinstance(choice, dict) and choice.get("mode") == "required")
    if forced:
        return _call(_best(own, reading.user) or own[0], reading.user)
    if reading.after_tool or _is_summary_request(reading):
        return None
    rolled = _roll(reading.user, switches.seed) % 1000 < switches.tool_probability * 1000
    tool = _best(own, reading.user) or (_first_safe(own) if rolled else None)
    return None if tool is None else _call(tool, reading.user)


def _flat(tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    flat: list[Mapping[str, Any]] = []
    for tool in tools:
        if tool["type"] == "namespace":
            flat += [{**inner, "namespace": tool["name"]} for inner in tool["tools"]]
        else:
            flat.append(tool)
    return flat


def _allowed(tools: list[Mapping[str, Any]], choice: Any) -> list[Mapping[str, Any]]:
    if not isinstance(choice, dict):
        return tools
    named = choice.get("tools") if choice.get("type") == "allowed_tools" else [choice]
    names = {one.get("name") for one in named or ()}
    return [tool for tool in tools if tool["name"] in names]


def _best(tools: Sequence[Mapping[str, Any]], user: str) -> Mapping[str, Any] | None:
    """The tool the words ask for: by kind of task, by its name spelt out, by a word of its name."""
    by_name = {str(tool["name"]): tool for tool in tools}
    if _STRUCTURED in by_name:
        return by_name[_STRUCTURED]
    spoken = {word.lower() for word in _WORD.findall(user)}
    for name, tool in by_name.items():
        if name.lower() in spoken and not _CHANGES.search(name) and len(name) > 4:
            return tool
    for looks, names in _TASKS:
        if looks.search(user) and (found := next((name for name in names if name in by_name), None)):
            return by_name[found]
    for name, tool in by_name.items():
        parts = {part.lower() for part in re.split(r"[_\-]|(?<=[a-z])(?=[A-Z])", name) if len(part) > 3}
        if parts & spoken and not _CHANGES.search(name):
            return tool
    return None


def _first_safe(tools: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((tool for tool in tools if not _CHANGES.search(str(tool["name"]))), None)


def _call(tool: Mapping[str, Any], user: str) -> Step:
    name = str(tool["name"])
    if tool["type"] == "custom":
        return Step("custom_tool_call", {"name": name, "input": _clip(user, 80)})
    schema = {"type": "object", **(tool.get("parameters") or {})}
    fill = name == _STRUCTURED
    arguments = example(schema, _subject(user), _known_values(tool, user), fill=fill)
    args: dict[str, Any] = {"name": name, "arguments": jsonio.dump_text(arguments)}
    if "namespace" in tool:
        args["namespace"] = tool["namespace"]
    return Step("function_call", args)


def _known_values(tool: Mapping[str, Any], user: str) -> dict[str, Any]:
    """Sensible values for members whose names tell what they are; only those the schema has as strings."""
    members = (tool.get("parameters") or {}).get("properties") or {}
    values: dict[str, Any] = {}
    for keys, value in (
        (_COMMAND_KEYS, _command),
        (_PATH_KEYS, _path),
        (("pattern", "glob"), _pattern),
        (("query", "prompt", "q"), _subject),
    ):
        values |= {key: value(user) for key in keys if _wants_text(members, key, tool)}
    if isinstance(members.get("command"), dict) and members["command"].get("type") == "array":
        values["command"] = _command(user).split()
    return values


def _wants_text(members: Mapping[str, Any], key: str, tool: Mapping[str, Any]) -> bool:
    schema = members.get(key)
    required = (tool.get("parameters") or {}).get("required") or ()
    return (
        isinstance(schema, dict)
        and schema.get("type") == "string"
        and "enum" not in schema
        and key in required
    )


def _command(user: str) -> str:
    for candidate in (*_QUOTED.findall(user), *_SAFE_COMMAND.findall(user)):
        if _SAFE_COMMAND.fullmatch(candidate):
            return str(candidate).strip()
    if re.search(r"\b(files?|directory|folder|list)\b", user, re.I):
        return "ls"
    return "echo simulated"


def _path(user: str) -> str:
    found = _PATH.search(user)
    return found.group() if found else "README.md"


def _pattern(user: str) -> str:
    found = _QUOTED.search(user)
    return found.group(1) if found else "*"


def _subject(user: str) -> str:
    """What the words are about: a quotation, else a capitalised word inside, else the words."""
    if found := _QUOTED.search(user):
        return found.group(1)
    inner = re.findall(r"(?<=[a-z] )[A-Z][\w-]+(?: [A-Z][\w-]+)*", user)
    return str(inner[0]) if inner else _clip(user, 80) or "example"


def _offers_search(body: Mapping[str, Any], reading: Reading) -> bool:
    hosted = any(str(tool["type"]).startswith("web_search") for tool in reading.tools)
    choice = body.get("tool_choice") or "auto"
    if not hosted or choice == "none" or reading.after_tool:
        return False
    forced = isinstance(choice, dict) and str(choice.get("type")).startswith("web_search")
    return forced or choice == "required" or len(reading.tools) == 1 or bool(_SEARCHING.search(reading.user))


def _searched(reading: Reading, family: Family) -> tuple[Step, ...]:
    query = _clip(reading.user, 80) or "example"
    sources = ["https://example.com/first", "https://example.com/second"]
    text = f"Simulated search results for {query}: the first page says that this is an example."
    note = {"url": sources[0], "title": "First example", "text": "this is an example"}
    message: dict[str, Any] = {"text": text, "annotations": [note]}
    if family.reasons:
        message["phase"] = "final_answer"
    return Step("web_search", {"queries": [query], "sources": sources}), Step("message", message)
