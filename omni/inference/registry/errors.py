"""The refusals of the registry."""

from __future__ import annotations

from omni.kit.errors import Conflict, NotConfigured, NotFound


def model_not_found() -> NotFound:
    """Missing, or another tenant's: the two answer alike."""
    return NotFound("registered_model_not_found", "There is no such model. List yours with GET /v1/registry/models.")


def version_not_found(named: str) -> NotFound:
    return NotFound(
        "model_version_not_found",
        f"The model has no version or alias {named!r}. List them with GET /v1/registry/models/{{model}}/versions.",
    )


def alias_not_found() -> NotFound:
    return NotFound("model_alias_not_found", "The model has no such alias.")


def model_exists(name: str) -> Conflict:
    return Conflict("model_exists", f"There is a model {name!r} already. Add a version to it, or choose another name.")


def task_differs(name: str, task: str) -> Conflict:
    return Conflict(
        "model_task_differs", f"The model {name!r} is for {task}. Register the version under another name.", task=task
    )


def in_use(what: str) -> Conflict:
    return Conflict("version_in_use", f"A {what} names the version. Change or delete that first.", used_by=what)


def out_of_service(number: int) -> Conflict:
    return Conflict(
        "version_out_of_service",
        f"Version {number} ended its process again and again and is out of service. Find out why, then set its state "
        "to `ready` with PATCH, or ask for another version.",
        version=number,
    )


def no_runner(what: str) -> NotConfigured:
    return NotConfigured("runner_missing", f"This server does not run models of the format {what!r}.")
