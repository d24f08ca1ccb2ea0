"""What the registry and deployments must answer, and count, when they are called through the gateway."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import httpx2

from tests.acceptance.ai_operations import Operation
from tests.inference import onnx_files

MODELS = "/v1/registry/models"
MODEL = MODELS + "/{model}"
VERSION = MODEL + "/versions/{version}"
DEPLOYMENTS = "/v1/deployments"
DEPLOYMENT = DEPLOYMENTS + "/{deployment}"
HALVES = onnx_files.linear([[0.5], [0.25]])
"""x₁ / 2 + x₂ / 4."""
DOUBLES = onnx_files.linear([[2.0], [2.0]])
RUNS = frozenset({"compute_ms"})
PREDICTS = frozenset({"compute_ms", "predictions"})


def made(response: httpx2.Response) -> Any:
    assert response.status_code in (200, 201), response.text
    return response.json()


def a_model(client: httpx2.Client) -> dict[str, str]:
    """Without versions."""
    name = f"model-{uuid4().hex[:12]}"
    made(client.post(MODELS, json={"name": name, "task": "regression"}))
    return {"model": name, "version": "1", "alias": "champion"}


def two_versions(client: httpx2.Client) -> dict[str, str]:
    """The first halves, the second doubles; the first is the champion."""
    names = a_model(client)
    path = MODEL.format(**names)
    for data in (HALVES, DOUBLES):
        made(client.post(f"{path}/versions", files={"file": ("model.onnx", data)}))
    made(client.put(f"{path}/aliases/champion", json={"version": 1}))
    return names


def no_alias(client: httpx2.Client) -> dict[str, str]:
    names = two_versions(client)
    assert client.delete(MODEL.format(**names) + "/aliases/champion").status_code == 204
    return names


def a_file(client: httpx2.Client) -> dict[str, str]:
    sent = client.post("/v1/files", files={"file": ("model.onnx", HALVES)}, data={"purpose": "user_data"})
    return {**a_model(client), "file_id": made(sent)["id"]}


def a_deployment(client: httpx2.Client) -> dict[str, str]:
    """Of the second version alone."""
    names = two_versions(client)
    name = f"live-{uuid4().hex[:12]}"
    body = {"name": name, "model": names["model"], "versions": [{"version": 2}]}
    made(client.post(DEPLOYMENTS, json=body))
    return {**names, "deployment": name}


def an_answer(client: httpx2.Client) -> dict[str, str]:
    names = a_deployment(client)
    asked = client.post(DEPLOYMENT.format(**names) + "/predict", json={"inputs": {"x": [[1, 2]]}})
    return {**names, "prediction_id": made(asked)["prediction_id"]}


def a_scored_answer(client: httpx2.Client) -> dict[str, str]:
    names = an_answer(client)
    feedback = {"prediction_id": names["prediction_id"], "score": 0.75}
    made(client.post(DEPLOYMENT.format(**names) + "/feedback", json=feedback))
    return names


def has(**members: Any) -> Callable[[Any], None]:
    def check(answer: Any) -> None:
        assert {name: answer[name] for name in members} == members

    return check


def is_the_file(answer: Any) -> None:
    assert answer["sha256"] == hashlib.sha256(HALVES).hexdigest()
    assert (answer["number"], answer["size_bytes"], answer["format"]) == (1, len(HALVES), "onnx")


def describes_the_file(answer: Any) -> None:
    assert (answer["measured"]["parameters"], answer["measured"]["operators"]) == (3, {"Gemm": 1})


def answers(*values: float) -> Callable[[Any], None]:
    def check(answer: Any) -> None:
        assert answer["outputs"]["y"]["data"] == [[value] for value in values]

    return check


def lists(count: int) -> Callable[[Any], None]:
    return lambda answer: _at_least(len(answer["data"]), count)


def _at_least(found: int, count: int) -> None:
    assert found >= count


def is_empty(answer: Any) -> None:
    assert answer is None


def tells_the_score(answer: Any) -> None:
    (version,) = [each for each in answer["versions"] if each["version"] == 2]
    assert version["scores"]["mean"] == 0.75


def of(method: str, path: str, prepare: Callable[[httpx2.Client], Mapping[str, str]], **more: Any) -> Operation:
    """A case with a prepared model."""
    fields = {"body": None, "meters": frozenset(), "check": is_empty, **more}
    return Operation(method=method, path=path, prepare=prepare, **fields)


X = {"x": [[1.0, 2.0], [4.0, 0.0]]}
CASES = [
    Operation("POST", MODELS, {"name": f"m-{uuid4().hex[:12]}"}, has(version_count=0, aliases={}), frozenset(), 201),
    of("GET", MODELS, a_model, check=lists(1)),
    of("GET", MODEL, two_versions, check=has(version_count=2, latest_version=2, aliases={"champion": 1})),
    of("PATCH", MODEL, a_model, body={"description": "Halves."}, check=has(description="Halves.", task="regression")),
    of("DELETE", MODEL, two_versions, status=204),
    of(
        "POST", MODEL + "/versions", a_model, files={"file": ("m.onnx", HALVES)}, check=is_the_file, meters=RUNS,
        status=201,
    ),
    of("POST", MODEL + "/versions", a_file, body={"file_id": "{file_id}"}, check=is_the_file, meters=RUNS, status=201),
    of("GET", MODEL + "/versions", two_versions, check=lists(2)),
    of("GET", VERSION, two_versions, check=is_the_file),
    of("PATCH", VERSION, two_versions, body={"state": "withdrawn"}, check=has(state="withdrawn", number=1)),
    of("DELETE", VERSION, no_alias, status=204),
    of("GET", VERSION + "/card", two_versions, check=describes_the_file),
    of("PUT", MODEL + "/aliases/{alias}", two_versions, body={"version": 2}, check=has(version=2)),
    of("DELETE", MODEL + "/aliases/{alias}", two_versions, status=204),
    of("POST", MODEL + "/predict", two_versions, body={"inputs": X}, check=answers(1.0, 2.0), meters=PREDICTS),
    of(
        "POST", MODEL + "/predict", two_versions, body={"inputs": X, "version": 2}, check=answers(6.0, 8.0),
        meters=PREDICTS,
    ),
    of(
        "POST", DEPLOYMENTS, two_versions, status=201, check=has(revision=1, versions=[{"version": 1, "weight": 1}]),
        body={"name": f"d-{uuid4().hex[:12]}", "model": "{model}", "versions": [{"version": "champion"}]},
    ),
    of("GET", DEPLOYMENTS, a_deployment, check=lists(1)),
    of("GET", DEPLOYMENT, a_deployment, check=has(versions=[{"version": 2, "weight": 1}])),
    of("PATCH", DEPLOYMENT, a_deployment, body={"versions": [{"version": 1}]}, check=has(revision=2)),
    of("DELETE", DEPLOYMENT, a_deployment, status=204),
    of("POST", DEPLOYMENT + "/predict", a_deployment, body={"inputs": X}, check=answers(6.0, 8.0), meters=PREDICTS),
    of(
        "POST", DEPLOYMENT + "/feedback", an_answer, body={"prediction_id": "{prediction_id}", "score": 1},
        check=has(version=2, counted=True),
    ),
    of("GET", DEPLOYMENT + "/report", a_scored_answer, check=tells_the_score),
]  # fmt: skip
