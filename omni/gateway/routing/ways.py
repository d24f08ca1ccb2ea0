"""One request on its way to a target, and what a target has begun to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from omni.contracts.routes import ModelRoute, Provider, Target
from omni.contracts.wire import Answer, ModelRequest, ProviderCall
from omni.gateway.access.auth import Caller
from omni.gateway.metrics import Calls
from omni.gateway.overload import Gate
from omni.gateway.routing.router import Ask
from omni.gateway.upstream.connection import BackendConnection
from omni.gateway.upstream.pools import BackendPool

if TYPE_CHECKING:
    from omni.gateway.routing.calls import CallTracing, TracedCall

Watch = Callable[[BackendConnection], None]


class Tried(NamedTuple):
    """A call that was made; times are the loop's."""

    target: Target
    provider: Provider
    started: float
    ended: float
    """0 where its answer is streamed: it ends with the request."""
    error_type: str
    span_id: int
    """0 where it was told to nobody."""


@dataclass(slots=True)
class Way:
    """One request on its way to a target."""

    request: ModelRequest
    model: ModelRoute
    caller: Caller
    ask: Callable[[], Ask]
    batch: bool
    """Whether it may wait behind others."""
    deadline: float
    """Loop time."""
    watch: Watch
    head: bytes
    """Header lines for every provider: trace context, request id."""
    backend_head: Callable[[], bytes]
    """Header lines for the platform's own engines: the signed principal."""
    tracing: CallTracing | None = None
    """Makes the spans of its calls; None = they have none."""
    tried: list[Tried] = field(default_factory=list)
    """The calls made so far, for the store of slow requests."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The platform's own engines, and the gate in front of them."""

    backends: BackendPool
    gate: Gate


class AnswerStream(Protocol):
    """What is read of an answer: a BackendResponse, or one that looks at what passes."""

    status: int
    body: bytes | None
    content_type: bytes

    async def pump(self, sink: Callable[[bytes], bool]) -> bool: ...

    async def read(self) -> bytes: ...

    async def read_whole(self, limit_bytes: int) -> bytes: ...

    def allow_until(self, deadline: float) -> None: ...

    def abort(self, error: Exception) -> None: ...

    def header(self, name: bytes) -> bytes: ...


class Served:
    """An answer that a target has begun to give. `answer` is whole, or None where `response` is to be streamed."""

    __slots__ = ("answer", "call", "calls", "first_byte_seconds", "own_key", "response", "started_at", "target",
                 "traced")  # fmt: skip

    def __init__(
        self, target: Target, calls: Calls, call: ProviderCall, response: AnswerStream, started_at: float,
        first_byte_seconds: float, *, own_key: bool,
    ) -> None:  # fmt: skip
        self.target = target
        self.calls = calls
        self.call = call
        self.response = response
        self.started_at = started_at
        """Loop time at which the provider was asked."""
        self.first_byte_seconds = first_byte_seconds
        self.own_key = own_key
        self.answer: Answer | None = None
        self.traced: TracedCall | None = None
