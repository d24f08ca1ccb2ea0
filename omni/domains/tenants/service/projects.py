"""Projects: add, rename, delete."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from omni.domains.tenants import repository, rules
from omni.domains.tenants.contracts import Project
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.kit.errors import Conflict, NotFound
from omni.kit.ids import uuid7


async def list_projects(session: ReadSession) -> list[Project]:
    """Oldest first."""
    return await repository.all_projects(session)


async def add_project(session: WriteSession, name: str, now: datetime) -> Project:
    """Raises Conflict `project_name_taken`, `too_many_projects`."""
    await repository.lock_tenant(session)
    if await repository.count_projects(session) >= rules.MAX_PROJECTS:
        raise Conflict("too_many_projects", f"A tenant has at most {rules.MAX_PROJECTS} projects.")
    project = Project(uuid7(), name, now)
    if not await repository.insert_project(session, project):
        raise _name_taken()
    return project


async def rename_project(session: WriteSession, project_id: UUID, name: str) -> Project:
    """Raises NotFound `project_not_found`, Conflict `project_name_taken`."""
    project = await _get(session, project_id)
    if not await repository.rename_project(session, project_id, name):
        raise _name_taken()
    return Project(project.project_id, name, project.created_at)


async def delete_project(session: WriteSession, project_id: UUID) -> None:
    """Raises NotFound `project_not_found`, Conflict `last_project`, `project_in_use`."""
    await repository.lock_tenant(session)
    await _get(session, project_id)
    if await repository.count_projects(session) == 1:
        raise Conflict("last_project", "A tenant keeps at least one project.")
    if not await repository.delete_project(session, project_id):
        raise Conflict("project_in_use", "The project has active keys. Revoke them first.")


async def _get(session: ReadSession, project_id: UUID) -> Project:
    project = await repository.project(session, project_id)
    if project is None:
        raise NotFound("project_not_found", "There is no such project in this tenant.")
    return project


def _name_taken() -> Conflict:
    return Conflict("project_name_taken", "A project with this name exists.")
