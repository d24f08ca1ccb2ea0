"""Every operation that OpenAPI names × a foreign tenant's object: 404, to the letter like what does not exist."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from omni.contracts.endpoints import ENDPOINTS
from tests.acceptance.platform import Platform, until
from tests.inference import onnx_files

# What fills a path parameter, and the body of those operations that need one to get as far as looking for the object.
BODIES: dict[str, Any] = {
    "POST /v1/collections/{collection_id}/documents": {"name": "a", "text": "Some text."},
    "POST /v1/collections/{collection_id}/evaluate": {
        "questions": [{"question": "x", "relevant": [{"quote": "x"}]}]
    },
    "PATCH /v1/collections/{collection_id}": {"name": "x"},
    "PUT /v1/collections/{collection_id}/documents/{document_id}": {"name": "a", "text": "Some text."},
    "POST /v1/collections/{collection_id}/search": {"query": "x"},
    "POST /v1/collections/{collection_id}/answer": {"question": "x"},
    "POST /v1/datasets/{dataset_id}/drift": {"current_dataset_id": str(uuid4())},
    "PATCH /v1/registry/models/{model}": {"description": "x"},
    "POST /v1/registry/models/{model}/versions": {"file_id": "file-" + "0" * 32},
    "PATCH /v1/registry/models/{model}/versions/{version}": {"state": "withdrawn"},
    "PUT /v1/registry/models/{model}/aliases/{alias}": {"version": 1},
    "POST /v1/registry/models/{model}/predict": {"inputs": {"x": [[1]]}},
    "PATCH /v1/deployments/{deployment}": {"shadow": None},
    "POST /v1/deployments/{deployment}/predict": {"inputs": {"x": [[1]]}},
    "POST /v1/deployments/{deployment}/feedback": {"prediction_id": "pred-00", "score": 1},
    "PATCH /api/tenants/{tenant_id}": {"name": "x"},
    "PUT /api/tenants/{tenant_id}/plan": {"plan_code": "pro"},
    "POST /api/tenants/{tenant_id}/projects": {"name": "x"},
    "PATCH /api/tenants/{tenant_id}/projects/{project_id}": {"name": "x"},
    "PATCH /api/tenants/{tenant_id}/members/{user_id}": {"role": "viewer"},
    "POST /api/tenants/{tenant_id}/invitations": {"email": "x@example.com", "role": "viewer"},
    "POST /api/tenants/{tenant_id}/keys": {"project_id": str(uuid4()), "name": "x"},
    "PATCH /api/tenants/{tenant_id}/keys/{key_id}": {"name": "x"},
    "POST /api/tenants/{tenant_id}/keys/{key_id}/rotate": {},
    "PATCH /api/tenants/{tenant_id}/budgets/{budget_id}": {"limit_nanos": 5},
    "POST /api/tenants/{tenant_id}/budgets": {
        "scope": "project", "scope_id": str(uuid4()), "period": "day", "limit_nanos": 5,
    },
    "PUT /api/tenants/{tenant_id}/gateway-settings": {},
    "PUT /api/tenants/{tenant_id}/billing-profile": {"name": "x", "country": "SI"},
    "POST /api/tenants/{tenant_id}/subscriptions": {"plan_code": "pro"},
    "POST /api/tenants/{tenant_id}/subscription/change": {"plan_code": "pro"},
    "POST /api/tenants/{tenant_id}/subscription/cancel": {},
    "POST /api/tenants/{tenant_id}/invoices/{invoice_id}/pay": {"provider": "stripe"},
    "POST /api/tenants/{tenant_id}/coupons": {"code": "NOWHERE"},
    "POST /api/tenants/{tenant_id}/simulate": {"plan_code": "pro", "month": "2026-11"},
    "PUT /api/tenants/{tenant_id}/wallet/top-up": {"threshold_nanos": 1, "amount_nanos": 10_000_000},
    "POST /api/tenants/{tenant_id}/payment-methods/setup": {"provider": "stripe", "return_url": "https://x.example"},
    "POST /api/tenants/{tenant_id}/payment-methods": {"provider": "stripe", "session_id": "x"},
    "PUT /api/tenants/{tenant_id}/provider-keys/{provider}": {"key": "sk-0123456789"},
}  # fmt: skip
# Not an object of a tenant: public names, and what only operators may touch (they see every tenant).
NOT_TENANT_OBJECTS = {"model", "code", "provider"}
NUMBERS = {"position": "1", "month": "2020-01", "version": "1", "alias": "champion"}
"""Parameters that are numbers or names within another object, and a month of which no tenant has anything."""


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A tenant with one of everything, as strangers would name it."""

    ids: dict[str, str]
    key: str
    session: str


