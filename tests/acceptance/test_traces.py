"""One trace from the caller to the task and what it sends, and a key that is revoked within a second."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from uuid import uuid4

import httpx2
import redis.asyncio
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from omni.foundation.slow_traces import find_trace
from tests.acceptance.platform import Platform, until
from tests.acceptance.watching import Watched
from tests.gateway.traces import attributes

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


def test_a_trace_reaches_the_task(platform: Platform) -> None:
    body = {"email": f"{uuid4().hex}@example.com", "password": uuid4().hex, "tenant_name": "Traced"}
    headers = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
    answer = httpx2.post(f"{platform.console}/api/signup", json=body, headers=headers, trust_env=False)
    assert answer.status_code == 201

    def traced_tasks() -> set[str]:
        lines = (platform.home / "logs" / "worker.log").read_text().splitlines()
        events = [json.loads(line) for line in lines]
        return {
            event["task"] for event in events if event.get("trace_id") == TRACE_ID and event["event"] == "task_done"
        }

    expected = {"identity.send_verification", "tenants.publish_snapshot"}
    until(lambda: traced_tasks() >= expected, 10, "the tasks of the request carry its trace")


def orphans(found: dict[str, list[Span]], outside: str) -> list[str]:
    """Names of spans whose parent is neither in the trace nor the caller's span."""
    known = {span.span_id.hex() for spans in found.values() for span in spans} | {outside}
    return [span.name for spans in found.values() for span in spans if span.parent_span_id.hex() not in known]


def named(spans: list[Span], kind: int) -> list[str]:
    return [span.name for span in spans if span.kind == kind]


def lines_about(lines: list[dict[str, Any]], request_id: str) -> set[str]:
    """The trace ids in the lines that name the request."""
    return {str(line.get("trace_id")) for line in lines if line.get("request_id") == request_id}


def test_every_request_has_one_server_span(watched: Watched) -> None:
    asked: dict[str, tuple[str, str | None, int]] = {}
    with watched.platform.api() as client, watched.platform.api("omni_live_unknown") as stranger:
        for number in range(60):
            who, path, route, status = (
                (client, "/v1/models", "/v1/models", 200), (client, f"/v1/collections/{uuid4()}", None, 404),
                (client, "/v1/collections", "/v1/collections", 200), (stranger, "/v1/models", "/v1/models", 401),
                (client, "/v1/nothing", None, 404),
            )[number % 5]  # fmt: skip
            trace_id = uuid4().hex
            answer = who.get(path, headers={"traceparent": f"00-{trace_id}-{CALLER}-01"})
            assert answer.status_code == status, answer.text
            asked[trace_id] = ("GET", route, status)

    def servers() -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {trace_id: [] for trace_id in asked}
        for span in watched.collector.spans("omni-gateway"):
            if span.kind == Span.SPAN_KIND_SERVER and span.trace_id.hex() in found:
                found[span.trace_id.hex()].append(span)
        return found

    until(lambda: all(servers().values()), 10, "a SERVER span of every request")
    for trace_id, spans in servers().items():
        [span] = spans
        method, route, status = asked[trace_id]
        said = attributes(span)
        assert (said["http.request.method"], said["url.scheme"]) == (method, "http")
        assert said["http.response.status_code"] == status
        assert route is None or said["http.route"] == route
        assert span.parent_span_id.hex() == CALLER


def test_a_trace_crosses_gateway_backend_engine_and_database(watched: Watched) -> None:
    trace_id = uuid4().hex
    with watched.platform.api() as client:
        made = client.post("/v1/collections", json={"name": "traced"}).json()
        answer = client.post(
            f"/v1/collections/{made['id']}/documents",
            json={"name": "a", "text": "Some text."},
            headers={"traceparent": f"00-{trace_id}-{CALLER}-01"},
        )
    assert answer.status_code == 201, answer.text
    until(lambda: {"gateway", "backend"} <= watched.spans(trace_id).keys(), 10, "spans of both")
    until(lambda: orphans(watched.spans(trace_id), CALLER) == [], 5, "the parent of each span")
    found = watched.spans(trace_id)
    assert named(found["gateway"], Span.SPAN_KIND_SERVER) == named(found["backend"], Span.SPAN_KIND_SERVER)
    assert "engine embedder" in named(found["backend"], Span.SPAN_KIND_INTERNAL)
    statements = named(found["backend"], Span.SPAN_KIND_CLIENT)
    assert any(name.startswith("INSERT ") for name in statements), statements
    planted = Span(name="planted", trace_id=bytes.fromhex(trace_id), parent_span_id=b"8bytesof")
    assert orphans({**found, "tasks": [planted]}, CALLER) == ["planted"]
    assert f'# {{trace_id="{trace_id}"}}' in watched.scrapes()

    request_id = answer.headers["x-request-id"]
    until(lambda: lines_about(list(watched.log_lines()), request_id), 5, "the lines of the log")
    lines = list(watched.log_lines())
    assert lines_about(lines, request_id) == {trace_id}
    assert lines_about([*lines, {"request_id": request_id}], request_id) == {trace_id, "None"}


