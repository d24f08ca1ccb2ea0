"""A console that dies between effect and answer, and a Redis that forgets everything."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any
from uuid import uuid4

import httpx2
import redis

from omni.contracts import redis_names
from tests.acceptance.platform import Platform, until

ROUNDS = 4


def test_a_post_that_is_sent_again_after_a_kill_has_one_effect(platform: Platform) -> None:
    with platform.control() as control:
        tenant = f"/api/tenants/{platform.first_access['tenant']}"
        project = control.get(f"{tenant}/projects").json()["data"][0]["id"]
        for round_number in range(ROUNDS):
            name = f"kill {uuid4()}"
            headers = {"Idempotency-Key": name}
            body = {"project_id": project, "name": name}
            answers: list[dict[str, Any]] = []

            def post(body: dict[str, Any] = body, headers: dict[str, str] = headers, into: list[Any] = answers) -> bool:
                try:
                    answer = control.post(f"{tenant}/keys", json=body, headers=headers)
                except httpx2.TransportError:
                    return False
                if answer.status_code == 201:
                    into.append(answer.json())
                return answer.status_code == 201

            sender = threading.Thread(target=post)
            sender.start()
            if round_number:  # the first round kills at once, the others a little later each
                sender.join(0.004 * round_number)
            old = platform.run_file()["pids"]["console"]
            os.kill(old, signal.SIGKILL)
            sender.join()
            until(lambda old=old: platform.run_file()["pids"].get("console") not in (None, old), 20, "a new console")  # type: ignore[misc]
            until(post, 30, "the retry is answered")
            assert post()
            assert len({answer["secret"] for answer in answers}) == 1
            listed = control.get(f"{tenant}/keys?limit=100").json()["data"]
            assert [key["id"] for key in listed if key["name"] == name] == [answers[0]["id"]]


def test_a_flushed_redis_is_filled_again_and_answers_are_kept(platform: Platform) -> None:
    client = redis.Redis.from_url(platform.run_file()["redis"])
    with platform.control() as control, platform.api() as api:
        tenant = f"/api/tenants/{platform.first_access['tenant']}"
        project = control.get(f"{tenant}/projects").json()["data"][0]["id"]
        post: dict[str, Any] = {
            "json": {"project_id": project, "name": "flush"},
            "headers": {"Idempotency-Key": str(uuid4())},
        }
        first = control.post(f"{tenant}/keys", **post).json()
        assert api.get("/v1/models").status_code == 200
        streams = [redis_names.usage_stream(number) for number in range(redis_names.PARTITIONS)]
        until(lambda: not any(client.xlen(stream) for stream in streams), 20, "all usage is in the database")
        before = usage(control, tenant)
        client.flushall()
        until(lambda: client.exists(redis_names.SNAPSHOTS_READY), 20, "snapshots are published again")
        until(lambda: client.exists(redis_names.counters_ready(0)), 20, "counters are rebuilt")
        until(lambda: api.get("/v1/models").status_code == 200, 10, "an old key works")
        with platform.api(first["secret"]) as newer:
            until(lambda: newer.get("/v1/models").status_code == 200, 10, "the new key works")
        assert control.post(f"{tenant}/keys", **post).json()["secret"] == first["secret"]
        until(lambda: usage(control, tenant) >= before + 2, 20, "usage goes on from where it was")
    assert platform.command("verify").returncode == 0
    client.close()


def usage(control: httpx2.Client, tenant: str) -> int:
    points = control.get(f"{tenant}/usage?window=month&group_by=meter").json()["data"]
    return sum(point["quantity"] for point in points if point["group"] == "requests")
