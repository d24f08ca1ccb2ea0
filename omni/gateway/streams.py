"""Streams of models on their way to the client: constant memory, a lease that follows the tokens, a typed end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from omni.contracts.wire import BadAnswer, StreamTranslator, Usage
from omni.gateway.admission.events import Outcome
from omni.gateway.admission.ledger import Ledger, Ticket
from omni.gateway.config import GatewayConfig
from omni.gateway.edge.exchange import Exchange
from omni.gateway.observers import Observers
from omni.gateway.routing.calls import call_settled, how_a_stream_ended
from omni.gateway.routing.ways import Served
from omni.gateway.upstream.answers import ClientGone, backend_failed
from omni.kit.clock import unix_micros
from omni.kit.errors import OmniError

_CLIENT_CLOSED_STATUS = 499
_PROGRESS_SECONDS = 1.0
"""How often the lease of a stream is renewed with what was streamed: what a crash can lose is less than this."""
_RENEWED_IN_A_TURN = 8
_TURN_SECONDS = 0.001
_ALLOW_SECONDS = 0.25
"""How often the deadline of a stream is moved, at most."""
_COMMENT = b": keep-alive\n\n"
_EXTEND_BYTES = (4096, 512, 64)
"""For how many more bytes of output a reservation is extended: as much as there is room for."""


class StreamStopped(Exception):
    """The stream ends on our side, with an error that the client is told."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """How a stream is charged."""

    outcome: Callable[[int, Usage | None, int, str | None], Outcome]
    """From status, the provider's usage, bytes of text, and why it is an estimate (None = it is not)."""
    nanos_per_byte: float
    """What a byte of output costs, by estimate; 0 = nothing to watch."""


class _Stream:
    """One stream that is being relayed."""

    def __init__(self, exchange: Exchange, served: Served, ticket: Ticket, plan: StreamPlan, now: float) -> None:
        self.exchange = exchange
        self.served = served
        self.ticket = ticket
        self.plan = plan
        self.translator: StreamTranslator = served.call.stream()
        self.chunked = False
        self.wrote_at = now
        self.allowed_at = 0.0
        self.renewed_at = now
        self.renewed_bytes = 0
        self.between_events = True
        self.affordable_bytes = 0
        self.unpaid = False
        """Whether it has grown beyond what is reserved."""
        self.kept_back = b""
        """What goes out once that is paid for."""

    def goes_on(self, now: float) -> None:
        """The provider said something: it has its time again to say more."""
        if now > self.allowed_at + _ALLOW_SECONDS:
            self.allowed_at = now
            self.served.response.allow_until(now + _ALLOW_SECONDS + self.served.leg.target.timeout_seconds)

    def write(self, data: bytes, now: float) -> None:
        self.wrote_at = now
        self.between_events = data.endswith((b"\n\n", b"\r\n\r\n"))
        self.exchange.connection.write(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)

    def so_far(self, status: int, why: str) -> Outcome:
        translator = self.translator
        outcome = self.plan.outcome(status, translator.usage, translator.text_bytes, why)
        outcome.duration_micros = unix_micros() - self.ticket.occurred_at_micros
        return outcome


