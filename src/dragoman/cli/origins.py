"""Every setting with its value and where it came from, for `config show`; every problem, for `config check`.

It walks the schema, so a new setting is in it by itself. A field without repr is a secret: only that it is
set is told. Of an address only the password is masked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dragoman.serving import configured, judged
from dragoman.serving.secret import data_path
from dragoman.settings import PREFIX, Section, Settings, SettingsError, layers, load

HIDDEN = "(set, not shown)"
_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*@")
_PASSWORD_FIELD = re.compile(r"(?<=[?&]password=)[^&\s]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One setting. `origin` is `flag`, `environment`, `file` or `default`, `source` the one of them."""

    key: str
    value: Any
    origin: str
    source: str | None


def rows(config: Path | None, flags: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """All settings in the order of the schema. Raises SettingsError."""
    settings = load(config, flags)
    said = layers(config, flags)
    return list(_rows(settings, said, config))


def data_directory(chosen: Path | None) -> Row:
    """The one value that stands outside the schema."""
    place = str(data_path(chosen))
    if chosen is not None:
        return Row("data_dir", place, "flag", "--data-dir")
    if os.environ.get("DRAGOMAN_DATA_DIR"):
        return Row("data_dir", place, "environment", "DRAGOMAN_DATA_DIR")
    return Row("data_dir", place, "default", None)


def _rows(settings: Settings, said: Mapping[str, Mapping[str, Any]], config: Path | None) -> Iterator[Row]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Section):
            for key in type(value).model_fields:
                origin = _origin(said, name, key)
                yield Row(f"{name}.{key}", _shown(value, key), origin, _source(origin, name, key, config))
            continue
        origin = _origin(said, name, None)
        source = _source(origin, name, None, config)
        if isinstance(value, list) and value:
            for row in value:
                fields = [key for key in type(row).model_fields if getattr(row, key) is not None]
                for key in fields:
                    yield Row(f"{name}.{row.name}.{key}", _shown(row, key), *_inner(row, key, origin, source))
        elif isinstance(value, dict) and value:
            for key, target in value.items():
                yield Row(f'{name}."{key}"', _plain(target), origin, source)
        else:
            yield Row(name, _plain(value), origin, source)


def _inner(row: Section, key: str, origin: str, source: str | None) -> tuple[str, str | None]:
    """A key of a table that was left out has its default, wherever the table stands."""
    return (origin, source) if key in row.model_fields_set else ("default", None)


def _origin(said: Mapping[str, Mapping[str, Any]], name: str, key: str | None) -> str:
    for layer, table in said.items():
        found = table.get(name)
        if found is not None and (key is None or (isinstance(found, Mapping) and key in found)):
            return layer
    return "default"


def _source(origin: str, name: str, key: str | None, config: Path | None) -> str | None:
    if origin == "flag":
        return f"--{key}"
    if origin == "file":
        return str(config)
    if origin != "environment":
        return None
    section = PREFIX + name.upper()
    wanted = section if key is None else f"{section}__{key.upper()}"
    return next((each for each in os.environ if each.upper() == wanted), section)


def _shown(row: Section, key: str) -> Any:
    value = getattr(row, key)
    hidden = type(row).model_fields[key].repr is False and value is not None
    if hidden and key != "url":
        return HIDDEN
    return _plain(value)


def _plain(value: Any) -> Any:
    """A value of JSON; passwords inside addresses are masked."""
    if isinstance(value, Section):
        return {key: _shown(value, key) for key in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str):
        return _PASSWORD_FIELD.sub("…", _PASSWORD.sub(r"\1:…@", value))
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def as_text(found: Sequence[Row], *, origin: bool) -> str:
    """One setting a line, in columns."""
    cells = [(row.key, json.dumps(row.value, ensure_ascii=False), _told(row)) for row in found]
    wide = max(len(key) for key, _, _ in cells)
    broad = min(40, max(len(value) for _, value, _ in cells))
    lines = [
        f"{key:<{wide}}  {value:<{broad}}  {told}" if origin else f"{key:<{wide}}  {value}"
        for key, value, told in cells
    ]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _told(row: Row) -> str:
    return row.origin if row.source is None else f"{row.origin} {row.source}"


def as_json(found: Sequence[Row | str]) -> str:
    """The same as a JSON list."""
    plain = [row if isinstance(row, str) else asdict(row) for row in found]
    return json.dumps(plain, indent=2) + "\n"


def problems(config: Path | None, data_dir: Path | None) -> list[str]:
    """One line per problem, none when `serve` would start with this configuration."""
    try:
        settings = load(config)
    except SettingsError as error:
        return str(error).splitlines()
    data = data_path(data_dir)
    return [*configured.problems(settings, data), *judged.problems(settings, data)]
