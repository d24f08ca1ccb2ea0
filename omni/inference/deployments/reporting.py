"""How the versions of a deployment fare."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from omni.foundation.db.sessions import Database
from omni.inference.deployments import repository
from omni.inference.deployments.repository import DeploymentRow
from omni.inference.deployments.rules import Count, Role
from omni.inference.deployments.schemas import Latency, Report, Scores, VersionReport
from omni.inference.deployments.service import find
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.experiments.schemas import ABTestRequest, Bounds, Comparison, Variant
from omni.inference.tabular.experiments.service import ExperimentService
from omni.kit.clock import Clock
from omni.kit.errors import Unprocessable

if TYPE_CHECKING:
    from types import ModuleType

CONFIDENCE = 0.95
ENGINE = "tabular"


class Reporting:
    """Reports on deployments."""

    def __init__(self, database: Database, pool: EnginePool, experiments: ExperimentService, clock: Clock) -> None:
        self._database = database
        self._pool = pool
        self._experiments = experiments
        self._clock = clock
        self._means: LazyEngine[ModuleType] = LazyEngine(
            "omni.inference.tabular.experiments.means", lambda found: found
        )

    async def report(self, call: Call, named: str, hours: int) -> Report:
        """What was counted in the last `hours`. Raises NotFound `deployment_not_found`."""
        since = self._clock.now() - timedelta(hours=hours)
        async with self._database.snapshot(call.principal.tenant_id) as session:
            row = await find(session, named)
            counts = await repository.sums(session, row.id, since)
        scored = _scored(counts)
        control = _control(row, scored)
        return Report(
            deployment=row.name,
            since=since,
            versions=[await self._version(call, *key, count) for key, count in counts.items()],
            control=control,
            comparisons=[] if control is None else await self._compare(call, control, scored),
        )

    async def _version(self, call: Call, number: int, role: Role, count: Count) -> VersionReport:
        p50, p95 = count.quantile_ms(0.5), count.quantile_ms(0.95)
        latency = None if p50 is None or p95 is None else Latency(p50_ms=p50, p95_ms=p95)
        return VersionReport(
            version=number, role=role, requests=count.requests, errors=count.errors, error_rate=count.error_rate,
            latency=latency, scores=await self._scores(call, count), disagreements=count.disagreements,
            skipped=count.skipped,
        )  # fmt: skip

    async def _scores(self, call: Call, count: Count) -> Scores | None:
        mean = count.mean_score
        if mean is None:
            return None
        interval = None
        if count.scores >= 2:

            def work() -> tuple[float, float]:
                means = self._means.get()
                low, high = means.student(means.Mean(mean, count.score_deviation, count.scores), CONFIDENCE)
                return low, high

            low, high = await self._pool.run(call, ENGINE, work)
            interval = Bounds(lower=low, upper=high)
        return Scores(count=count.scores, mean=mean, interval=interval)

    async def _compare(self, call: Call, control: int, scored: dict[int, Count]) -> list[Comparison]:
        """Each version against the control; those that do not vary any more than it does are left out."""
        found: list[Comparison] = []
        spread = {number for number, count in scored.items() if count.score_deviation > 0 and number != control}
        if scored[control].score_deviation > 0:
            spread = scored.keys() - {control}
        if not spread:
            return found
        request = ABTestRequest(
            metric="mean", variants=[_variant(number, scored[number]) for number in (control, *sorted(spread))]
        )
        try:
            found = (await self._experiments.analyse(call, request)).comparisons
        except Unprocessable:
            return []
        return found


def _scored(counts: dict[tuple[int, Role], Count]) -> dict[int, Count]:
    """Version → what it came to, live or as a canary, where it has two scores and more."""
    together: dict[int, Count] = {}
    for (number, role), count in counts.items():
        if role != "shadow":
            together.setdefault(number, Count()).add(count)
    return {number: count for number, count in together.items() if count.scores >= 2}


def _control(row: DeploymentRow, scored: dict[int, Count]) -> int | None:
    """Of the live versions the one of the highest weight; where none has scores, the oldest that has."""
    live = [number for number in row.weights if number in scored]
    if not scored:
        return None
    return max(live, key=lambda number: (row.weights[number], -number)) if live else min(scored)


def _variant(number: int, count: Count) -> Variant:
    return Variant(name=str(number), mean=count.mean_score, standard_deviation=count.score_deviation, size=count.scores)
