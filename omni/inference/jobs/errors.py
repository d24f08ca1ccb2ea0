"""The refusals of jobs."""

from __future__ import annotations

from omni.kit.errors import Conflict, NotFound


def job_not_found() -> NotFound:
    """Missing, or another tenant's: the two answer alike."""
    return NotFound("job_not_found", "There is no such job. List yours with GET /v1/jobs.")


def job_ended(state: str) -> Conflict:
    return Conflict("job_ended", f"The job has ended as {state}; there is nothing to cancel.", state=state)


def job_not_ended(state: str) -> Conflict:
    return Conflict(
        "job_not_retryable",
        f"The job is {state}; only failed, expired and cancelled ones of the last six days can be retried.",
    )
