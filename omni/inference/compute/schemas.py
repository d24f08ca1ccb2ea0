"""Requests and responses of jobs that compute."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from omni.inference.fields import Price
from omni.inference.jobs.schemas import Job, JobError, JobQuote, State

DAY_SECONDS = 86_400


class JobOptions(BaseModel):
    """How a job is to be done, whatever it does."""

    priority: Annotated[
        int, Field(ge=-10, le=0, description="Your jobs of a higher priority begin first; 0 is the usual one.")
    ] = 0
    deadline_seconds: Annotated[
        int, Field(ge=60, le=7 * DAY_SECONDS, description="A job that has not ended by then expires.")
    ] = DAY_SECONDS
    quote: Annotated[
        str | None,
        Field(max_length=4_096, description="`quote` of POST /v1/quotes: its prices hold for this job."),
    ] = None
    max_price: Annotated[
        Price | None,
        Field(
            description="In the platform's currency, without tax: a job that may cost more is not begun.",
            examples=["0.60"],
        ),
    ] = None
    webhook_url: Annotated[
        str | None,
        Field(
            max_length=2_048,
            pattern=r"^https://[^\x00-\x20\x7f]+$",
            description="Told when the job has ended: a signed POST (Standard Webhooks), repeated until it is taken.",
            examples=["https://example.com/hooks/omni"],
        ),
    ] = None


class Quote(JobQuote):
    """What a job would cost at most."""

    quote: Annotated[str, Field(description="Send it with the job, and these prices hold.")]
    expires_at: Annotated[datetime, Field(description="Until then the quote is accepted.")]


class SliceRequest(BaseModel):
    """What a worker asks of a backend."""

    attempt: Annotated[int, Field(ge=1, description="Of the claim under which the worker has the job.")]
    most: dict[str, Annotated[int, Field(ge=0)]]


class SliceOutcome(BaseModel):
    """What a slice came to. `state` is null where the job is to go on."""

    state: State | None
    later: bool
    progress: dict[str, Any]
    result: dict[str, Any] | None
    error: JobError | None
    used: dict[str, int]


class StartedJob(Job):
    """A job that was begun."""

    webhook_secret: Annotated[
        str | None,
        Field(description="What its webhook is signed with: this job's own. Not shown again.", examples=["whsec_…"]),
    ]
