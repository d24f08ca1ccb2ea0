"""Bodies of the plan routes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from omni.foundation.http.fields import Name, RequestModel

Limit = Annotated[int | None, Field(ge=0, le=2**53 - 1)]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$", examples=["all-minilm-l6-v2"])]


class LimitsModel(BaseModel):
    """What a plan allows; null = unlimited."""

    requests_per_minute: Annotated[int | None, Field(ge=1, le=10**9, examples=[600])]
    request_burst: Annotated[int, Field(ge=1, le=10**9, examples=[120])]
    tokens_per_minute: Annotated[int | None, Field(ge=1, le=10**12, examples=[1_000_000])]
    requests_per_month: Annotated[Limit, Field(examples=[1_000_000])]
    compute_ms_per_month: Annotated[Limit, Field(examples=[36_000_000])]
    storage_bytes: Annotated[Limit, Field(examples=[10 * 1024**3])]
    models: Annotated[list[ModelName] | None, Field(max_length=1000, examples=[None])]
    concurrent_requests: Annotated[int | None, Field(ge=1, le=10**6, examples=[100])] = None


class PlanOut(LimitsModel):
    """A plan."""

    code: str
    name: str
    description: str


class PlansOut(BaseModel):
    """The plans that a tenant may choose, in order."""

    data: list[PlanOut]


class PlanIn(LimitsModel, RequestModel):
    """Everything about a plan but its code."""

    name: Name
    description: Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
    public: bool
    position: Annotated[int, Field(ge=0, le=1000)]
