"""What a kind of compute job implements."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from omni.contracts.principal import Principal
from omni.foundation.db.sessions import Database
from omni.inference.jobs import repository
from omni.inference.jobs.runner import Done, More
from omni.inference.jobs.schemas import Job, Level
from omni.inference.runtime.call import Call

SLICE_SECONDS = 30.0
"""How long one slice may work before it must let go."""


@dataclass(slots=True)
class ComputeTask:
    """One slice of a compute job, in the backend."""

    call: Call
    """For whom it works. What the slice used is added to `call.usage`, and charged when the slice has ended."""
    job: Job
    database: Database
    most: Mapping[str, int]
    """Meter → most units that may still be used: what the quote leaves."""
    ends_at: float = field(default_factory=lambda: time.monotonic() + SLICE_SECONDS)
    """By the monotonic clock."""

    @property
    def seconds_left(self) -> float:
        return self.ends_at - time.monotonic()

    async def is_cancelled(self) -> bool:
        """Whether somebody has asked for the job's end: look about once a second."""
        async with self.database.read(self.call.principal.tenant_id) as session:
            return await repository.is_cancelled(session, self.job.id)

    async def log(self, level: Level, message: str) -> None:
        """Adds a line to the log that the tenant reads."""
        async with self.database.write(self.call.principal.tenant_id) as session:
            await repository.log(session, self.job.id, level, message)


class ComputeWork(Protocol):
    """One kind of compute job."""

    async def bound(self, who: Principal, given: Mapping[str, Any]) -> dict[str, int]:
        """Meter → most units that a job of this input may use: what the quote is made of.

        Raises InvalidInput and NotFound for an input that no job could work on.
        """
        ...

    async def work(self, task: ComputeTask) -> Done | More:
        """Works until the job is done or the slice is over. It must be able to begin again anywhere: a slice whose
        worker died is done again. `progress` of what it returns is `task.job.progress` of the next slice.

        An OmniError fails the job with its public text; Unavailable has the slice tried again later.
        """
        ...
