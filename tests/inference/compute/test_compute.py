"""Jobs that compute: quoted, begun, worked on slice by slice, charged within their quote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from omni.contracts.principal import Principal
from omni.contracts.quotes import Terms, billable
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.inference.calling import Reply
from omni.inference.compute import worker
from omni.inference.compute.quoting import Quotes
from omni.inference.compute.schemas import JobOptions, SliceRequest
from omni.inference.compute.service import ComputeService
from omni.inference.compute.work import ComputeTask
from omni.inference.compute.worker import MOST_BROKEN, ComputeWorker
from omni.inference.jobs.runner import Done, JobRunner, More
from omni.inference.jobs.schemas import Job
from omni.inference.jobs.service import JobService
from omni.inference.runtime.call import Call
from omni.kit.clock import unix_micros
from omni.kit.errors import InvalidInput, OmniError, Unprocessable
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import JobMetrics
from tests.inference.jobs.conftest import MovingClock

KIND = "counting"
PRICES = {"training_ms": (20_000_000, 60_000)}
"""0.02 EUR a minute."""


class Counting(BaseModel):
    """An input: so many slices of ten seconds."""

    slices: int = 3


@dataclass
class CountingWork:
    """Counts slices; fails or waits where the test says so."""

    worked: list[int] = field(default_factory=list)
    before: Callable[[int], None] = lambda _at: None

    async def bound(self, _who: Principal, given: Mapping[str, Any]) -> dict[str, int]:
        if given["slices"] < 1:
            raise InvalidInput("no_slices", "Ask for one slice at least.")
        return {"training_ms": 10_000 * given["slices"]}

    async def work(self, task: ComputeTask) -> Done | More:
        at = int(task.job.progress.get("at", 0))
        self.before(at)
        self.worked.append(at)
        task.call.usage.training_ms += min(10_000, task.most["training_ms"])
        if at + 1 < task.job.input["slices"]:
            return More({"at": at + 1})
        return Done("succeeded", {"at": at + 1}, {"counted": at + 1})


@dataclass
class InProcess:
    """The gateway's and the backend's part of a slice, without the network between them."""

    service: ComputeService
    who: Principal
    billed: dict[UUID, dict[str, int]] = field(default_factory=dict)
    """By event: what came under one id counts once, as the drain does it."""
    refusals: list[Reply] = field(default_factory=list)

    async def send(
        self, path: str, body: dict[str, Any], key_digest: str, request_id: UUID, terms: Terms | None = None
    ) -> Reply:
        assert key_digest == self.who.key_digest
        assert terms is not None
        if self.refusals:
            return self.refusals.pop(0)
        call = Call(replace(self.who, request_id=request_id, deadline_micros=unix_micros() + 60_000_000))
        try:
            outcome = await self.service.work(call, UUID(path.split("/")[3]), SliceRequest(**body))
        except OmniError as error:
            return Reply(error.status, orjson.dumps({"code": error.code, "detail": error.message}), None)
        self.billed.setdefault(request_id, billable(terms, call.usage.quantities(), {}))
        return Reply(200, outcome.model_dump_json().encode(), None)

    def total(self) -> int:
        return sum(each.get("training_ms", 0) for each in self.billed.values())


@dataclass
class World:
    who: Principal
    work: CountingWork
    service: ComputeService
    calls: InProcess
    runner: JobRunner
    jobs: JobService
    clock: MovingClock

    async def start(self, slices: int = 3, **options: Any) -> Job:
        job, _ = await self.service.start(self.who, KIND, Counting(slices=slices), JobOptions(**options), None)
        return job

    async def run(self, job: Job) -> Job:
        """The job after everybody has worked on it."""
        while await self.runner.run_next():
            pass
        return await self.jobs.get(self.who.tenant_id, job.id)


@pytest.fixture
async def world(database: Database, system_database: SystemDatabase) -> World:
    who = Principal(
        uuid7(), uuid7(), uuid7(), "live", None, 2**60, key_id=uuid7(), key_digest="cd" * 32, currency="EUR",
        prices=PRICES,
    )  # fmt: skip
    clock, work, metrics = MovingClock(), CountingWork(), JobMetrics(CollectorRegistry())
    others = JobRunner(database, system_database.session, {}, clock, metrics)
    while await others.run_next():  # what another test left
        pass
    service = ComputeService(database, {KIND: work}, Quotes(b"q" * 32), clock)
    calls = InProcess(service, who)
    runner = JobRunner(database, system_database.session, {KIND: ComputeWorker(calls)}, clock, metrics)
    return World(who, work, service, calls, runner, JobService(database, clock), clock)


async def test_a_job_is_worked_on_in_slices_and_charged_for_each(world: World) -> None:
    job = await world.run(await world.start(slices=3))
    assert (job.state, job.result) == ("succeeded", {"counted": 3})
    assert world.work.worked == [0, 1, 2]
    assert job.progress["charged"] == {"slices": 3, "tries": 0, "used": {"training_ms": 30_000}, "price": "0.01"}
    assert world.calls.total() == 30_000
    assert len(world.calls.billed) == 3


async def test_a_quote_says_the_most_that_it_can_cost(world: World) -> None:
    quote = await world.service.quote(world.who, KIND, Counting(slices=6))
    assert (quote.currency, quote.not_to_exceed) == ("EUR", "0.02")
    (line,) = quote.lines
    assert (line.meter, line.most, line.price, line.per_quantity) == ("training_ms", 60_000, "0.02", 60_000)
    job = await world.start(slices=6, quote=quote.quote)
    assert job.quote is not None
    assert job.quote.not_to_exceed == "0.02"


async def test_a_quote_holds_when_the_price_has_doubled(world: World) -> None:
    quote = await world.service.quote(world.who, KIND, Counting(slices=6))
    world.who = replace(world.who, prices={"training_ms": (40_000_000, 60_000)})
    without = await world.start(slices=6)
    quoted = await world.start(slices=6, quote=quote.quote)
    assert without.quote is not None
    assert quoted.quote is not None
    assert (without.quote.not_to_exceed, quoted.quote.not_to_exceed) == ("0.04", "0.02")


async def test_a_quote_is_good_for_its_tenant_its_input_and_a_day(world: World) -> None:
    quote = (await world.service.quote(world.who, KIND, Counting(slices=6))).quote
    with pytest.raises(Unprocessable, match="another input"):
        await world.start(slices=7, quote=quote)
    for text in (quote[:-3] + "xxx", "nothing", "a.b"):
        with pytest.raises(InvalidInput, match="no quote of ours"):
            await world.start(slices=6, quote=text)
    mine = world.who
    world.who = replace(mine, tenant_id=uuid7())
    with pytest.raises(InvalidInput, match="no quote of ours"):
        await world.start(slices=6, quote=quote)
    world.who = mine
    world.clock.ahead = timedelta(hours=25)
    with pytest.raises(InvalidInput, match="out of date"):
        await world.start(slices=6, quote=quote)


async def test_a_job_that_may_cost_more_than_allowed_is_not_begun(world: World) -> None:
    assert (await world.start(slices=6, max_price=Decimal("0.02"))).state == "queued"
    with pytest.raises(Unprocessable, match=r"0\.02 EUR, more than `max_price`"):
        await world.start(slices=6, max_price=Decimal("0.019999999"))
    with pytest.raises(InvalidInput, match="one slice at least"):
        await world.start(slices=0)


async def test_the_same_request_makes_one_job(world: World) -> None:
    first, is_new = await world.service.start(world.who, KIND, Counting(), JobOptions(), "mine")
    again, is_new_again = await world.service.start(world.who, KIND, Counting(), JobOptions(), "mine")
    assert (first.id, is_new, is_new_again) == (again.id, True, False)
    with pytest.raises(Unprocessable, match="Idempotency-Key"):
        await world.service.start(world.who, KIND, Counting(slices=1), JobOptions(), "mine")


async def test_a_worker_that_dies_after_the_answer_pays_no_slice_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await world.start(slices=2)

    async def dies(*args: Any) -> Reply:
        await InProcess.send(world.calls, *args)
        raise RuntimeError("killed")

    monkeypatch.setattr(world.calls, "send", dies)
    assert await world.runner.run_next()
    monkeypatch.undo()
    done = await world.run(job)
    assert done.state == "succeeded"
    assert world.work.worked == [0, 0, 1], "the slice is done again"
    assert world.calls.total() == 20_000, "and billed once"


async def test_what_is_busy_is_asked_again_under_another_id(world: World) -> None:
    world.calls.refusals = [Reply(503, b'{"code":"engine_busy","detail":"Later."}', 1), Reply(429, b"no JSON", 1)]
    job = await world.run(await world.start(slices=1))
    assert job.state == "succeeded"
    ids = list(world.calls.billed)
    assert len(ids) == 1
    assert job.progress["charged"]["slices"] == 1


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(429, b'{"code":"budget_exceeded","detail":"Raise it."}', 3600), "budget_exceeded"),
        (Reply(401, b'{"code":"invalid_api_key","detail":"Revoked."}', None), "invalid_api_key"),
        (Reply(400, b"not JSON", None), "slice_failed"),
    ],
)
async def test_what_cannot_go_on_fails_and_goes_on_when_tried_again(world: World, reply: Reply, code: str) -> None:
    job = await world.start(slices=2)
    assert await world.runner.run_next()
    world.calls.refusals = [reply]
    failed = await world.run(job)
    assert failed.state == "failed"
    assert failed.error is not None
    assert failed.error.code == code
    await world.jobs.retry(world.who.tenant_id, job.id)
    assert (await world.run(job)).state == "succeeded"
    assert world.work.worked == [0, 1], "what was done is not done again"


async def test_an_error_of_ours_ends_the_job_when_it_stays(world: World) -> None:
    world.calls.refusals = [Reply(500, b'{"code":"internal_error","detail":"Ours."}', None)] * (MOST_BROKEN + 3)
    job = await world.run(await world.start())
    assert (job.state, len(world.calls.refusals)) == ("failed", 3)


async def test_what_the_input_causes_fails_the_job_and_costs_nothing(world: World) -> None:
    def refuse(at: int) -> None:
        if at == 1:
            raise InvalidInput("bad_column", "Column x holds nothing.")

    world.work.before = refuse
    job = await world.run(await world.start())
    assert job.error is not None
    assert (job.state, job.error.code) == ("failed", "bad_column")
    assert world.calls.total() == 10_000, "only the slice that worked"


async def test_it_ends_when_cancelled_or_over_time(world: World) -> None:
    cancelled, late = await world.start(), await world.start(deadline_seconds=60)
    await world.jobs.cancel(world.who.tenant_id, cancelled.id)
    world.clock.ahead = timedelta(seconds=61)
    assert (await world.run(cancelled)).state == "cancelled"
    assert (await world.run(late)).state == "expired"
    assert not world.work.worked


async def test_another_attempt_or_tenant_finds_nothing_to_work_on(world: World) -> None:
    job = await world.start()
    call = Call(replace(world.who, deadline_micros=unix_micros() + 60_000_000))
    with pytest.raises(OmniError, match="Another worker"):
        await world.service.work(call, job.id, SliceRequest(attempt=1, most={}))
    stranger = Call(replace(call.principal, tenant_id=uuid7()))
    with pytest.raises(OmniError, match="no such job"):
        await world.service.work(stranger, job.id, SliceRequest(attempt=1, most={}))


async def test_what_is_paid_for_is_finished_and_what_never_ends_is_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MOST_FREE", 3)

    async def finishes(task: ComputeTask) -> Done | More:
        at = int(task.job.progress.get("at", 0))
        task.call.usage.training_ms += min(10_000, task.most["training_ms"])
        return More({"at": at + 1}) if at < most else Done("succeeded", {})

    monkeypatch.setattr(world.work, "work", finishes)
    most = 4
    assert (await world.run(await world.start(slices=1))).state == "succeeded"
    assert world.calls.total() == 10_000
    most = 99
    assert (await world.run(await world.start(slices=1))).state == "failed"
