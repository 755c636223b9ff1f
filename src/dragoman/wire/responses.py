"""What travels on OpenAI's side: Responses requests, input and output items, tools, stream events.

TypedDicts for readers and type checkers; nothing is parsed or checked here. Follows OpenAI's public
OpenAPI description of `/responses`, and only as far as this gateway writes or reads it.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Phase = Literal["commentary", "final_answer"]


class Breakpoint(TypedDict):
    mode: Literal["explicit"]


class InputText(TypedDict):
    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: NotRequired[Breakpoint]


class InputImage(TypedDict):
    """`image_url` is an http(s) URL or a data URL."""

    type: Literal["input_image"]
    image_url: str
    detail: Literal["auto", "low", "high", "original"]
    prompt_cache_breakpoint: NotRequired[Breakpoint]


class InputFile(TypedDict):
    """Exactly one of `file_data` (a data URL) and `file_url`."""

    type: Literal["input_file"]
    filename: NotRequired[str]
    file_data: NotRequired[str]
    file_url: NotRequired[str]
    prompt_cache_breakpoint: NotRequired[Breakpoint]


class OutputText(TypedDict):
    type: Literal["output_text"]
    text: str
    annotations: NotRequired[list[dict[str, Any]]]


class InputMessage(TypedDict):
    type: Literal["message"]
    role: Literal["user", "developer"]
    content: list[dict[str, Any]]


class AssistantMessage(TypedDict):
    """A replayed answer: plain text, or a list of output_text parts where the upstream wants that."""

    type: Literal["message"]
    role: Literal["assistant"]
    content: str | list[OutputText]
    phase: NotRequired[Phase]


class SummaryText(TypedDict):
    type: Literal["summary_text"]
    text: str


class ReasoningItem(TypedDict):
    type: Literal["reasoning"]
    id: NotRequired[str]
    summary: list[SummaryText]
    content: NotRequired[list[dict[str, Any]]]
    encrypted_content: NotRequired[str | None]


class FunctionCall(TypedDict):
    """`arguments` is JSON as text, exactly as the model wrote it where that is known."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str


class FunctionCallOutput(TypedDict):
    type: Literal["function_call_output"]
    call_id: str
    output: str | list[dict[str, Any]]


class WebSearchCall(TypedDict):
    type: Literal["web_search_call"]
    id: NotRequired[str]
    status: Literal["in_progress", "searching", "completed", "failed"]
    action: dict[str, Any]


class AdditionalTools(TypedDict):
    """Tools that become available at this place of the input."""

    type: Literal["additional_tools"]
    role: Literal["developer"]
    tools: list[dict[str, Any]]


class Compaction(TypedDict):
    type: Literal["compaction"]
    id: NotRequired[str]
    encrypted_content: str


InputItem = (
    InputMessage
    | AssistantMessage
    | ReasoningItem
    | FunctionCall
    | FunctionCallOutput
    | WebSearchCall
    | AdditionalTools
    | Compaction
)


class FunctionTool(TypedDict):
    type: Literal["function"]
    name: str
    description: NotRequired[str]
    parameters: dict[str, Any]
    strict: bool


class WebSearchTool(TypedDict):
    type: Literal["web_search"]
    external_web_access: NotRequired[bool]
    filters: NotRequired[dict[str, Any]]
    user_location: NotRequired[dict[str, Any]]


class McpTool(TypedDict):
    type: Literal["mcp"]
    server_label: str
    server_url: str
    authorization: NotRequired[str]
    allowed_tools: NotRequired[list[str]]
    require_approval: Literal["never"]


ToolParam = FunctionTool | WebSearchTool | McpTool


class Reasoning(TypedDict):
    effort: NotRequired[str]
    summary: NotRequired[Literal["auto", "concise", "detailed"]]


class ResponsesRequest(TypedDict):
    """`POST /responses`, in the key order in which this gateway writes it."""

    model: str
    instructions: NotRequired[str]
    input: list[dict[str, Any]]
    tools: NotRequired[list[dict[str, Any]]]
    tool_choice: NotRequired[str | dict[str, Any]]
    parallel_tool_calls: NotRequired[bool]
    reasoning: NotRequired[Reasoning]
    text: NotRequired[dict[str, Any]]
    include: NotRequired[list[str]]
    store: NotRequired[bool]
    stream: bool
    max_output_tokens: NotRequired[int]
    max_tool_calls: NotRequired[int]
    temperature: NotRequired[float]
    top_p: NotRequired[float]
    service_tier: NotRequired[str]
    prompt_cache_key: NotRequired[str]
    prompt_cache_options: NotRequired[dict[str, Any]]
    prompt_cache_retention: NotRequired[str]
    safety_identifier: NotRequired[str]


class ResponseUsage(TypedDict):
    """Input includes cached and written tokens, output includes reasoning. Details may be missing."""

    input_tokens: int
    output_tokens: int
    total_tokens: NotRequired[int]
    input_tokens_details: NotRequired[dict[str, int] | None]
    output_tokens_details: NotRequired[dict[str, int] | None]


class Response(TypedDict):
    """The object inside `response.created` and the terminal events; `output` may be missing or empty."""

    id: str
    status: NotRequired[str]
    model: NotRequired[str]
    output: NotRequired[list[dict[str, Any]]]
    usage: NotRequired[ResponseUsage | None]
    error: NotRequired[dict[str, Any] | None]
    incomplete_details: NotRequired[dict[str, Any] | None]
    service_tier: NotRequired[str | None]


class StreamEvent(TypedDict):
    """Any event of the stream; which other fields it has depends on `type`."""

    type: str
    sequence_number: NotRequired[int]
    output_index: NotRequired[int]
    content_index: NotRequired[int]
    summary_index: NotRequired[int]
    item_id: NotRequired[str]
    item: NotRequired[dict[str, Any]]
    delta: NotRequired[str]
    response: NotRequired[Response]
