"""Unhandled errors to Sentry, for processes that were given a DSN. Nobody else imports this module.

An event holds types, our own errors' codes, stack frames, the process and the trace's id. It is put together here from
the exception alone: no text of an exception, local variable, request, header, breadcrumb, user or host name is in it.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sentry_sdk
from opentelemetry import trace
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration

from omni.kit.errors import OmniError
from omni.telemetry.errors import chain

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

_FROM_SDK = ("event_id", "timestamp", "level", "platform", "release", "sdk")
_FRAMES = 100
_TRACE_TAG = "trace_id"


def start_sentry(dsn: str, process: str, version: str) -> None:
    """Begins to report what ends a thread or the process, and what `report` is given. Raises ValueError for a DSN that
    is none."""

    def before_send(event: Event, hint: Hint) -> Event | None:
        return _bare(event, hint, process)

    sentry_sdk.init(
        dsn=dsn,
        release=f"omni@{version}",
        server_name=process,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            AtexitIntegration(callback=_say_nothing),
            DedupeIntegration(),
            ExcepthookIntegration(),
            ThreadingIntegration(propagate_scope=False),
        ],
        before_send=before_send,
        max_breadcrumbs=0,
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        auto_session_tracking=False,
        send_client_reports=False,
        propagate_traces=False,
        spotlight=False,
    )


def report(error: BaseException, trace_id: str) -> None:
    """Sends an error in the background; `trace_id` of what it broke, empty = none."""
    with sentry_sdk.new_scope() as scope:
        if trace_id:
            scope.set_tag(_TRACE_TAG, trace_id)
        scope.capture_exception(error)


def _bare(event: Event, hint: Hint, process: str) -> Event | None:
    """The event to send; None for one that is of no exception."""
    error = (hint.get("exc_info") or (None, None))[1]
    if error is None:
        return None
    sent: dict[str, Any] = {name: event[name] for name in _FROM_SDK if name in event}  # type: ignore[literal-required]
    tags = {"process": process}
    if isinstance(error, OmniError):
        tags["error_code"] = error.code
    given = event.get("tags")
    trace_id = given.get(_TRACE_TAG) if isinstance(given, dict) else None
    context = trace.get_current_span().get_span_context()
    if trace_id is None and context.is_valid:
        trace_id = f"{context.trace_id:032x}"
    if trace_id:
        tags[_TRACE_TAG] = trace_id
        sent["contexts"] = {"trace": {"trace_id": trace_id, "span_id": trace_id[:16]}}
    sent["tags"] = tags
    sent["exception"] = {"values": [_value(each) for each, _ in chain(error)]}
    return sent  # type: ignore[return-value]


def _value(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    value: dict[str, Any] = {"type": kind.__qualname__, "module": kind.__module__}
    if isinstance(error, OmniError):
        value["value"] = error.code
    value["stacktrace"] = {"frames": list(_frames(error))[-_FRAMES:]}
    return value


def _frames(error: BaseException) -> Iterator[dict[str, Any]]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        yield {
            "module": module,
            "function": frame.f_code.co_qualname if hasattr(frame.f_code, "co_qualname") else frame.f_code.co_name,
            "filename": module.replace(".", "/") + ".py",
            "lineno": line,
            "in_app": module.partition(".")[0] == "omni",
        }


def _say_nothing(_pending: int, _timeout: float) -> None:
    """What waits is sent at the end without a word on standard error."""
