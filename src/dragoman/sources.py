"""What the configuration file and the environment say, before the schema judges it, and how it is wrong.

The file means what it says: a number is no truth value and a text no number. A variable is text, which the
schema reads. Names near to what was written are told. It knows no setting by name and decides no value.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_args, get_origin

PREFIX = "DRAGOMAN_"
# Read by the command line itself, not part of the schema.
OUTSIDE = frozenset({"DRAGOMAN_CONFIG", "DRAGOMAN_DATA_DIR", "DRAGOMAN_KEY"})
# What Kubernetes and Docker's links put there for a service called dragoman: where it is, and nothing to set.
_OF_A_SERVICE = re.compile(
    r"DRAGOMAN_(?:SERVICE_HOST=|SERVICE_PORT(?:_\w+)?=|PORT=(?:tcp|udp)://|PORT_\d+_(?:TCP|UDP)(?:_\w+)?=)"
)
_BETWEEN = "__"
# What a value that is not text must be in the file, and how that is said.
_STRICT: Mapping[type, tuple[Callable[[Any], bool], str]] = {
    bool: (lambda value: isinstance(value, bool), "should be true or false"),
    int: (lambda value: type(value) is int, "should be a valid integer"),
    float: (lambda value: type(value) in (int, float), "should be a valid number"),
    datetime: (lambda value: isinstance(value, date | str), "should be a date with its time"),
}
_CALLED: Mapping[type, str] = {str: "a text", list: "a list", dict: "a table"}


class SettingsError(ValueError):
    """The configuration cannot be used; the message has one line per problem, with the key's path."""


def read(path: Path) -> dict[str, Any]:
    """The parsed file; a byte order mark before it does not matter. Raises SettingsError."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None


# -- variables ---------------------------------------------------------------------------------------------


def unknown_variables(
    environ: Mapping[str, str], fields: Mapping[str, Any], referred_to: Iterable[str]
) -> list[str]:
    """One line for each variable that begins like ours and is none; what something refers to is known."""
    tops = [f"{PREFIX}{name.upper()}" for name in fields]
    known = {*OUTSIDE, *referred_to, *referred(_said(environ, fields))}
    return [
        f"environment: unknown variable {name}{_like(name.upper(), _named(fields), tops)}"
        for name in sorted(environ)
        if name.upper().startswith(PREFIX)
        and not _OF_A_SERVICE.match(f"{name}={environ[name]}")
        and name not in known
        and name.upper() not in known
        and name.upper().split(_BETWEEN, 1)[0] not in tops
    ]


def referred(said: Any) -> Iterator[str]:
    """The names of variables that the keys `*_env` of a configuration refer to, however deep they lie."""
    if isinstance(said, Mapping):
        for key, value in said.items():
            if isinstance(value, str) and key.endswith("_env"):
                yield value.strip()
            else:
                yield from referred(value)
    elif isinstance(said, list):
        for value in said:
            yield from referred(value)


def not_json(environ: Mapping[str, str], fields: Mapping[str, Any]) -> list[str]:
    """One line for each variable that must be JSON and is not."""
    kinds = _named(fields)
    found = []
    for name in sorted(environ):
        kind = kinds.get(name.upper())
        wanted = _json_kind(kind)
        if wanted is None:
            continue
        try:
            json.loads(environ[name])
        except ValueError:
            found.append(f"environment: {name}: is no JSON; {wanted} is wanted")
    return found


def _json_kind(kind: Any) -> str | None:
    """How a value that is JSON in the environment is to be written; None for plain text."""
    inner = get_args(kind)
    if get_origin(kind) is dict:
        example = '{"name": "value"}' if inner[1] is str else '{"name": {"key": 1}}'
        return f"an object such as {example}"
    if get_origin(kind) is list:
        example = '["one", "two"]' if inner[0] is str else '[{"name": "one"}]'
        return f"a list such as {example}"
    if hasattr(kind, "model_fields"):
        return 'an object such as {"key": "value"}'
    return None


def _said(environ: Mapping[str, str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the variables say by their last word, JSON parsed."""
    kinds, said = _named(fields), {}
    for name, value in environ.items():
        if (upper := name.upper()) not in kinds:
            continue
        try:
            said[upper.lower()] = value if _json_kind(kinds[upper]) is None else json.loads(value)
        except ValueError:  # told by `not_json`
            continue
    return said


