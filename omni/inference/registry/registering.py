"""Registering versions: what uploads and training jobs share."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from omni.foundation.db.sessions import WriteSession
from omni.inference.registry import repository
from omni.inference.registry.contracts import NewVersion
from omni.inference.registry.errors import task_differs
from omni.inference.registry.repository import Model, NameTaken


async def register(session: WriteSession, new: NewVersion) -> tuple[UUID, int]:
    """The `Register` of the contracts: the model's id and the version's number, in the caller's transaction.

    Raises Conflict `model_task_differs`.
    """
    model = await _model(session, new)
    if new.task and model.task and new.task != model.task:
        raise task_differs(model.name, model.task)
    if new.task and not model.task:
        await repository.set_task(session, model.id, new.task)
    if new.job_id is not None:
        number = await repository.number_of_job(session, model.id, new.job_id)
        if number is not None:
            return model.id, number
    return model.id, await repository.add_version(session, model.id, new, {})


async def _model(session: WriteSession, new: NewVersion) -> Model:
    """Locked, so that what is decided about it stays true; made when there is none."""
    while True:
        model = await repository.find_model(session, new.model_name, lock=True)
        if model is not None:
            return model
        with suppress(NameTaken):
            return await repository.add_model(session, new.model_name, new.task, "")