class ModelStreams:
    """All model streams of this process."""

    def __init__(self, ledger: Ledger, observers: Observers, config: GatewayConfig) -> None:
        self._ledger = ledger
        self._logger = observers.logger
        self._loop = asyncio.get_running_loop()
        self._heartbeat_seconds = config.stream_heartbeat_seconds
        self._streams: set[_Stream] = set()
        self._due: deque[_Stream] = deque()
        """Streams whose lease is to be renewed."""
        self._renewals: set[asyncio.Task[bool | None]] = set()

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    async def relay(self, exchange: Exchange, served: Served, ticket: Ticket, plan: StreamPlan) -> None:
        """Passes the stream on and settles it before its last byte leaves. Errors go to the client inside the stream.

        Raises OSError when usage can be recorded nowhere; the connection is then cut.
        """
        stream = _Stream(exchange, served, ticket, plan, self._loop.time())
        self._set_affordable(stream)
        headers = b"content-type: %b\r\ncache-control: no-store\r\nx-accel-buffering: no\r\n%b"
        stream.chunked = exchange.begin_stream(200, headers % (served.call.content_type, ticket.headers), None)
        self._streams.add(stream)
        try:
            outcome = await self._pass_on(stream)
        finally:
            self._streams.discard(stream)
            served.response.abort(ClientGone())
        seconds = self._loop.time() - served.started_at
        error_type = how_a_stream_ended(outcome, stream.translator.failed)
        if error_type:
            served.leg.calls.failed(seconds, error_type)
        else:
            served.leg.calls.completed.add(seconds)
        call_settled(served, outcome, error_type)
        await self._ledger.settle(ticket, outcome)
        exchange.status = outcome.status
        if stream.chunked:
            exchange.connection.write(b"0\r\n\r\n")

    async def _pass_on(self, stream: _Stream) -> Outcome:
        translator, response, connection = stream.translator, stream.served.response, stream.exchange.connection
        now = self._loop.time

        def take(data: bytes) -> bool:
            at = now()
            stream.goes_on(at)
            out = translator.feed(data)
            if stream.affordable_bytes and translator.text_bytes > stream.affordable_bytes:
                stream.kept_back, stream.unpaid = out, True
                return False
            if out:
                stream.write(out, at)
            return not connection.write_paused

        try:
            while not await response.pump(take):
                if stream.unpaid:
                    await self._extend(stream)
                    stream.unpaid = False
                    if stream.kept_back:
                        stream.write(stream.kept_back, now())
                await connection.drain_writes()
            if out := translator.end():
                stream.write(out, now())
            if not translator.finished:
                raise backend_failed("the stream ended early")
        except ClientGone:
            return stream.so_far(_CLIENT_CLOSED_STATUS, "client_left")
        except StreamStopped as stop:
            self._tell(stream, stop.code, stop.message)
            return stream.so_far(stop.status, stop.code)
        except (OmniError, BadAnswer) as error:
            self._logger.warning("stream_broken", **stream.exchange.ids(), reason=error)
            self._tell(stream, "provider_failed", "The provider's answer broke off.")
            return stream.so_far(502, "provider_failed")
        why = None if translator.usage is not None and translator.usage.final else "no_usage"
        return stream.so_far(200, why) if why else self._complete(stream)

    def _complete(self, stream: _Stream) -> Outcome:
        outcome = stream.plan.outcome(200, stream.translator.usage, stream.translator.text_bytes, None)
        outcome.duration_micros = unix_micros() - stream.ticket.occurred_at_micros
        return outcome

    def _tell(self, stream: _Stream, code: str, message: str) -> None:
        if not stream.between_events:
            stream.write(b"\n\n", self._loop.time())
        stream.write(stream.translator.fail(code, message), self._loop.time())

    # --- money ---

    def _set_affordable(self, stream: _Stream) -> None:
        """How many bytes of text what is reserved pays for; 0 = any number."""
        per_byte = stream.plan.nanos_per_byte
        if not stream.ticket.limits.moneys or per_byte <= 0:
            stream.affordable_bytes = 0
            return
        reserved = stream.ticket.reserved.nanos
        first = self._spent(stream, 0)
        stream.affordable_bytes = max(1, int((reserved - first) / per_byte))

    def _spent(self, stream: _Stream, text_bytes: int) -> int:
        outcome = stream.plan.outcome(200, None, text_bytes, "")
        return self._ledger.price(stream.ticket, outcome) or 0

    async def _extend(self, stream: _Stream) -> None:
        """Reserves more for a stream that is longer than was likely. Raises StreamStopped when that is refused."""
        per_byte = stream.plan.nanos_per_byte
        so_far = stream.so_far(0, "lease_ran_out")
        needed = self._spent(stream, stream.translator.text_bytes)
        for more in _EXTEND_BYTES:
            wanted = needed + int(more * per_byte) + 1
            granted = await self._ledger.extend(stream.ticket, so_far, wanted)
            if granted is None:
                raise StreamStopped("limits_unavailable", "Limits cannot be checked just now.", 503)
            if granted:
                stream.affordable_bytes = stream.translator.text_bytes + more
                stream.renewed_at = self._loop.time()
                return
        raise StreamStopped("budget_exceeded", "The budget is used up: the answer ends here.", 429)

    # --- time ---

    def tick(self, now: float) -> None:
        """Comments on silent streams, renews those that made progress. Called a few times a second."""
        is_renewing = bool(self._due)
        for stream in self._streams:
            if stream.between_events and now - stream.wrote_at > self._heartbeat_seconds:
                stream.write(_COMMENT, now)
            text_bytes = stream.translator.text_bytes
            if text_bytes > stream.renewed_bytes and now - stream.renewed_at > _PROGRESS_SECONDS:
                stream.renewed_at, stream.renewed_bytes = now, text_bytes
                self._due.append(stream)
        if self._due and not is_renewing:
            self._renew_some()

    def _renew_some(self) -> None:
        """A few in a turn of the loop: others wait for it, too."""
        due = self._due
        for _ in range(min(_RENEWED_IN_A_TURN, len(due))):
            stream = due.popleft()
            if stream in self._streams:
                task = asyncio.create_task(self._ledger.extend(stream.ticket, stream.so_far(0, "lease_ran_out"), 0))
                self._renewals.add(task)
                task.add_done_callback(self._renewals.discard)
        if due:
            self._loop.call_later(_TURN_SECONDS, self._renew_some)

    def stop(self) -> None:
        """Ends every stream with an error that says that the server is shutting down."""
        message = "The server is shutting down. Ask again: another one answers."
        for stream in list(self._streams):
            stream.served.response.abort(StreamStopped("server_shutdown", message, 503))
