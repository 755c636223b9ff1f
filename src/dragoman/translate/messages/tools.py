"""The tools of a request: what is offered from the start, what is loaded later, and in which order.

The list of tools is the head of every cached prefix, so it must not change from turn to turn. A deferred
tool is therefore kept out of it and added to the input at the place where it was referenced; where the
upstream cannot take that, it comes last, in the order of first reference. Which tool must be called is
decided in tool_choice.py, hosted search in search.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.translate.capability import Capability
from dragoman.translate.messages import search
from dragoman.translate.messages.plan import Policy, Target
from dragoman.translate.messages.structured import is_strict
from dragoman.translate.messages.typed_tools import client_side
from dragoman.translate.tool_names import Names, short_name
from dragoman.wire import jsonio
from dragoman.wire.errors import invalid

PLACEHOLDER = "DeferredToolPlaceholder"
CUSTOM = ("custom", None)
_COMBINATORS = ("anyOf", "oneOf", "allOf", "not", "enum")
# Typed tools that some server would have to run. None of them makes a difference to the conversation
# when it is left out, except those that validate refuses unless it is told to be lenient.
_LEFT_OUT = ("tool_search_tool_", "advisor_", "web_fetch_", "code_execution_")


class Offer:
    """The tools of one request while its history is read.

    head        upstream tools that are offered from the start, in the client's order
    deferred    client's name -> upstream tool that is loaded only when it is referenced
    loaded      names of deferred tools in the order of their first reference
    removed     upstream names of tools that were withdrawn in the middle of the conversation
    searches    the client's web search tool, if there is one
    servers     upstream label -> client's name of the MCP servers on offer
    hosted      upstream types of tools that the upstream itself runs
    """

    __slots__ = (
        "_policy",
        "_target",
        "deferred",
        "head",
        "hosted",
        "ignored",
        "loaded",
        "names",
        "removed",
        "searches",
        "servers",
    )

    def __init__(self, target: Target, policy: Policy) -> None:
        self._target = target
        self._policy = policy
        self.names = Names()
        self.head: list[dict[str, Any]] = []
        self.deferred: dict[str, dict[str, Any]] = {}
        self.loaded: list[str] = []
        self.removed: set[str] = set()
        self.searches: Mapping[str, Any] | None = None
        self.servers: dict[str, str] = {}
        self.hosted: list[str] = []
        self.ignored: list[str] = []

    # -- reading the list --------------------------------------------------------------------------------

    def read(self, request: Mapping[str, Any]) -> None:
        """Takes in `tools` and `mcp_servers`. Raises Refused for what this upstream cannot do."""
        tools: Sequence[Mapping[str, Any]] = request.get("tools") or ()
        listed = enumerate(request.get("mcp_servers") or ())
        servers = {server["name"]: (f"mcp_servers.{index}", server) for index, server in listed}
        # The client's list is complete when a server was to search it: then everything is loaded.
        eager = any(_kind(tool).startswith("tool_search_tool_") for tool in tools)
        for index, tool in enumerate(tools):
            self._read_tool(tool, f"tools.{index}", servers, eager=eager)
        for path, server in servers.values():
            self._mcp(server, path, None)

    def _read_tool(
        self,
        tool: Mapping[str, Any],
        path: str,
        servers: dict[str, tuple[str, Mapping[str, Any]]],
        *,
        eager: bool,
    ) -> None:
        kind = _kind(tool)
        if kind == "mcp_toolset":
            # A server that has its toolset is not offered a second time at the end.
            if (found := servers.pop(tool["mcp_server_name"], None)) is not None:
                self._mcp(found[1], path, tool)
        elif kind.startswith("web_search_"):
            self._web_search(tool, path)
        elif tool.get("name") == PLACEHOLDER or kind.startswith(_LEFT_OUT):
            if not kind.startswith("tool_search_tool_") and kind:
                self.ignored.append(path)
        elif (made := self._function(tool, kind, path)) is None:
            self.ignored.append(path)
        elif tool.get("defer_loading") is True and not eager:
            self.deferred[tool["name"]] = made
        else:
            self.head.append(made)

    def _function(self, tool: Mapping[str, Any], kind: str, path: str) -> dict[str, Any] | None:
        """The upstream function for a tool that the client runs; None for a type that nobody knows."""
        described = client_side(kind) if kind else None
        description: Any
        if described is not None:
            description, schema = described(tool)
        elif isinstance(tool.get("input_schema"), dict):
            description = tool.get("description")
            schema = parameters(tool["input_schema"], self._target.capability)
        else:
            return None
        made: dict[str, Any] = {"type": "function", "name": self.names.add(tool["name"])}
        if description or tool.get("input_examples"):
            made["description"] = _with_examples(description or "", tool.get("input_examples"))
        made["parameters"] = schema
        made["strict"] = False
        if tool.get("strict") is True:
            made["strict"] = is_strict(schema)
            if not made["strict"]:
                self.ignored.append(f"{path}.strict")
        return made

    def _web_search(self, tool: Mapping[str, Any], path: str) -> None:
        if not self._target.capability.web_search:
            self._cannot(path, "web search is not available on this upstream")
        elif self.searches is None:
            self.searches = tool
            self.hosted.append("web_search")
            self.head.append(search.search_tool(tool, self._target.capability))
        else:
            self.ignored.append(path)  # one hosted search is all there is

    def _mcp(self, server: Mapping[str, Any], path: str, toolset: Mapping[str, Any] | None) -> None:
        if not self._target.capability.mcp:
            self._cannot(path, "MCP servers are not available on this upstream")
            return
        allowed = self._allowed(server, toolset, path)
        if allowed == []:
            return  # switched off
        made: dict[str, Any] = {
            "type": "mcp",
            "server_label": short_name(server["name"]),
            "server_url": server["url"],
        }
        if token := server.get("authorization_token"):
            made["authorization"] = token
        if allowed is not None:
            made["allowed_tools"] = allowed
        made["require_approval"] = "never"
        self.servers[made["server_label"]] = server["name"]
        self.hosted.append("mcp")
        self.head.append(made)

    def _allowed(
        self, server: Mapping[str, Any], toolset: Mapping[str, Any] | None, path: str
    ) -> list[str] | None:
        """Names of the server's tools that may be used, None for all of them."""
        old = server.get("tool_configuration") or {}
        if old.get("enabled") is False:
            return []
        allowed: list[str] | None = old.get("allowed_tools")
        if toolset is None:
            return allowed
        configs: Mapping[str, Any] = toolset.get("configs") or {}
        if (toolset.get("default_config") or {}).get("enabled") is False:
            return [name for name, config in configs.items() if config.get("enabled") is True]
        if any(config.get("enabled") is False for config in configs.values()):
            self.ignored.append(f"{path}.configs")
        return allowed

    def _cannot(self, path: str, problem: str) -> None:
        if not self._policy.lenient:
            raise invalid(path, problem)
        self.ignored.append(path)

    # -- while the history is read -----------------------------------------------------------------------

    def load(self, name: str) -> dict[str, Any] | None:
        """Notes a reference to a tool; returns its definition if it must now be added to the input."""
        tool = self.deferred.get(name)
        if tool is None or name in self.loaded:
            return None
        self.loaded.append(name)
        return tool if self._target.capability.additional_tools else None

    def define(self, definition: Mapping[str, Any], path: str) -> dict[str, Any] | None:
        """Takes in a tool that is defined inside the conversation; as load."""
        name = definition["name"]
        if name not in self.deferred:
            if self.names.knows(name):
                return None  # offered from the start
            made = self._function(definition, _kind(definition), path)
            if made is None:
                self.ignored.append(path)
                return None
            self.deferred[name] = made
        return self.load(name)

    def finish(self, order: Sequence[str]) -> list[dict[str, Any]]:
        """The upstream's `tools`. `order` are the names of the previous turn's list, as sent."""
        tools = list(self.head)
        if not self._target.capability.additional_tools:
            tools += [self.deferred[name] for name in self.loaded]
        return stable_order(tools, order) if order else tools


