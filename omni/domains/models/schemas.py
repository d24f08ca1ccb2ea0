"""Bodies of the catalogue's routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, StringConstraints

from omni.contracts.routes import Kind, Operation, Strategy
from omni.foundation.http.fields import RequestModel

Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$", examples=["openai"])]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$", examples=["gpt-4o-mini"])]
Short = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
ProviderSecret = Annotated[
    SecretStr,
    Field(min_length=8, max_length=4096, json_schema_extra={"writeOnly": True}, examples=["sk-…"]),
    Field(description="Shown to nobody again."),
]


class ProviderIn(RequestModel):
    """A place that serves models."""

    kind: Annotated[Kind, Field(examples=["openai"])]
    base_url: Annotated[str, Field(max_length=500, examples=["https://api.openai.com/v1"])] = ""
    settings: Annotated[dict[Short, Short], Field(max_length=20, examples=[{}])] = Field(default_factory=dict)
    operations: Annotated[list[Operation] | None, Field(examples=[None])] = None
    key: ProviderSecret | None = None


class ProviderOut(BaseModel):
    """A provider; of its key only the last four characters."""

    code: str
    kind: Kind
    base_url: str
    settings: dict[str, str]
    operations: list[str] | None
    key_last4: str | None


class ProvidersOut(BaseModel):
    """All providers, by code."""

    data: list[ProviderOut]


class RateIn(RequestModel):
    """What a provider charges: `price_nanos` for each `per_quantity`."""

    price_nanos: Annotated[int, Field(ge=0, le=2**53 - 1, examples=[150_000_000])]
    per_quantity: Annotated[int, Field(ge=1, le=2**53 - 1, examples=[1_000_000])] = 1_000_000


class ConditionIn(RequestModel):
    """When a target may be used; everything that is set has to hold."""

    tenants: list[Short] = Field(default_factory=list, max_length=1000)
    regions: list[Short] = Field(default_factory=list, max_length=100)
    tags: list[Short] = Field(default_factory=list, max_length=100)
    min_input_tokens: Count | None = None
    max_input_tokens: Count | None = None


class TargetIn(RequestModel):
    """One way to serve a model."""

    id: Annotated[Short, Field(min_length=1, examples=["gpt-4o-mini@openai"])]
    provider: Code
    upstream_model: Annotated[Short, Field(min_length=1, examples=["gpt-4o-mini"])]
    priority: Annotated[int, Field(ge=0, le=1000)] = 0
    weight: Annotated[int, Field(ge=0, le=1000)] = 1
    quality: Annotated[int, Field(ge=0, le=100)] = 50
    cost: Annotated[dict[Short, RateIn], Field(max_length=30)] = Field(default_factory=dict)
    when: ConditionIn | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 120.0


class ModelIn(RequestModel):
    """A public model: what it does and who serves it."""

    operations: Annotated[list[Operation], Field(min_length=1, examples=[["chat", "responses"]])]
    targets: Annotated[list[TargetIn], Field(min_length=1, max_length=50)]
    strategy: Strategy = "priority"
    sticky: bool = False
    hedge_after_ms: Annotated[int | None, Field(ge=10, le=60_000)] = None
    shadow: TargetIn | None = None
    shadow_per_mille: Annotated[int, Field(ge=0, le=1000)] = 0
    max_output_tokens: Annotated[int, Field(ge=1, le=10_000_000)] = 4096
    unpriced: Annotated[str, Field(pattern="^(refuse|flat)$")] = "refuse"
    flat_nanos: Annotated[int, Field(ge=0, le=2**53 - 1)] = 0
    description: Short = ""
    owned_by: Short = "omni"


class ModelOut(ModelIn):
    """A model of the catalogue."""

    name: str


class ModelsOut(BaseModel):
    """All models, by name."""

    data: list[ModelOut]


class OwnKeyIn(RequestModel):
    """A key that the tenant brings."""

    key: ProviderSecret


class OwnKeyOut(BaseModel):
    """The tenant's key to a provider."""

    provider: str
    key_last4: str
    created_at: datetime


class OwnKeysOut(BaseModel):
    """The tenant's keys, by provider."""

    data: list[OwnKeyOut]
