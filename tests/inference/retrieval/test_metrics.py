"""What is counted of documents on their way into a collection."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from tests.inference.backend import Backend, refusal
from tests.inference.measured import Grown
from tests.inference.retrieval.conftest import GARDEN, LIBRARY, new_collection

DOCUMENTS, CHUNKS = "omni_ingest_duration_seconds_count", "omni_ingest_chunks_total"


async def test_documents_and_chunks_are_counted_by_what_became_of_them(
    tenant: Backend, metrics_registry: CollectorRegistry
) -> None:
    grown = Grown(metrics_registry, DOCUMENTS, CHUNKS)
    path = await new_collection(tenant)

    async def put(name: str, text: str) -> dict[str, Any]:
        response = await tenant.send("POST", f"{path}/documents", files={"file": (name, text.encode())})
        assert response.status_code in (200, 201), response.text
        found: dict[str, Any] = response.json()
        return found

    made = [await put("garden.md", GARDEN), await put("library.txt", LIBRARY)]
    made += [await put("garden.md", GARDEN), await put("garden.md", GARDEN + "\nA new rule, at the end.")]
    assert [each["outcome"] for each in made] == ["created", "created", "unchanged", "replaced"]
    empty = await tenant.send("POST", f"{path}/documents", files={"file": ("a.pdf", b"no document")})
    assert refusal(empty)[0] in (400, 415, 422)
    assert grown.by(DOCUMENTS) == {"created": 2, "unchanged": 1, "replaced": 1, "failed": 1}
    assert grown.by(CHUNKS) == {
        "embedded": sum(each["embedded_chunks"] for each in made), "kept": sum(each["kept_chunks"] for each in made)
    }  # fmt: skip
