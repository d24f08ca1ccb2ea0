"""What the registry and those who make or serve its models agree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from uuid import UUID

from omni.foundation.db.sessions import WriteSession
from omni.inference.runtime.call import Call

FOLDER = "models"
"""Of the object store: where models lie."""
Format = Literal["onnx", "automl"]
"""`onnx`: one file that a tenant uploaded. `automl`: what an AutoML job of ours wrote."""


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of a model, as whoever serves it needs it."""

    tenant_id: UUID
    model_id: UUID
    number: int
    """1, 2, 3 …, within the model."""
    format: Format
    object_name: str
    """Where the artifact lies in the object store."""
    sha256: str
    """Of the artifact, hex."""
    size_bytes: int
    signature: Mapping[str, Any]
    """What goes in and comes out: `inputs` and `outputs`, as the format describes them."""


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version that is to be registered. Its artifact is in the object store already."""

    model_name: str
    """Of the tenant's model that it becomes the next version of; the model is made when there is none."""
    task: str
    """`classification`, `regression`, `forecasting`, or "" where nobody knows."""
    format: Format
    object_name: str
    sha256: str
    size_bytes: int
    signature: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    """The model card: what it is for, on what it was trained, how good it is, what to be careful with."""
    lineage: Mapping[str, Any] = field(default_factory=dict)
    """What it came from: `dataset_id`, `job_id`, `source_sha256` …"""
    job_id: UUID | None = None
    """Registering for the same job again finds the version that is there."""


class Register(Protocol):
    """Registers a version in the caller's transaction; returns the model's id and the version's number.

    Raises Conflict when the model is of another task.
    """

    async def __call__(self, session: WriteSession, new: NewVersion) -> tuple[UUID, int]: ...


class Runner(Protocol):
    """Serves the versions of one format."""

    async def predict(self, call: Call, version: StoredVersion, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request body, already checked for its outer shape. Adds what was used to the call.

        Raises InvalidInput when the request does not fit the version's signature, and what the engine pool raises.
        """
        ...