def _named(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Every variable of the schema, with the kind of its value."""
    found = {}
    for name, field in fields.items():
        top = PREFIX + name.upper()
        found[top] = field.annotation
        for key, inner in getattr(field.annotation, "model_fields", {}).items():
            found[f"{top}{_BETWEEN}{key.upper()}"] = inner.annotation
    return found


def _like(name: str, known: Iterable[str], tops: list[str]) -> str:
    """The nearest variable. All begin alike, so the beginning counts for nothing."""
    bare = [one.removeprefix(PREFIX) for one in known]
    match = difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1, cutoff=0.6)
    return f", did you mean {PREFIX}{match[0]}?" if match else f" (known: {', '.join(sorted(tops))})"


# -- the file ----------------------------------------------------------------------------------------------


def mistyped(table: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, str]:
    """Path and complaint of every value of the file that is not of its setting's type.

    Text is left to the schema, which takes nothing else for it.
    """
    found: dict[str, str] = {}
    for name, value in table.items():
        if name in fields:
            _mistyped(name, value, fields[name].annotation, found)
    return found


def _mistyped(path: str, value: Any, kind: Any, found: dict[str, str]) -> None:
    if (inner := getattr(kind, "model_fields", None)) is not None:
        if isinstance(value, Mapping):
            for key, each in value.items():
                if key in inner:
                    _mistyped(f"{path}.{key}", each, inner[key].annotation, found)
    elif get_origin(kind) is list:
        for at, each in enumerate(value if isinstance(value, list) else ()):
            _mistyped(f"{path}.{at}", each, get_args(kind)[0], found)
    elif get_origin(kind) is dict:
        for key, each in value.items() if isinstance(value, Mapping) else ():
            if (name := _unquoted(key, each, tables=get_args(kind)[1] is not str)) is not None:
                found[f"{path}.{key}"] = f'a name with a dot needs quotes: "{name}" = …'
    else:
        _strict(path, value, kind, found)


def _strict(path: str, value: Any, kind: Any, found: dict[str, str]) -> None:
    for one in (kind, *get_args(kind)):
        if one in _STRICT and not _STRICT[one][0](value):
            found[path] = f"input {_STRICT[one][1]}, found {_called(value)}"


def _unquoted(key: str, value: Any, *, tables: bool) -> str | None:
    """The name that was meant, where its dots made tables of it: `gpt-5.5` is `gpt-5`, and in it `5`."""
    name = key
    while isinstance(value, Mapping):
        inside = [(part, each) for part, each in value.items() if not tables or isinstance(each, Mapping)]
        if not inside:
            break
        part, value = inside[0]
        name = f"{name}.{part}"
    return None if name == key else name


def _called(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _CALLED.get(type(value), str(value))


# -- the schema's complaints -------------------------------------------------------------------------------


def described(problems: Iterable[Any], fields: Mapping[str, Any], besides: set[str]) -> list[str]:
    """A line for each problem that the schema found; what was told of paths `besides` is not told again."""
    found = []
    for problem in problems:
        path = ".".join(str(part) for part in problem["loc"])
        if not any(path == one or path.startswith(f"{one}.") for one in besides):
            found.append(_described(problem, fields))
    return found


def _described(problem: Any, fields: Mapping[str, Any]) -> str:
    path = [str(part) for part in problem["loc"]]
    where = ".".join(path) or "settings"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key{_nearest(path[-1], _siblings(path, fields))}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}"


def _siblings(path: list[str], fields: Any) -> list[str]:
    for part in path[:-1]:
        if part.isdigit():
            continue
        annotation: Any = fields[part].annotation
        arguments = getattr(annotation, "__args__", None)
        fields = (arguments[0] if arguments else annotation).model_fields
    return list(fields)


def _nearest(name: str, known: list[str]) -> str:
    match = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f", did you mean {match[0]}?" if match else f" (known: {', '.join(sorted(known))})"
