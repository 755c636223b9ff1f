"""Events of our own inside a Responses stream: how one looks where the upstream's own does not exist.

Their shape is OpenAI's description of a response. A failure's code is one that clients know inside a stream:
Codex ends a turn at once for some of them, waits for one, and connects again after every other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dragoman.wire import sse
from dragoman.wire.errors import TABLE, Failure, Kind

# What a failed response may name as its reason (ResponseErrorCode of the description) …
CODES = frozenset(
    {
        "server_error",
        "rate_limit_exceeded",
        "invalid_prompt",
        "data_residency_mismatch",
        "bio_policy",
        "vector_store_timeout",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    }
)
# … and what the service says besides, which Codex takes for the end of the turn.
FINAL = frozenset({"context_length_exceeded", "insufficient_quota", "cyber_policy"})


def shell(
    identity: str, created_at: int, model: str, status: str, asked: Mapping[str, Any]
) -> dict[str, Any]:
    """A response with every field that the description requires, as far as nothing is known of it.

    `asked` is what the request said of such fields.
    """
    return {
        "id": identity,
        "object": "response",
        "created_at": created_at,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        **asked,
    }


# Without these a response is none to a client.
REQUIRED = shell("", 0, "", "", {}).keys() - {"status"}


# What nobody knows when a response begins.
_AT_THE_END = frozenset({"usage", "completed_at"})


def code(failure: Failure) -> str:
    """The word for a failure inside a stream: what waiting will not mend is told as final."""
    if failure.kind is Kind.RATE_LIMIT and failure.should_retry is False:
        return "insufficient_quota"
    named = failure.error_code or TABLE[failure.kind].openai_code
    if named is not None and (named in CODES or named in FINAL):
        return named
    return "invalid_prompt" if failure.status < 500 else "server_error"


def created_frame(response: Mapping[str, Any], sequence: int) -> bytes:
    """`response.created`, without which clients do not take in what follows."""
    return _frame({"type": "response.created", "sequence_number": sequence, "response": response})


def failed_frame(failure: Failure, response: Mapping[str, Any], sequence: int) -> bytes:
    """`response.failed` for a response that has been told of."""
    error = {"code": code(failure), "message": failure.message}
    failed = {**response, "status": "failed", "error": error}
    return _frame({"type": "response.failed", "sequence_number": sequence, "response": failed})


def error_frame(failure: Failure, sequence: int) -> bytes:
    """The flat `error` event, for a stream of which nothing is known any more."""
    error = failure.openai()["error"]
    return _frame(
        {
            "type": "error",
            "code": error["code"],
            "message": error["message"],
            "param": error["param"],
            "sequence_number": sequence,
        }
    )


def document_frames(event: Mapping[str, Any]) -> list[bytes]:
    """A last event that is all there is, as a stream tells it: clients take items and texts from events."""
    response: Any = event.get("response")
    told: list[Mapping[str, Any]] = [event]
    output = response.get("output") if isinstance(response, dict) else None
    if isinstance(output, list) and event["type"] != "response.failed":
        begun = {name: value for name, value in response.items() if name not in _AT_THE_END}
        begun |= {"status": "in_progress", "output": []}
        items = [item for item in output if isinstance(item, dict)]
        told = [
            {"type": "response.created", "response": begun},
            *(part for index, item in enumerate(items) for part in _item_events(item, index)),
            event,
        ]
    return [_frame({**one, "sequence_number": number}) for number, one in enumerate(told)]


def _item_events(item: Mapping[str, Any], index: int) -> Iterator[dict[str, Any]]:
    parts = item.get("content")
    texts = parts if item.get("type") == "message" and isinstance(parts, list) else []
    empty = {**item, "content": [], "status": "in_progress"} if texts else item
    yield {"type": "response.output_item.added", "output_index": index, "item": empty}
    for at, part in enumerate(texts):
        if not isinstance(part, dict) or part.get("type") != "output_text":
            continue
        place = {"item_id": item.get("id"), "output_index": index, "content_index": at}
        text = part.get("text")
        blank = {**part, "text": "", "annotations": []}
        yield {"type": "response.content_part.added", **place, "part": blank}
        yield {"type": "response.output_text.delta", **place, "delta": text, "logprobs": []}
        yield {"type": "response.output_text.done", **place, "text": text, "logprobs": []}
        yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _frame(event: dict[str, Any]) -> bytes:
    return sse.encode(event).removesuffix(b"\n\n")
