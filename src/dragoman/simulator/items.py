"""Input items one by one: shape, role, parts, ids, images.

It follows the item schemas of OpenAI's description and the service's known messages. What holds between
items (calls and outputs, the place of reasoning) is in history.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dragoman.simulator import media, offers
from dragoman.simulator.contract import Terms
from dragoman.simulator.refusal import breach, detail
from dragoman.simulator.schema import Flaw, schemas

_ID_PREFIX = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fc",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctc",
    "web_search_call": "ws",
    "image_generation_call": "ig",
    "compaction": "cmp",
}
MAX_ID = 64
_URL = re.compile(r"https?://[^\s/]+", re.IGNORECASE)
_IMAGE_PROBLEM = (
    "The image data you provided does not represent a valid image. Please check your input and try again "
    "with one of the following image formats: ['image/jpeg', 'image/png', 'image/gif', 'image/webp']."
)
# Placeholders for members that the schema requires and that lenient servers do without.
_LENIENT_PART: dict[str, list[Any]] = {"annotations": [], "logprobs": []}


def check(item: Any, index: int, terms: Terms) -> None:
    """Raises Refused or Flaw for the first thing wrong with this item."""
    path = f"input[{index}]"
    if not isinstance(item, dict):
        schemas().check("EasyInputMessage", item, path)
    kind = item.get("type", "message")
    if not isinstance(kind, str):
        schemas().check("InputItem", item, path)
    if kind == "message":
        _check_message(item, path, terms)
    else:
        schemas().check("InputItem", _completed(item, terms), path)
    _check_id(item, kind, path, terms)
    if kind in ("function_call", "custom_tool_call"):
        offers.check_name(item["name"], f"{path}.name", terms)
        _check_call_id(item["call_id"], path)
    elif kind in ("function_call_output", "custom_tool_call_output"):
        _check_parts(item["output"], f"{path}.output", terms)
    elif kind == "additional_tools":
        if terms.codex and "additional_tools" not in terms.switches.codex_accepts:
            raise detail("additional_tools", "Unsupported input item type: additional_tools")
        offers.check_tools(item["tools"], f"{path}.tools", terms)


def _check_message(item: dict[str, Any], path: str, terms: Terms) -> None:
    role = item.get("role")
    if role == "system" and terms.codex:
        raise detail("role_system", "System messages are not allowed")
    content = item.get("content")
    if role == "assistant" and isinstance(content, list):
        for number, part in enumerate(content):
            _only(part, ("output_text", "refusal"), f"{path}.content[{number}]")
        schemas().check("OutputMessage", _completed(item, terms), path)
        return
    if isinstance(content, list):
        for number, part in enumerate(content):
            _only(part, ("input_text", "input_image", "input_file"), f"{path}.content[{number}]")
    schemas().check("EasyInputMessage", item, path)
    _check_parts(content, f"{path}.content", terms)


def _only(part: Any, allowed: tuple[str, ...], path: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind not in allowed:
        listed = ", ".join(f"'{one}'" for one in allowed)
        message = f"Invalid value: '{kind}'. Supported values are: {listed}."
        raise breach("part_type", message, param=f"{path}.type", code="invalid_value")


def _completed(item: dict[str, Any], terms: Terms) -> dict[str, Any]:
    """The item with what a lenient server does not insist on, so that the schema judges the rest."""
    ids = terms.switches.codex_item_ids if terms.codex else terms.switches.api_item_ids
    if ids == "require":
        return item
    kind = item.get("type", "message")
    completed = {"id": f"{_ID_PREFIX.get(kind, 'item')}_0", **item}
    if kind == "message":
        completed = {"type": "message", "status": "completed", **completed}
        parts = item["content"]
        completed["content"] = [
            {**_LENIENT_PART, **part}
            if isinstance(part, dict) and part.get("type") == "output_text"
            else part
            for part in parts
        ]
    return completed


def _check_id(item: Mapping[str, Any], kind: str, path: str, terms: Terms) -> None:
    identity = item.get("id")
    if identity is None:
        return
    if terms.codex and terms.switches.codex_item_ids == "reject":
        raise detail("item_id", f"Unknown parameter: '{path}.id'.")
    prefix = _ID_PREFIX.get(kind)
    if prefix is None:
        return
    # As the service words it: Codex names its outputs `fco_…`, which begins with `fc`.
    if not isinstance(identity, str) or not identity.startswith(prefix):
        message = f"Invalid '{path}.id': '{identity}'. Expected an ID that begins with '{prefix}'."
        raise breach("item_id", message, param=f"{path}.id", code="invalid_value")
    if len(identity) > MAX_ID:
        message = (
            f"Invalid '{path}.id': string too long. Expected a string with maximum length {MAX_ID}, "
            f"but got a string with length {len(identity)} instead."
        )
        raise breach("item_id", message, param=f"{path}.id", code="string_above_max_length")


def _check_call_id(call_id: str, path: str) -> None:
    if not 1 <= len(call_id) <= MAX_ID:
        message = (
            f"Invalid '{path}.call_id': string too {'long' if call_id else 'short'}. Expected a string with "
            f"maximum length {MAX_ID}, but got a string with length {len(call_id)} instead."
        )
        raise breach("call_id", message, param=f"{path}.call_id", code="string_above_max_length")


def _check_parts(content: Any, path: str, terms: Terms) -> None:
    if not isinstance(content, list):
        return
    for number, part in enumerate(content):
        where = f"{path}[{number}]"
        if part.get("prompt_cache_breakpoint") is not None and (
            terms.codex or not terms.family.explicit_cache
        ):
            message = "prompt_cache_breakpoint is not supported on this model"
            if terms.codex:
                raise detail("prompt_cache_breakpoint", message)
            param = f"{where}.prompt_cache_breakpoint"
            raise breach("prompt_cache_breakpoint", message, param=param, code="unsupported_parameter")
        if part["type"] == "input_image":
            if not terms.family.images:
                message = f"Image inputs are not supported with the '{terms.model}' model."
                raise breach("image", message, param=where, code="unsupported_value")
            _check_image(part, where)
        elif part["type"] == "input_file":
            _check_file(part, where)


def _check_image(part: Mapping[str, Any], path: str) -> None:
    url = part.get("image_url")
    if url is None:
        if not part.get("file_id"):
            raise Flaw(
                f"{path}.image_url",
                "missing_required_parameter",
                f"Missing required parameter: '{path}.image_url'.",
            )
        return
    if not url.startswith("data:"):
        if not _URL.match(url):
            message = (
                f"Invalid '{path}.image_url'. Expected a valid URL, but got a value with an invalid format."
            )
            raise breach("image", message, param=f"{path}.image_url", code="invalid_value")
        return
    carried = media.data_url(url)
    if carried is None or media.image(carried.content) is None:
        raise breach("image", _IMAGE_PROBLEM, param=f"{path}.image_url", code="invalid_value")


def _check_file(part: Mapping[str, Any], path: str) -> None:
    given = [name for name in ("file_data", "file_id", "file_url") if part.get(name)]
    if len(given) != 1:
        message = f"Invalid '{path}': exactly one of 'file_data', 'file_id' and 'file_url' must be given."
        raise breach("file", message, param=path, code="invalid_value")
    if given == ["file_url"] and not _URL.match(part["file_url"]):
        message = f"Invalid '{path}.file_url'. Expected a valid URL, but got a value with an invalid format."
        raise breach("file", message, param=f"{path}.file_url", code="invalid_value")
    if given != ["file_data"]:
        return
    if not part.get("filename"):
        raise breach(
            "file",
            f"Missing required parameter: '{path}.filename'.",
            param=f"{path}.filename",
            code="missing_required_parameter",
        )
    carried = media.data_url(part["file_data"])
    pdf = carried is not None and carried.media_type == "application/pdf"
    if carried is None or (pdf and not media.is_pdf(carried.content)):
        message = (
            f"Invalid '{path}.file_data'. Expected a base64-encoded data URL with the file's own content."
        )
        raise breach("file", message, param=f"{path}.file_data", code="invalid_value")
