"""POST /v1/embeddings and the model list."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from omni.inference.language import minilm
from omni.inference.language.embedder import batches_by_length
from omni.inference.language.minilm import MiniLm, adds_exactly, model_folder
from omni.inference.language.minilm_graph import WrongWeights, build_graph
from omni.inference.language.models import MINILM
from omni.inference.settings import InferenceSettings
from omni.kit.errors import NotConfigured
from tests.inference.backend import Backend, refusal, usage

REFERENCE = json.loads((Path(__file__).parent.parent / "data/minilm_reference.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = REFERENCE["cases"]
MODEL = "all-MiniLM-L6-v2"
WEIGHTS = model_folder(MINILM) / "model.safetensors"
SERVED_COSINE = 0.995
"""Of a vector from 8-bit layers with the one in float64, at least."""


async def embed(engines: Backend, texts: object, **more: object) -> dict[str, Any]:
    response = await engines.post("/v1/embeddings", {"model": MODEL, "input": texts, **more})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def test_the_network_is_that_of_an_independent_implementation(tmp_path: Path) -> None:
    exact = tmp_path / "float32.onnx"
    build_graph(WEIGHTS, MINILM.weights_sha256, exact, None)
    session = onnxruntime.InferenceSession(str(exact), providers=["CPUExecutionProvider"])
    for case in CASES:
        ids = np.array([case["ids"]])
        ((vector,),) = session.run(["embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        assert vector @ np.array(case["vector"]) >= 0.9999


async def test_vectors_in_eight_bits_are_near_those_of_an_independent_implementation(engines: Backend) -> None:
    body = await embed(engines, [case["text"] for case in CASES])
    assert [item["index"] for item in body["data"]] == list(range(len(CASES)))
    for item, case in zip(body["data"], CASES, strict=True):
        vector, expected = np.array(item["embedding"]), np.array(case["vector"])
        assert abs(np.linalg.norm(vector) - 1) < 1e-5
        assert vector @ expected / np.linalg.norm(vector) / np.linalg.norm(expected) >= SERVED_COSINE


async def test_tokens_are_counted_as_an_independent_tokenizer_does(engines: Backend) -> None:
    response = await engines.post("/v1/embeddings", {"model": MODEL, "input": [case["text"] for case in CASES]})
    tokens = sum(len(case["ids"]) for case in CASES)
    assert response.json()["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert usage(response)["input_tokens"] == tokens
    assert usage(response)["compute_ms"] >= 1
    assert response.headers["omni-model"] == MODEL


async def test_a_batch_gives_what_each_text_gives_alone(engines: Backend) -> None:
    together = await embed(engines, [case["text"] for case in CASES])
    for item, case in zip(together["data"], CASES, strict=True):
        (alone,) = (await embed(engines, case["text"]))["data"]
        assert np.allclose(item["embedding"], alone["embedding"], atol=1e-5)


async def test_base64_holds_the_same_numbers(engines: Backend) -> None:
    (plain,) = (await embed(engines, "cat"))["data"]
    (packed,) = (await embed(engines, "cat", encoding_format="base64"))["data"]
    assert np.allclose(np.frombuffer(base64.b64decode(packed["embedding"]), "<f4"), plain["embedding"], atol=1e-6)


async def test_token_ids_give_the_vector_of_their_text(engines: Backend) -> None:
    case = CASES[1]
    framed, bare = case["ids"], case["ids"][1:-1]
    expected = (await embed(engines, case["text"]))["data"][0]["embedding"]
    for given in (framed, bare, [framed], [bare]):
        (item,) = (await embed(engines, given, id_vocabulary="model"))["data"]
        assert np.allclose(item["embedding"], expected, atol=1e-6)


async def test_ids_of_openai_are_read_as_the_text_that_they_spell(engines: Backend) -> None:
    hello_fox = [9906, 11410, 99, 232, 11, 90043, 451, 95589]  # "Hello 🦊, Ødegaard" by tiktoken 0.14
    expected = (await embed(engines, "Hello 🦊, \u00d8degaard"))["data"][0]["embedding"]
    for given in (hello_fox, [hello_fox]):
        (item,) = (await embed(engines, given))["data"]
        assert np.allclose(item["embedding"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": "gpt-unknown"}, (404, "model_not_found")),
        ({"input": []}, (400, "invalid_request")),
        ({"input": ""}, (400, "input_empty")),
        ({"input": ["fine", "  "]}, (400, "input_empty")),
        ({"input": [[]]}, (400, "input_empty")),
        ({"input": [30_522], "id_vocabulary": "model"}, (400, "token_id_out_of_range")),
        ({"input": [100_256]}, (400, "token_id_out_of_range")),
        ({"input": [[9906], [11410, 99]]}, (400, "token_ids_not_text")),
        ({"input": [9906], "id_vocabulary": "p50k_base"}, (400, "invalid_request")),
        ({"input": [[5], [-1]]}, (400, "token_id_out_of_range")),
        ({"input": "word " * 255}, (400, "input_too_long")),
        ({"input": "x" * 8_193}, (400, "invalid_request")),
        ({"input": ["x"] * 257}, (400, "invalid_request")),
        ({"input": {"text": "x"}}, (400, "invalid_request")),
        ({"input": ["text", 5]}, (400, "invalid_request")),
        ({"dimensions": 256}, (400, "dimensions_not_supported")),
        ({"encoding_format": "hex"}, (400, "invalid_request")),
    ],
)
async def test_bad_input_is_refused(engines: Backend, change: dict[str, object], expected: tuple[int, str]) -> None:
    response = await engines.post("/v1/embeddings", {"model": MODEL, "input": "cat", **change})
    assert refusal(response) == expected
    assert set(response.json()) == {"error"}


async def test_too_long_input_is_named(engines: Backend) -> None:
    response = await engines.post("/v1/embeddings", {"model": MODEL, "input": ["fine", "word " * 255]})
    assert "input[1] has 257 tokens" in response.json()["error"]["message"]


async def test_the_longest_input_is_served(engines: Backend) -> None:
    assert (await embed(engines, "word " * 254))["usage"]["prompt_tokens"] == 256


async def test_a_lone_surrogate_is_refused(engines: Backend) -> None:
    body = b'{"model": "all-MiniLM-L6-v2", "input": "\\ud800"}'
    response = await engines.send("POST", "/v1/embeddings", content=body, headers={"content-type": "application/json"})
    assert refusal(response) == (400, "invalid_json")


async def test_models_are_listed_and_looked_up(engines: Backend) -> None:
    (listed,) = (await engines.send("GET", "/v1/models")).json()["data"]
    assert listed["id"] == MODEL
    assert (await engines.send("GET", f"/v1/models/{MODEL}")).json() == listed
    missing = await engines.send("GET", "/v1/models/other")
    assert refusal(missing) == (404, "model_not_found")
    assert MODEL in missing.json()["error"]["message"]


def test_weights_that_are_not_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(WrongWeights):
        build_graph(tmp_path / "model.safetensors", MINILM.weights_sha256, tmp_path / "graph.onnx", None)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_model_that_is_not_installed_is_said(tmp_path: Path) -> None:
    model = type(MINILM)(
        name="absent", package="no_such_model", weights_sha256="", tokenizer_sha256="", dimensions=1, max_tokens=1,
        vocabulary=1, owner="", listed_at=0,
    )  # fmt: skip
    with pytest.raises(NotConfigured):
        MiniLm(model, tmp_path, 1)


def test_a_damaged_graph_is_built_again(
    engines: Backend, inference_settings: InferenceSettings, tmp_path: Path
) -> None:
    MiniLm(MINILM, inference_settings.model_cache, 1)
    (built,) = inference_settings.model_cache.glob("*.onnx")
    assert f"graph{minilm.GRAPH_VERSION}" in built.name
    damaged = tmp_path / built.name
    damaged.write_bytes(built.read_bytes()[:1000])
    (vector,) = MiniLm(MINILM, tmp_path, 1).embed([CASES[0]["ids"]])
    assert vector @ np.array(CASES[0]["vector"]) >= SERVED_COSINE
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize(
    ("flags", "exact"), [("avx2 fma", False), ("avx2 avx512_vnni", True), ("avx2 avx_vnni fma", True)]
)
def test_processors_that_add_exactly_are_known(tmp_path: Path, flags: str, exact: bool) -> None:
    described = tmp_path / "cpuinfo"
    assert not adds_exactly(described)
    described.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
    assert adds_exactly(described) == exact


def test_batches_stay_within_their_budget() -> None:
    lengths = [3, 250, 17, 17, 9, 256, 3]
    batches = list(batches_by_length(lengths, 512))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(max(lengths[i] for i in batch) * len(batch) <= 512 for batch in batches)


async def test_a_model_that_the_plan_does_not_have_answers_like_none(engines: Backend) -> None:
    without = Backend(engines.app, models=frozenset({"another"}))
    assert (await without.send("GET", "/v1/models")).json()["data"] == []
    refused = await without.post("/v1/embeddings", {"model": MODEL, "input": "x"})
    unknown = await without.post("/v1/embeddings", {"model": "gpt-unknown", "input": "x"})
    assert refusal(refused) == refusal(unknown) == (404, "model_not_found")
    assert (await without.send("GET", f"/v1/models/{MODEL}")).status_code == 404
    with_it = Backend(engines.app, models=frozenset({MODEL}))
    assert (await with_it.post("/v1/embeddings", {"model": MODEL, "input": "x"})).status_code == 200
