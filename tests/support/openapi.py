"""Two oracles for upstream bodies: OpenAI's description as JSON Schema, and the simulator's contract.

The description's unions overlap, so `oneOf` is read as `anyOf`. What the ChatGPT backend takes in another
shape (items without ids, assistant text as a list) is put into the public shape before it is judged.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from dragoman.simulator.contract import Flavour, Terms
from dragoman.simulator.models import UNLISTED, family
from dragoman.simulator.refusal import Refused
from dragoman.simulator.sealing import Claims
from dragoman.simulator.switches import Switches
from dragoman.simulator.validate import Validator
from dragoman.wire import jsonio

_FILE = Path(__file__).parents[2] / "src" / "dragoman" / "simulator" / "openapi.json"


def create_response() -> Draft202012Validator:
    """A validator for bodies of `POST /responses`."""
    return described("CreateResponse")


@cache
def described(name: str) -> Draft202012Validator:
    """A validator for what has this name in the description."""
    description = jsonio.parse(_FILE.read_bytes())
    schema = {"$ref": f"#/components/schemas/{name}", "components": _any_of(description["components"])}
    return Draft202012Validator(schema)


def _any_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {("anyOf" if name == "oneOf" else name): _any_of(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_any_of(inner) for inner in value]
    return value


def schema_problem(body: dict[str, Any]) -> str:
    """The first place where a body leaves the description, "" where it does not."""
    public = {**body, "input": [_public(item) for item in body["input"]]}
    for error in create_response().iter_errors(public):
        return f"{error.json_path}: {error.message[:300]}"
    return ""


def _public(item: dict[str, Any]) -> dict[str, Any]:
    if item["type"] in ("reasoning", "web_search_call") and "id" not in item:
        return {**item, "id": "rs_0"}
    if item.get("role") == "assistant" and isinstance(item["content"], list):
        return {**item, "content": item["content"][0]["text"]}
    return item


def contract_problem(body: dict[str, Any], kind: str, model: str) -> str:
    """What the strict simulator would refuse, "" where it would answer.

    Sealed content in tests is `<item id>|<number>`, numbers ascending; the simulator's own seals are not
    needed to know whether an item stands in its place.
    """
    flavour: Flavour = "codex" if kind == "chatgpt" else "api"
    switches = Switches(
        codex_effort_none="accept", api_item_ids="accept" if kind == "responses" else "require"
    )
    terms = Terms(flavour, model, family(model) or UNLISTED, switches, "scope", _open_seal)
    validator = Validator()
    try:
        validator.create(body, terms)
        validator.history([item for item in body["input"] if not _readable(item)], terms, frozenset())
    except Refused as refusal:
        return str(refusal)
    return ""


def _readable(item: dict[str, Any]) -> bool:
    """Reasoning of an open model, which is not sealed and which the simulator does not know."""
    return item["type"] == "reasoning" and "encrypted_content" not in item


def _open_seal(sealed: str) -> Claims | None:
    item, _, number = sealed.rpartition("|")
    kind = "compaction" if item.startswith("cmp_") else "reasoning"
    return Claims(item, "resp_1", int(number), "scope", "", "", 0, kind)