@pytest.fixture(scope="module")
def stranger(platform: Platform) -> Neighbour:
    """Someone with an own tenant and key, who is a member of nothing else."""
    return sign_up(platform)


@pytest.fixture(scope="module")
def victim(platform: Platform) -> Neighbour:
    found = sign_up(platform)
    with platform.api(found.key) as api, session(platform, found.session) as control:
        collection = api.post("/v1/collections", json={"name": "private"}).json()["id"]
        document = api.post(
            f"/v1/collections/{collection}/documents", json={"name": "a", "text": "A secret sentence stands here."}
        ).json()["id"]
        tenant = found.ids["tenant_id"]
        body = {"email": "guest@example.com", "role": "viewer"}
        invitation = control.post(f"/api/tenants/{tenant}/invitations", json=body).json()["id"]
        ceiling = {"scope": "tenant", "scope_id": tenant, "period": "month", "limit_nanos": 10**12}
        budget = control.post(f"/api/tenants/{tenant}/budgets", json=ceiling).json()["id"]
        add_seller(platform)
        assert control.post(f"/api/tenants/{tenant}/subscriptions", json={"plan_code": "pro"}).status_code == 201
        invoice = control.get(f"/api/tenants/{tenant}/invoices").json()["data"][0]["id"]
        file = api.post("/v1/files", files={"file": ("a.jsonl", b"{}")}, data={"purpose": "batch"}).json()["id"]
        batch = {"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"}
        batch_id = api.post("/v1/batches", json=batch).json()["id"]
        table = api.post("/v1/files", files={"file": ("a.csv", b"a\n1\n")}, data={"purpose": "dataset"}).json()["id"]
        dataset = api.post("/v1/datasets", json={"file_id": table, "name": "private"}).json()["id"]
        api.post("/v1/registry/models", json={"name": "private"})
        version = {"file": ("model.onnx", onnx_files.linear([[1.0]]))}
        assert api.post("/v1/registry/models/private/versions", files=version).status_code == 201
        alias = api.put("/v1/registry/models/private/aliases/champion", json={"version": 1})
        assert alias.status_code == 200
        deployment = {"name": "private", "model": "private", "versions": [{"version": 1}]}
        deployment_id = api.post("/v1/deployments", json=deployment).json()["id"]
    found.ids.update(model="private", deployment=deployment_id)
    found.ids.update(
        file_id=file, dataset_id=dataset, batch_id=batch_id, job_id=str(UUID(batch_id.removeprefix("batch_")))
    )
    found.ids.update(collection_id=collection, document_id=document, invitation_id=invitation, budget_id=budget)
    found.ids.update(provider="nowhere", invoice_id=invoice, method_id=str(uuid4()), position="1")
    return found


def add_seller(platform: Platform) -> None:
    access = platform.first_access
    with httpx2.Client(base_url=platform.console, timeout=30, trust_env=False) as client:
        body = {"email": access["operator_email"], "password": access["operator_password"]}
        token = client.post("/api/auth/login", json=body).json()["session_token"]
        seller = {"name": "Seller", "country": "SI", "invoice_prefix": "SE", "vat_id": "SI12345679"}
        headers = {"Authorization": f"Bearer {token}"}
        saved = client.put("/api/operator/legal-entities/seller", json=seller, headers=headers)
        assert saved.status_code == 200, saved.text


def sign_up(platform: Platform) -> Neighbour:
    email, password = f"{uuid4().hex}@example.com", uuid4().hex
    with httpx2.Client(base_url=platform.console, timeout=30, trust_env=False) as client:
        body = {"email": email, "password": password, "tenant_name": "Neighbour"}
        made = client.post("/api/signup", json=body).json()
        token = until(lambda: mailed_token(platform, email), 20, "the verification mail")
        assert client.post("/api/auth/verify-email", json={"token": token}).status_code == 204
        login = client.post("/api/auth/login", json={"email": email, "password": password}).json()
        client.headers["Authorization"] = f"Bearer {login['session_token']}"
        body = {"project_id": made["project_id"], "name": "key"}
        key = client.post(f"/api/tenants/{made['tenant_id']}/keys", json=body).json()
    with platform.api(key["secret"]) as api:
        until(lambda: api.get("/v1/models").status_code == 200, 5, "the new key works")
    ids = {"tenant_id": made["tenant_id"], "project_id": made["project_id"], "user_id": made["user_id"]}
    return Neighbour({**ids, "key_id": key["id"]}, key["secret"], login["session_token"])


