"""Batches: every request is made once, whatever dies in between; answers end in files."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.foundation.objects import ObjectStore
from omni.inference.batches import repository as answers
from omni.inference.batches import working
from omni.inference.calling import Reply
from omni.inference.job_work import forget_old_jobs
from omni.inference.jobs import repository, runner
from omni.inference.jobs.runner import LEASE, Done
from omni.inference.jobs.tables import jobs
from omni.kit.errors import Unavailable
from omni.kit.ids import uuid7
from tests.inference.backend import refusal
from tests.inference.jobs.conftest import GOOD, World, requests

BAD = b'{"error":{"code":"input_too_long"}}'


class Killed(BaseException):
    """The worker's process ends here: nothing behind this runs."""


def once(status: int, wait: int | None = None) -> Any:
    """Answers the first request of each text with this status, and the next ones well."""
    seen: set[str] = set()

    def answer(body: dict[str, Any], _request_id: UUID) -> Reply:
        if body["input"] in seen:
            return Reply(200, GOOD, None)
        seen.add(body["input"])
        return Reply(status, BAD, wait)

    return answer


async def test_answers_come_in_the_order_of_the_requests_and_bad_ones_apart(world: World) -> None:
    def answer(body: dict[str, Any], _request_id: UUID) -> Reply:
        return (
            Reply(400, BAD, None) if body["input"] == "bad" else Reply(200, orjson.dumps({"for": body["input"]}), None)
        )

    world.calls.answer = answer
    batch_id = await world.batch(requests("one", "bad", "two", "three"), metadata={"mine": "yes"})
    await world.work()
    batch = await world.get(f"/v1/batches/{batch_id}")
    assert (batch["status"], batch["errors"]) == ("completed", None)
    assert batch["request_counts"] == {"total": 4, "completed": 3, "failed": 1}
    assert batch["metadata"] == {"mine": "yes"}
    assert batch["created_at"] <= batch["in_progress_at"] <= batch["finalizing_at"] <= batch["completed_at"]
    output = await world.lines(batch["output_file_id"])
    assert [(row["custom_id"], row["response"]["body"]) for row in output] == [
        ("row-0", {"for": "one"}), ("row-2", {"for": "two"}), ("row-3", {"for": "three"}),
    ]  # fmt: skip
    asked = {text: request_id for _, text, request_id in world.calls.asked}
    assert output[0]["response"]["request_id"] == str(asked["one"])
    (error,) = await world.lines(batch["error_file_id"])
    assert (error["custom_id"], error["response"]["status_code"], error["error"]) == ("row-1", 400, None)
    file = await world.get(f"/v1/files/{batch['output_file_id']}")
    assert file["purpose"] == "batch_output"
    assert timedelta(days=29) < timedelta(seconds=file["expires_at"] - file["created_at"]) <= timedelta(days=30)


async def test_a_file_that_is_no_batch_fails_with_its_lines_and_asks_nothing(world: World) -> None:
    batch_id = await world.batch(requests("one") + b"\n{\n[]")
    await world.work()
    batch = await world.get(f"/v1/batches/{batch_id}")
    assert batch["status"] == "failed"
    assert [(error["line"], error["code"]) for error in batch["errors"]["data"]] == [
        (2, "invalid_json_line"), (3, "invalid_json_line"),
    ]  # fmt: skip
    assert world.calls.asked == []
    job = await world.get(f"/v1/jobs/{UUID(batch_id.removeprefix('batch_'))}")
    assert (job["state"], job["error"]["code"]) == ("failed", "invalid_batch_file")


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_is_to_be_tried_again_is_asked_under_the_same_id(world: World, status: int) -> None:
    world.calls.answer = once(status, wait=0)
    batch_id = await world.batch(requests("one"))
    await world.work()
    assert (await world.get(f"/v1/batches/{batch_id}"))["request_counts"]["completed"] == 1
    first, second = [request_id for _, _, request_id in world.calls.asked]
    assert first == second, "whichever of them is billed, it is billed once"


async def test_what_would_wait_long_is_answered_with_why(world: World) -> None:
    world.calls.answer = lambda _body, _request_id: Reply(429, b'{"error":{"code":"insufficient_quota"}}', 3_600)
    batch_id = await world.batch(requests("one"))
    await world.work()
    batch = await world.get(f"/v1/batches/{batch_id}")
    assert (batch["status"], batch["request_counts"]["failed"], batch["output_file_id"]) == ("completed", 1, None)
    assert len(world.calls.asked) == 1


