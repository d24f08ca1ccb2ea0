"""The SQL of the registry. Every statement starts from the session's tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Table, and_, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError

from omni.foundation.db.sessions import ReadSession, WriteSession, constraint_name
from omni.inference.registry.contracts import NewVersion, StoredVersion
from omni.inference.registry.tables import model_aliases, model_versions, registered_models
from omni.kit.ids import uuid7

Removal = Literal["removed", "missing", "alias", "deployment"]
_NAME = "uq_registered_models_name"
_BLOCKS: Mapping[str | None, Removal] = {"fk_model_aliases_version": "alias"}


@dataclass(frozen=True, slots=True)
class Model:
    """A row of `registered_models`."""

    id: UUID
    name: str
    task: str
    description: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version, with what only the registry itself needs."""

    stored: StoredVersion
    metrics: dict[str, float]
    card: dict[str, Any]
    lineage: dict[str, Any]
    measured: dict[str, Any]
    job_id: UUID | None
    state: Literal["ready", "withdrawn"]
    deaths: int
    created_at: datetime


class NameTaken(Exception):
    """Another model has the name."""


async def add_model(session: WriteSession, name: str, task: str, description: str) -> Model:
    """Raises NameTaken."""
    values = {"tenant_id": session.tenant_id, "id": uuid7(), "name": name, "task": task, "description": description}
    statement = postgresql.insert(registered_models).values(values).on_conflict_do_nothing(constraint=_NAME)
    row = await session.first(statement.returning(registered_models))
    if row is None:
        raise NameTaken
    return _model(row)


async def find_model(session: ReadSession, named: str | UUID, *, lock: bool = False) -> Model | None:
    """By id or name."""
    by = registered_models.c.id == named if isinstance(named, UUID) else registered_models.c.name == named
    statement = select(registered_models).where(_mine(session, registered_models), by)
    row = await session.first(statement.with_for_update() if lock else statement)
    return None if row is None else _model(row)


async def models(session: ReadSession, limit: int, after: UUID | None) -> list[Model]:
    """Up to `limit` models, newest first, of those older than `after`."""
    statement = select(registered_models).where(_mine(session, registered_models))
    if after is not None:
        statement = statement.where(registered_models.c.id < after)
    return [_model(row) for row in await session.all(statement.order_by(registered_models.c.id.desc()).limit(limit))]


async def change_model(session: WriteSession, model_id: UUID, changes: Mapping[str, str]) -> None:
    """Raises NameTaken."""
    statement = update(registered_models).where(_mine(session, registered_models), registered_models.c.id == model_id)
    try:
        async with session.savepoint():
            await session.execute(statement.values(**changes))
    except IntegrityError as error:
        if constraint_name(error) == _NAME:
            raise NameTaken from None
        raise


