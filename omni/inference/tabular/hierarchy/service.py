"""What `/v1/forecasts/hierarchical` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.checks import check_series
from omni.inference.tabular.hierarchy.schemas import HierarchicalRequest, HierarchicalResponse, Node
from omni.inference.tabular.timestamps import SEASONS, time_of
from omni.kit.errors import InvalidInput, Unprocessable

if TYPE_CHECKING:
    from omni.inference.tabular.hierarchy.engine import Reconciler


class HierarchyService:
    """Forecasts series and their totals."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._reconciler: LazyEngine[Reconciler] = LazyEngine(
            "omni.inference.tabular.hierarchy.engine", lambda module: module.Reconciler()
        )

    async def forecast(self, call: Call, request: HierarchicalRequest) -> HierarchicalResponse:
        """Forecasts that add up.

        Raises InvalidInput `hierarchy_invalid`, `series_too_short`, `value_not_usable` or `start_out_of_range`,
        Unprocessable `series_not_forecastable`.
        """
        totals = _check(request)
        length = len(request.series[0].values)
        times = None
        if request.start is not None:
            times = [time_of(request.start, request.frequency, length + step) for step in range(request.horizon)]

        def work() -> HierarchicalResponse:
            engine = self._reconciler.get()
            season = SEASONS[request.frequency]
            found = engine.forecast(
                [each.values for each in request.series], totals, season, request, call.seconds_left
            )
            if found is None:
                raise Unprocessable(
                    "series_not_forecastable", "The model cannot be fitted to one of the series. Take another model."
                )
            names = [
                *((total.name, "total") for total in request.totals),
                *((s.name, "series") for s in request.series),
            ]
            nodes = [
                Node.model_validate({"name": name, "kind": kind, "base": base, "forecast": forecast})
                for (name, kind), base, forecast in zip(names, found.base, found.forecast, strict=True)
            ]
            return HierarchicalResponse(
                engine=engine.name,
                method=request.method,
                model=request.model,
                times=times,
                nodes=nodes,
                largest_gap=found.largest_gap,
            )

        response = await self._pool.run(call, "tabular", work)
        call.usage.model = f"{response.engine}/{request.model}"
        return response


def _check(request: HierarchicalRequest) -> list[list[int]]:
    """Places of the series of each total."""
    places = {series.name: place for place, series in enumerate(request.series)}
    names = [*places, *(total.name for total in request.totals)]
    if len(places) < len(request.series) or len(set(names)) < len(names):
        raise _invalid("series", "every series and total needs a name of its own")
    for index, series in enumerate(request.series):
        check_series(series.values, f"series[{index}].values")
        if len(series.values) != len(request.series[0].values):
            raise _invalid(f"series[{index}].values", "all series must have the same length")
    for index, total in enumerate(request.totals):
        if len(set(total.of)) < len(total.of) or not set(total.of) <= set(places):
            raise _invalid(f"totals[{index}].of", "it must name series, each once")
    if request.method == "top_down" and len(request.totals[0].of) < len(request.series):
        raise _invalid("totals[0].of", "top_down needs a first total of all series")
    return [[places[name] for name in total.of] for total in request.totals]


def _invalid(param: str, reason: str) -> InvalidInput:
    return InvalidInput("hierarchy_invalid", f"{param}: {reason}.", param=param)