async def test_a_slow_trace_is_kept_with_the_parts_of_both_processes(watched: Watched) -> None:
    async with redis.asyncio.Redis.from_url(watched.platform.run_file()["redis"]) as store, asyncio.timeout(30):
        trace, trace_id = None, ""
        while trace is None or len({span.process for span in trace.spans}) < 2:
            # A process keeps ten parts a second: in a second in which others were asked for more, ask again.
            trace_id = uuid4().hex
            with watched.platform.api() as client:
                headers = {"traceparent": f"00-{trace_id}-{CALLER}-01"}
                assert client.get("/v1/collections", headers=headers).status_code == 200
            await asyncio.sleep(0.5)
            trace = await find_trace(store, trace_id)
    assert {span.process for span in trace.spans} == {"gateway", "backend"}
    assert [span.depth for span in trace.spans][:3] == [0, 1, 2]
    until(lambda: {"gateway", "backend"} <= watched.spans(trace_id).keys(), 10, "spans of both")
    spans = [span for of_process in watched.spans(trace_id).values() for span in of_process]
    exported = {span.span_id.hex() for span in spans if span.kind == Span.SPAN_KIND_SERVER}
    assert exported <= {span.span_id for span in trace.spans}


def test_a_trace_crosses_console_outbox_task_and_mail(watched: Watched) -> None:
    trace_id = uuid4().hex
    body = {"email": f"{uuid4().hex}@example.com", "password": uuid4().hex, "tenant_name": "Traced"}
    headers = {"traceparent": f"00-{trace_id}-{CALLER}-01"}
    answer = httpx2.post(f"{watched.platform.console}/api/signup", json=body, headers=headers, trust_env=False)
    assert answer.status_code == 201

    def mailed() -> bool:
        found = watched.spans(trace_id)
        names = {span.name for span in found.get("tasks", [])}
        return "console" in found and {"SMTP send", "process tenants.publish_snapshot"} <= names

    until(mailed, 15, "the spans of the request, of the task and of its mail")
    until(lambda: orphans(watched.spans(trace_id), CALLER) == [], 5, "the parent of each span")
    found = watched.spans(trace_id)
    assert "process identity.send_verification" in named(found["tasks"], Span.SPAN_KIND_CONSUMER)
    calls = named(found["tasks"], Span.SPAN_KIND_CLIENT)
    assert {"SMTP send", "SET", "PUBLISH"} <= set(calls)
    assert any(name.startswith("SELECT ") for name in calls)
    assert "INSERT outbox" in named(found["console"], Span.SPAN_KIND_CLIENT)
    assert any(body["email"] in message for message in watched.mailbox.messages)


def test_a_revoked_key_stops_working_within_a_second(platform: Platform) -> None:
    with platform.control() as control:
        tenant = f"/api/tenants/{platform.first_access['tenant']}"
        project = control.get(f"{tenant}/projects").json()["data"][0]["id"]
        made = control.post(f"{tenant}/keys", json={"project_id": project, "name": "short-lived"}).json()
        with platform.api(made["secret"]) as client:
            until(lambda: client.get("/v1/models").status_code == 200, 5, "the new key works")
            assert control.post(f"{tenant}/keys/{made['id']}/revoke").status_code == 200
            revoked_at = time.monotonic()
            until(lambda: client.get("/v1/models").status_code == 401, 1, "the key is refused")
            assert time.monotonic() - revoked_at < 1
