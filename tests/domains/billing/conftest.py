"""Somebody who sells."""

from __future__ import annotations

import pytest

from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import LegalEntity
from omni.domains.metering import facade as metering
from omni.domains.pricing.service.products import put_product
from omni.testing.control_plane import ControlPlane
from tests.domains.billing.sales import ENTITY, PRODUCTS


@pytest.fixture
async def seller(plane: ControlPlane) -> LegalEntity:
    async with plane.database.shared() as session:
        await metering.seed_meters(session)
        for product in PRODUCTS:
            await put_product(session, product)
        return await billing.save_entity(session, ENTITY)
