"""The catalogue: edited by operators, published to the gateways, with keys that are nowhere to be read."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import orjson
import pytest

from omni.contracts.redis_names import ROUTES, tenant_credentials
from omni.contracts.routes import RouteTable
from omni.domains.models import facade, seeds
from omni.domains.models.seeds import EMBEDDINGS
from omni.foundation.db.roles import DatabaseAddress
from omni.inference.language.models import EMBEDDING_MODELS
from omni.inference.language.moderation.categories import MODEL
from omni.kit.sealing import DecryptionFailed, credential_place, unseal
from omni.testing.control_plane import ControlPlane
from tests.conftest import dump_rows
from tests.domains.people import People, Person, problem, stored
from tests.domains.test_secrets import dump_redis, spellings


def opened(plane: ControlPlane, owner: str, provider: str, sealed: str) -> str:
    key = plane.master_key.derive("gateway-credentials")
    return unseal(key, base64.b64decode(sealed), credential_place(owner, provider)).decode()


async def put_provider(operator: Person, code: str, **changes: Any) -> Any:
    body = {"kind": "openai", "base_url": "https://api.example.com/v1", **changes}
    return await operator.call("PUT", f"/api/operator/providers/{code}", body)


def model_body(*targets: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"operations": ["chat"], "targets": list(targets), **changes}


async def table(plane: ControlPlane) -> RouteTable:
    await plane.run_tasks()
    return RouteTable.from_json(await stored(plane.redis, ROUTES))


async def test_an_edit_reaches_the_gateways_and_shows_no_key(
    plane: ControlPlane, people: People, database_address: DatabaseAddress
) -> None:
    operator = await people.operator()
    code, secret = f"p{uuid4().hex[:8]}", f"sk-{uuid4().hex}"
    made = await put_provider(operator, code, key=secret)
    assert made.json()["key_last4"] == secret[-4:]
    target = {
        "id": f"x/y@{code}", "provider": code, "upstream_model": "y",
        "cost": {"input_tokens": {"price_nanos": 5, "per_quantity": 2}}, "when": {"regions": ["eu"]},
    }  # fmt: skip
    body = model_body(target, strategy="fastest", sticky=True, unpriced="flat", flat_nanos=7)
    put = await operator.call("PUT", f"/api/operator/models/x/{code}", body)
    assert put.status_code == 200, put.text
    published = await table(plane)
    model = published.models[f"x/{code}"]
    assert (model.strategy, model.sticky, model.flat_nanos) == ("fastest", True, 7)
    assert (model.targets[0].cost["input_tokens"].price_nanos, model.targets[0].cost["input_tokens"].per_quantity) == (
        5,
        2,
    )
    assert model.targets[0].when is not None
    assert opened(plane, "platform", code, published.providers[code].sealed_key) == secret
    with pytest.raises(DecryptionFailed):
        opened(plane, "platform", "another", published.providers[code].sealed_key)
    assert (await put_provider(operator, code, base_url="https://b.example.com/v1")).json()["key_last4"] == secret[-4:]
    listed = (await operator.get("/api/operator/models")).json()["data"]
    assert next(each for each in listed if each["name"] == f"x/{code}")["targets"][0]["cost"] == target["cost"]
    rows, in_redis = await dump_rows(database_address), (await dump_redis(plane)).decode("latin-1")
    for spelling in spellings(secret):
        assert spelling not in rows
        assert spelling not in in_redis
    assert problem(await operator.call("DELETE", f"/api/operator/providers/{code}")) == (409, "provider_in_use")
    assert (await operator.call("DELETE", f"/api/operator/models/x/{code}")).status_code == 204
    assert (await operator.call("DELETE", f"/api/operator/providers/{code}")).status_code == 204
    assert code not in (await table(plane)).providers


async def test_what_is_not_whole_is_refused(plane: ControlPlane, people: People) -> None:
    assert plane
    operator = await people.operator()
    code = f"p{uuid4().hex[:8]}"
    for wrong in ("ftp://x", "https://u:p@x", "https://x?y=1", "nonsense"):
        assert problem(await put_provider(operator, code, base_url=wrong)) == (400, "invalid_provider")
    assert problem(await put_provider(operator, code, key="two words here")) == (400, "invalid_provider_key")
    await put_provider(operator, code)
    here = {"id": f"a@{code}", "provider": code, "upstream_model": "a"}
    put = f"/api/operator/models/{code}"
    assert problem(await operator.call("PUT", put, model_body())) == (400, "invalid_request")
    for targets in ([{**here, "provider": "nowhere"}], [here, here]):
        assert problem(await operator.call("PUT", put, model_body(*targets))) == (400, "invalid_model")
    assert (await operator.call("PUT", put, model_body(here))).status_code == 200
    taken = await operator.call("PUT", f"{put}-2", model_body(here))
    assert problem(taken) == (400, "invalid_model")
    assert problem(await operator.call("DELETE", f"{put}-2")) == (404, "model_not_found")


async def test_a_tenants_own_key_is_sealed_for_the_gateways_and_taken_away(
    plane: ControlPlane, people: People, database_address: DatabaseAddress
) -> None:
    operator, owner = await people.operator(), await people.owner()
    code, secret = f"p{uuid4().hex[:8]}", f"sk-{uuid4().hex}"
    await put_provider(operator, code)
    path = f"/api/tenants/{{t}}/provider-keys/{code}"
    made = await owner.call("PUT", path, {"key": secret}, uuid4().hex)
    assert made.json()["key_last4"] == secret[-4:]
    assert (await owner.get("/api/tenants/{t}/provider-keys")).json()["data"][0]["provider"] == code
    await plane.run_tasks()
    sealed = orjson.loads(await stored(plane.redis, tenant_credentials(owner.tenant_id)))[code]
    assert opened(plane, str(owner.tenant_id), code, sealed) == secret
    with pytest.raises(DecryptionFailed):
        opened(plane, str(operator.tenant_id), code, sealed)
    rows = await dump_rows(database_address)
    assert not any(spelling in rows for spelling in spellings(secret))
    assert (await owner.call("DELETE", path)).status_code == 204
    await plane.run_tasks()
    assert await plane.redis.get(tenant_credentials(owner.tenant_id)) is None
    assert problem(await owner.call("DELETE", path)) == (404, "provider_key_not_found")
    assert problem(await owner.call("PUT", path + "x", {"key": secret})) == (404, "provider_not_found")


async def test_the_seeds_are_the_engines_models_and_survive_a_flush(plane: ControlPlane) -> None:
    assert [EMBEDDINGS.name] == list(EMBEDDING_MODELS)
    assert seeds.MODERATION.name == MODEL
    async with plane.database.shared() as session:
        await facade.seed(session)
    await plane.redis.delete(ROUTES)
    secrets = facade.Secrets(plane.master_key)
    await facade.publish_all(plane.database, plane.system_database.session, plane.redis, secrets)
    published = RouteTable.from_json(await stored(plane.redis, ROUTES))
    assert [published.models[each.name] for each in seeds.MODELS] == seeds.MODELS
