"""Data in, a model out, predictions billed: through a whole platform, within a quote, whoever dies on the way."""

from __future__ import annotations

import asyncio
import csv
import io
import math
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import orjson
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from omni.inference.batches.lines import request_id
from tests.acceptance.platform import Platform, until
from tests.acceptance.test_batches import job_worker

SECONDS = 20
PER_MS = 20_000_000 / 60_000
"""Nano-units for a millisecond of training, by the first price."""
ENDED = ("succeeded", "failed", "cancelled", "expired")


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[httpx2.Client]:
    with platform.api() as made:
        yield made


@pytest.fixture(scope="module")
def data() -> tuple[list[list[float]], list[int], list[str]]:
    found = load_breast_cancer()
    return found.data.tolist(), found.target.tolist(), [str(name).replace(" ", "_") for name in found.feature_names]


@pytest.fixture(scope="module")
def datasets(client: httpx2.Client, data: tuple[list[list[float]], list[int], list[str]]) -> tuple[str, str]:
    """Every row but each fifth, to train on; and these."""
    rows, targets, names = data

    def made(name: str, wanted: bool) -> str:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([*names, "benign"])
        writer.writerows(
            [*row, "yes" if target else "no"]
            for at, (row, target) in enumerate(zip(rows, targets, strict=True))
            if (at % 5 == 0) is wanted
        )
        file = client.post(
            "/v1/files", files={"file": (f"{name}.csv", text.getvalue().encode())}, data={"purpose": "dataset"}
        )
        assert file.status_code == 200, file.text
        dataset = client.post("/v1/datasets", json={"file_id": file.json()["id"], "name": name})
        assert dataset.status_code == 201, dataset.text
        return str(dataset.json()["id"])

    return made("training", False), made("later", True)


def job(dataset: str, **more: Any) -> dict[str, Any]:
    given = {"dataset_id": dataset, "target": "benign", "model_name": "tumours", "time_budget_seconds": SECONDS}
    return {"kind": "automl", "input": {**given, "max_trials": 8, "seed": 1, **more}}


def end_of(client: httpx2.Client, job_id: str, seconds: float = 150) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
        return found if found["state"] in ENDED else None

    return until(look, seconds, "the end of the job")


def charged(platform: Platform, found: dict[str, Any]) -> list[dict[str, int]]:
    """What the usage events of a job's slices count."""
    ids = [request_id(UUID(found["id"]), each) for each in range(found["progress"]["charged"]["slices"])]

    async def read() -> list[str]:
        connection = await asyncpg.connect(platform.run_file()["database"])
        try:
            rows = await connection.fetch("select quantities::text from usage_events where event_id = any($1)", ids)
        finally:
            await connection.close()
        return [row[0] for row in rows]

    return [orjson.loads(row) for row in asyncio.run(read())]


@pytest.fixture(scope="module")
def trained(client: httpx2.Client, platform: Platform, datasets: tuple[str, str]) -> dict[str, Any]:
    """A job that has ended, begun on a quote; its worker was killed once."""
    body = job(datasets[0])
    quote = client.post("/v1/quotes", json=body)
    assert quote.status_code == 200, quote.text
    assert quote.json()["currency"] == "EUR"
    assert float(quote.json()["not_to_exceed"]) == pytest.approx(SECONDS * 1_000 * PER_MS / 1e9)
    started = client.post("/v1/jobs", json={**body, "quote": quote.json()["quote"], "max_price": "1"})
    assert started.status_code == 201, started.text
    until(lambda: client.get(f"/v1/jobs/{started.json()['id']}").json()["state"] == "running", 30, "a worker")
    job_worker(platform).kill()
    return end_of(client, started.json()["id"])


def test_a_job_is_trained_within_its_quote(trained: dict[str, Any], platform: Platform) -> None:
    assert trained["state"] == "succeeded", trained
    spent = trained["progress"]["charged"]
    assert 0 < spent["used"]["training_ms"] <= SECONDS * 1_000
    assert float(spent["price"]) <= float(trained["quote"]["not_to_exceed"])
    counted = until(partial(_all_counted, platform, trained), 20, "the usage of the job")
    assert all(each.keys() <= {"training_ms", "spend_nanos"} for each in counted), "a slice is no request"
    expected = spent["used"]["training_ms"] * PER_MS
    assert sum(each.get("spend_nanos", 0) for each in counted) == pytest.approx(expected, abs=len(counted))
    verified = platform.command("verify", "--json")
    assert verified.returncode == 0, verified.stdout


