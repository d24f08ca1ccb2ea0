"""One trace from the caller to the task, and a key that is revoked within a second."""

from __future__ import annotations

import json
import time
from uuid import uuid4

import httpx2

from tests.acceptance.platform import Platform, until

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


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