async def test_what_gives_way_to_others_waits_until_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "OVERLOAD_WAIT_SECONDS", 0.01)
    overloaded = Reply(503, b'{"error":{"code":"overloaded"}}', 1)
    refusals = 2 * working.MOST_TRIES
    world.calls.answer = lambda *_asked: overloaded if len(world.calls.asked) <= refusals else Reply(200, GOOD, None)
    batch_id = await world.batch(requests("one"))
    await world.work()
    counts = (await world.get(f"/v1/batches/{batch_id}"))["request_counts"]
    assert counts == {"total": 1, "completed": 1, "failed": 0}
    assert len(world.calls.asked) == refusals + 1


async def test_a_worker_goes_on_where_another_died_and_asks_under_the_same_id(world: World) -> None:
    texts = [str(n) for n in range(40)]
    lost: list[UUID] = []

    def answer(_body: dict[str, Any], request_id: UUID) -> Reply:
        if len(world.calls.asked) > 20 and not lost:
            lost.append(request_id)
            raise Killed("with a request on its way")
        return Reply(200, GOOD, None)

    world.calls.answer = answer
    batch_id = await world.batch(requests(*texts))
    with pytest.raises(BaseExceptionGroup):
        await world.runner.run_next()
    assert await world.runner.run_next() is False, "it is still leased"
    world.clock.ahead += LEASE + timedelta(seconds=1)
    await world.work()
    batch = await world.get(f"/v1/batches/{batch_id}")
    assert batch["request_counts"] == {"total": 40, "completed": 40, "failed": 0}
    asked = Counter(request_id for _, _, request_id in world.calls.asked)
    assert len(asked) == 40, "whatever is asked again has the id that it had, and is billed once"
    assert asked[lost[0]] == 2
    assert len(await world.lines(batch["output_file_id"])) == 40


async def test_a_gateway_that_is_away_ends_the_slice_and_loses_nothing(world: World) -> None:
    away = True

    def answer(_body: dict[str, Any], _request_id: UUID) -> Reply:
        if away:
            raise Unavailable("gateway_unavailable", "away")
        return Reply(200, GOOD, None)

    world.calls.answer = answer
    batch_id = await world.batch(requests("one", "two"))
    assert await world.runner.run_next()
    assert (await world.get(f"/v1/batches/{batch_id}"))["status"] == "in_progress"
    assert await world.runner.recover() >= 1
    away = False
    await world.work()
    assert (await world.get(f"/v1/batches/{batch_id}"))["request_counts"]["completed"] == 2


async def test_a_batch_that_was_cancelled_keeps_its_answers(world: World) -> None:
    batch_id, cancelled = "", False

    def answer(body: dict[str, Any], _request_id: UUID) -> Reply:
        if body["input"] == "3" and not cancelled:
            raise Unavailable("gateway_unavailable", "away")
        return Reply(200, GOOD, None)

    world.calls.answer = answer
    batch_id = await world.batch(requests(*(str(n) for n in range(30))))
    await world.runner.run_next()
    cancelled = True
    answered = await world.tenant.send("POST", f"/v1/batches/{batch_id}/cancel")
    assert answered.json()["status"] == "cancelling"
    before = len(world.calls.asked)
    await world.work()
    batch = await world.get(f"/v1/batches/{batch_id}")
    assert (batch["status"], len(world.calls.asked)) == ("cancelled", before)
    assert len(await world.lines(batch["output_file_id"])) == batch["request_counts"]["completed"] > 0
    again = await world.tenant.send("POST", f"/v1/batches/{batch_id}/cancel")
    assert refusal(again) == (409, "job_ended")
    job_id = UUID(batch_id.removeprefix("batch_"))
    assert (await world.tenant.send("POST", f"/v1/jobs/{job_id}/retry")).status_code == 200
    await world.work()
    batch = await world.get(f"/v1/batches/{batch_id}")
    assert (batch["status"], batch["request_counts"]["completed"]) == ("completed", 30)
    assert len({request_id for _, _, request_id in world.calls.asked}) == 30


async def test_what_is_not_done_in_its_time_is_named_in_the_error_file(world: World) -> None:
    batch_id = await world.batch(requests("one", "two"))
    world.clock.ahead = timedelta(hours=25)
    await world.work()
    batch = await world.get(f"/v1/batches/{batch_id}")
    assert (batch["status"], world.calls.asked) == ("expired", [])
    errors = await world.lines(batch["error_file_id"])
    assert [(row["custom_id"], row["error"]["code"]) for row in errors] == [
        ("row-0", "batch_expired"), ("row-1", "batch_expired"),
    ]  # fmt: skip


