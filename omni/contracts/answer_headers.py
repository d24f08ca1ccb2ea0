"""Which header lines a tenant may add to its answers: the control plane refuses the others, the gateway drops them."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")
_OURS = ("omni-", "x-omni-", "ratelimit", "x-ratelimit", "content-", "access-control-", "sec-", "proxy-")
_RESERVED = frozenset((
    "age", "cache-control", "connection", "date", "keep-alive", "location", "retry-after", "server", "set-cookie", "te",
    "strict-transport-security", "trailer", "transfer-encoding", "upgrade", "www-authenticate", "x-accel-buffering",
    "x-request-id", "x-should-retry",
))  # fmt: skip


def may_be_set(name: str) -> bool:
    """Whether a tenant may set a header of this name, in small letters: none of HTTP's own, and none of ours."""
    return _NAME.fullmatch(name) is not None and name not in _RESERVED and not name.startswith(_OURS)
