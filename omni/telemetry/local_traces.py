"""What one process does for one request or task: its root span, and the steps below it.

A step is noted as a tuple when it is over, and becomes a span only when its trace turns out to be exported or kept: a
quick request that nobody samples pays for tuples, and for nothing at all where nothing records.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from omni.telemetry.finished import Attributes, FinishedSpan, Kind, error_type

STEPS_LIMIT = 1_000
"""Of one root span. Its later steps are left out."""

_local: ContextVar[LocalTrace | None] = ContextVar("omni_local_trace", default=None)
_NOTHING: Mapping[str, str] = {}


class _Step(NamedTuple):
    span_id: int
    name: str
    kind: Kind
    start_nanos: int
    end_nanos: int
    error: str
    attributes: Attributes


class LocalTrace:
    """The root span that this process is working below, and the steps so far."""

    __slots__ = ("_steps", "flags", "span_id", "trace_id")

    def __init__(self, trace_id: int, span_id: int, flags: int) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self._steps: list[_Step] = []

    def step(
        self, name: str, kind: Kind, start_nanos: int, attributes: Attributes = _NOTHING, *, error: str = "",
        span_id: int = 0,
    ) -> None:  # fmt: skip
        """Notes a step that ends now. `error`: why it failed, in few words that are always the same. `span_id` where it
        was told to somebody already."""
        if len(self._steps) < STEPS_LIMIT:
            self._steps.append(_Step(span_id, name, kind, start_nanos, time.time_ns(), error, attributes))

    def spans(self) -> Iterator[FinishedSpan]:
        """The steps as spans, in the order in which they ended."""
        for step in self._steps:
            attributes = {**step.attributes, "error.type": step.error} if step.error else step.attributes
            yield FinishedSpan(
                self.trace_id, step.span_id or new_span_id(), self.span_id, False, step.name, step.kind,
                step.start_nanos, step.end_nanos, bool(step.error), attributes,
            )  # fmt: skip


def current_trace() -> LocalTrace | None:
    """Where to note steps; None = nothing records."""
    return _local.get()


@contextmanager
def working_below(local: LocalTrace | None) -> Iterator[None]:
    """Inside, steps are noted there."""
    token = _local.set(local)
    try:
        yield
    finally:
        _local.reset(token)


class ClientCall:
    """A call to another process that is being made."""

    def __init__(self, local: LocalTrace | None, attributes: Attributes) -> None:
        self._local = local
        self._span_id = new_span_id() if local is not None else 0
        self._attributes = dict(attributes)
        self._error = ""

    @property
    def traceparent(self) -> str | None:
        """What the other process is to be told; None where nothing records."""
        local = self._local
        return None if local is None else f"00-{local.trace_id:032x}-{self._span_id:016x}-{local.flags:02x}"

    def answered(self, status: int) -> None:
        """Notes the status of an HTTP answer; from 400 on the call has failed."""
        self._attributes["http.response.status_code"] = status
        if status >= 400:
            self._error = str(status)

    def failed(self, error: BaseException) -> None:
        """Notes why there is no answer."""
        self._error = error_type(error)

    def end(self, name: str, start_nanos: int) -> None:
        if self._local is not None:
            self._local.step(name, "client", start_nanos, self._attributes, error=self._error, span_id=self._span_id)


@contextmanager
def client_call(name: str, attributes: Attributes) -> Iterator[ClientCall]:
    """A CLIENT span around a call; an error that leaves the block is the span's."""
    call, start_nanos = ClientCall(_local.get(), attributes), time.time_ns()
    try:
        yield call
    except BaseException as error:
        call.failed(error)
        raise
    finally:
        call.end(name, start_nanos)


def new_trace_id() -> int:
    return random.getrandbits(128) or 1


def new_span_id() -> int:
    return random.getrandbits(64) or 1
