"""What `/v1/tabular/profile` and `/v1/tabular/drift` do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omni import __version__
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.profiling.cells import read_cells
from omni.inference.tabular.profiling.problems import problems_of
from omni.inference.tabular.profiling.profile import duplicate_rows, profile_of
from omni.inference.tabular.profiling.schemas import DriftRequest, DriftResponse, ProfileRequest, ProfileResponse
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    from omni.inference.tabular.profiling.drift import DriftDetector

ENGINE = f"omni-{__version__}"
LEAST_ROWS_OF_SAMPLES = 8


class ProfilingService:
    """Looks at tables."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._drift: LazyEngine[DriftDetector] = LazyEngine(
            "omni.inference.tabular.profiling.drift", lambda module: module.DriftDetector()
        )

    async def profile(self, call: Call, request: ProfileRequest) -> ProfileResponse:
        """Columns and problems. Raises what `read_cells` raises, InvalidInput `target_unknown`."""
        response = await self._pool.run(call, "tabular", lambda: _profile(call, request))
        call.usage.model = f"{ENGINE}/profile"
        return response

    async def compare(self, call: Call, request: DriftRequest) -> DriftResponse:
        """Drift by column. Raises what `read_cells` raises, InvalidInput `samples_differ`."""

        def work() -> DriftResponse:
            reference = read_cells(request.reference, request.columns, LEAST_ROWS_OF_SAMPLES, "reference")
            current = read_cells(request.current, request.columns, LEAST_ROWS_OF_SAMPLES, "current")
            if len(reference) != len(current):
                raise InvalidInput(
                    "samples_differ",
                    f"Rows of `reference` have {len(reference)} cells, of `current` {len(current)}. Send the same.",
                    param="current",
                )
            for before, after in zip(reference, current, strict=True):
                if "empty" in (before.kind, after.kind):
                    raise InvalidInput(
                        "samples_differ",
                        f"The column {before.name!r} has no value in one sample. Leave it out.",
                        param="rows",
                    )
            return self._drift.get().compare(reference, current, request.significance, call.seconds_left)

        response = await self._pool.run(call, "tabular", work)
        call.usage.model = f"{ENGINE}/drift"
        return response


def _profile(call: Call, request: ProfileRequest) -> ProfileResponse:
    columns = read_cells(request.rows, request.columns, 1)
    target = next((column for column in columns if column.name == request.target), None)
    if request.target is not None and target is None:
        raise InvalidInput("target_unknown", "There is no column of this name.", param="target")
    profiles = []
    for column in columns:
        call.seconds_left()
        profiles.append(profile_of(column))
    duplicates = duplicate_rows(columns)
    return ProfileResponse(
        engine=ENGINE,
        rows=len(request.rows),
        duplicate_rows=duplicates,
        columns=profiles,
        problems=problems_of(columns, profiles, duplicates, target),
    )
