"""Routes of the dataset endpoints."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.datasets.schemas import Dataset, DatasetDriftRequest, DatasetList, DatasetRequest
from omni.inference.datasets.service import DatasetService
from omni.inference.runtime.call import Call
from omni.inference.tabular.profiling.schemas import DriftResponse


def router(service: DatasetService, caller: CallerDependency) -> APIRouter:
    """Everything below `/v1/datasets`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Datasets"], prefix="/v1/datasets")

    @routes.post("", summary="Create a dataset", status_code=201)
    async def create_dataset(body: DatasetRequest, call: Call = Depends(caller)) -> Dataset:
        """Reads a file of yours (CSV, Parquet or JSON lines; up to 1,000,000 rows, 2,000 columns and 10,000,000 cells),
        says what each column holds and what is wrong with the table, and keeps it for training and predictions."""
        return await service.create(call, body)

    @routes.get("", summary="List datasets")
    async def list_datasets(
        limit: Annotated[int, Query(ge=1, le=100, description="Most datasets of a page.")] = 20,
        cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before.")] = None,
        call: Call = Depends(caller),
    ) -> DatasetList:
        """Your datasets, newest first."""
        return await service.list(call.principal.tenant_id, limit, cursor)

    @routes.get("/{dataset_id}", summary="Look up a dataset")
    async def get_dataset(dataset_id: UUID, call: Call = Depends(caller)) -> Dataset:
        """One dataset with its columns, its profile and the problems found."""
        return await service.get(call.principal.tenant_id, dataset_id)

    @routes.delete("/{dataset_id}", summary="Delete a dataset", status_code=204)
    async def delete_dataset(dataset_id: UUID, call: Call = Depends(caller)) -> None:
        """Deletes a dataset for good. Models that were trained on it stay."""
        await service.delete(call.principal.tenant_id, dataset_id)

    @routes.post("/{dataset_id}/drift", summary="Compare a dataset with a later one")
    async def compare_datasets(
        dataset_id: UUID, body: DatasetDriftRequest, call: Call = Depends(caller)
    ) -> DriftResponse:
        """Whether the columns of another dataset are distributed as in this one, by size of the difference and by test.
        Of larger tables up to 20,000 rows, taken evenly, are compared."""
        return await service.compare(call, dataset_id, body)

    return routes
