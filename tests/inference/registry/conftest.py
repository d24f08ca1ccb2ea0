"""A tenant with a registry of its own."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson
import pytest

from omni.kit.ids import uuid7
from tests.inference.backend import Backend

MODELS = "/v1/registry/models"


@dataclass
class Registry:
    """Calls the registry as one tenant."""

    tenant: Backend

    async def upload(self, model: str, data: bytes, **fields: Any) -> httpx2.Response:
        """The response to a new version; `fields` are JSON members."""
        form = {name: orjson.dumps(value).decode() for name, value in fields.items()}
        path = f"{MODELS}/{model}/versions"
        return await self.tenant.send("POST", path, files={"file": ("model.onnx", data)}, data=form)

    async def model(self, name: str, *versions: bytes, **fields: Any) -> str:
        """A model with these versions; its name."""
        made = await self.tenant.post(MODELS, {"name": name, **fields})
        assert made.status_code == 201, made.text
        for data in versions:
            added = await self.upload(name, data)
            assert added.status_code == 201, added.text
        return name

    async def predict(self, model: str, **body: Any) -> httpx2.Response:
        return await self.tenant.post(f"{MODELS}/{model}/predict", body)

    async def get(self, path: str) -> Any:
        response = await self.tenant.send("GET", f"{MODELS}{path}")
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def registry(stored: Backend) -> Registry:
    return Registry(dataclasses.replace(stored, tenant_id=uuid7()))