async def test_a_worker_that_lost_its_lease_writes_nothing_more(
    world: World, database: Database, system_database: SystemDatabase
) -> None:
    await world.batch(requests("one"))
    now = datetime.now(UTC)
    async with system_database.session() as session:
        slow = await repository.claim_next(session, now, now)
    assert slow is not None
    await world.work()
    async with database.write(world.tenant.tenant_id) as session:
        assert not await repository.end(session, slow, "failed", now, progress={})
        assert not await repository.progressed(session, slow, {})


async def test_a_file_that_was_written_before_the_crash_is_not_written_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = await world.batch(requests("one"))

    def dies(*_arguments: object) -> None:
        raise Killed("after the file, before the end of the job")

    monkeypatch.setattr(working, "Done", dies)
    with pytest.raises(Killed):
        await world.runner.run_next()
    monkeypatch.setattr(working, "Done", Done)
    world.clock.ahead += LEASE + timedelta(seconds=1)
    await world.work()
    batch = await world.get(f"/v1/batches/{batch_id}")
    outputs = (await world.get("/v1/files?purpose=batch_output"))["data"]
    assert [each["id"] for each in outputs] == [batch["output_file_id"]]


async def test_an_error_of_ours_is_tried_again_and_given_up_one_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "MOST_FAILURES", 2)

    def answer(_body: dict[str, Any], _request_id: UUID) -> Reply:
        raise ZeroDivisionError

    world.calls.answer = answer
    batch_id = await world.batch(requests("one"))
    for _ in range(2):
        assert (await world.get(f"/v1/batches/{batch_id}"))["status"] in ("validating", "in_progress")
        await world.runner.run_next()
    batch = await world.get(f"/v1/batches/{batch_id}")
    assert (batch["status"], batch["errors"]["data"][0]["code"]) == ("failed", "internal_error")
    assert await world.runner.run_next() is False


async def test_higher_priority_first_then_who_has_the_fewest_at_work(
    world: World, system_database: SystemDatabase
) -> None:
    busy = dataclasses.replace(world, tenant=dataclasses.replace(world.tenant, tenant_id=uuid7()))
    first, second, third = [await busy.batch(requests("x")) for _ in range(3)]
    other = await world.batch(requests("x"))
    await busy.tenant.send("POST", f"/v1/batches/{third}/cancel")
    now = datetime.now(UTC)
    order = []
    async with system_database.session() as session:
        for _ in range(4):
            claimed = await repository.claim_next(session, now, now + LEASE)
            assert claimed is not None
            order.append(f"batch_{claimed.job.id.hex}")
    assert order == [third, other, first, second]
    world.clock.ahead += 2 * LEASE
    await world.work()


async def test_many_workers_do_each_job_once(world: World) -> None:
    ids = [await world.batch(requests("a", "b", "c")) for _ in range(6)]
    await asyncio.gather(*(world.work() for _ in range(4)))
    for batch_id in ids:
        assert (await world.get(f"/v1/batches/{batch_id}"))["request_counts"]["completed"] == 3
    assert len(world.calls.asked) == len({request_id for _, _, request_id in world.calls.asked}) == 18


async def test_jobs_are_listed_looked_at_and_logged(world: World) -> None:
    batch_id = await world.batch(requests("one"))
    await world.work()
    page = await world.get("/v1/jobs?kind=batch&state=succeeded&limit=1")
    (job,) = page["data"]
    assert (page["next_cursor"], f"batch_{UUID(job['id']).hex}") == (None, batch_id)
    assert job["result"].keys() == {"output_file_id"}
    log = (await world.get(f"/v1/jobs/{job['id']}/log"))["data"]
    assert [line["message"] for line in log] == ["1 requests to /v1/embeddings.", "Succeeded: 1 answers, 0 failed."]
    batches = await world.get("/v1/batches")
    assert [each["id"] for each in batches["data"]] == [batch_id]
    retried = await world.tenant.send("POST", f"/v1/jobs/{job['id']}/retry")
    assert refusal(retried) == (409, "job_not_retryable")


