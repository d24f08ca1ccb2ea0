"""Unhandled errors reach Sentry where there is a DSN, with the trace's id and without anything that a caller sent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.telemetry.sentry_child import TRACE_ID
from tests.telemetry.sentry_server import SentryServer

CANARIES = (b"canary", b"4111", b"omni_live_")
BARE = {"event_id", "timestamp", "level", "platform", "release", "sdk", "tags", "contexts", "exception"}


@pytest.fixture
def sentry() -> Iterator[SentryServer]:
    made = SentryServer()
    yield made
    made.close()


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """The process in which everything breaks; it ends with an error of its own."""
    command = [sys.executable, "-m", "tests.telemetry.sentry_child", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=False, timeout=60)
    assert done.returncode == 1, done.stderr.decode()
    assert b"canary" in done.stderr, "Python's own words at the end have the text: it was raised"
    return done


def by_type(sentry: SentryServer) -> dict[str, dict[str, Any]]:
    """Events by the type of their last exception."""
    found = {event["exception"]["values"][-1]["type"]: event for event in sentry.events}
    assert len(found) == len(sentry.events), "each error is sent once"
    return found


def test_every_kind_of_unhandled_error_arrives_with_its_trace(sentry: SentryServer) -> None:
    run({"OMNI_SENTRY_DSN": sentry.dsn})
    events = by_type(sentry)
    assert events.keys() == {"ValueError", "ArithmeticError", "Unavailable", "LookupError", "RuntimeError"}
    assert all(event.keys() <= BARE for event in events.values())
    request, task = events["ValueError"], events["Unavailable"]
    for event in (request, task, events["ArithmeticError"]):
        assert event["tags"]["trace_id"] == event["contexts"]["trace"]["trace_id"] == TRACE_ID
    assert request["tags"]["process"] == "backend"
    cause, error = request["exception"]["values"]
    assert (cause["type"], error["type"]) == ("KeyError", "ValueError")
    last = error["stacktrace"]["frames"][-1]
    assert (last["module"], last["function"].rpartition(".")[2]) == ("__main__", "breaks")
    assert not any({"vars", "context_line"} & frame.keys() for frame in error["stacktrace"]["frames"])
    assert any(frame["in_app"] for frame in error["stacktrace"]["frames"])
    assert (task["tags"]["error_code"], task["exception"]["values"][0]["value"]) == ("database_busy", "database_busy")
    assert "trace_id" not in events["LookupError"]["tags"]


def test_nothing_that_a_caller_sent_is_in_events_or_logs(sentry: SentryServer) -> None:
    done = run({"OMNI_SENTRY_DSN": sentry.dsn})
    sent = b"".join(sentry.raw)
    assert b"ValueError" in sent
    assert [canary for canary in CANARIES if canary in sent] == []
    lines = done.stdout.splitlines()
    assert not [line for line in lines if b"canary" in line and b"task_buried" not in line]
    about_the_request = [line for line in lines if TRACE_ID.encode() in line and b"request_crashed" in line]
    assert len(about_the_request) == 2, "of the request that crashed, and of the answer that broke off"
    assert all(b'"request_id"' in line for line in about_the_request)


def test_the_search_finds_what_the_sdk_would_send(sentry: SentryServer) -> None:
    run({"OMNI_SENTRY_DSN": sentry.dsn}, "event")
    sent = b"".join(sentry.raw)
    assert [canary for canary in CANARIES if canary in sent] == list(CANARIES)


def test_texts_are_logged_where_that_was_asked_for() -> None:
    done = run({"OMNI_LOG_EXCEPTION_TEXTS": "true"})
    assert b"invalid literal: canary" in done.stdout


def test_without_a_dsn_the_sdk_is_not_even_imported() -> None:
    code = (
        "import sys; from omni.apps.serving import begin; from omni.apps.settings import Settings;"
        "begin('gateway', Settings()); sys.exit('sentry_sdk' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
