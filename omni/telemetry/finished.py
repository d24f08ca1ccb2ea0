"""A span that has ended, under ids that are already given: what exporters and the store of slow traces take.

Without the SDK, so that a lean process may import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from omni.kit.errors import OmniError
from omni.telemetry import gen_ai
from omni.telemetry.spans import CallSpan, RequestSpan

KNOWN_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

Kind = Literal["server", "client", "internal", "consumer"]
Attributes = Mapping[str, str | int | float | bool]


class FinishedSpan(NamedTuple):
    """One span; times are Unix nanoseconds."""

    trace_id: int
    span_id: int
    parent_id: int | None
    """None where the trace begins."""
    parent_is_remote: bool
    """Whether the parent belongs to another process."""
    name: str
    kind: Kind
    start_nanos: int
    end_nanos: int
    is_error: bool
    attributes: Attributes


def error_type(error: BaseException) -> str:
    """What a span says of an error: our own code, else the name of its class. Never its text, which may hold data."""
    return error.code if isinstance(error, OmniError) else type(error).__qualname__


def http_attributes(method: str, route: str | None, status: int) -> tuple[str, dict[str, str | int | float | bool]]:
    """Name and attributes of a SERVER span; `status` 0 = the caller left before an answer began."""
    known = method if method in KNOWN_METHODS else "_OTHER"
    attributes: dict[str, str | int | float | bool] = {"http.request.method": known, "url.scheme": "http"}
    if status:
        attributes["http.response.status_code"] = status
    name = known if known != "_OTHER" else "HTTP"
    if route is not None:
        attributes["http.route"] = route
        name = f"{name} {route}"
    return name, attributes


def of_request(span: RequestSpan) -> FinishedSpan:
    """The SERVER span of a request."""
    name, attributes = http_attributes(span.method, span.route, span.status)
    return FinishedSpan(
        span.trace_id, span.span_id, span.parent_id, True, name, "server", span.start_nanos, span.end_nanos,
        span.status >= 500, attributes,
    )  # fmt: skip


def of_call(span: CallSpan) -> FinishedSpan:
    """The CLIENT span of a call to a provider."""
    operation = gen_ai.operation_name(span.operation)
    attributes: dict[str, str | int | float | bool] = {
        gen_ai.OPERATION_NAME: operation,
        gen_ai.PROVIDER_NAME: span.provider,
        gen_ai.REQUEST_MODEL: span.model,
        **gen_ai.usage_attributes(span.quantities),
    }
    if span.stream:
        attributes[gen_ai.REQUEST_STREAM] = True
    if span.response_model:
        attributes[gen_ai.RESPONSE_MODEL] = span.response_model
    if span.server is not None:
        attributes[gen_ai.SERVER_ADDRESS], attributes[gen_ai.SERVER_PORT] = span.server
    if span.error_type:
        attributes[gen_ai.ERROR_TYPE] = span.error_type
    return FinishedSpan(
        span.trace_id, span.span_id, span.parent_id, False, f"{operation} {span.model}", "client", span.start_nanos,
        span.end_nanos, span.is_error, attributes,
    )  # fmt: skip
