"""The calling tenant's deployments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from omni.foundation.db.sessions import Database, ReadSession
from omni.inference.deployments import repository
from omni.inference.deployments.errors import deployment_exists, deployment_not_found, invalid
from omni.inference.deployments.repository import DeploymentRow, Routing
from omni.inference.deployments.rules import Count
from omni.inference.deployments.schemas import (
    CanaryRequest,
    CanaryStatus,
    Deployment,
    DeploymentChange,
    DeploymentEvent,
    DeploymentList,
    DeploymentRequest,
    LiveVersion,
    Rollback,
    Shadow,
    ShadowRequest,
    WeightedVersion,
)
from omni.inference.registry import repository as registry
from omni.inference.registry.repository import Model
from omni.inference.registry.service import find as find_model
from omni.inference.registry.service import find_version
from omni.kit.clock import Clock

HISTORY = 50


class DeploymentService:
    """What belongs to another tenant is not found."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, tenant_id: UUID, request: DeploymentRequest) -> Deployment:
        """Raises Conflict `deployment_exists`, NotFound `registered_model_not_found` or `model_version_not_found`,
        InvalidInput `deployment_invalid`.
        """
        async with self._database.write(tenant_id) as session:
            model = await find_model(session, request.model)
            weights = await _weights(session, model, request.versions)
            canary = await _canary(session, model, request.canary)
            shadow = await _shadow(session, model, request.shadow)
            routing = Routing(weights, canary, "running" if canary else None, shadow)
            _check(routing)
            deployment_id = await repository.add(session, request.name, model.id, routing, self._clock.now())
            if deployment_id is None:
                raise deployment_exists(request.name)
            await repository.note(session, deployment_id, "created", None, "Created.")
            return await self._shown(session, await find(session, str(deployment_id)))

    async def list(self, tenant_id: UUID, limit: int, cursor: UUID | None) -> DeploymentList:
        """One page."""
        async with self._database.read(tenant_id) as session:
            found = await repository.page(session, limit + 1, cursor)
            page = [await self._shown(session, row, history=False) for row in found[:limit]]
        return DeploymentList(data=page, next_cursor=page[-1].id if len(found) > limit else None)

    async def get(self, tenant_id: UUID, named: str) -> Deployment:
        """Raises NotFound `deployment_not_found`."""
        async with self._database.read(tenant_id) as session:
            return await self._shown(session, await find(session, named))

    async def change(self, tenant_id: UUID, named: str, change: DeploymentChange) -> Deployment:
        """Raises NotFound `deployment_not_found` or `model_version_not_found`, InvalidInput `deployment_invalid`."""
        async with self._database.write(tenant_id) as session:
            row = await find(session, named, lock=True)
            model = await find_model(session, str(row.model_id))
            weights, canary, state, shadow = row.weights, row.canary, row.canary_state, row.shadow
            step = row.canary_step
            if change.versions is not None:
                weights = await _weights(session, model, change.versions)
            if "canary" in change.model_fields_set:
                canary, step = await _canary(session, model, change.canary), 0
                state = "running" if canary else None
            if "shadow" in change.model_fields_set:
                shadow = await _shadow(session, model, change.shadow)
            routing = Routing(weights, canary, state, shadow)
            _check(routing)
            await repository.reroute(session, row, routing, step, self._clock.now())
            changed = ", ".join(sorted(change.model_fields_set)) or "nothing"
            await repository.note(session, row.id, "changed", None, f"Changed: {changed}.")
            return await self._shown(session, await find(session, str(row.id)))

    async def delete(self, tenant_id: UUID, named: str) -> None:
        """With all that was counted. Raises NotFound `deployment_not_found`."""
        async with self._database.write(tenant_id) as session:
            await repository.remove(session, (await find(session, named, lock=True)).id)

    async def _shown(self, session: ReadSession, row: DeploymentRow, *, history: bool = True) -> Deployment:
        model = await registry.find_model(session, row.model_id)
        assert model is not None  # a foreign key holds it
        events: list[DeploymentEvent] = await repository.history(session, row.id, HISTORY) if history else []
        return Deployment(
            id=row.id,
            name=row.name,
            model=model.name,
            versions=[LiveVersion(version=number, weight=weight) for number, weight in row.weights.items()],
            canary=_canary_status(row),
            shadow=None if row.shadow is None else Shadow.model_validate(row.shadow),
            revision=row.revision,
            history=events,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


async def find(session: ReadSession, named: str, *, lock: bool = False) -> DeploymentRow:
    """By name or id. Raises NotFound `deployment_not_found`."""
    try:
        key: str | UUID = UUID(named)
    except ValueError:
        key = named
    row = await repository.find(session, key, lock=lock)
    if row is None:
        raise deployment_not_found()
    return row


def percent(row: DeploymentRow) -> tuple[int, int] | None:
    """The canary's version and its share of the users, while it runs."""
    if row.canary is None or row.canary_state != "running":
        return None
    return row.canary["version"], row.canary["percents"][row.canary_step]


def _canary_status(row: DeploymentRow) -> CanaryStatus | None:
    if row.canary is None or row.canary_state is None:
        return None
    own = Count(**row.step_counts["own"]) if "own" in row.step_counts else Count()
    running = percent(row)
    return CanaryStatus(
        version=row.canary["version"], state=row.canary_state, percents=row.canary["percents"], step=row.canary_step,
        percent=running[1] if running else 100 if row.canary_state == "promoted" else 0,
        minimum_requests=row.canary["minimum_requests"], rollback=Rollback.model_validate(row.canary["rollback"]),
        requests=own.requests,
    )  # fmt: skip


async def _weights(session: ReadSession, model: Model, versions: list[WeightedVersion]) -> dict[int, int]:
    weights: dict[int, int] = {}
    for each in versions:
        number = (await find_version(session, model, str(each.version))).stored.number
        if number in weights:
            raise invalid("versions", f"version {number} is named twice.")
        weights[number] = each.weight
    return weights


async def _canary(session: ReadSession, model: Model, request: CanaryRequest | None) -> dict[str, Any] | None:
    if request is None:
        return None
    number = (await find_version(session, model, str(request.version))).stored.number
    return {**request.model_dump(), "version": number}


async def _shadow(session: ReadSession, model: Model, request: ShadowRequest | None) -> dict[str, Any] | None:
    if request is None:
        return None
    return {**request.model_dump(), "version": (await find_version(session, model, str(request.version))).stored.number}


def _check(routing: Routing) -> None:
    if (
        routing.canary is not None
        and routing.canary_state == "running"
        and routing.canary["version"] in routing.weights
    ):
        raise invalid("canary", f"version {routing.canary['version']} answers already as one of `versions`.")
