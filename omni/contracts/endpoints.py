"""The public API's routes: what the gateway matches and the backend serves. A test holds the two equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from omni.contracts.routes import Operation

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

ErrorShape = Literal["problem", "openai", "anthropic"]
"""problem+json, or as the clients of these providers read errors."""

SCOPE_INFERENCE = "inference"
SCOPE_COLLECTIONS_READ = "collections:read"
SCOPE_COLLECTIONS_WRITE = "collections:write"
SCOPE_EVENTS_WRITE = "events:write"
SCOPE_JOBS_READ = "jobs:read"
SCOPE_JOBS_WRITE = "jobs:write"
"""Files, datasets, batches and other jobs."""
SCOPE_MODELS_READ = "models:read"
SCOPE_MODELS_WRITE = "models:write"
"""The registry and deployments; asking a model takes `inference`."""
SCOPES = (
    SCOPE_INFERENCE, SCOPE_COLLECTIONS_READ, SCOPE_COLLECTIONS_WRITE, SCOPE_EVENTS_WRITE, SCOPE_JOBS_READ,
    SCOPE_JOBS_WRITE, SCOPE_MODELS_READ, SCOPE_MODELS_WRITE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One public route. `template` has `{name}` for each path parameter, which matches one non-empty segment."""

    method: str
    template: str
    scope: str
    max_body_bytes: int
    error_shape: ErrorShape = "problem"
    operation: Operation | None = None
    """What is asked of a model that may be a provider's; None = the backend's own."""
    backend: bool = True
    """Whether the backend serves this route, too; else only the gateway does."""
    metered: bool = True
    """Whether a request counts as one, against quotas and money too. What only reports usage does not: the plan's
    request rate still holds."""
    deterministic: bool = False
    """Whether the same JSON body gets the same answer from the backend, as long as the release is the same."""
    quotes: bool = False
    """Whether the backend is told today's prices, to quote what a job may cost."""
    delegated: bool = False
    """Whether only workers may ask for it, for a key (`omni.contracts.delegation`): nobody else finds it."""
    streamed: bool = False
    """Whether the body goes on to the backend as it comes: it may be larger than anybody holds in memory."""
    passed_headers: tuple[str, ...] = ()
    """Further request headers that reach the backend, in lower case."""
    refusals: tuple[int, ...] = ()
    """Statuses of errors that this endpoint can answer with beside those that its kind has
    (`omni.foundation.http.openapi`): 409 for a state that forbids it, 415 for types of content, 422 for data that
    contradicts itself, 501 for an engine that is not installed."""

    @property
    def name(self) -> str:
        """`POST /v1/embeddings`: the name in usage events and metrics."""
        return f"{self.method} {self.template}"


def _openai(path: str, operation: Operation, max_body_bytes: int) -> Endpoint:
    return Endpoint("POST", f"/v1/{path}", SCOPE_INFERENCE, max_body_bytes, "openai", operation, backend=False)


_NO_ENGINE = 501
_CONFLICT = (409,)


def _engine(template: str, max_body_bytes: int, *refusals: int) -> Endpoint:
    """An engine of the backend's whose answer depends on nothing but the request."""
    return Endpoint(
        "POST", template, SCOPE_INFERENCE, max_body_bytes, deterministic=True, refusals=(*refusals, _NO_ENGINE)
    )


_CLOUD_EVENT_HEADERS = ("ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-subject")
_COLLECTIONS = "/v1/collections"
_COLLECTION = "/v1/collections/{collection_id}"
_DOCUMENTS = "/v1/collections/{collection_id}/documents"
_DOCUMENT = "/v1/collections/{collection_id}/documents/{document_id}"
_MODELS = "/v1/registry/models"
_MODEL = "/v1/registry/models/{model}"
_VERSION = "/v1/registry/models/{model}/versions/{version}"
_DEPLOYMENTS = "/v1/deployments"
_DEPLOYMENT = "/v1/deployments/{deployment}"

