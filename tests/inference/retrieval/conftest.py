"""A collection with two licences of our own making."""

from __future__ import annotations

import dataclasses

import pytest

from omni.kit.ids import uuid7
from tests.inference.backend import Backend

GARDEN = """# Garden rules

Everyone may walk in the garden from sunrise to sunset. Dogs must be kept on a lead at all times.
The pond is home to seven carp; feeding them bread is forbidden because it harms their stomachs.

# Fees

A yearly ticket costs forty euros. Children under twelve enter free of charge.
"""
LIBRARY = """Library handbook

Books may be borrowed for four weeks. A borrowed book can be renewed twice unless another reader has reserved it.
Late returns cost twenty cents for each day. The reading room closes at eight in the evening.
"""


@pytest.fixture
def tenant(stored: Backend) -> Backend:
    """A tenant of its own."""
    return dataclasses.replace(stored, tenant_id=uuid7())


@pytest.fixture
async def collection(tenant: Backend) -> str:
    """The id of a collection that has both documents."""
    path = await new_collection(tenant)
    for name, text in (("garden.md", GARDEN), ("library.txt", LIBRARY)):
        response = await tenant.send("POST", f"{path}/documents", files={"file": (name, text.encode())})
        assert response.status_code == 201, response.text
    return path


async def new_collection(tenant: Backend, name: str = "rules") -> str:
    """The path of a new collection."""
    response = await tenant.post("/v1/collections", {"name": name})
    assert response.status_code == 201, response.text
    return f"/v1/collections/{response.json()['id']}"