async def test_another_tenants_job_is_not_found(world: World) -> None:
    batch_id = await world.batch(requests("one"))
    job_id = UUID(batch_id.removeprefix("batch_"))
    other = dataclasses.replace(world.tenant, tenant_id=uuid7())
    for method, path in (
        ("GET", f"/v1/batches/{batch_id}"), ("POST", f"/v1/batches/{batch_id}/cancel"), ("GET", f"/v1/jobs/{job_id}"),
        ("GET", f"/v1/jobs/{job_id}/log"), ("POST", f"/v1/jobs/{job_id}/cancel"), ("POST", f"/v1/jobs/{job_id}/retry"),
    ):  # fmt: skip
        assert (await other.send(method, path)).status_code == 404, path
    file_id = (await world.get("/v1/files"))["data"][0]["id"]
    body = {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h"}
    assert refusal(await other.post("/v1/batches", body)) == (404, "file_not_found")


async def test_a_wrong_request_for_a_batch_is_refused(world: World) -> None:
    file_id = await world.upload(b"x", "user_data")
    body = {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h"}
    assert refusal(await world.tenant.post("/v1/batches", body)) == (400, "wrong_file_purpose")
    for change in (
        {"endpoint": "/v1/files"}, {"completion_window": "1h"}, {"metadata": {"a": "\x00"}},
        {"metadata": {str(n): "" for n in range(17)}}, {"input_file_id": "file-\x00"},
    ):  # fmt: skip
        assert (await world.tenant.post("/v1/batches", {**body, **change})).status_code in (400, 422), change
    assert refusal(await world.tenant.send("GET", "/v1/batches/batch_no")) == (404, "batch_not_found")


async def test_a_file_that_is_deleted_before_the_batch_begins_fails_it(world: World) -> None:
    batch_id = await world.batch(requests("one"))
    file_id = (await world.get(f"/v1/batches/{batch_id}"))["input_file_id"]
    await world.tenant.send("DELETE", f"/v1/files/{file_id}")
    await world.work()
    batch = await world.get(f"/v1/batches/{batch_id}")
    assert (batch["status"], batch["errors"]["data"][0]["code"]) == ("failed", "input_file_gone")


async def test_old_answers_are_forgotten(
    world: World, database: Database, system_database: SystemDatabase, objects: ObjectStore
) -> None:
    batch_id = UUID((await world.batch(requests("one"))).removeprefix("batch_"))
    await world.work()
    for days, kept in ((1, {1}), (31, set())):
        await forget_old_jobs(database, system_database.session, objects, datetime.now(UTC) + timedelta(days=days))
        async with database.read(world.tenant.tenant_id) as session:
            assert (await answers.known(session, batch_id))[0] == kept


async def test_a_worker_stops_when_somebody_else_has_its_job(
    world: World, system_database: SystemDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "RENEW_SECONDS", 0.05)
    world.calls.answer = lambda _body, _request_id: Reply(503, BAD, 15)
    batch_id = await world.batch(requests("one"))
    slow = asyncio.create_task(world.runner.run_next())
    async with asyncio.timeout(10):
        while not world.calls.asked:
            await asyncio.sleep(0.01)
        taken = None
        while taken is None:  # a row that is being renewed just now is skipped
            async with system_database.session() as session:
                later = datetime.now(UTC) + timedelta(minutes=1)
                taken = await repository.claim_next(session, later, later + LEASE)
        assert f"batch_{taken.job.id.hex}" == batch_id
        assert await slow, "it had something to do, and left it"
    assert len(world.calls.asked) == 1
    async with system_database.session() as session:
        await session.execute(jobs.update().where(jobs.c.id == taken.job.id).values(leased_until=None))
    world.calls.answer = lambda _body, _request_id: Reply(200, GOOD, None)
    await world.work()


async def test_a_request_that_is_sent_again_makes_no_second_batch(world: World) -> None:
    file_id = await world.upload(requests("one"))
    body = {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h"}

    async def create(key: str, **change: Any) -> Any:
        headers = {"Idempotency-Key": key}
        return await world.tenant.send("POST", "/v1/batches", json={**body, **change}, headers=headers)

    answers = await asyncio.gather(*(create("mine") for _ in range(5)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sorted("idempotency-replayed" in answer.headers for answer in answers) == [False, True, True, True, True]
    other = await create("mine", metadata={"a": "b"})
    assert refusal(other) == (422, "idempotency_key_reused")
    assert (await create("another")).json()["id"] != answers[0].json()["id"]
    stranger = dataclasses.replace(world, tenant=dataclasses.replace(world.tenant, tenant_id=uuid7()))
    assert await stranger.batch(requests("one")) != answers[0].json()["id"]
    await world.work()
    assert len(world.calls.asked) == 3
