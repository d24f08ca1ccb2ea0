"""Asking a deployment: the version is chosen, asked, counted, and its shadow asked afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from omni.foundation.db.sessions import Database
from omni.inference.deployments import repository, rules
from omni.inference.deployments.counting import Counters, Place, settle
from omni.inference.deployments.errors import prediction_invalid
from omni.inference.deployments.feedback_ids import Prediction, PredictionIds
from omni.inference.deployments.repository import DeploymentRow
from omni.inference.deployments.rules import Count, Role, one_request, one_score
from omni.inference.deployments.schemas import DeploymentPredictRequest, Feedback, FeedbackRequest
from omni.inference.deployments.service import find, percent
from omni.inference.registry.predicting import Body, body_of
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import Conflict, DeadlineExceeded, OmniError, Unprocessable

SHADOWS_AT_ONCE = 4
"""Shadows of all tenants that one backend asks at a time; what comes meanwhile is skipped."""
ENGINE = "registry"


class Ask(Protocol):
    """`Predicting.predict_version`."""

    async def __call__(self, call: Call, model_id: UUID, number: int, body: Body) -> dict[str, Any]: ...


class Later(Protocol):
    """What is to be done when the answer is on its way."""

    async def __call__(self) -> None: ...


async def nothing() -> None:
    """Where there is no shadow."""


class DeploymentAnswering:
    """Answers requests to deployments, and takes feedback on the answers."""

    def __init__(self, database: Database, ask: Ask, counters: Counters, pool: EnginePool, ids: PredictionIds) -> None:
        self._database = database
        self._ask = ask
        self._counters = counters
        self._pool = pool
        self._ids = ids
        self._shadows = asyncio.Semaphore(SHADOWS_AT_ONCE)
        self._metrics = counters.metrics

    async def predict(self, call: Call, named: str, request: DeploymentPredictRequest) -> tuple[dict[str, Any], Later]:
        """The answer, and what remains to be done once it is sent.

        Raises NotFound `deployment_not_found` and what `Predicting.predict` raises.
        """
        who = call.principal
        body = body_of(request.inputs, request.rows, request.explain)
        async with self._database.read(who.tenant_id) as session:
            row = await find(session, named)
        number, role = rules.assign(row.id, request.user or str(who.request_id), row.weights, percent(row))
        started = time.monotonic()
        try:
            answer = await self._ask(call, row.model_id, number, body)
        except OmniError as error:
            fault = _is_its_fault(error)
            self._metrics.requests.add(role, "failed" if fault else "refused")
            if fault:
                self._count(who.tenant_id, row, number, role, one_request(time.monotonic() - started, failed=True))
            raise
        self._count(who.tenant_id, row, number, role, one_request(time.monotonic() - started, failed=False))
        self._metrics.requests.add(role, "ok")
        prediction = Prediction(who.request_id, number, role, row.revision)
        own = {"deployment": row.name, "role": role, "prediction_id": self._ids.make(who.tenant_id, row.id, prediction)}
        return {**answer, **own}, self._shadow(call, row, body, answer)

    async def feedback(self, tenant_id: UUID, named: str, request: FeedbackRequest) -> Feedback:
        """Scores an answer, once. Raises NotFound `deployment_not_found`, InvalidInput `prediction_id_invalid`."""
        decision = None
        async with self._database.write(tenant_id) as session:
            row = await find(session, named, lock=True)
            given = self._ids.read(tenant_id, row.id, request.prediction_id)
            if given is None:
                raise prediction_invalid()
            counted = await repository.add_feedback(
                session, row.id, given.request_id, given.number, request.score, request.outcome
            )
            if counted:
                minute = self._counters.minute()
                place = Place(given.number, given.role, given.revision, minute)
                decision = await settle(session, row.id, {place: one_score(request.score)}, minute)
        self._counters.decided(decision)
        return Feedback(deployment=row.name, version=given.number, counted=counted)

    def _shadow(self, call: Call, row: DeploymentRow, body: Body, answer: Mapping[str, Any]) -> Later:
        if row.shadow is None:
            return nothing
        number, tolerance = row.shadow["version"], row.shadow["tolerance"]
        # Of its own, so that nothing of it is billed.
        own = Call(call.principal, now_micros=call.now_micros)

        async def ask() -> None:
            tenant_id = call.principal.tenant_id
            if self._shadows.locked():
                self._metrics.shadows.add("skipped")
                self._count(tenant_id, row, number, "shadow", Count(skipped=1))
                return
            async with self._shadows:
                started = time.monotonic()
                try:
                    other = await self._ask(own, row.model_id, number, body)
                    count = one_request(time.monotonic() - started, failed=False)
                    if await self._pool.run(own, ENGINE, lambda: _differ(answer, other, tolerance)):
                        count.disagreements = 1
                except OmniError:
                    count = one_request(time.monotonic() - started, failed=True)
                self._metrics.shadows.add("failed" if count.errors else "differed" if count.disagreements else "agreed")
                self._count(tenant_id, row, number, "shadow", count)

        return ask

    def _count(self, tenant_id: UUID, row: DeploymentRow, number: int, role: Role, count: Count) -> None:
        self._counters.add(tenant_id, row, number, role, count)


def _is_its_fault(error: OmniError) -> bool:
    """Whether the version is to blame, and not the request or how busy the server is."""
    return isinstance(error, Unprocessable | DeadlineExceeded | Conflict)


def _differ(first: Mapping[str, Any], second: Mapping[str, Any], tolerance: float) -> bool:
    without = ("model", "version")
    return rules.differs(
        {name: value for name, value in first.items() if name not in without},
        {name: value for name, value in second.items() if name not in without},
        tolerance,
    )
