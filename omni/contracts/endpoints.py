"""The public API's routes: what the gateway matches and the backend serves. A test holds the two equal."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

SCOPE_INFERENCE = "inference"
SCOPE_COLLECTIONS_READ = "collections:read"
SCOPE_COLLECTIONS_WRITE = "collections:write"
SCOPES = (SCOPE_INFERENCE, SCOPE_COLLECTIONS_READ, SCOPE_COLLECTIONS_WRITE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One public route. `template` has `{name}` for each path parameter, which matches one non-empty segment."""

    method: str
    template: str
    scope: str
    max_body_bytes: int
    openai_shaped: bool = False
    """Errors on this route have OpenAI's shape instead of problem+json."""

    @property
    def name(self) -> str:
        """`POST /v1/embeddings`: the name in usage events and metrics."""
        return f"{self.method} {self.template}"


_COLLECTIONS = "/v1/collections"
_COLLECTION = "/v1/collections/{collection_id}"
_DOCUMENTS = "/v1/collections/{collection_id}/documents"
_DOCUMENT = "/v1/collections/{collection_id}/documents/{document_id}"

ENDPOINTS = (
    Endpoint("GET", "/v1/models", SCOPE_INFERENCE, 0, openai_shaped=True),
    Endpoint("GET", "/v1/models/{model}", SCOPE_INFERENCE, 0, openai_shaped=True),
    Endpoint("POST", "/v1/embeddings", SCOPE_INFERENCE, 4 * MIB, openai_shaped=True),
    Endpoint("POST", _COLLECTIONS, SCOPE_COLLECTIONS_WRITE, 64 * KIB),
    Endpoint("GET", _COLLECTIONS, SCOPE_COLLECTIONS_READ, 0),
    Endpoint("GET", _COLLECTION, SCOPE_COLLECTIONS_READ, 0),
    Endpoint("DELETE", _COLLECTION, SCOPE_COLLECTIONS_WRITE, 0),
    Endpoint("POST", _DOCUMENTS, SCOPE_COLLECTIONS_WRITE, 20 * MIB),
    Endpoint("GET", _DOCUMENTS, SCOPE_COLLECTIONS_READ, 0),
    Endpoint("GET", _DOCUMENT, SCOPE_COLLECTIONS_READ, 0),
    Endpoint("DELETE", _DOCUMENT, SCOPE_COLLECTIONS_WRITE, 0),
    Endpoint("POST", _COLLECTION + "/search", SCOPE_COLLECTIONS_READ, 64 * KIB),
    Endpoint("POST", _COLLECTION + "/answer", SCOPE_COLLECTIONS_READ, 64 * KIB),
    Endpoint("POST", "/v1/forecasts", SCOPE_INFERENCE, 4 * MIB),
    Endpoint("POST", "/v1/anomalies/detect", SCOPE_INFERENCE, 4 * MIB),
    Endpoint("POST", "/v1/text/sentiment", SCOPE_INFERENCE, MIB),
    Endpoint("POST", "/v1/vision/ocr", SCOPE_INFERENCE, 20 * MIB),
)
