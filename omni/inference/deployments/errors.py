"""The refusals of deployments."""

from __future__ import annotations

from omni.kit.errors import Conflict, InvalidInput, NotFound


def deployment_not_found() -> NotFound:
    """Missing, or another tenant's: the two answer alike."""
    return NotFound("deployment_not_found", "There is no such deployment. List yours with GET /v1/deployments.")


def deployment_exists(name: str) -> Conflict:
    return Conflict(
        "deployment_exists", f"There is a deployment {name!r} already. Change that, or choose another name."
    )


def invalid(param: str, why: str) -> InvalidInput:
    return InvalidInput("deployment_invalid", f"{param}: {why}", param=param)


def prediction_invalid() -> InvalidInput:
    return InvalidInput(
        "prediction_id_invalid",
        "Send the `prediction_id` that this deployment answered with.",
        param="prediction_id",
    )
