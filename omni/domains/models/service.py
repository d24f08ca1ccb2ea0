"""Use cases of the catalogue: edit, and publish to the gateways."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from uuid import UUID

import orjson
from redis.asyncio import Redis

from omni.contracts import redis_names
from omni.contracts.routes import ModelRoute, Provider, RouteTable, model_from_row, model_to_row
from omni.domains.models import repository, rules
from omni.domains.models.contracts import OwnKey, StoredProvider, StoredSecret
from omni.foundation.crypto.envelope import Envelope, Place
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import ReadSession, Session, SystemSession, WriteSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.errors import Conflict, NotFound
from omni.kit.sealing import credential_place, seal

PUBLISH_TABLE = "models.publish_table"
PUBLISH_KEYS = "models.publish_keys"
PLATFORM = "platform"


class Secrets:
    """Keys to providers: encrypted at rest, sealed anew for the gateways."""

    def __init__(self, master_key: MasterKey) -> None:
        self._envelope = Envelope(master_key)
        self._gateway_key = master_key.derive("gateway-credentials")

    def keep(self, tenant_id: UUID | None, provider: str, key: str) -> StoredSecret:
        """The key as it is stored."""
        data_key = self._envelope.new_data_key(PLATFORM if tenant_id is None else str(tenant_id))
        sealed = self._envelope.encrypt(data_key, key.encode(), _place(tenant_id, provider))
        return StoredSecret(sealed, data_key, key[-4:])

    def for_gateways(self, tenant_id: UUID | None, provider: str, secret: StoredSecret) -> str:
        """The key as the gateways can open it, in base64."""
        key = self._envelope.decrypt(secret.data_key, secret.sealed, _place(tenant_id, provider))
        owner = PLATFORM if tenant_id is None else str(tenant_id)
        return base64.b64encode(seal(self._gateway_key, key, credential_place(owner, provider))).decode()


def _place(tenant_id: UUID | None, provider: str) -> Place:
    return Place(tenant_id, "providers" if tenant_id is None else "provider_keys", "sealed_key", provider)


# --- providers and models ---


async def list_providers(session: Session) -> list[StoredProvider]:
    """By code."""
    return await repository.all_providers(session)


async def put_provider(session: Session, provider: Provider, key: str | None, secrets: Secrets) -> StoredProvider:
    """Adds or replaces a provider; without a key the one that is there stays. Raises InvalidInput."""
    rules.check_provider(provider)
    await repository.lock_catalogue(session)
    await repository.put_provider(session, provider, None if key is None else secrets.keep(None, provider.code, key))
    await enqueue(session, PUBLISH_TABLE)
    return next(each for each in await repository.all_providers(session) if each.provider.code == provider.code)


async def delete_provider(session: Session, code: str) -> None:
    """Raises NotFound `provider_not_found`, Conflict `provider_in_use`."""
    await repository.lock_catalogue(session)
    for model in await list_models(session):
        if any(target.provider == code for target in rules.all_targets(model)):
            raise Conflict("provider_in_use", f"The model {model.name} has a target there: remove it first.")
    if not await repository.delete_provider(session, code):
        raise provider_not_found()
    await enqueue(session, PUBLISH_TABLE)


async def list_models(session: Session) -> list[ModelRoute]:
    """By name."""
    return [model_from_row(row) for row in await repository.all_routes(session)]


async def put_model(session: Session, model: ModelRoute) -> ModelRoute:
    """Adds or replaces a model. Raises InvalidInput `invalid_model`."""
    await repository.lock_catalogue(session)
    others = {other.name: other for other in await list_models(session)}
    providers = {each.provider.code: each.provider for each in await repository.all_providers(session)}
    rules.check_model(model, others, providers)
    await repository.put_route(session, model.name, model_to_row(model))
    await enqueue(session, PUBLISH_TABLE)
    return model


async def delete_model(session: Session, name: str) -> None:
    """Raises NotFound `model_not_found`."""
    await repository.lock_catalogue(session)
    if not await repository.delete_route(session, name):
        raise NotFound("model_not_found", "There is no such model.")
    await enqueue(session, PUBLISH_TABLE)


async def seed(session: Session, provider: Provider, models: list[ModelRoute]) -> None:
    """Adds what is missing of the platform's own models; changes none that is there."""
    known = {each.provider.code for each in await repository.all_providers(session)}
    if provider.code not in known:
        await repository.put_provider(session, provider, None)
    for model in models:
        await repository.add_missing_route(session, model.name, model_to_row(model))
    await enqueue(session, PUBLISH_TABLE)


# --- tenants' own keys ---


async def list_own_keys(session: ReadSession) -> list[OwnKey]:
    """The tenant's, by provider."""
    return await repository.own_keys(session)


async def put_own_key(session: WriteSession, provider: str, key: str, user_id: UUID, secrets: Secrets) -> OwnKey:
    """Adds or replaces the tenant's key. Raises NotFound `provider_not_found`."""
    stored = {each.provider.code: each.provider for each in await repository.all_providers(session)}
    if provider not in stored or stored[provider].kind == rules.BACKEND:
        raise provider_not_found()
    await repository.put_own_key(session, provider, secrets.keep(session.tenant_id, provider, key), user_id)
    await enqueue(session, PUBLISH_KEYS, tenant_id=session.tenant_id)
    return next(each for each in await repository.own_keys(session) if each.provider == provider)


async def delete_own_key(session: WriteSession, provider: str) -> None:
    """Raises NotFound `provider_key_not_found`."""
    if not await repository.delete_own_key(session, provider):
        raise NotFound("provider_key_not_found", "The tenant has no key to this provider.")
    await enqueue(session, PUBLISH_KEYS, tenant_id=session.tenant_id)


def provider_not_found() -> NotFound:
    """One answer for what is missing and what takes no keys."""
    return NotFound("provider_not_found", "There is no such provider.")


# --- publishing ---


async def publish_table(session: Session, redis: Redis, secrets: Secrets) -> None:
    """Writes the whole table to Redis and tells the gateways."""
    await repository.lock_catalogue(session)
    providers = {}
    for stored in await repository.all_providers(session):
        code = stored.provider.code
        sealed = "" if stored.secret is None else secrets.for_gateways(None, code, stored.secret)
        providers[code] = replace(stored.provider, sealed_key=sealed)
    table = RouteTable({model.name: model for model in await list_models(session)}, providers)
    await redis.set(redis_names.ROUTES, table.to_json())
    await redis.publish(redis_names.INVALIDATE_CHANNEL, "routes")


async def publish_keys(session: ReadSession, redis: Redis, secrets: Secrets) -> None:
    """Writes the tenant's keys to Redis and tells the gateways."""
    tenant_id = session.tenant_id
    found = await repository.own_secrets(session)
    sealed = {code: secrets.for_gateways(tenant_id, code, secret) for code, secret in found.items()}
    name = redis_names.tenant_credentials(tenant_id)
    if sealed:
        await redis.set(name, orjson.dumps(sealed))
    else:
        await redis.delete(name)
    await redis.publish(redis_names.INVALIDATE_CHANNEL, f"credentials {tenant_id}")


async def tenants_with_keys(
    open_session: Callable[[], AbstractAsyncContextManager[SystemSession]],
) -> list[UUID]:
    """Tenants that bring keys of their own."""
    async with open_session() as session:
        return list(await repository.tenants_with_keys(session))
