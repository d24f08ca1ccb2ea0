"""One realtime session: frames pass both ways in constant memory, until one side or we end it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from omni.gateway.config import GatewayConfig
from omni.gateway.realtime.frames import PING, BadFrame, FrameReader, close_frame, control_frame
from omni.providers.openai.realtime import RealtimeMeter

_NORMAL, _GOING_AWAY, _PROTOCOL_ERROR, _INTERNAL_ERROR = 1000, 1001, 1002, 1011
_LINGER_SECONDS = 1.0
"""So long a side that is told of the end may take to hear it, and a frame that is on its way to be whole."""


@dataclass(frozen=True, slots=True)
class End:
    """Why a session is over."""

    status: int
    """Of its usage event: 101 where it ended as sessions do."""
    why: str
    """For the estimate of a response that was under way."""
    code: int
    reason: str
    """What the client is told, unless it has been told already or has left."""


class Side(asyncio.Protocol):
    """The client, or the provider."""

    def __init__(self, session: Session, reader: FrameReader, now: float) -> None:
        self._session = session
        self.reader = reader
        self.transport: asyncio.Transport | None = None
        self.heard_at = now
        self.pinged_at = now
        self.stalled_since: float | None = None
        """Since when it takes what is written more slowly than it comes."""
        self._holds = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit

    def data_received(self, data: bytes) -> None:
        self._session.received(self, data)

    def pause_writing(self) -> None:
        self.stalled_since = self._session.now()
        self._session.other(self).hold()

    def resume_writing(self) -> None:
        self.stalled_since = None
        self._session.other(self).let_go()

    def connection_lost(self, _: Exception | None) -> None:
        self.transport = None
        self._session.lost(self)

    @property
    def held(self) -> bool:
        """Whether nothing is read from it just now."""
        return self._holds > 0

    def hold(self) -> None:
        """Reads nothing from it until `let_go` was called as often."""
        self._holds += 1
        if self._holds == 1 and self.transport is not None:
            self.transport.pause_reading()

    def let_go(self) -> None:
        self._holds -= 1
        if not self._holds:
            self.heard_at = self._session.now()
            if self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        """Closes once it has what was written, or a moment later."""
        if self.transport is not None:
            self.transport.close()
            self._session.later(_LINGER_SECONDS, self.abort)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Session:
    """The two sides. Build it, set `client.transport` and `provider.transport`, then `begin`."""

    def __init__(self, config: GatewayConfig, meter: RealtimeMeter, on_event: Callable[[], None]) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._on_event = on_event
        self.meter = meter
        self.now = self._loop.time
        self.later = self._loop.call_later
        self._began_at = self._moved_at = self.now()
        self._moved = 0
        self.client = Side(self, FrameReader(masked=True), self._began_at)
        self.provider = Side(self, FrameReader(masked=False, on_text=self._read_event), self._began_at)
        self.ended: asyncio.Future[End] = self._loop.create_future()
        self._stopping: End | None = None

    def begin(self, rest: bytes) -> None:
        """Passes on what came behind the provider's handshake, and from then on all."""
        if rest:
            self.received(self.provider, rest)
        if self.provider.transport is not None and not self.provider.held:
            self.provider.transport.resume_reading()

    def other(self, side: Side) -> Side:
        return self.client if side is self.provider else self.provider

    def received(self, side: Side, data: bytes) -> None:
        """Passes on what a side said, as far as it is well-formed."""
        if self.ended.done():
            return
        side.heard_at = self.now()
        try:
            passes = side.reader.feed(data)
        except BadFrame as error:
            self._broken(side, data, str(error))
            return
        if self._stopping is not None and side is self.provider:
            self._pass_last(data, passes)
            return
        self.other(side).write(data if passes == len(data) else data[:passes])

    def _broken(self, side: Side, data: bytes, why: str) -> None:
        if side is self.provider:
            self.client.write(data[: side.reader.last_end])
            self._end(End(502, "provider_failed", _INTERNAL_ERROR, "provider_failed"), whole=side.reader.last_end > 0)
        else:
            self._end(End(400, f"client_broken: {why}", _PROTOCOL_ERROR, "protocol_error"))

    def _read_event(self, message: bytes) -> None:
        self.meter.read(message)
        self._on_event()

    def lost(self, side: Side) -> None:
        """A side's connection is gone."""
        if side is self.client:
            said_goodbye = side.reader.closed or self.provider.reader.closed
            self._end(End(101 if said_goodbye else 499, "client_left", _NORMAL, ""))
        elif side.reader.closed or self.client.reader.closed:
            self._end(End(101, "closed", _NORMAL, ""))
        else:
            self._end(End(502, "provider_failed", _INTERNAL_ERROR, "provider_failed"))

    # --- our own end ---

    def stop(self, end: End) -> None:
        """Ends the session for a reason of ours, once the frame that the client is being sent is whole."""
        if self._stopping is not None or self.ended.done():
            return
        self._stopping = end
        if self.provider.reader.at_boundary:
            self._end(end)
        else:
            self.later(_LINGER_SECONDS, self._end, end)

    def _pass_last(self, data: bytes, passes: int) -> None:
        last_end = self.provider.reader.last_end
        self.client.write(data[: last_end or passes])
        if last_end and self._stopping is not None:
            self._end(self._stopping, whole=True)

    def _end(self, end: End, *, whole: bool = False) -> None:
        """The provider is left at once; the client hears of it in `finish`."""
        if self.ended.done():
            return
        self._whole = whole or self.provider.reader.at_boundary
        self.ended.set_result(end)
        if self.client.reader.at_boundary and not self.client.reader.closed:
            self.provider.write(close_frame(_NORMAL, "", masked=True))
        self.provider.close()

    def finish(self, end: End) -> None:
        """Tells the client of the end, and closes."""
        if self.provider.reader.closed:
            self.client.close()
        elif self._whole:
            self.client.write(close_frame(end.code, end.reason, masked=False))
            self.client.close()
        else:
            self.client.abort()  # within a frame: only cutting it says that it failed

    def abort(self) -> None:
        """Cuts both sides."""
        self._end(End(499, "client_left", _NORMAL, ""))
        self.client.abort()
        self.provider.abort()

    # --- time ---

    def tick(self, now: float) -> None:
        """Pings who is silent, leaves who is dead, and ends what lasts too long."""
        if self.ended.done():
            return
        config = self._config
        moved = self.client.reader.moved + self.provider.reader.moved
        if moved != self._moved:
            self._moved, self._moved_at = moved, now
        if now - self._began_at > config.realtime_session_seconds:
            self.stop(End(101, "session_limit", _GOING_AWAY, "session_limit"))
        elif now - self._moved_at > config.realtime_idle_seconds:
            self.stop(End(101, "idle_timeout", _GOING_AWAY, "idle_timeout"))
        for side in (self.client, self.provider):
            self._look_after(side, now)

    def _look_after(self, side: Side, now: float) -> None:
        stalled = side.stalled_since
        if stalled is not None and now - stalled > self._config.write_stall_timeout_seconds:
            side.abort()
        if side.held:
            return
        every = self._config.realtime_ping_seconds
        waits = side.pinged_at > side.heard_at
        if waits and now - side.pinged_at > every:
            side.abort()
        elif not waits and now - side.heard_at > every and self.other(side).reader.at_boundary:
            side.pinged_at = now
            side.write(control_frame(PING, masked=side is self.provider))
