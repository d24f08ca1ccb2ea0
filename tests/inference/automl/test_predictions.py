"""Models that answer: predictions, contributions that add up, odd rows, changed files, whole datasets."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pytest

from omni.contracts.usage import PREDICTIONS
from omni.inference.automl.predictions import PredictionsWork
from omni.inference.automl.runner import AutomlRunner
from omni.inference.automl.serving.artifact import pack, read, write
from omni.inference.automl.serving.members import BadArtifact
from omni.inference.compute.work import ComputeTask
from omni.inference.registry.contracts import Runner, StoredVersion
from omni.kit.errors import InvalidInput, NotFound
from tests.inference.automl.conftest import World
from tests.inference.automl.tables import as_csv, churn, prices

ROW = {"plan": "basic", "months": 3, "age": 40.0, "noise": 0.1}


async def trained(world: World, data: bytes, target: str, **fields: Any) -> StoredVersion:
    given = {
        "dataset_id": await world.dataset(data), "target": target, "model_name": "m", "time_budget_seconds": 60,
        "max_trials": 5, "held_out_share": 0, **fields,
    }  # fmt: skip
    done, _ = await world.work(world.automl(), await world.job("automl", given))
    assert done.state == "succeeded", done
    return world.registry.stored(world.tenant.tenant_id, len(world.registry.versions))


async def test_predictions_are_probabilities_and_contributions_add_up(world: World) -> None:
    version, runner, call = await trained(world, churn(200), "left"), world.runner, world.call()
    rows = [ROW, {**ROW, "plan": "team", "months": 55}]
    answer = await runner.predict(call, version, {"rows": rows, "explain": True})
    leaver, stayer = answer["predictions"]
    assert leaver["class"] == "yes"
    assert stayer["class"] == "no"
    for each in answer["predictions"]:
        assert sum(each["probabilities"].values()) == pytest.approx(1)
        assert each["probability"] == max(each["probabilities"].values())
    for each, explained in zip(answer["predictions"], answer["explanations"], strict=True):
        total = explained["base_value"] + sum(explained["contributions"].values())
        assert total == pytest.approx(explained["value"], rel=1e-9)
        if not answer["explanation"]["before_calibration"]:
            odds = np.log(each["probability"] / (1 - each["probability"]))
            assert explained["value"] == pytest.approx(odds, rel=1e-6)
    assert answer["explanation"]["scale"] == "log_odds"
    assert (call.usage.predictions, answer["warnings"]) == (2, [])
    again = await runner.predict(world.call(), version, {"rows": rows, "explain": True})
    assert again == answer, "sampling has a fixed seed"


async def test_contributions_of_a_regression_find_the_line(world: World) -> None:
    version = await trained(world, prices(), "price")
    rows = [{"size": 60, "garden": True}, {"size": 60, "garden": False}]
    answer = await world.runner.predict(world.call(), version, {"rows": rows, "explain": True})
    with_garden, without = (each["value"] for each in answer["predictions"])
    assert (with_garden, without) == pytest.approx((200, 180), abs=4)
    first, second = (each["contributions"]["garden"] for each in answer["explanations"])
    assert first - second == pytest.approx(20, abs=4)
    assert answer["explanation"]["scale"] == "value"


async def test_odd_rows_have_a_defined_answer(world: World) -> None:
    version, runner = await trained(world, churn(200), "left"), world.runner
    rows = [{**ROW, "plan": "never seen", "colour": "red"}, {"months": 3}]
    answer = await runner.predict(world.call(), version, {"rows": rows})
    assert {(each["code"], each["feature"], each["rows"]) for each in answer["warnings"]} == {
        ("unknown_category", "plan", 1), ("missing_values", "plan", 1), ("missing_values", "age", 1),
        ("missing_values", "noise", 1), ("ignored", "colour", 1),
    }  # fmt: skip
    unknown = await runner.predict(world.call(), version, {"rows": [{**ROW, "plan": "never seen"}]})
    missing = await runner.predict(world.call(), version, {"rows": [{**ROW, "plan": None}]})
    assert unknown["predictions"] == missing["predictions"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"rows": []}, "invalid_job_input"),
        ({"rows": [{"nothing": 1}]}, "no_features"),
        ({"rows": [{"months": "three"}]}, "value_not_usable"),
        ({"rows": [{"months": True}]}, "value_not_usable"),
        ({"rows": [{"months": 1e300}]}, "value_not_usable"),
        ({"rows": [{"months": [1]}]}, "invalid_job_input"),
        ({"rows": [ROW] * 101, "explain": True}, "too_much_to_explain"),
        ({"rows": [ROW] * 10_001}, "invalid_job_input"),
    ],
)
async def test_what_fits_no_model_is_refused(world: World, shared_version: list[Any], body: dict[str, Any],
                                             code: str) -> None:  # fmt: skip
    if not shared_version:
        shared_version += [world, await trained(world, churn(120), "left", max_trials=1)]
    origin, version = shared_version
    with pytest.raises(InvalidInput) as refused:
        await origin.runner.predict(origin.call(), version, body)
    assert refused.value.code == code


@pytest.fixture(scope="module")
def shared_version() -> list[Any]:
    """A world and its version, made by the first test that needs them."""
    return []


async def test_a_changed_artifact_is_never_used(world: World) -> None:
    version = await trained(world, prices(80), "price", max_trials=4)
    data = await world.objects.get(world.tenant.tenant_id, version.object_name)
    model = read(data)
    assert read(write(model)).predict_coded(model.background).scores.tolist() == (
        model.predict_coded(model.background).scores.tolist()
    )
    random = np.random.default_rng(0)
    for place in random.integers(0, len(data), 60):
        changed = data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
        try:
            read(changed)
        except BadArtifact:
            continue
        # Only what no reader of a zip looks at may change without being seen: what is read was hashed.
        with zipfile.ZipFile(io.BytesIO(changed)) as one, zipfile.ZipFile(io.BytesIO(data)) as other:
            assert [one.read(name) for name in one.namelist()] == [other.read(name) for name in other.namelist()]
    for cut in (0, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(BadArtifact):
            read(data[:cut])
    with pytest.raises(BadArtifact):
        read(pack({"manifest.json": b"{}"}))
    await world.objects.put(world.tenant.tenant_id, version.object_name, data[:-1] + b"\x01")
    with pytest.raises(RuntimeError, match="not what was registered"):
        await world.runner.predict(world.call(), version, {"rows": [{"size": 1}]})


async def test_forecasts_go_on_from_what_came_since(world: World) -> None:
    rows = 96
    values = [100 + n + 10 * ((n % 12) - 6) for n in range(rows)]
    months = [f"{2016 + n // 12}-{n % 12 + 1:02d}-01" for n in range(rows)]
    table = as_csv({"month": months[::-1], "sales": values[::-1]})
    version = await trained(world, table, "sales", time_column="month", horizon=6, season_length=12, held_out_share=0.2)
    assert world.registry.versions[-1].task == "forecasting"
    answer = await world.runner.predict(world.call(), version, {})
    expected = [100 + n + 10 * ((n % 12) - 6) for n in range(rows, rows + 6)]
    assert [each["value"] for each in answer["predictions"]] == pytest.approx(expected, abs=15)
    assert all(each["lower"] <= each["value"] <= each["upper"] for each in answer["predictions"])
    later = await world.runner.predict(world.call(), version, {"rows": [{"sales": value} for value in expected[:3]]})
    assert later["newer_observations"] == 3
    with pytest.raises(InvalidInput):
        await world.runner.predict(world.call(), version, {"rows": [{"sales": "many"}]})
    with pytest.raises(InvalidInput):
        await world.runner.predict(world.call(), version, {"rows": [{"sales": 1}], "explain": True})


async def test_models_that_were_used_last_stay_in_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await trained(world, prices(60), "price", max_trials=1)
    second = await trained(world, prices(60, seed=2), "price", max_trials=1)
    fetched: list[str] = []
    get = world.objects.get

    async def counted(tenant_id: UUID, name: str) -> bytes:
        fetched.append(name)
        return await get(tenant_id, name)

    monkeypatch.setattr(world.objects, "get", counted)
    runner = AutomlRunner(world.objects, world.pool, cached_bytes=1)
    for version in (first, first, second, second, first):
        await runner.predict(world.call(), version, {"rows": [{"size": 50, "garden": True}]})
    assert fetched == [first.object_name, second.object_name, first.object_name]


def predictions(world: World, version: StoredVersion, rows_at_once: int = 40) -> PredictionsWork:
    async def lookup(_tenant_id: UUID, model: str, wanted: str | None) -> tuple[StoredVersion, Runner]:
        if model != "m":
            raise NotFound("model_not_found", "No such model.")
        assert wanted in (None, str(version.number))
        return version, world.runner

    return PredictionsWork(world.datasets, world.objects, world.files, lookup, rows_at_once)


async def test_a_dataset_is_predicted_part_by_part_into_one_file(world: World) -> None:
    version = await trained(world, churn(200), "left")
    dataset_id = await world.dataset(churn(130, seed=9))
    given = {"model": "m", "dataset_id": dataset_id, "keep": ["customer", "left"]}
    work = predictions(world, version)
    assert await work.bound(world.call().principal, given) == {PREDICTIONS: 130}
    job = await world.job("predictions", given)
    dead = world.task(job)
    dead.ends_at = 0
    await work.work(dead)  # a slice whose answer nobody got
    done, tasks = await world.work(work, job)
    assert done.state == "succeeded", done
    assert sum(task.call.usage.predictions for task in tasks) == 130
    assert done.result is not None
    content = await world.files.content(world.tenant.tenant_id, done.result["output_file_id"], 2**30)
    lines = [orjson.loads(line) for line in content.splitlines()]
    assert [line["row"] for line in lines] == list(range(130))
    assert lines[7]["kept"]["customer"] == "c-7"
    table = csv.DictReader(io.StringIO(churn(130, seed=9).decode()))
    row = list(table)[7]
    single = {"plan": row["plan"], "months": float(row["months"]), "noise": float(row["noise"]),
              "age": float(row["age"]) if row["age"] else None}  # fmt: skip
    answer = await world.runner.predict(world.call(), version, {"rows": [single]})
    assert lines[7]["prediction"]["probabilities"] == pytest.approx(answer["predictions"][0]["probabilities"])
    assert all(not name.startswith("jobs/") for name in await world.objects.names(world.tenant.tenant_id))


async def test_a_cancelled_job_has_a_file_of_what_is_done_and_goes_on_when_it_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = await trained(world, churn(120), "left", max_trials=1)
    job = await world.job("predictions", {"model": "m", "dataset_id": await world.dataset(churn(100))})
    looks = 0

    async def after_two_parts(_task: ComputeTask) -> bool:
        nonlocal looks
        looks += 1
        return looks > 2

    with monkeypatch.context() as patched:
        patched.setattr(ComputeTask, "is_cancelled", after_two_parts)
        done, _ = await world.work(predictions(world, version), job)
    assert done.state == "cancelled"
    assert done.result is not None
    assert done.result["rows"] == 80
    first = await world.files.content(world.tenant.tenant_id, done.result["output_file_id"], 2**30)
    again = job.model_copy(update={"progress": dict(done.progress)})
    finished, tasks = await world.work(predictions(world, version), again)
    assert finished.result is not None
    assert finished.result["output_file_id"] == done.result["output_file_id"]
    whole = await world.files.content(world.tenant.tenant_id, finished.result["output_file_id"], 2**30)
    assert len(whole.splitlines()) == 100
    assert whole.startswith(first)
    assert sum(task.call.usage.predictions for task in tasks) == 20, "only what was missing"


async def test_a_csv_of_predictions_has_a_column_a_class(world: World) -> None:
    version = await trained(world, churn(120), "left", max_trials=1)
    given = {"model": "m", "dataset_id": await world.dataset(churn(60)), "keep": ["customer"], "format": "csv"}
    done, _ = await world.work(predictions(world, version), await world.job("predictions", given))
    assert done.result is not None
    content = await world.files.content(world.tenant.tenant_id, done.result["output_file_id"], 2**30)
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert len(rows) == 60
    assert rows[0].keys() == {"row", "customer", "class", "probability", "probabilities.no", "probabilities.yes"}


async def test_predictions_that_cannot_be_made_are_refused_before(world: World) -> None:
    version = await trained(world, churn(120), "left", max_trials=1)
    work, who = predictions(world, version), world.call().principal
    good = {"model": "m", "dataset_id": await world.dataset(churn(60))}
    with pytest.raises(InvalidInput, match="no column"):
        await work.bound(who, {**good, "keep": ["nothing"]})
    with pytest.raises(InvalidInput, match="JSON lines"):
        await work.bound(who, {**good, "explain": True, "format": "csv"})
    with pytest.raises(InvalidInput, match="no feature"):
        await work.bound(who, {**good, "dataset_id": await world.dataset(b"a\n1\n2\n")})
    with pytest.raises(NotFound):
        await work.bound(who, {**good, "model": "other"})