def _all_counted(platform: Platform, found: dict[str, Any]) -> list[dict[str, int]] | None:
    """The events, once they count what the job says: each slice once."""
    counted = charged(platform, found)
    total = sum(each.get("training_ms", 0) for each in counted)
    assert total <= found["progress"]["charged"]["used"]["training_ms"]
    return counted if total == found["progress"]["charged"]["used"]["training_ms"] else None


def test_the_model_ranks_later_rows_as_well_as_a_plain_one(
    client: httpx2.Client, trained: dict[str, Any], data: tuple[list[list[float]], list[int], list[str]]
) -> None:
    rows, targets, names = data
    later = [at for at in range(len(rows)) if at % 5 == 0]
    body = {"rows": [dict(zip(names, rows[at], strict=True)) for at in later]}
    answer = client.post("/v1/registry/models/tumours/predict", json=body)
    assert answer.status_code == 200, answer.text
    scores = [each["probabilities"]["yes"] for each in answer.json()["predictions"]]
    ours = roc_auc_score([targets[at] for at in later], scores)
    plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    plain.fit([row for at, row in enumerate(rows) if at % 5], [each for at, each in enumerate(targets) if at % 5])
    theirs = roc_auc_score([targets[at] for at in later], plain.predict_proba([rows[at] for at in later])[:, 1])
    assert ours >= theirs - 0.02
    assert trained["result"]["model"] == "tumours"


def test_contributions_add_up_to_the_prediction(
    client: httpx2.Client, trained: dict[str, Any], data: tuple[list[list[float]], list[int], list[str]]
) -> None:
    rows, _, names = data
    body = {"rows": [dict(zip(names, rows[0], strict=True))], "explain": True}
    answer = client.post("/v1/registry/models/tumours/predict", json=body)
    assert answer.status_code == 200, answer.text
    assert trained["state"] == "succeeded"
    (explained,) = answer.json()["explanations"]
    assert explained["contributions"].keys() == set(names)
    log_odds = explained["base_value"] + sum(explained["contributions"].values())
    if not answer.json()["explanation"]["before_calibration"]:
        share = answer.json()["predictions"][0]["probabilities"][explained["class"]]
        assert 1 / (1 + math.exp(-log_odds)) == pytest.approx(share, abs=1e-4)


def test_a_dataset_is_predicted_in_one_job(
    client: httpx2.Client, platform: Platform, trained: dict[str, Any], datasets: tuple[str, str]
) -> None:
    assert trained["state"] == "succeeded"
    body = {"kind": "predictions", "input": {"model": "tumours", "dataset_id": datasets[1], "keep": ["benign"]}}
    started = client.post("/v1/jobs", json=body, headers={"idempotency-key": "later"})
    assert started.status_code == 201, started.text
    again = client.post("/v1/jobs", json=body, headers={"idempotency-key": "later"})
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (started.json()["id"], "true")
    done = end_of(client, started.json()["id"])
    assert done["state"] == "succeeded", done
    content = client.get(f"/v1/files/{done['result']['output_file_id']}/content").content
    lines = [orjson.loads(line) for line in content.splitlines()]
    assert len(lines) == 114
    right = sum(line["prediction"]["class"] == line["kept"]["benign"] for line in lines)
    assert right / len(lines) > 0.9
    assert done["progress"]["charged"]["used"] == {"predictions": 114}
    counted = until(lambda: charged(platform, done), 20, "the usage of the job")
    assert sum(each.get("predictions", 0) for each in counted) == 114


def test_a_job_that_may_cost_too_much_is_not_begun(client: httpx2.Client, datasets: tuple[str, str]) -> None:
    refused = client.post("/v1/jobs", json={**job(datasets[0]), "max_price": "0.001"})
    assert (refused.status_code, refused.json()["code"]) == (422, "price_above_maximum")
    unknown = client.post("/v1/jobs", json=job(datasets[0], target="nothing"))
    assert unknown.status_code == 400
    assert "nothing" in unknown.json()["detail"]
