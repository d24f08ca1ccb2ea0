"""What the experiment endpoints do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.experiments.checks import check_experiment, check_plan
from omni.inference.tabular.experiments.schemas import (
    ABTestRequest,
    ABTestResponse,
    SampleSizeRequest,
    SampleSizeResponse,
)
from omni.kit.errors import Unprocessable

if TYPE_CHECKING:
    from omni.inference.tabular.experiments.analysis import Analyst
    from omni.inference.tabular.experiments.planning import Plan


class ExperimentService:
    """Analyses experiments and plans them."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._analyst: LazyEngine[Analyst] = LazyEngine(
            "omni.inference.tabular.experiments.analysis", lambda module: module.Analyst()
        )

    async def analyse(self, call: Call, request: ABTestRequest) -> ABTestResponse:
        """Each treatment against the control.

        Raises InvalidInput `variants_invalid` or `experiment_invalid`, Unprocessable `no_variation` when two means have
        no spread.
        """
        check_experiment(request)
        response = await self._pool.run(
            call, "tabular", lambda: self._analyst.get().analyse(request, call.seconds_left)
        )
        if isinstance(response, str):
            raise Unprocessable(
                "no_variation",
                f"Neither the control nor {response!r} varies, so nothing can be tested. Check the figures.",
                param="variants",
            )
        call.usage.model = f"{response.engine}/ab-test"
        return response

    async def plan(self, call: Call, request: SampleSizeRequest) -> SampleSizeResponse:
        """How large the variants must be.

        Raises InvalidInput `experiment_invalid`, Unprocessable `sample_too_large` above 1e9 units in the control.
        """
        check_plan(request)

        def work() -> tuple[str, Plan | None]:
            analyst = self._analyst.get()
            return analyst.name, analyst.plan(request)

        engine, plan = await self._pool.run(call, "tabular", work)
        if plan is None:
            raise Unprocessable(
                "sample_too_large",
                "The control would need more than 1e9 units. Look for a larger effect, or accept less power.",
                param="minimum_effect",
            )
        method: Literal["two_proportion_z", "t_test"] = (
            "two_proportion_z" if request.metric == "proportion" else "t_test"
        )
        call.usage.model = f"{engine}/sample-size"
        total = plan.control_size + request.treatments * plan.treatment_size
        return SampleSizeResponse(
            engine=engine,
            method=method,
            control_size=plan.control_size,
            treatment_size=plan.treatment_size,
            total_size=total,
            power=plan.power,
            corrected_significance=request.significance / request.treatments,
            days=None if request.units_per_day is None else total / request.units_per_day,
        )
