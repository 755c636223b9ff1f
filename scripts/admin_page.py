"""The page of the admin API, from its OpenAPI document: every operation, then every shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Table = Callable[[Iterable[str], Iterable[Iterable[object]]], str]
_BOUNDS = (
    ("minimum", "≥ {}"),
    ("maximum", "≤ {}"),
    ("minLength", "{}+ characters"),
    ("maxLength", "≤ {} characters"),
)


def page(head: str, table: Table) -> str:
    """The whole page; `table` writes a Markdown table."""
    from dragoman.web.admin.app import bare, openapi

    document = openapi(bare())
    parts = [head, "# Admin API\n", document["info"]["description"] + "\n"]
    parts.append(
        "The same as a page of the gateway, for whoever is logged in: `/admin/api/docs`, made from\n"
        "`/admin/api/openapi.json`. How to begin: [the admin API](../admin.md).\n"
    )
    rooms: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            rooms.setdefault(told["tags"][0], []).append((method.upper(), path, told))
    for tag, operations in rooms.items():
        parts.append(f"## {tag.capitalize()}\n")
        parts += [part for operation in operations for part in _operation(*operation, table)]
    parts.append("## Shapes\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts += _shape(name, schema, table)
    return "\n".join(parts)


def _operation(method: str, path: str, told: dict[str, Any], table: Table) -> list[str]:
    said = told["summary"] + "."
    if told.get("description"):
        said += " " + " ".join(told["description"].split())
    parts = [f"### `{method} {path}`\n", f"{said}\n", _line(told)]
    if told.get("parameters"):
        rows = [
            (f"`{one['name']}`", one["in"], _kind(one["schema"]), _meaning(one, one.get("required", False)))
            for one in told["parameters"]
        ]
        parts.append(table(("parameter", "in", "kind", "meaning"), rows))
    return parts


def _line(told: dict[str, Any]) -> str:
    words = [f"Auth: `{told['x-auth']}`."]
    body = told.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        words.append(f"Body: {_kind(body['schema'])}.")
    for status, answer in told["responses"].items():
        if not status.startswith("2"):
            continue
        content = answer.get("content", {})
        schemas = [one["schema"] for one in content.values() if one.get("schema")]
        shown = _kind(schemas[0]) if schemas else ", ".join(f"`{media}`" for media in content) or "empty"
        words.append(f"Answer: {status}, {shown}.")
    return " ".join(words) + "\n"


def _shape(name: str, schema: dict[str, Any], table: Table) -> list[str]:
    parts = [f"### Shape {name}\n"]
    if schema.get("description"):
        parts.append(" ".join(schema["description"].split()) + "\n")
    needed = set(schema.get("required", ()))
    rows = [
        (f"`{field}`", _kind(told), _meaning(told, field in needed))
        for field, told in schema.get("properties", {}).items()
    ]
    return [*parts, table(("field", "kind", "meaning"), rows)]


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#shape-{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema:
        kinds = [_kind(one) for one in schema["anyOf"]]
        return " or ".join(dict.fromkeys(kinds))
    kind = schema.get("type", "any JSON")
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    return "time" if schema.get("format") == "date-time" else kind


def _meaning(told: dict[str, Any], needed: bool) -> str:
    schema = told.get("schema", told)
    words = ["needed"] if needed else []
    for one in (schema, *schema.get("anyOf", ())):
        words += [said.format(one[key]) for key, said in _BOUNDS if key in one]
    if (default := schema.get("default")) not in (None, [], {}):
        words.append(f"default `{default}`".lower() if isinstance(default, bool) else f"default `{default}`")
    if description := told.get("description"):
        words.append(description.rstrip("."))
    return "; ".join(words)