def parameters(schema: dict[str, Any], capability: Capability) -> dict[str, Any]:
    """The client's schema itself, or a mended copy with the missing members at its end."""
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
        schema = {**schema, "type": "object"}
        if not isinstance(schema.get("properties"), dict):
            schema["properties"] = {}
    if not capability.any_schema and any(word in schema for word in _COMBINATORS):
        schema = {word: value for word, value in schema.items() if word not in _COMBINATORS}
    return schema


def stable_order(tools: Sequence[dict[str, Any]], before: Sequence[str]) -> list[dict[str, Any]]:
    """Puts upstream tools into the order of a previous turn; new ones follow in their own order.

    `before` are names as sent (the type where a tool has no name); names that are gone are passed over.
    """
    rank = {name: place for place, name in enumerate(before)}
    return sorted(tools, key=lambda tool: rank.get(tool.get("name") or tool["type"], len(rank)))


def _kind(tool: Mapping[str, Any]) -> str:
    """The dated type of a tool that Anthropic defines, "" for a client's own."""
    kind = tool.get("type")
    return "" if kind in CUSTOM else str(kind)


def _with_examples(description: str, examples: Any) -> str:
    if not examples:
        return description
    shown = "\n".join(jsonio.dump_text(example) for example in examples)
    return f"{description}\n\nExamples of input:\n{shown}".lstrip("\n")
