"""Deployments: who answers, what is counted, and what is decided by it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from omni.foundation.db.system_session import SystemDatabase
from omni.inference.deployments.counting import Place, settle
from omni.inference.deployments.repository import forget_old
from omni.inference.deployments.rules import Count, one_request
from omni.inference.deployments.schemas import (
    DeploymentChange,
    DeploymentPredictRequest,
    FeedbackRequest,
    VersionReport,
)
from omni.kit.errors import Conflict, InvalidInput, NotFound, Unprocessable
from omni.kit.ids import uuid7
from tests.inference.deployments.conftest import World

CANARY = {"version": 2, "percents": [20, 60], "minimum_requests": 20, "rollback": {"error_rate": 0.1}}


@pytest.fixture(autouse=True)
async def _quiet(world: World) -> AsyncIterator[None]:
    yield
    await world.counters.close()


async def report_of(world: World) -> dict[tuple[int, str], VersionReport]:
    found = await world.reporting.report(world.call(), "live", 24)
    return {(each.version, each.role): each for each in found.versions}


def fails(*numbers: int) -> Any:
    def answer(number: int) -> dict[str, Any]:
        if number in numbers:
            raise Unprocessable("model_run_failed", "It failed.")
        return {"outputs": {"y": [1.0]}}

    return answer


async def test_a_deployment_is_made_changed_listed_and_deleted(world: World) -> None:
    made = await world.deploy(versions=[{"version": 1, "weight": 3}, {"version": 2}], shadow={"version": 3})
    assert [(each.version, each.weight) for each in made.versions] == [(1, 3), (2, 1)]
    assert made.shadow is not None
    assert (made.shadow.version, made.history[0].kind, made.revision) == (3, "created", 1)
    with pytest.raises(Conflict, match="live"):
        await world.deploy()
    change = DeploymentChange.model_validate({"versions": [{"version": 4}], "shadow": None})
    changed = await world.service.change(world.tenant_id, "live", change)
    assert ([each.version for each in changed.versions], changed.shadow, changed.revision) == ([4], None, 2)
    assert [each.id for each in (await world.service.list(world.tenant_id, 10, None)).data] == [made.id]
    with pytest.raises(NotFound):
        await world.service.get(uuid7(), "live")
    await world.service.delete(world.tenant_id, str(made.id))
    with pytest.raises(NotFound):
        await world.get()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"versions": [{"version": 1}, {"version": 1}]}, InvalidInput),
        ({"versions": [{"version": 9}]}, NotFound),
        ({"versions": [{"version": "unknown"}]}, NotFound),
        ({"canary": {"version": 1}}, InvalidInput),
        ({"model": "other"}, NotFound),
    ],
)
async def test_what_cannot_be_deployed_is_refused(world: World, fields: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        await world.deploy(**fields)


async def test_users_stick_to_their_version_and_requests_are_counted_by_minute(world: World) -> None:
    await world.deploy(versions=[{"version": 1}, {"version": 2}])
    first = await world.ask_all(range(40))
    world.clock.advance(timedelta(minutes=1))
    again = await world.ask_all(range(40))
    assert [each["version"] for each in first] == [each["version"] for each in again]
    await world.counters.write()
    report = await report_of(world)
    expected = Counter(each["version"] for each in (*first, *again))
    assert {number: each.requests for (number, _), each in report.items()} == expected
    latency = report[1, "live"].latency
    assert latency is not None
    assert 0 < latency.p50_ms <= latency.p95_ms


async def test_a_healthy_canary_takes_over(world: World) -> None:
    await world.deploy(canary=CANARY)
    seen = []
    for round_ in range(10):
        answers = await world.ask_all(range(round_ * 100, (round_ + 1) * 100))
        seen.append(sum(each["role"] == "canary" for each in answers))
        await world.counters.write()
    deployment = await world.get()
    assert [each.kind for each in deployment.history] == ["promoted", "stepped", "created"]
    assert [(each.version, each.weight) for each in deployment.versions] == [(2, 1)]
    assert deployment.canary is not None
    assert (deployment.canary.state, deployment.canary.percent) == ("promoted", 100)
    assert {each["version"] for each in await world.ask_all(range(50))} == {2}
    assert deployment.history[1].figures["requests"] >= 20


async def test_a_canary_that_fails_goes_back_and_says_why(world: World) -> None:
    world.versions.answer = fails(2)
    await world.deploy(canary=CANARY)
    await world.ask_all(range(100))
    await world.counters.write()
    deployment = await world.get()
    assert deployment.canary is not None
    assert (deployment.canary.state, deployment.canary.percent) == ("rolled_back", 0)
    event = deployment.history[0]
    assert (event.kind, event.version, event.figures["error_rate"]) == ("rolled_back", 2, 1.0)
    assert "failed" in event.reason
    answers = await world.ask_all(range(100))
    assert {each["version"] for each in answers} == {1}
    assert (await report_of(world))[2, "canary"].error_rate == 1.0


async def test_two_backends_decide_once(world: World) -> None:
    await world.deploy(canary=CANARY)
    counters, answering = world.backend()
    await world.ask_all(range(100))
    await world.ask_all(range(100, 200), answering)
    await asyncio.gather(world.counters.write(), counters.write())
    deployment = await world.get()
    assert [each.kind for each in deployment.history] == ["stepped", "created"]
    assert deployment.canary is not None
    assert (deployment.canary.step, deployment.canary.requests, deployment.revision) == (1, 0, 2)
    assert sum(each.requests for each in (await report_of(world)).values()) == 200
    await counters.close()


async def test_who_decides_second_sees_what_the_first_decided(world: World) -> None:
    deployment = await world.deploy(canary=CANARY)

    def counts(count: int) -> dict[Place, Count]:
        made = Count()
        for _ in range(count):
            made.add(one_request(0.01, failed=False))
        return {Place(2, "canary", 1, world.clock.now() + timedelta(minutes=count)): made}

    async def write(count: int) -> None:
        async with world.database.write(world.tenant_id) as session:
            await settle(session, deployment.id, counts(count), world.clock.now())

    async with world.database.write(world.tenant_id) as first:
        await settle(first, deployment.id, counts(30), world.clock.now())
        second = asyncio.create_task(write(40))
        assert await asyncio.wait({second}, timeout=0.2) == (set(), {second})
    await second
    found = await world.get()
    assert [each.kind for each in found.history] == ["stepped", "created"]
    assert found.canary is not None
    assert (found.canary.step, found.canary.requests) == (1, 0)


async def test_what_was_counted_before_a_change_decides_nothing_after_it(world: World) -> None:
    world.versions.answer = fails(2)
    await world.deploy(canary=CANARY)
    await world.ask_all(range(100))
    change = DeploymentChange.model_validate({"canary": {**CANARY, "percents": [10, 90]}})
    await world.service.change(world.tenant_id, "live", change)
    await world.counters.write()
    deployment = await world.get()
    assert deployment.canary is not None
    assert (deployment.canary.state, deployment.canary.requests) == ("running", 0)


async def test_bad_requests_are_not_the_versions_fault(world: World) -> None:
    def answer(number: int) -> dict[str, Any]:
        raise InvalidInput("inputs_invalid", "It does not fit.")

    world.versions.answer = answer
    await world.deploy(canary=CANARY)
    assert {each["error"] for each in await world.ask_all(range(30))} == {"inputs_invalid"}
    await world.counters.write()
    assert await report_of(world) == {}


async def test_a_shadow_is_asked_afterwards_compared_and_not_billed(world: World) -> None:
    await world.deploy(shadow={"version": 3})
    call = world.call()
    world.versions.answer = lambda number: {"outputs": {"y": [1.0 if number == 1 else 1.5]}}
    answer, later = await world.answering.predict(call, "live", DeploymentPredictRequest(inputs={"x": [1]}))
    assert world.versions.asked == [1]
    assert answer["version"] == 1
    await later()
    assert world.versions.asked == [1, 3]
    assert call.usage.predictions == 1
    world.versions.answer = lambda number: {"outputs": {"y": [1.0]}}
    await world.ask()
    world.versions.answer = fails(3)
    await world.ask()
    await world.counters.write()
    report = (await report_of(world))[3, "shadow"]
    assert (report.requests, report.errors, report.disagreements, report.skipped) == (3, 1, 1, 0)


async def test_shadows_that_are_behind_are_skipped_and_counted(world: World) -> None:
    await world.deploy(shadow={"version": 3})
    request = DeploymentPredictRequest(inputs={"x": [1]})
    waiting = [(await world.answering.predict(world.call(), "live", request))[1] for _ in range(6)]
    world.versions.gate.clear()
    tasks = [asyncio.create_task(later()) for later in waiting]
    for _ in range(20):
        await asyncio.sleep(0)
    world.versions.gate.set()
    await asyncio.gather(*tasks)
    await world.counters.write()
    report = (await report_of(world))[3, "shadow"]
    assert (report.requests, report.skipped) == (4, 2)


async def test_feedback_counts_once_for_the_version_that_answered(world: World) -> None:
    await world.deploy(versions=[{"version": 1}, {"version": 2}])
    good, bad = [1.0, 0.9, 1.0, 0.8], [0.2, 0.1, 0.3, 0.2]
    scores = {1: iter(bad * 10), 2: iter(good * 10)}
    for answer in await world.ask_all(range(40)):
        request = FeedbackRequest(prediction_id=answer["prediction_id"], score=next(scores[answer["version"]]))
        given = await world.answering.feedback(world.tenant_id, "live", request)
        assert (given.version, given.counted) == (answer["version"], True)
        assert not (await world.answering.feedback(world.tenant_id, "live", request)).counted
    await world.counters.write()
    found = await world.reporting.report(world.call(), "live", 1)
    by_version = {each.version: each.scores for each in found.versions}
    for number in (1, 2):
        scored = by_version[number]
        assert scored is not None
        assert scored.interval is not None
        assert scored.interval.lower < scored.mean < scored.interval.upper
    assert found.control == 1
    (comparison,) = found.comparisons
    assert (comparison.variant, comparison.significant) == ("2", True)
    assert comparison.difference == pytest.approx(0.725, abs=0.1)
    with pytest.raises(InvalidInput):
        await world.answering.feedback(world.tenant_id, "live", FeedbackRequest(prediction_id="pred-00", score=1))


async def test_poor_scores_roll_a_canary_back(world: World) -> None:
    rollback = {"error_rate": 1.0, "score_drop": 0.1, "minimum_scores": 30}
    await world.deploy(canary={**CANARY, "percents": [50, 60], "minimum_requests": 10, "rollback": rollback})
    answers = await world.ask_all(range(100))
    await world.counters.write()
    for number, answer in enumerate(answers):
        score = (0.2 if answer["role"] == "canary" else 0.9) + 0.01 * (number % 3)
        request = FeedbackRequest(prediction_id=answer["prediction_id"], score=score)
        await world.answering.feedback(world.tenant_id, "live", request)
    deployment = await world.get()
    assert deployment.canary is not None
    assert deployment.canary.state == "rolled_back"
    assert "mean score" in deployment.history[0].reason


async def test_counts_wait_while_the_database_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.deploy()
    await world.ask_all(range(5))
    working = world.counters._database

    class Away:
        def write(self, tenant_id: object) -> object:
            raise ConnectionError("away")

    monkeypatch.setattr(world.counters, "_database", Away())
    await world.counters.write()
    monkeypatch.setattr(world.counters, "_database", working)
    await world.ask_all(range(2))
    await world.counters.write()
    assert (await report_of(world))[1, "live"].requests == 7


async def test_old_minutes_and_feedback_are_forgotten(world: World, system_database: SystemDatabase) -> None:
    await world.deploy()
    answer = await world.ask()
    await world.answering.feedback(
        world.tenant_id, "live", FeedbackRequest(prediction_id=answer["prediction_id"], score=1)
    )
    await world.counters.write()
    async with system_database.session() as session:
        await forget_old(session, world.clock.now() - timedelta(days=1))
    assert (await report_of(world))[1, "live"].requests == 1
    async with system_database.session() as session:
        await forget_old(session, world.clock.now() + timedelta(minutes=1))
    assert await report_of(world) == {}
