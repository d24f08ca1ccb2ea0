"""Which requests can be answered from the cache, and which of them are the same.

| operation | answers are stored |
|---|---|
| chat, completions, messages | unless a tool runs at the provider, or Anthropic's beta features are asked for |
| responses | the same, and unless they continue or start a state at the provider |
| embeddings, moderations | always |
| images, audio, count_tokens, realtime | never: large, forms, or cheap |
| our own engines | where `Endpoint.deterministic` says that the answer depends on nothing else |

Two requests are the same when tenant, mode, policies, region, tags, operation and body are the same, but for the order
of members and for members that do not change an answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from omni import __version__
from omni.contracts.wire import ModelRequest

_SAME_FOR_ALL = frozenset(
    ("user", "safety_identifier", "stream", "stream_options", "prompt_cache_key", "prompt_cache_retention")
)
IGNORED: Mapping[str, frozenset[str]] = {
    "chat": _SAME_FOR_ALL | {"metadata", "store"},
    "completions": _SAME_FOR_ALL,
    # Whether the provider keeps a response decides whether it can be continued, so `store` stays.
    "responses": _SAME_FOR_ALL | {"metadata"},
    "messages": frozenset(("stream", "metadata")),
    "embeddings": frozenset(("user",)),
    "moderations": frozenset(),
}
"""Members of each operation that can be cached which do not change its answer."""
_STATEFUL = ("previous_response_id", "conversation", "background", "mcp_servers", "container", "web_search_options")
_OWN_TOOLS = (None, "function", "custom")


def is_cacheable(request: ModelRequest) -> bool:
    """Whether the answer depends on nothing but the request and the model."""
    ignored = IGNORED.get(request.operation)
    if ignored is None or request.beta:
        return False
    fields = request.fields
    if any(fields.get(name) for name in _STATEFUL):
        return False
    tools = fields.get("tools")
    if not tools:
        return True
    return isinstance(tools, list) and all(isinstance(tool, dict) and tool.get("type") in _OWN_TOOLS for tool in tools)


def request_digest(request: ModelRequest, scope: bytes, fields: Mapping[str, Any] | None = None) -> str:
    """SHA-256, as hex digits, of what makes a request the same as another; `fields` instead of its own if given."""
    ignored = IGNORED[request.operation]
    kept = {
        name: value
        for name, value in (request.fields if fields is None else fields).items()
        if name not in ignored and value is not None
    }
    canonical = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(b"%b\n%b\n%b" % (scope, request.operation.encode("ascii"), canonical)).hexdigest()


def engine_digest(route: str, scope: bytes, body: bytes) -> str | None:
    """The same of a request to an engine of ours; None where the body is no JSON object. A release is a part of it: it
    may answer otherwise."""
    try:
        fields = orjson.loads(body)
        canonical = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    if not isinstance(fields, dict):
        return None
    parts = (scope, route.encode("ascii"), __version__.encode("ascii"), canonical)
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


class Wanted:
    """What a request's `cache-control` says: RFC 9111's request directives that we honour."""

    __slots__ = ("max_age", "read", "store")

    def __init__(self, header: bytes) -> None:
        self.read = True
        self.store = True
        self.max_age: int | None = None
        for part in header.lower().split(b","):
            name, _, value = part.strip().partition(b"=")
            if name == b"no-cache":
                self.read = False
            elif name == b"no-store":
                self.read = self.store = False
            elif name == b"max-age" and value.isdigit() and len(value) < 10:
                self.max_age = int(value)