def mailed_token(platform: Platform, email: str) -> str | None:
    for file in (platform.home / "mail").glob("*.eml"):
        text = file.read_text()
        if email in text:
            return re.search(r"^omni_verify_\w+", text, re.MULTILINE)[0]  # type: ignore[index]
    return None


def session(platform: Platform, token: str) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.Client(base_url=platform.console, headers=headers, timeout=30, trust_env=False)


def operations(base_url: str, prefix: str) -> list[Operation]:
    document = httpx2.get(f"{base_url}/openapi.json", timeout=30, trust_env=False).json()
    found = [
        Operation(method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith(prefix)
    ]
    return [op for op in found if is_of_a_tenant(op) and "/operator/" not in op.path]


def is_of_a_tenant(operation: Operation) -> bool:
    """In the registry `model` is a tenant's."""
    public = set() if operation.path.startswith("/v1/registry/") else NOT_TENANT_OBJECTS
    return bool(set(operation.parameters) - public)


def answer(client: httpx2.Client, operation: Operation, ids: dict[str, str]) -> tuple[int, dict[str, Any]]:
    path = re.sub(r"{(\w+)}", lambda found: NUMBERS.get(found[1]) or ids[found[1]], operation.path)

    def served() -> httpx2.Response | None:
        found = client.request(operation.method, path, json=BODIES.get(operation.name))
        return None if found.status_code == 429 else found  # there are more operations than a free plan has requests

    response = until(served, 60, "a place in the plan's rate of requests")
    body = response.json()
    if "error" in body:  # OpenAI's shape
        body["error"].pop("request_id")
    return response.status_code, {**body, "request_id": ""}


def nowhere(ids: dict[str, str]) -> dict[str, str]:
    """Ids of the same shape that nothing has."""
    shapes = {"file_id": f"file-{uuid4().hex}", "batch_id": f"batch_{uuid4().hex}"}
    return {name: shapes.get(name, str(uuid4())) for name in ids}


def test_every_operation_of_the_gateway(platform: Platform, stranger: Neighbour, victim: Neighbour) -> None:
    found = operations(platform.gateway, "/v1/")
    assert len(found) >= 8
    with platform.api(stranger.key) as client:
        for operation in found:
            hidden = answer(client, operation, victim.ids)
            missing = answer(client, operation, nowhere(victim.ids))
            assert hidden[0] == 404, f"{operation.name}: {hidden}"
            assert hidden == missing, operation.name
    with platform.api(victim.key) as client:
        assert client.get(f"/v1/collections/{victim.ids['collection_id']}").json()["document_count"] == 1


def test_every_operation_of_the_console(platform: Platform, stranger: Neighbour, victim: Neighbour) -> None:
    found = operations(platform.console, "/api/tenants/")
    assert len(found) >= 20
    with session(platform, stranger.session) as client:
        for operation in found:
            hidden = answer(client, operation, victim.ids)
            missing = answer(client, operation, nowhere(victim.ids))
            assert hidden[0] == 404, f"{operation.name}: {hidden}"
            assert hidden == missing, operation.name
            inner = set(operation.parameters) - {"tenant_id"}
            if inner:  # my own tenant, with an object of the other one
                mixed = answer(client, operation, {**victim.ids, "tenant_id": stranger.ids["tenant_id"]})
                assert mixed[0] == 404, f"{operation.name}: {mixed}"
    with session(platform, victim.session) as client:
        keys = client.get(f"/api/tenants/{victim.ids['tenant_id']}/keys").json()["data"]
        assert [key["status"] for key in keys] == ["active"]


def test_the_gateway_serves_what_the_contract_names(platform: Platform) -> None:
    document = httpx2.get(f"{platform.gateway}/openapi.json", timeout=30, trust_env=False).json()
    published = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert published == {endpoint.name for endpoint in ENDPOINTS}
