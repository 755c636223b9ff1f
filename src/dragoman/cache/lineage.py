"""Who is speaking: session, agent and lane of a request, and the keys that follow from them.

It reads headers and body and keeps no state, so the same request gets the same keys in every process and
after every restart. Client values go in and never come out: all keys are HMAC-SHA256 under the gateway's
secret, separate per tenant. It follows OpenAI's prompt caching guide; docs/prompt-cache.md has the tables.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from dragoman.wire import jsonio
from dragoman.wire.billing import billing_line, without_billing

Source = Literal["claude-code", "user-id", "codex", "session", "cache-key", "anchor", "none"]
Lane = Literal["main", "agent", "plain", "search", "count"]

AGENT_HEADER = "x-claude-code-agent-id"
# The order is the order of trust: what a client says of itself before what can be guessed from its words.
_CLAUDE_CODE = ("x-claude-code-session-id",)
_CODEX = ("session-id", "session_id", "x-codex-session-id", "x-codex-conversation-id")
_THREAD = ("thread-id", "thread_id", "x-codex-conversation-id", "conversation_id")
_SESSION = ("x-session-id", "x-session-affinity")

_SUBAGENT = "cc_is_subagent=true"
_PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_LEGACY_USER = re.compile(r"user_[^_]*_account_.*?_session_(.+)", re.DOTALL)
_SNAPSHOT = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})$")
_LANES: dict[str, Lane] = {"tools": "agent", "search": "search", "plain": "plain"}
_TOOL_BLOCKS = frozenset({"tool_use", "tool_result"})
# The same of a chat: roles that answer a call.
_TOOL_ROLES = frozenset({"tool", "function"})
_INSTRUCTIONS = frozenset({"system", "developer"})
_USER_ID_CHARS = 4096
KEPT = 1024


@dataclass(frozen=True, slots=True)
class Lineage:
    """Identity of one request; None where nothing is known, so that nothing is sent.

    session            what the client named, or an anchor; never leaves the process
    source             where the session was found
    agent              the sub-agent's id as sent, if any
    lane               who speaks inside the session
    cache_key          `prompt_cache_key`: shared by the session and model family (36 characters)
    lane_key           value of the session headers: one per agent or side call; `cache_key` for the main lane
    affinity           binds all lanes of a session to one account
    session_hash       salted hash for logs, 128 bits in hex
    conversation_hash  the same of (session, lane); also the key under which turns are remembered
    """

    session: str | None
    source: Source
    agent: str | None
    lane: Lane
    cache_key: str | None = None
    lane_key: str | None = None
    affinity: str | None = None
    session_hash: str | None = None
    conversation_hash: str | None = None


class _Speaker(NamedTuple):
    """The lane as a tuple of what tells lanes apart; `opening` is a hash of the first system block."""

    lane: Lane
    agent: str | None = None
    kind: str | None = None
    opening: str | None = None


def lineage(
    headers: Mapping[str, str],
    request: Mapping[str, Any],
    *,
    tenant: str,
    secret: bytes,
    model: str,
    per_lane_key: bool = False,
    counting: bool = False,
) -> Lineage:
    """Finds out who is speaking.

    `headers` has lower-case names, `request` is a Messages request or a chat, `model` the upstream's name.
    `per_lane_key` gives every lane its own `cache_key`; `counting` is set for count_tokens, which shares
    neither key nor account with the conversation.
    """
    named = client_cache_key(request)
    session, source = _session(headers, request, named)
    speaker = _speaker(headers, request, counting)
    if session is None:
        return Lineage(None, "none", speaker.agent, speaker.lane)
    own_key = counting or (per_lane_key and speaker.lane != "main")
    return _keyed(secret, tenant, session, source, named or session, model_family(model), speaker, own_key)


@lru_cache(maxsize=KEPT)
def _keyed(
    secret: bytes,
    tenant: str,
    session: str,
    source: Source,
    key: str,
    family: str,
    speaker: _Speaker,
    own_key: bool,
) -> Lineage:
    """Derives the keys. Kept for the sessions of late, whose every turn would derive the same ones."""

    def derive(what: str, *parts: str | None) -> str:
        return _derive(secret, what, tenant, *parts)

    of_lane, counting = speaker.lane != "main", speaker.lane == "count"
    return Lineage(
        session=session,
        source=source,
        agent=speaker.agent,
        lane=speaker.lane,
        cache_key=derive("lane", key, family, *speaker) if own_key else derive("key", key, family),
        lane_key=derive("lane", session, family, *speaker) if of_lane else derive("key", session, family),
        affinity=derive("affinity", session, "count" if counting else None),
        session_hash=derive("session", session).replace("-", ""),
        # Without the model: a conversation that goes on with another one is to be told so.
        conversation_hash=derive("conversation", session, *speaker).replace("-", ""),
    )


def item_lineage(
    headers: Mapping[str, str],
    request: Mapping[str, Any],
    *,
    tenant: str,
    secret: bytes,
    model: str,
    per_lane_key: bool = False,
) -> Lineage:
    """The same for a Responses request, whose clients name session and thread in headers of their own.

    A thread that is not the session itself is a sub-agent. Everything else that Codex sends is its main lane:
    its compaction has no tools and still extends the same prompt. Of other clients a request without tools,
    now and before, is plain talk beside the conversation, such as the search for a title.
    """
    named = client_cache_key(request)
    thread = _first_header(headers, _THREAD)
    session, source = _item_session(headers, request, named, thread)
    agent = thread if thread not in (None, session) else None
    speaker = _item_speaker(request, agent, source)
    if session is None:
        return Lineage(None, "none", agent, speaker.lane)
    own_key = per_lane_key and speaker.lane != "main"
    return _keyed(secret, tenant, session, source, named or session, model_family(model), speaker, own_key)


def model_family(model: str) -> str:
    """The model's name without the date of a snapshot: what keys are shared by."""
    return _SNAPSHOT.sub("", model)


