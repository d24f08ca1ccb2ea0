"""Jobs of AutoML: what they make, how they go on in slices, and how they end."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest

from omni.contracts.usage import TRAINING_MS
from omni.inference.automl.leftovers import forget_ended, kept_name, part_name
from omni.inference.jobs import repository
from omni.kit.errors import InvalidInput, NotFound
from omni.kit.ids import uuid7
from tests.inference.automl.conftest import World
from tests.inference.automl.tables import as_csv, churn, prices


def request(dataset_id: str, target: str, **fields: Any) -> dict[str, Any]:
    return {
        "dataset_id": dataset_id, "target": target, "model_name": "mine", "time_budget_seconds": 60,
        "max_trials": 5, **fields,
    }  # fmt: skip


async def test_a_classification_becomes_a_version_that_answers(world: World) -> None:
    given = request(await world.dataset(churn(500)), "left")
    assert await world.automl().bound(world.call().principal, given) == {TRAINING_MS: 60_000}
    job = await world.job("automl", given)
    done, tasks = await world.work(world.automl(), job)
    assert done.state == "succeeded", done
    assert done.result is not None
    assert (done.result["version"], done.result["task"], done.result["metric"]) == (1, "classification", "log_loss")
    assert {row["family"] for row in done.result["leaderboard"]} == {
        "linear", "lightgbm", "extra_trees", "random_forest",
    }  # fmt: skip
    scores = [row["score"] for row in done.result["leaderboard"]]
    assert scores == sorted(scores)
    assert all(row["deviation"] > 0 and row["seconds"] > 0 for row in done.result["leaderboard"])
    assert sum(member["weight"] for member in done.result["members"]) == pytest.approx(1)
    assert 0 < sum(task.call.usage.training_ms for task in tasks) <= 60_000
    (version,) = world.registry.versions
    held_out = version.card["held_out"]
    low, high = held_out["metrics"]["roc_auc"]["interval_95"]
    assert 0.5 < low < held_out["metrics"]["roc_auc"]["value"] < high, "better than knowing nothing"
    assert version.card["data"]["target"]["classes"].keys() == {"no", "yes"}
    assert next(iter(version.card["importances"])) in ("plan", "months")
    assert "customer" in version.card["data"]["left_out"]
    assert any("'customer'" in line for line in await world.log(job))
    data = await world.objects.get(world.tenant.tenant_id, version.object_name)
    assert hashlib.sha256(data).hexdigest() == version.sha256
    assert all(not name.startswith("jobs/") for name in await world.objects.names(world.tenant.tenant_id))


async def test_an_artifact_holds_json_arrays_and_text_and_nothing_to_execute(world: World) -> None:
    job = await world.job("automl", request(await world.dataset(prices()), "price"))
    done, _ = await world.work(world.automl(), job)
    assert done.state == "succeeded", done
    data = await world.objects.get(world.tenant.tenant_id, world.registry.versions[0].object_name)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            assert name.endswith((".json", ".npy", ".txt"))
            content = archive.read(name)
            assert b"sklearn" not in content or name == "manifest.json"
            assert b"\x80\x04\x95" not in content, "a pickle"


async def test_a_regression_finds_the_line_and_its_noise(world: World) -> None:
    job = await world.job("automl", request(await world.dataset(prices()), "price"))
    done, _ = await world.work(world.automl(), job)
    assert done.result is not None
    card = world.registry.versions[0].card
    low, high = card["held_out"]["metrics"]["rmse"]["interval_95"]
    assert low < 2.3, "the noise has a deviation of 2"
    assert high < 4
    assert done.result["task"] == "regression"


async def test_the_same_seed_and_trials_make_the_same_file_however_it_is_sliced(world: World) -> None:
    dataset_id = await world.dataset(churn(100))
    files = []
    for seconds in (60.0, 22.0):
        job = await world.job("automl", request(dataset_id, "left", max_trials=5, seed=5, held_out_share=0))
        done, tasks = await world.work(world.automl(seconds), job)
        assert done.state == "succeeded", done
        version = world.registry.versions[-1]
        files.append((await world.objects.get(world.tenant.tenant_id, version.object_name), len(tasks)))
    assert files[0][0] == files[1][0]


async def test_usage_never_goes_beyond_what_is_left(world: World) -> None:
    job = await world.job("automl", request(await world.dataset(prices(80)), "price", max_trials=2))
    task = world.task(job, {TRAINING_MS: 5})
    await world.automl().work(task)
    assert task.call.usage.training_ms == 5


async def test_a_cancelled_job_ends_within_seconds_and_leaves_nothing(world: World) -> None:
    job = await world.job("automl", request(await world.dataset(churn()), "left", max_trials=None))
    async with world.database.write(world.tenant.tenant_id) as session:
        await repository.request_cancel(session, job.id, datetime.now(UTC))
    done, _ = await world.work(world.automl(), job)
    assert done.state == "cancelled"
    assert world.registry.versions == []


async def test_a_feature_that_gives_the_target_away_is_named(world: World) -> None:
    rows = 200
    table: dict[str, list[Any]] = {
        "refund": [float(n % 2) for n in range(rows)], "x": [float(n * 7 % 31) for n in range(rows)],
        "same": [1] * rows, "left": ["yes" if n % 2 else "no" for n in range(rows)],
    }  # fmt: skip
    job = await world.job("automl", request(await world.dataset(as_csv(table)), "left", max_trials=4))
    done, _ = await world.work(world.automl(), job)
    assert done.result is not None, done
    found = {(each["code"], each["column"]) for each in done.result["warnings"]}
    assert {("leakage_suspect", "refund"), ("column_left_out", "same")} <= found


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"target": "nothing"}, "column_unknown"),
        ({"features": ["nothing"]}, "column_unknown"),
        ({"task": "regression"}, "target_unusable"),
        ({"task": "classification", "metric": "rmse"}, "metric_unusable"),
        ({"time_budget_seconds": 5}, "invalid_job_input"),
        ({"task": "forecasting"}, "invalid_job_input"),
        ({"unknown": 1}, "invalid_job_input"),
    ],
)
async def test_what_no_job_could_work_on_is_refused_before(world: World, fields: dict[str, Any], code: str) -> None:
    given = request(await world.dataset(churn(60)), "left") | fields
    with pytest.raises(InvalidInput) as refused:
        await world.automl().bound(world.call().principal, given)
    assert refused.value.code == code


async def test_a_foreign_dataset_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        await world.automl().bound(world.call().principal, request(str(uuid7()), "left"))


@pytest.mark.parametrize(
    ("table", "fields", "code"),
    [
        ({"x": list(range(30)), "y": [n % 2 for n in range(30)]}, {}, "too_few_rows"),
        ({"x": [n * 7 % 13 for n in range(60)], "y": ["a"] * 57 + ["b"] * 3}, {}, "class_too_rare"),
        ({"x": [1] * 60, "y": [n % 2 for n in range(60)]}, {}, "no_features"),
        ({"x": [n % 7 for n in range(60)], "y": [n % 3 for n in range(60)]}, {"metric": "roc_auc"}, "metric_unusable"),
    ],
)
async def test_a_table_that_cannot_be_learnt_from_fails_the_job_with_why(
    world: World, table: dict[str, list[Any]], fields: dict[str, Any], code: str
) -> None:
    job = await world.job("automl", request(await world.dataset(as_csv(table)), "y", **fields))
    done, _ = await world.work(world.automl(), job)
    assert done.state == "failed"
    assert done.error is not None
    assert done.error.code == code


async def test_a_dataset_that_is_gone_fails_the_job(world: World) -> None:
    dataset_id = await world.dataset(churn(60))
    job = await world.job("automl", request(dataset_id, "left"))
    assert (await world.tenant.send("DELETE", f"/v1/datasets/{dataset_id}")).status_code == 204
    done, _ = await world.work(world.automl(), job)
    assert (done.state, done.error and done.error.code) == ("failed", "dataset_gone")


async def test_a_job_that_is_ended_between_slices_leaves_nothing(world: World) -> None:
    job = await world.job("automl", request(await world.dataset(churn(60)), "left"))
    left = job.model_copy(update={"progress": {"kept": ["outside-a"], "parts": [0, 40]}})
    names = [kept_name(job.id, "outside-a"), part_name(job.id, 0), part_name(job.id, 40)]
    for name in names:
        await world.objects.put(world.tenant.tenant_id, name, b"x")
    await forget_ended(world.objects, world.tenant.tenant_id, left)
    assert not set(names) & set(await world.objects.names(world.tenant.tenant_id))
