"""Routes of the batch endpoints."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from omni.inference.batches.schemas import Batch, BatchList, BatchRequest
from omni.inference.batches.service import BatchService
from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.fields import NO_NUL
from omni.inference.runtime.call import Call


def router(service: BatchService, caller: CallerDependency) -> APIRouter:
    """Everything below `/v1/batches`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Batches"], prefix="/v1/batches")

    @routes.post("", summary="Create a batch")
    async def create_batch(
        body: BatchRequest,
        response: Response,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255, pattern=NO_NUL)] = None,
        call: Call = Depends(caller),
    ) -> Batch:
        """Makes up to 50,000 requests from a file, at half the price, within 24 hours. Each is admitted, limited and
        metered like any other request of the key. Sent again with the same `Idempotency-Key` it is the same batch."""
        batch, is_new = await service.create(call.principal, body, idempotency_key)
        if not is_new:
            response.headers["Idempotency-Replayed"] = "true"
        return batch

    @routes.get("", summary="List batches")
    async def list_batches(
        limit: Annotated[int, Query(ge=1, le=100, description="Most batches of a page.")] = 20,
        after: Annotated[str | None, Query(max_length=100, description="`last_id` of the page before.")] = None,
        call: Call = Depends(caller),
    ) -> BatchList:
        """Your batches, newest first."""
        return await service.list(call.principal.tenant_id, limit, after)

    @routes.get("/{batch_id}", summary="Look up a batch")
    async def get_batch(batch_id: str, call: Call = Depends(caller)) -> Batch:
        """One batch: how far it is, and the files that it made."""
        return await service.get(call.principal.tenant_id, batch_id)

    @routes.post("/{batch_id}/cancel", summary="Cancel a batch")
    async def cancel_batch(batch_id: str, call: Call = Depends(caller)) -> Batch:
        """Begins no more requests. The answers that are there are in the output file, and charged."""
        return await service.cancel(call.principal.tenant_id, batch_id)

    return routes