def client_cache_key(request: Mapping[str, Any]) -> str | None:
    """The cache key that the client chose, in either spelling; blank is absent."""
    for field in ("prompt_cache_key", "promptCacheKey"):
        if (value := _identifier(request.get(field))) is not None:
            return value
    return None


def _derive(secret: bytes, what: str, *parts: str | None) -> str:
    """HMAC of a tuple, its first 128 bits written as a UUID. JSON keeps the tuple unambiguous."""
    mac = hmac.digest(secret, jsonio.dump(["dragoman", what, *parts]), hashlib.sha256)[:16].hex()
    return f"{mac[:8]}-{mac[8:12]}-{mac[12:16]}-{mac[16:20]}-{mac[20:]}"


def _identifier(value: Any) -> str | None:
    """An identifier fit to work with: as it is when plain, hashed when long or odd, None when blank."""
    if not isinstance(value, str) or not (value := value.strip()):
        return None
    if _PLAIN_ID.fullmatch(value):
        return value
    return hashlib.sha256(value.encode()).hexdigest()


# -- session -----------------------------------------------------------------------------------------


def _session(
    headers: Mapping[str, str], request: Mapping[str, Any], named: str | None
) -> tuple[str | None, Source]:
    if (found := _first_header(headers, _CLAUDE_CODE)) is not None:
        return found, "claude-code"
    if (found := _from_user_id(request)) is not None:
        return found, "user-id"
    if (found := _first_header(headers, _CODEX)) is not None:
        return found, "codex"
    if (found := _first_header(headers, _SESSION)) is not None:
        return found, "session"
    if named is not None:
        return named, "cache-key"
    if (found := _anchor(request)) is not None:
        return found, "anchor"
    return None, "none"


def _item_session(
    headers: Mapping[str, str], request: Mapping[str, Any], named: str | None, thread: str | None
) -> tuple[str | None, Source]:
    sources: tuple[tuple[str | None, Source], ...] = (
        (_first_header(headers, _CODEX), "codex"),
        (thread, "codex"),
        (_first_header(headers, _SESSION), "session"),
        (named, "cache-key"),
        (_item_anchor(request), "anchor"),
    )
    for found, source in sources:
        if found is not None:
            return found, source
    return None, "none"


def _item_speaker(request: Mapping[str, Any], agent: str | None, source: Source) -> _Speaker:
    if agent is not None:
        return _Speaker("agent", agent)
    items = request.get("input")
    if source == "codex" or request.get("tools") or any(map(_is_call, _objects(items))):
        return _Speaker("main")
    content = items if isinstance(items, str) else next(iter(_objects(items)), {}).get("content")
    first = next(_texts(content), "")
    told = jsonio.dump([request.get("instructions"), first])
    return _Speaker("plain", None, "plain", hashlib.sha256(told).hexdigest())


def _is_call(item: Mapping[str, Any]) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and kind.endswith(("_call", "_call_output"))


def _item_anchor(request: Mapping[str, Any]) -> str | None:
    """A session guessed from what does not change in it: the instructions and the first user text."""
    items = request.get("input")
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    head: list[list[str]] = []
    for item in _objects(items):
        words = list(_texts(item.get("content")))
        head.append(words)
        if item.get("role") == "user":
            if not any(words):
                return None
            told = jsonio.dump([request.get("instructions"), head])
            return f"anchor-{hashlib.sha256(told).hexdigest()}"
    return None