async def counts(session: ReadSession, model_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    """Model → how many versions it has, and the newest's number; those without are left out."""
    statement = (
        select(
            model_versions.c.model_id, func.count().label("count"), func.max(model_versions.c.number).label("newest")
        )
        .where(_mine(session, model_versions), model_versions.c.model_id.in_(model_ids))
        .group_by(model_versions.c.model_id)
    )
    return {row["model_id"]: (row["count"], row["newest"]) for row in await session.all(statement)}


async def remove_model(session: WriteSession, model_id: UUID) -> tuple[Removal, list[str]]:
    """Deletes a model with all its versions and aliases; the names of their objects."""
    names: list[str] = []
    try:
        async with session.savepoint():
            await session.execute(
                delete(model_aliases).where(_mine(session, model_aliases), model_aliases.c.model_id == model_id)
            )
            statement = delete(model_versions).where(
                _mine(session, model_versions), model_versions.c.model_id == model_id
            )
            rows = await session.all(statement.returning(model_versions.c.object_name))
            names = [row["object_name"] for row in rows]
            gone = await session.execute(
                delete(registered_models).where(_mine(session, registered_models), registered_models.c.id == model_id)
            )
    except IntegrityError:
        return "deployment", []
    return ("removed", names) if gone.rowcount else ("missing", [])


async def add_version(session: WriteSession, model_id: UUID, new: NewVersion, measured: Mapping[str, Any]) -> int:
    """The number that it gets. Lock the model before."""
    number = await session.scalar(
        update(registered_models)
        .where(_mine(session, registered_models), registered_models.c.id == model_id)
        .values(last_number=registered_models.c.last_number + 1)
        .returning(registered_models.c.last_number)
    )
    await session.execute(
        insert(model_versions).values(
            tenant_id=session.tenant_id,
            model_id=model_id,
            number=number,
            format=new.format,
            object_name=new.object_name,
            sha256=new.sha256,
            size_bytes=new.size_bytes,
            signature=dict(new.signature),
            metrics=dict(new.metrics),
            card=dict(new.card),
            lineage=dict(new.lineage),
            measured=dict(measured),
            job_id=new.job_id,
        )
    )
    return int(number)


async def number_of_job(session: ReadSession, model_id: UUID, job_id: UUID) -> int | None:
    """The version that the job registered."""
    number: int | None = await session.scalar(
        select(model_versions.c.number).where(
            _mine(session, model_versions), model_versions.c.model_id == model_id, model_versions.c.job_id == job_id
        )
    )
    return number


async def find_version(session: ReadSession, model_id: UUID, number: int | None) -> VersionRow | None:
    """The version; the newest one for None."""
    statement = select(model_versions).where(_mine(session, model_versions), model_versions.c.model_id == model_id)
    if number is not None:
        statement = statement.where(model_versions.c.number == number)
    row = await session.first(statement.order_by(model_versions.c.number.desc()).limit(1))
    return None if row is None else _version(row)


async def versions(session: ReadSession, model_id: UUID, limit: int, below: int | None) -> list[VersionRow]:
    """Up to `limit` versions, newest first, of those with smaller numbers than `below`."""
    statement = select(model_versions).where(_mine(session, model_versions), model_versions.c.model_id == model_id)
    if below is not None:
        statement = statement.where(model_versions.c.number < below)
    return [_version(row) for row in await session.all(statement.order_by(model_versions.c.number.desc()).limit(limit))]


async def set_state(session: WriteSession, model_id: UUID, number: int, state: str, now: datetime) -> bool:
    """A version that is set to anything has no deaths any more. False when there is none."""
    statement = update(model_versions).where(_is(session, model_id, number))
    return (await session.execute(statement.values(state=state, deaths=0, state_changed_at=now))).rowcount > 0


async def count_death(session: WriteSession, model_id: UUID, number: int, most: int, now: datetime) -> int:
    """How often in a row it has ended its process; the `most`-th time it is withdrawn."""
    deaths: int | None = await session.scalar(
        update(model_versions)
        .where(_is(session, model_id, number))
        .values(deaths=model_versions.c.deaths + 1)
        .returning(model_versions.c.deaths)
    )
    if deaths is not None and deaths >= most:
        statement = update(model_versions).where(_is(session, model_id, number))
        await session.execute(statement.values(state="withdrawn", state_changed_at=now))
    return deaths or 0


async def forget_deaths(session: WriteSession, model_id: UUID, number: int) -> None:
    """It has answered."""
    statement = update(model_versions).where(_is(session, model_id, number), model_versions.c.state == "ready")
    await session.execute(statement.values(deaths=0))


async def remove_version(session: WriteSession, model_id: UUID, number: int) -> Removal:
    """Deletes a version that nothing names."""
    try:
        async with session.savepoint():
            gone = await session.execute(delete(model_versions).where(_is(session, model_id, number)))
    except IntegrityError as error:
        return _BLOCKS.get(constraint_name(error), "deployment")
    return "removed" if gone.rowcount else "missing"


async def aliases(session: ReadSession, model_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """Model → alias → version."""
    statement = select(model_aliases).where(_mine(session, model_aliases), model_aliases.c.model_id.in_(model_ids))
    found: dict[UUID, dict[str, int]] = {}
    for row in await session.all(statement.order_by(model_aliases.c.alias)):
        found.setdefault(row["model_id"], {})[row["alias"]] = row["number"]
    return found


async def put_alias(session: WriteSession, model_id: UUID, alias: str, number: int, now: datetime) -> None:
    """The version must be there."""
    changed = {"number": number, "updated_at": now}
    statement = postgresql.insert(model_aliases).values(
        tenant_id=session.tenant_id, model_id=model_id, alias=alias, **changed
    )
    await session.execute(
        statement.on_conflict_do_update(index_elements=["tenant_id", "model_id", "alias"], set_=changed)
    )


async def remove_alias(session: WriteSession, model_id: UUID, alias: str) -> bool:
    """False when there was none."""
    statement = delete(model_aliases).where(
        _mine(session, model_aliases), model_aliases.c.model_id == model_id, model_aliases.c.alias == alias
    )
    return (await session.execute(statement)).rowcount > 0


async def set_task(session: WriteSession, model_id: UUID, task: str) -> None:
    """Says what a model is for of which nobody knew."""
    statement = update(registered_models).where(_mine(session, registered_models), registered_models.c.id == model_id)
    await session.execute(statement.values(task=task))


def _mine(session: ReadSession, table: Table) -> ColumnElement[bool]:
    return table.c.tenant_id == session.tenant_id


def _is(session: ReadSession, model_id: UUID, number: int) -> ColumnElement[bool]:
    return and_(
        _mine(session, model_versions), model_versions.c.model_id == model_id, model_versions.c.number == number
    )


def _model(row: RowMapping) -> Model:
    return Model(row["id"], row["name"], row["task"], row["description"], row["created_at"])


def _version(row: RowMapping) -> VersionRow:
    stored = StoredVersion(
        row["tenant_id"], row["model_id"], row["number"], row["format"], row["object_name"], row["sha256"],
        row["size_bytes"], row["signature"],
    )  # fmt: skip
    return VersionRow(
        stored, row["metrics"], row["card"], row["lineage"], row["measured"], row["job_id"], row["state"],
        row["deaths"], row["created_at"],
    )  # fmt: skip
