"""The first start: schema, seeds, an operator, a tenant and two keys."""

from __future__ import annotations

import secrets

from omni.apps.preparation import FirstAccess
from omni.apps.schema import whole_schema
from omni.apps.system import open_system_database
from omni.domains.keys import facade as keys
from omni.domains.keys.contracts import NewKey
from omni.domains.metering import facade as metering
from omni.domains.models import facade as models
from omni.domains.plans import seeds as plan_seeds
from omni.domains.pricing import facade as pricing
from omni.domains.sla import facade as sla
from omni.domains.tenants import facade as tenants
from omni.domains.tenants.contracts import NewSignUp
from omni.foundation.crypto.passwords import Passwords
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.migrate import migrate
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.kit.clock import SystemClock

OPERATOR_EMAIL = "operator@omni.localhost"
FIRST_TENANT = "First tenant"
ENTERPRISE = "enterprise"


async def prepare_database(address: DatabaseAddress) -> FirstAccess | None:
    """Migrates and seeds; on an empty platform also makes an operator with a tenant. Raises DatabaseUnfit."""
    await migrate(address, whole_schema())
    database = Database(create_engine(address.url(Role.APP), "omni-bootstrap", PoolSettings(size=1)))
    system = open_system_database(address, "bootstrap", PoolSettings(size=1))
    try:
        now = SystemClock().now()
        async with system.session() as session:
            await plan_seeds.seed(session, now)
            await sla.seed(session, now)
            await metering.seed_meters(session)
            await pricing.seed_prices(session)
            await models.seed(session)
            await metering.ensure_partitions(session, now)
        if await tenants.list_tenants(system, limit=1):
            return None
        return await _first_access(database)
    finally:
        await database.close()
        await system.close()


async def _first_access(database: Database) -> FirstAccess:
    password, now = secrets.token_urlsafe(18), SystemClock().now()
    password_hash = await Passwords().hash(password)
    owner = NewSignUp(OPERATOR_EMAIL, password_hash, FIRST_TENANT, ENTERPRISE, verified=True, is_operator=True)
    async with database.shared() as session:
        made = await tenants.sign_up(session, owner, now)
        inside = await session.enter_tenant(made.tenant_id)
        live = await keys.create_key(inside, NewKey(made.project_id, "First live key", "live"), now)
        test = await keys.create_key(inside, NewKey(made.project_id, "First test key", "test"), now)
    return FirstAccess(OPERATOR_EMAIL, password, str(made.tenant_id), live.secret, test.secret)
