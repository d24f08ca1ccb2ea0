"""Structured logs: one JSON object a line on standard output, with the ids of the current trace.

Exceptions are logged without the texts of those that are not ours (`omni.telemetry.errors`), unless that is asked for.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from omni.telemetry.errors import plain, traceback_text

_QUIET_LOGGERS = (
    "uvicorn.error",
    "uvicorn.access",
    "httpx2",
    "httpcore2",
    "amqp",
    "kombu",
    "celery.redirected",
    "celery.app.trace",
    "celery.worker.strategy",
)


Report = Callable[[BaseException, str], None]
"""Takes an error and the id of its trace, empty where there is none."""


def configure_logs(
    process: str, level: str = "INFO", *, exception_texts: bool = False, report: Report | None = None
) -> None:
    """Sends structlog and the standard library's logging to standard output as JSON lines.

    `report` is given each exception that is logged as an error.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace_ids,
        *([_reported(report)] if report is not None else ()),
        _errors_written_out(exception_texts),
        _named(process),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _named(process: str) -> Processor:
    def add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return add_process


def _reported(report: Report) -> Processor:
    def hand_on(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        error = _exception_of(event)
        if error is not None and event.get("level") in ("error", "critical"):
            report(error, str(event.get("trace_id") or ""))
        return event

    return hand_on


def _errors_written_out(with_text: bool) -> Processor:
    """Exceptions, in `exc_info` and among the values, as text."""

    def write_out(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        error = _exception_of(event)
        event.pop("exc_info", None)
        if error is not None:
            event["exception"] = traceback_text(error, with_text=with_text)
        for name, value in event.items():
            if isinstance(value, BaseException):
                event[name] = plain(value, with_text=with_text)
        return event

    return write_out


def _exception_of(event: EventDict) -> BaseException | None:
    found = event.get("exc_info")
    if isinstance(found, tuple):
        found = found[1]
    elif found is True:
        found = sys.exc_info()[1]
    return found if isinstance(found, BaseException) else None


def _add_trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event.setdefault("trace_id", f"{context.trace_id:032x}")
        event.setdefault("span_id", f"{context.span_id:016x}")
        event.setdefault("trace_flags", f"{context.trace_flags:02x}")
    return event


def _dumps(value: Any, **_options: Any) -> str:
    return orjson.dumps(value, default=str).decode()
