"""One request on its way to a target, and what a target has begun to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from omni.contracts.routes import ModelRoute, Provider, Target
from omni.contracts.wire import Adapter, Answer, ModelRequest, ProviderCall
from omni.gateway.access.auth import Caller
from omni.gateway.metrics import Calls
from omni.gateway.overload import Gate
from omni.gateway.routing.health import Call, TargetHealth
from omni.gateway.routing.router import Ask
from omni.gateway.upstream.connection import BackendConnection
from omni.gateway.upstream.google_tokens import is_service_account
from omni.gateway.upstream.pools import BackendPool

if TYPE_CHECKING:
    from omni.gateway.routing.calls import CallTracing, TracedCall

Watch = Callable[[BackendConnection], None]
Access = tuple[Adapter, str, bool]
"""The adapter of a provider, the key to call it with, and whether that is the tenant's own."""


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
    tried: list[Served] = field(default_factory=list)
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


class Leg:
    """A target as one caller reaches it."""

    __slots__ = ("adapter", "attributes", "calls", "health", "needs_token", "own_key", "provider", "secret", "target")

    def __init__(
        self, target: Target, provider: Provider, access: Access, calls: Calls, health: TargetHealth
    ) -> None:  # fmt: skip
        self.target = target
        self.provider = provider
        self.adapter, self.secret, self.own_key = access
        self.calls = calls
        self.health = health
        self.attributes = {"provider": target.provider, "target": target.id}
        """What usage events say of it."""
        self.needs_token = provider.kind == "vertex" and is_service_account(self.secret)
        """Whether `secret` is an account, to be changed for a token before each call."""


class Served(Call):
    """A call to a target, and what the target has begun to answer: `answer` is whole, or None where `response` is to be
    streamed."""

    __slots__ = ("answer", "call", "deadline", "ended_at", "error_type", "first_byte_seconds", "leg",
                 "response", "started_at", "traced")  # fmt: skip

    response: AnswerStream
    """Known once it has begun."""

    def __init__(self, leg: Leg, call: ProviderCall, started_at: float, deadline: float) -> None:
        health = leg.health  # as Call has it, in place: each request makes one
        self._health, self._probe = health, health.begin()
        self.leg = leg
        self.call = call
        self.started_at = started_at
        """Loop time at which the provider was asked, as are the other times."""
        self.deadline = deadline
        self.first_byte_seconds = 0.0
        self.ended_at = 0.0
        """0 where its answer is streamed: it ends with the request."""
        self.error_type = ""
        self.answer: Answer | None = None
        self.traced: TracedCall | None = None