def _first_header(headers: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    for name in names:
        if (found := _identifier(headers.get(name))) is not None:
            return found
    return None


def _from_user_id(request: Mapping[str, Any]) -> str | None:
    """The session inside `metadata.user_id`: a JSON object, or the older `user_…_session_…` form.

    Anything else names a device or an account, which would join all sessions of it: not used.
    """
    metadata = request.get("metadata")
    user_id = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    if not isinstance(user_id, str) or len(user_id) > _USER_ID_CHARS:
        return None
    if legacy := _LEGACY_USER.fullmatch(user_id):
        return _identifier(legacy.group(1))
    try:
        parsed = jsonio.parse(user_id.encode())
    except jsonio.InvalidJson:
        return None
    return _identifier(parsed.get("session_id")) if isinstance(parsed, dict) else None


def _anchor(request: Mapping[str, Any]) -> str | None:
    """A session guessed from what does not change in it: the system prompt and the whole first user text."""
    for message in _objects(request.get("messages")):
        if message.get("role") == "user":
            words = list(_texts(message.get("content")))
            if not any(words):
                return None
            told = jsonio.dump([list(_system(request)), words])
            return f"anchor-{hashlib.sha256(told).hexdigest()}"
    return None


# -- lane --------------------------------------------------------------------------------------------


def _speaker(headers: Mapping[str, str], request: Mapping[str, Any], counting: bool) -> _Speaker:
    """Which lane a request belongs to, from the request alone.

    A session has one main lane, so nothing of its prompt is part of it: a system prompt that changes is a
    miss to be explained, not another speaker. A sub-agent is told by its id; lanes that have no id are told
    apart by how their system prompt opens.
    """
    agent = _identifier(headers.get(AGENT_HEADER))
    kind = _kind(request)
    if counting:
        return _Speaker("count", agent, kind)
    if agent is not None:
        return _Speaker("agent", agent, kind)
    if kind == "tools" and not _billed_as_subagent(request):
        return _Speaker("main")
    opening = hashlib.sha256(next(_system(request), "").encode()).hexdigest()
    return _Speaker(_LANES[kind], None, kind, opening)


def _kind(request: Mapping[str, Any]) -> str:
    """What a request can do: `tools` of the client, hosted web `search` alone, or `plain` talk.

    A request without tools whose history holds tool calls is a compaction of a conversation that had
    them: it extends that prefix, so it counts as `tools`. A title call has no such history.
    """
    tools = [*_objects(request.get("tools")), *_objects(request.get("functions"))]
    if any(not _hosted_search(tool) for tool in tools):
        return "tools"
    if tools or isinstance(request.get("web_search_options"), Mapping):
        return "search"
    return "tools" if _has_tool_history(request) else "plain"


def _hosted_search(tool: Mapping[str, Any]) -> bool:
    kind = tool.get("type")
    return isinstance(kind, str) and kind.startswith("web_search")


def _has_tool_history(request: Mapping[str, Any]) -> bool:
    return any(
        message.get("role") in _TOOL_ROLES
        or message.get("tool_calls")
        or message.get("function_call")
        or any(block.get("type") in _TOOL_BLOCKS for block in _objects(message.get("content")))
        for message in _objects(request.get("messages"))
    )


def _billed_as_subagent(request: Mapping[str, Any]) -> bool:
    return any(_SUBAGENT in billing_line(text) for text in _texts(request.get("system")))


# -- reading -----------------------------------------------------------------------------------------


def _system(request: Mapping[str, Any]) -> Iterator[str]:
    """The system prompt's texts without the billing line, which differs from request to request.

    A chat has no field for them: there they are the messages at its very beginning.
    """
    if "system" in request:
        return filter(None, map(without_billing, _texts(request["system"])))
    return filter(None, _leading(request))


def _leading(request: Mapping[str, Any]) -> Iterator[str]:
    for message in _objects(request.get("messages")):
        if message.get("role") not in _INSTRUCTIONS:
            return
        yield from _texts(message.get("content"))


def _texts(content: Any) -> Iterator[str]:
    """Texts of a string or of a list of blocks: both spellings give the same."""
    if isinstance(content, str):
        yield content
        return
    for block in _objects(content):
        if isinstance(text := block.get("text"), str):
            yield text


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for item in value:
            if isinstance(item, Mapping):
                yield item
