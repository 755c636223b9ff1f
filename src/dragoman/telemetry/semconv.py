"""The attribute names of spans, in one place.

OpenTelemetry's GenAI conventions are still in development and have moved house once, so the names are kept
here and not taken from a package. Names of content (messages, instructions, tool definitions) are left out
on purpose: prompt text is never part of a span.
"""

from __future__ import annotations

# -- of the request (SERVER) -----------------------------------------------------------------------------
HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
ERROR_TYPE = "error.type"
# Ours: what the row of the log calls by the same words.
REQUEST_ID = "dragoman.request_id"
KEY = "dragoman.key"
CLIENT = "dragoman.client"
OUTCOME = "dragoman.outcome"
CACHE_VERDICT = "dragoman.cache.verdict"
ACCOUNT = "dragoman.account"

# -- of an attempt (CLIENT) ------------------------------------------------------------------------------
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
# What the client asked for; not in the conventions, but in use.
ORIGINAL_MODEL = "gen_ai.original.model"
STREAM = "gen_ai.request.stream"
CONVERSATION = "gen_ai.conversation.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITTEN_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
API_TYPE = "openai.api.type"

CHAT = "chat"
OPENAI = "openai"
RESPONSES = "responses"