ENDPOINTS = (
    Endpoint("GET", "/v1/models", SCOPE_INFERENCE, 0, error_shape="openai"),
    Endpoint("GET", "/v1/models/{model}", SCOPE_INFERENCE, 0, error_shape="openai"),
    Endpoint(
        "POST",
        "/v1/embeddings",
        SCOPE_INFERENCE,
        4 * MIB,
        error_shape="openai",
        operation="embeddings",
        deterministic=True,
        refusals=(404, _NO_ENGINE),
    ),
    _openai("chat/completions", "chat", 32 * MIB),
    _openai("completions", "completions", 4 * MIB),
    _openai("responses", "responses", 32 * MIB),
    Endpoint(
        "POST",
        "/v1/moderations",
        SCOPE_INFERENCE,
        4 * MIB,
        error_shape="openai",
        operation="moderations",
        deterministic=True,
        refusals=(404, _NO_ENGINE),
    ),
    _openai("images/generations", "images", MIB),
    _openai("images/edits", "image_edits", 32 * MIB),
    _openai("audio/transcriptions", "transcriptions", 26 * MIB),
    _openai("audio/translations", "translations", 26 * MIB),
    _openai("audio/speech", "speech", MIB),
    Endpoint("POST", "/v1/messages", SCOPE_INFERENCE, 32 * MIB, "anthropic", "messages", backend=False),
    Endpoint(
        "POST", "/v1/messages/count_tokens", SCOPE_INFERENCE, 32 * MIB, "anthropic", "count_tokens", backend=False
    ),
    Endpoint("GET", "/v1/realtime", SCOPE_INFERENCE, 0, "openai", "realtime", backend=False),
    Endpoint("POST", _COLLECTIONS, SCOPE_COLLECTIONS_WRITE, 64 * KIB),
    Endpoint("GET", _COLLECTIONS, SCOPE_COLLECTIONS_READ, 0),
    Endpoint("GET", _COLLECTION, SCOPE_COLLECTIONS_READ, 0),
    Endpoint("PATCH", _COLLECTION, SCOPE_COLLECTIONS_WRITE, 64 * KIB, refusals=_CONFLICT),
    Endpoint("DELETE", _COLLECTION, SCOPE_COLLECTIONS_WRITE, 0),
    Endpoint("POST", _DOCUMENTS, SCOPE_COLLECTIONS_WRITE, 20 * MIB, refusals=(409, 415, _NO_ENGINE)),
    Endpoint("GET", _DOCUMENTS, SCOPE_COLLECTIONS_READ, 0),
    Endpoint("PUT", _DOCUMENT, SCOPE_COLLECTIONS_WRITE, 20 * MIB, refusals=(409, 415, _NO_ENGINE)),
    Endpoint("GET", _DOCUMENT, SCOPE_COLLECTIONS_READ, 0),
    Endpoint("DELETE", _DOCUMENT, SCOPE_COLLECTIONS_WRITE, 0),
    Endpoint("POST", _COLLECTION + "/search", SCOPE_COLLECTIONS_READ, 64 * KIB, refusals=(_NO_ENGINE,)),
    Endpoint("POST", _COLLECTION + "/answer", SCOPE_COLLECTIONS_READ, 64 * KIB, refusals=(_NO_ENGINE,)),
    Endpoint("POST", _COLLECTION + "/evaluate", SCOPE_COLLECTIONS_READ, 256 * KIB, refusals=(_NO_ENGINE,)),
    _engine("/v1/forecasts", 4 * MIB, 422),
    _engine("/v1/forecasts/backtest", 4 * MIB),
    _engine("/v1/forecasts/hierarchical", 4 * MIB, 422),
    _engine("/v1/anomalies/detect", 4 * MIB),
    _engine("/v1/experiments/ab-test", 4 * MIB, 422),
    _engine("/v1/experiments/sample-size", 64 * KIB, 422),
    _engine("/v1/series/change-points", MIB),
    _engine("/v1/tabular/cluster", 8 * MIB, 422),
    _engine("/v1/tabular/association-rules", 8 * MIB, 422),
    _engine("/v1/tabular/profile", 8 * MIB),
    _engine("/v1/tabular/drift", 16 * MIB),
    Endpoint("POST", "/v1/anomalies/stream", SCOPE_INFERENCE, MIB, refusals=(_NO_ENGINE,)),
    _engine("/v1/customers/lifetime-value", 4 * MIB, 422),
    _engine("/v1/customers/churn", 4 * MIB, 422),
    _engine("/v1/optimize", 64 * KIB, 422),
    _engine("/v1/text/sentiment", MIB),
    _engine("/v1/rerank", 8 * MIB),
    _engine("/v1/text/search", 8 * MIB),
    _engine("/v1/text/similarity", 4 * MIB),
    _engine("/v1/text/classify", 8 * MIB),
    _engine("/v1/text/moderate", 4 * MIB),
    _engine("/v1/text/language", 4 * MIB),
    _engine("/v1/text/keywords", 2 * MIB),
    _engine("/v1/text/summarize", 2 * MIB),
    _engine("/v1/text/pii/detect", MIB),
    Endpoint("POST", "/v1/text/pii/redact", SCOPE_INFERENCE, MIB, refusals=(_NO_ENGINE,)),
    Endpoint("POST", "/v1/text/pii/restore", SCOPE_INFERENCE, 2 * MIB),
    _engine("/v1/text/duplicates", 8 * MIB),
    _engine("/v1/text/cluster", 8 * MIB),
    _engine("/v1/text/tokens", 8 * MIB),
    _engine("/v1/text/chunk", 4 * MIB),
    _engine("/v1/text/spelling", MIB),
    _engine("/v1/text/readability", 4 * MIB),
    _engine("/v1/text/compare", 2 * MIB),
    Endpoint("POST", "/v1/vision/ocr", SCOPE_INFERENCE, 20 * MIB, refusals=(415, _NO_ENGINE)),
    Endpoint("POST", "/v1/files", SCOPE_JOBS_WRITE, 2 * GIB, "openai", streamed=True),
    Endpoint("GET", "/v1/files", SCOPE_JOBS_READ, 0, "openai", refusals=(404,)),
    Endpoint("GET", "/v1/files/{file_id}", SCOPE_JOBS_READ, 0, "openai"),
    Endpoint("DELETE", "/v1/files/{file_id}", SCOPE_JOBS_WRITE, 0, "openai"),
    Endpoint("GET", "/v1/files/{file_id}/content", SCOPE_JOBS_READ, 0, "openai"),
    Endpoint("POST", "/v1/datasets", SCOPE_JOBS_WRITE, 64 * KIB, refusals=(404, 422, _NO_ENGINE)),
    Endpoint("GET", "/v1/datasets", SCOPE_JOBS_READ, 0),
    Endpoint("GET", "/v1/datasets/{dataset_id}", SCOPE_JOBS_READ, 0),
    Endpoint("DELETE", "/v1/datasets/{dataset_id}", SCOPE_JOBS_WRITE, 0),
    Endpoint("POST", "/v1/datasets/{dataset_id}/drift", SCOPE_JOBS_READ, 256 * KIB, refusals=(_NO_ENGINE,)),
    Endpoint("POST", "/v1/batches", SCOPE_JOBS_WRITE, 64 * KIB, "openai", refusals=(404, 422)),
    Endpoint("GET", "/v1/batches", SCOPE_JOBS_READ, 0, "openai", refusals=(404,)),
    Endpoint("GET", "/v1/batches/{batch_id}", SCOPE_JOBS_READ, 0, "openai"),
    Endpoint("POST", "/v1/batches/{batch_id}/cancel", SCOPE_JOBS_WRITE, 0, "openai", refusals=_CONFLICT),
    Endpoint("POST", "/v1/jobs", SCOPE_JOBS_WRITE, 256 * KIB, quotes=True, refusals=(404, 422, _NO_ENGINE)),
    Endpoint("POST", "/v1/quotes", SCOPE_JOBS_WRITE, 256 * KIB, quotes=True, refusals=(404, _NO_ENGINE)),
    Endpoint("GET", "/v1/jobs", SCOPE_JOBS_READ, 0),
    Endpoint("GET", "/v1/jobs/{job_id}", SCOPE_JOBS_READ, 0),
    Endpoint("GET", "/v1/jobs/{job_id}/log", SCOPE_JOBS_READ, 0),
    Endpoint("POST", "/v1/jobs/{job_id}/cancel", SCOPE_JOBS_WRITE, 0, refusals=_CONFLICT),
    Endpoint("POST", "/v1/jobs/{job_id}/retry", SCOPE_JOBS_WRITE, 0, refusals=_CONFLICT),
    Endpoint("POST", _MODELS, SCOPE_MODELS_WRITE, 64 * KIB, refusals=_CONFLICT),
    Endpoint("GET", _MODELS, SCOPE_MODELS_READ, 0),
    Endpoint("GET", _MODEL, SCOPE_MODELS_READ, 0),
    Endpoint("PATCH", _MODEL, SCOPE_MODELS_WRITE, 64 * KIB, refusals=_CONFLICT),
    Endpoint("DELETE", _MODEL, SCOPE_MODELS_WRITE, 0, refusals=_CONFLICT),
    Endpoint("POST", _MODEL + "/versions", SCOPE_MODELS_WRITE, 33 * MIB, refusals=(415, 422)),
    Endpoint("GET", _MODEL + "/versions", SCOPE_MODELS_READ, 0),
    Endpoint("GET", _VERSION, SCOPE_MODELS_READ, 0),
    Endpoint("PATCH", _VERSION, SCOPE_MODELS_WRITE, 4 * KIB),
    Endpoint("DELETE", _VERSION, SCOPE_MODELS_WRITE, 0, refusals=_CONFLICT),
    Endpoint("GET", _VERSION + "/card", SCOPE_MODELS_READ, 0),
    Endpoint("PUT", _MODEL + "/aliases/{alias}", SCOPE_MODELS_WRITE, 4 * KIB),
    Endpoint("DELETE", _MODEL + "/aliases/{alias}", SCOPE_MODELS_WRITE, 0),
    Endpoint("POST", _MODEL + "/predict", SCOPE_INFERENCE, 16 * MIB, refusals=(409, 422, _NO_ENGINE)),
    Endpoint("POST", _DEPLOYMENTS, SCOPE_MODELS_WRITE, 64 * KIB, refusals=(404, 409)),
    Endpoint("GET", _DEPLOYMENTS, SCOPE_MODELS_READ, 0),
    Endpoint("GET", _DEPLOYMENT, SCOPE_MODELS_READ, 0),
    Endpoint("PATCH", _DEPLOYMENT, SCOPE_MODELS_WRITE, 64 * KIB, refusals=_CONFLICT),
    Endpoint("DELETE", _DEPLOYMENT, SCOPE_MODELS_WRITE, 0),
    Endpoint("POST", _DEPLOYMENT + "/predict", SCOPE_INFERENCE, 16 * MIB, refusals=(409, 422, _NO_ENGINE)),
    Endpoint("POST", _DEPLOYMENT + "/feedback", SCOPE_INFERENCE, 16 * KIB),
    Endpoint("GET", _DEPLOYMENT + "/report", SCOPE_MODELS_READ, 0),
    Endpoint(
        "POST",
        "/v1/events",
        SCOPE_EVENTS_WRITE,
        16 * MIB,
        metered=False,
        passed_headers=_CLOUD_EVENT_HEADERS,
        refusals=(415,),
    ),
    Endpoint("POST", "/v1/events/void", SCOPE_EVENTS_WRITE, 4 * MIB, metered=False),
)

DELEGATED_ENDPOINTS = (Endpoint("POST", "/v1/jobs/{job_id}/slices", SCOPE_JOBS_WRITE, 64 * KIB, delegated=True),)
"""What workers ask of backends, through the gateway; no part of the public API."""
