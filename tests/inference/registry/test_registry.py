"""Models, versions, aliases and cards."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from onnx import helper

from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.registry.contracts import NewVersion, Register
from omni.inference.registry.registering import register
from omni.inference.storage.repository import stored_bytes
from omni.kit.errors import Conflict
from omni.kit.ids import uuid7
from tests.inference import onnx_files
from tests.inference.backend import refusal
from tests.inference.registry.conftest import MODELS, Registry

REGISTER: Register = register
"""The function is what the contracts ask for."""
ONE, TWO = onnx_files.linear([[1.0]]), onnx_files.linear([[2.0]])


async def test_a_model_is_made_changed_listed_and_deleted(registry: Registry) -> None:
    made = await registry.tenant.post(MODELS, {"name": "churn", "task": "classification"})
    assert made.status_code == 201
    assert made.json()["version_count"] == 0
    assert refusal(await registry.tenant.post(MODELS, {"name": "churn"})) == (409, "model_exists")
    other = (await registry.tenant.post(MODELS, {"name": "other"})).json()
    taken = await registry.tenant.send("PATCH", f"{MODELS}/other", json={"name": "churn"})
    assert refusal(taken) == (409, "model_exists")
    changed = await registry.tenant.send("PATCH", f"{MODELS}/churn", json={"description": "Who leaves."})
    assert changed.json() == {**made.json(), "description": "Who leaves."}
    first = await registry.get("?limit=1")
    assert [model["name"] for model in first["data"]] == ["other"]
    rest = await registry.get(f"?limit=1&cursor={first['next_cursor']}")
    assert [model["name"] for model in rest["data"]] == ["churn"]
    assert rest["next_cursor"] is None
    assert (await registry.tenant.send("DELETE", f"{MODELS}/{other['id']}")).status_code == 204
    gone = await registry.tenant.send("GET", f"{MODELS}/{other['id']}")
    assert refusal(gone) == (404, "registered_model_not_found")


@pytest.mark.parametrize("name", ["", "-x", "a b", "ž", "a" * 101, "../x", "1", "a" * 32])
async def test_names_are_plain(registry: Registry, name: str) -> None:
    assert (await registry.tenant.post(MODELS, {"name": name})).status_code == 400


async def test_versions_are_numbered_and_never_again(registry: Registry, objects: ObjectStore) -> None:
    await registry.model("m", ONE, TWO)
    assert (await registry.tenant.send("DELETE", f"{MODELS}/m/versions/2")).status_code == 204
    third = await registry.upload("m", TWO)
    assert third.json()["number"] == 3
    assert [version["number"] for version in (await registry.get("/m/versions"))["data"]] == [3, 1]
    page = await registry.get("/m/versions?limit=1")
    assert (await registry.get(f"/m/versions?cursor={page['next_cursor']}"))["data"][0]["number"] == 1
    assert len((await registry.get(f"/m/versions?cursor={2**31 - 1}"))["data"]) == 2
    beyond = await registry.tenant.send("GET", f"{MODELS}/m/versions?cursor={2**31}")
    assert refusal(beyond) == (400, "invalid_request")
    assert len(await objects.names(registry.tenant.tenant_id)) == 2
    missing = await registry.tenant.send("GET", f"{MODELS}/m/versions/2")
    assert refusal(missing) == (404, "model_version_not_found")
    await registry.tenant.send("DELETE", f"{MODELS}/m")
    assert await objects.names(registry.tenant.tenant_id) == []


async def test_a_version_may_be_a_file_that_is_there(registry: Registry) -> None:
    await registry.model("m")
    sent = await registry.tenant.send(
        "POST", "/v1/files", files={"file": ("model.onnx", ONE)}, data={"purpose": "user_data"}
    )
    body = {"file_id": sent.json()["id"], "metrics": {"auc": 0.9}}
    added = await registry.tenant.post(f"{MODELS}/m/versions", body)
    assert added.status_code == 201, added.text
    assert added.json()["sha256"] == hashlib.sha256(ONE).hexdigest()
    assert added.json()["metrics"] == {"auc": 0.9}
    unknown = await registry.tenant.post(f"{MODELS}/m/versions", {"file_id": "file-" + "0" * 32})
    assert refusal(unknown) == (404, "file_not_found")


async def test_a_card_says_what_was_given_and_what_was_found(registry: Registry) -> None:
    await registry.model("m", task="regression", description="Doubles.")
    given = {"card": {"use": "doubling"}, "metrics": {"rmse": 0.0}, "lineage": {"dataset": "numbers"}}
    await registry.upload("m", TWO, **given)
    card = await registry.get("/m/versions/1/card")
    assert (card["given"], card["metrics"], card["lineage"]) == (given["card"], given["metrics"], given["lineage"])
    assert (card["task"], card["description"], card["size_bytes"]) == ("regression", "Doubles.", len(TWO))
    measured = card["measured"]
    assert (measured["operators"], measured["parameters"], measured["opsets"]) == ({"Gemm": 1}, 2, {"": 17})
    assert measured["trial_shapes"] == {"x": [1, 1]}
    assert measured["memory_bytes"] > 10_000_000
    assert card["signature"]["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["rows", 1]}]
    assert card["signature"]["joinable"]


async def test_what_is_said_of_a_file_is_bounded(registry: Registry) -> None:
    await registry.model("m")
    for fields in (
        {"card": {"x": "a" * 70_000}},
        {"card": {"x": "\x00"}},
        {"metrics": {"a": "b"}},
        {"metrics": {"a": "0.5"}},
        {"dimensions": {"n": "2"}},
        {"dimensions": {"n": 0}},
    ):
        assert (await registry.upload("m", ONE, **fields)).status_code == 400, fields


async def test_aliases_name_versions_everywhere(registry: Registry) -> None:
    await registry.model("m", ONE, TWO)
    for alias, number in (("champion", 1), ("next", 2)):
        put = await registry.tenant.send("PUT", f"{MODELS}/m/aliases/{alias}", json={"version": number})
        assert put.json()["version"] == number
    assert (await registry.get("/m"))["aliases"] == {"champion": 1, "next": 2}
    assert (await registry.get("/m/versions/next"))["number"] == 2
    assert (await registry.get("/m/versions/next/card"))["version"] == 2
    in_use = await registry.tenant.send("DELETE", f"{MODELS}/m/versions/2")
    assert refusal(in_use) == (409, "version_in_use")
    await registry.tenant.send("PUT", f"{MODELS}/m/aliases/champion", json={"version": 2})
    assert (await registry.get("/m/versions/2"))["aliases"] == ["champion", "next"]
    wrong = await registry.tenant.send("PUT", f"{MODELS}/m/aliases/champion", json={"version": 9})
    assert refusal(wrong) == (404, "model_version_not_found")
    assert (await registry.tenant.send("DELETE", f"{MODELS}/m/aliases/next")).status_code == 204
    gone = await registry.tenant.send("DELETE", f"{MODELS}/m/aliases/next")
    assert refusal(gone) == (404, "model_alias_not_found")


async def test_a_file_that_does_not_run_is_not_stored(registry: Registry, objects: ObjectStore) -> None:
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    made = onnx_files.graph(nodes, [onnx_files.value("x", ["n", 3])], [onnx_files.value("y", ["m", 6])], s=[-1, 6])
    data = bytes(onnx_files.model(made).SerializeToString())
    await registry.model("m")
    refused = await registry.upload("m", data)
    assert refusal(refused) == (422, "model_does_not_run")
    assert await objects.names(registry.tenant.tenant_id) == []
    assert (await registry.upload("m", data, dimensions={"n": 2})).status_code == 201


async def test_versions_count_as_storage(registry: Registry, database: Database) -> None:
    await registry.model("m", ONE)
    async with database.read(registry.tenant.tenant_id) as session:
        assert await stored_bytes(session) == len(ONE)
    full = Registry(dataclasses.replace(registry.tenant, storage_bytes_limit=2 * len(ONE) - 1))
    assert refusal(await full.upload("m", ONE)) == (429, "storage_quota_exceeded")


async def test_another_tenants_models_are_not_found(registry: Registry) -> None:
    await registry.model("m", ONE)
    other = Registry(dataclasses.replace(registry.tenant, tenant_id=uuid7()))
    paths = ("GET m", "DELETE m", "GET m/versions", "GET m/versions/1", "GET m/versions/1/card", "DELETE m/aliases/a")
    for path in paths:
        method, _, rest = path.partition(" ")
        answer = await other.tenant.send(method, f"{MODELS}/{rest}")
        assert refusal(answer) == (404, "registered_model_not_found"), path
    assert refusal(await other.predict("m", inputs={"x": [[1]]})) == (404, "registered_model_not_found")
    assert refusal(await other.tenant.post(f"{MODELS}/m/versions", {"file_id": "x"})) == (
        404,
        "registered_model_not_found",
    )
    assert refusal(await other.upload("m", ONE)) == (404, "registered_model_not_found")
    assert (await other.get(""))["data"] == []


async def test_a_job_registers_its_model_once(registry: Registry, database: Database) -> None:
    new = NewVersion("trained", "regression", "automl", "automl/x", "0" * 64, 10, {"columns": []}, job_id=uuid7())
    tenant_id = registry.tenant.tenant_id
    async with database.write(tenant_id) as session:
        first = await REGISTER(session, new)
        assert await register(session, new) == first
        assert (await register(session, dataclasses.replace(new, job_id=uuid7())))[1] == 2
        with pytest.raises(Conflict, match="regression"):
            await register(session, dataclasses.replace(new, task="classification", job_id=uuid7()))
    assert (await registry.get("/trained/versions/1"))["format"] == "automl"
    assert (await registry.get("/trained/versions/1/card"))["measured"] is None
    answer = await registry.predict("trained", rows=[{"a": 1}])
    assert refusal(answer) == (503, "model_damaged"), "nobody has stored the file"
