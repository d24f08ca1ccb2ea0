"""Deployments over HTTP, with real models."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from omni.kit.ids import uuid7
from tests.inference import onnx_files
from tests.inference.backend import Backend, refusal, usage
from tests.inference.registry.conftest import MODELS, Registry

DEPLOYMENTS = "/v1/deployments"


@pytest.fixture
def registry(stored: Backend) -> Registry:
    return Registry(dataclasses.replace(stored, tenant_id=uuid7()))


async def test_a_deployment_answers_is_scored_and_reported(registry: Registry) -> None:
    tenant = registry.tenant
    await registry.model("m", *(onnx_files.linear([[factor]]) for factor in (1.0, 2.0, 1.0)))
    body = {"name": "live", "model": "m", "versions": [{"version": 1}, {"version": 2}], "shadow": {"version": 3}}
    made = await tenant.post(DEPLOYMENTS, body)
    assert made.status_code == 201, made.text
    asked = {"inputs": {"x": [[1], [1]]}, "user": "anna"}
    answer = await tenant.post(f"{DEPLOYMENTS}/live/predict", asked)
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert got["outputs"]["y"]["data"] == [[float(got["version"])]] * 2
    assert usage(answer)["predictions"] == 2
    feedback = {"prediction_id": got["prediction_id"], "score": 1}
    scored = await tenant.post(f"{DEPLOYMENTS}/live/feedback", feedback)
    assert scored.json() == {"deployment": "live", "version": got["version"], "counted": True}
    for _ in range(100):
        report = (await tenant.send("GET", f"{DEPLOYMENTS}/live/report")).json()
        by_role = {each["role"]: each for each in report["versions"]}
        if by_role.keys() >= {"live", "shadow"} and by_role["live"]["requests"]:
            break
        await asyncio.sleep(0.05)
    assert (by_role["live"]["version"], by_role["live"]["requests"]) == (got["version"], 1)
    assert by_role["live"]["scores"]["mean"] == 1.0
    assert (by_role["shadow"]["requests"], by_role["shadow"]["disagreements"]) == (1, int(got["version"] == 2))


async def test_what_a_deployment_names_stays(registry: Registry) -> None:
    tenant = registry.tenant
    await registry.model("m", onnx_files.linear([[1.0]]), onnx_files.linear([[2.0]]))
    await tenant.send("PUT", f"{MODELS}/m/aliases/champion", json={"version": 2})
    made = await tenant.post(DEPLOYMENTS, {"name": "live", "model": "m", "versions": [{"version": "champion"}]})
    assert made.json()["versions"] == [{"version": 2, "weight": 1}]
    await tenant.send("DELETE", f"{MODELS}/m/aliases/champion")
    in_use = await tenant.send("DELETE", f"{MODELS}/m/versions/2")
    assert refusal(in_use) == (409, "version_in_use")
    assert in_use.json()["used_by"] == "deployment"
    assert refusal(await tenant.send("DELETE", f"{MODELS}/m")) == (409, "version_in_use")
    assert (await tenant.send("DELETE", f"{DEPLOYMENTS}/live")).status_code == 204
    assert (await tenant.send("DELETE", f"{MODELS}/m")).status_code == 204


async def test_another_tenants_deployment_is_not_found(registry: Registry) -> None:
    await registry.model("m", onnx_files.linear([[1.0]]))
    await registry.tenant.post(DEPLOYMENTS, {"name": "live", "model": "m", "versions": [{"version": 1}]})
    other = dataclasses.replace(registry.tenant, tenant_id=uuid7())
    for method, path, body in (
        ("GET", "", None), ("PATCH", "", {}), ("DELETE", "", None), ("GET", "/report", None),
        ("POST", "/predict", {"inputs": {}}), ("POST", "/feedback", {"prediction_id": "pred-", "score": 1}),
    ):  # fmt: skip
        answer = await other.send(method, f"{DEPLOYMENTS}/live{path}", json=body)
        assert refusal(answer) == (404, "deployment_not_found"), (method, path)


@pytest.mark.parametrize(
    "change",
    [
        {"versions": []},
        {"versions": [{"version": 1, "weight": 0}]},
        {"canary": {"version": 2, "percents": [50, 20]}},
        {"canary": {"version": 2, "percents": [101]}},
        {"name": "1"},
    ],
)
async def test_requests_that_make_no_sense_are_refused(registry: Registry, change: dict[str, object]) -> None:
    body = {"name": "live", "model": "m", "versions": [{"version": 1}], **change}
    assert (await registry.tenant.post(DEPLOYMENTS, body)).status_code == 400
