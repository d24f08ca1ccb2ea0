"""Asking uploaded models."""

from __future__ import annotations

import asyncio

from omni.foundation.objects import ObjectStore
from tests.inference import onnx_files
from tests.inference.backend import refusal, usage
from tests.inference.registry.conftest import MODELS, Registry

WEIGHTS = [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]


async def test_a_version_answers_and_counts_its_rows(registry: Registry) -> None:
    await registry.model("linear", onnx_files.linear(WEIGHTS, [0.5, 0.25]))
    answer = await registry.predict("linear", inputs={"x": [[1, 1, 1], [0, 0, 2]]})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "model": "linear",
        "version": 1,
        "outputs": {"y": {"dtype": "float32", "shape": [2, 2], "data": [[6.5, 60.25], [6.5, 60.25]]}},
    }
    assert usage(answer)["predictions"] == 2
    assert usage(answer)["compute_ms"] >= 1
    assert answer.headers["omni-model"] == "registry/linear:1"


async def test_what_does_not_fit_the_signature_is_refused(registry: Registry) -> None:
    await registry.model("linear", onnx_files.linear(WEIGHTS))
    for inputs in (
        {"x": [[1, 2]]},
        {"z": [[1, 2, 3]]},
        {"x": [[1, 2, 3], [1]]},
        {"x": [["a", 2, 3]]},
        {"x": [[1e39, 0, 0]]},
    ):
        answer = await registry.predict("linear", inputs=inputs)
        assert refusal(answer) == (400, "inputs_invalid"), inputs


async def test_the_champion_is_asked_unless_another_is_named(registry: Registry) -> None:
    await registry.model("m", *(onnx_files.linear([[factor]]) for factor in (1.0, 2.0, 3.0)))
    body = {"inputs": {"x": [[1]]}}

    async def asked(**which: object) -> int:
        answer = (await registry.predict("m", **body, **which)).json()
        assert answer["outputs"]["y"]["data"] == [[float(answer["version"])]]
        return int(answer["version"])

    assert await asked() == 3
    await registry.tenant.send("PUT", f"{MODELS}/m/aliases/champion", json={"version": 1})
    await registry.tenant.send("PUT", f"{MODELS}/m/aliases/next", json={"version": 2})
    assert [await asked(), await asked(alias="next"), await asked(version=3)] == [1, 2, 3]
    both = await registry.predict("m", **body, alias="next", version=1)
    assert refusal(both) == (400, "inputs_invalid")
    assert refusal(await registry.predict("m")) == (400, "inputs_invalid")
    assert refusal(await registry.predict("m", rows=[{}])) == (400, "inputs_invalid")


async def test_missing_and_infinite_numbers_are_said_in_json(registry: Registry) -> None:
    await registry.model("m", onnx_files.linear([[1.0]]))
    answer = await registry.predict("m", inputs={"x": [[None], [3e38], [-1]]})
    assert answer.json()["outputs"]["y"]["data"][0] == [None]
    await registry.model("wide", onnx_files.linear([[10.0]]))
    answer = await registry.predict("wide", inputs={"x": [[3e38], [-3e38]]})
    assert answer.json()["outputs"]["y"]["data"] == [["Infinity"], ["-Infinity"]]


async def test_a_version_that_kills_its_process_again_and_again_is_put_out_of_service(registry: Registry) -> None:
    await registry.model("loop", onnx_files.looping())
    endless, short = {"turns": 1 << 60, "x": [1]}, {"turns": 2, "x": [1]}
    for deaths in (1, 2):
        died = await registry.predict("loop", inputs=endless)
        assert refusal(died) == (422, "model_process_ended")
        assert (died.json()["deaths"], died.json()["out_of_service"]) == (deaths, False)
    assert (await registry.predict("loop", inputs=short)).status_code == 200
    for deaths in (1, 2, 3):
        died = await registry.predict("loop", inputs=endless)
        assert died.json()["out_of_service"] == (deaths == 3)
    out = await registry.predict("loop", inputs=short)
    assert refusal(out) == (409, "version_out_of_service")
    assert (await registry.get("/loop/versions/1"))["state"] == "withdrawn"
    back = await registry.tenant.send("PATCH", f"{MODELS}/loop/versions/1", json={"state": "ready"})
    assert back.json()["state"] == "ready"
    assert (await registry.predict("loop", inputs=short)).json()["outputs"]["y"]["data"] == [1.0]


async def test_too_much_memory_is_an_answer(registry: Registry) -> None:
    await registry.model("big", onnx_files.allocating())
    failed = await registry.predict("big", inputs={"x": [1], "count": [1 << 29]})
    assert refusal(failed) == (422, "model_run_failed")
    assert failed.json()["kind"] == "memory"
    assert (await registry.predict("big", inputs={"x": [1], "count": [10]})).json()["outputs"]["y"]["data"] == 10.0


async def test_rows_that_depend_on_each_other_are_never_joined(registry: Registry) -> None:
    await registry.model("centred", onnx_files.centred())
    assert not (await registry.get("/centred/versions/1"))["signature"]["joinable"]
    answers = await asyncio.gather(*(registry.predict("centred", inputs={"x": [[n, n], [n + 2, n]]}) for n in range(8)))
    assert all(each.json()["outputs"]["y"]["data"] == [[-1, 0], [1, 0]] for each in answers)


async def test_requests_at_the_same_time_get_their_own_answers(registry: Registry) -> None:
    await registry.model("m", onnx_files.linear([[2.0]]))
    answers = await asyncio.gather(*(registry.predict("m", inputs={"x": [[n]] * (1 + n % 3)}) for n in range(40)))
    assert [each.json()["outputs"]["y"]["data"] for each in answers] == [[[2.0 * n]] * (1 + n % 3) for n in range(40)]


async def test_a_stored_file_that_was_changed_is_not_loaded(registry: Registry, objects: ObjectStore) -> None:
    await registry.model("m", onnx_files.linear([[2.0]]))
    (name,) = await objects.names(registry.tenant.tenant_id)
    await objects.put(registry.tenant.tenant_id, name, onnx_files.linear([[3.0]]))
    assert refusal(await registry.predict("m", inputs={"x": [[1]]})) == (503, "model_damaged")


async def test_numbers_that_json_does_not_have_are_refused(registry: Registry) -> None:
    await registry.model("m", onnx_files.linear([[1.0]]))
    for text in ("NaN", "Infinity", "1e999", "[" * 500 + "]" * 500):
        body = b'{"inputs": {"x": [[%s]]}}' % text.encode()
        answer = await registry.tenant.send(
            "POST", f"{MODELS}/m/predict", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400, text
