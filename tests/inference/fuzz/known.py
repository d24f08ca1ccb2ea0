"""What a tenant has: things of every kind, named in most requests that fit the schema.

schemathesis does not find out by itself which files datasets and batches are made of, that a batch is a job of another
name, or what a model takes. And it deletes what it has found.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from schemathesis.generation.meta import TestPhase
from schemathesis.python.asgi import get_client

from tests.inference.fuzz.front import KEY, Front
from tests.inference.onnx_files import linear

if TYPE_CHECKING:
    from schemathesis import BaseSchema, Case, HookContext

_FILES, _SPARE = 40, 3
_LINE = b"""
{"custom_id": "1", "method": "POST", "url": "/v1/embeddings", "body": {"model": "all-MiniLM-L6-v2", "input": "x"}}
"""
_TABLE = "age,plan,left\n" + "".join(f"{20 + n % 40},{'ab'[n % 2]},{'yn'[n % 3 == 0]}\n" for n in range(60))
_ONNX = linear([[1.0], [2.0]])
_MODELS = "/v1/registry/models"
_CONFLICTING = ("version", "alias", "rows")


class Tenant:
    """Asks the backend for what requests can name."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._asked: Counter[str] = Counter()
        self._table = self._file("table.csv", _TABLE.encode(), "dataset")
        self._onnx = self._file("model.onnx", _ONNX, "user_data")
        batch_files = [self._file("requests.jsonl", _LINE, "batch") for _ in range(_FILES)]
        self._batch_files = itertools.cycle(batch_files)
        self._datasets = [self._dataset() for _ in range(2)]
        self._kept = self._paths()
        self._prediction = self.post(
            f"/v1/deployments/{self._kept['deployment']}/predict", {"inputs": {"x": [[1, 2]]}}
        )["prediction_id"]
        self._changed = {"model": self._model("changed", 2), "version": "1", "alias": "newest"}
        self._spare = dict(self._spares())
        self._bodies = self._good_bodies()

    def post(self, path: str, body: Any = None, method: str = "POST", **sent: Any) -> Any:
        """The answer's JSON."""
        with get_client(cast("Any", self._front)) as client:
            client.headers["Authorization"] = f"Bearer {KEY}"
            answer = client.request(method, path, json=body, **sent)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json()

    def name_in(self, case: Case[Any]) -> None:
        """Names what there is in two of three cases of an operation."""
        operation = case.operation
        label = f"{operation.method.upper()} {operation.path}"
        self._asked[label] += 1
        if self._asked[label] % 3 == 0 or operation.path.startswith("/v1/models"):
            return
        if case.path_parameters:
            names = self._names(operation.method.upper(), operation.path)
            case.path_parameters = {name: names.get(name, value) for name, value in case.path_parameters.items()}
        if isinstance(case.body, dict) and case.media_type == "application/json":
            if label == "POST /v1/batches":
                case.body = {**case.body, "input_file_id": next(self._batch_files)}
            elif label in self._bodies:
                given = {name: value for name, value in case.body.items() if name not in _CONFLICTING}
                case.body = {**given, **self._bodies[label]}

    def _names(self, method: str, path: str) -> Mapping[str, str]:
        if method == "DELETE":
            return next(self._spare.get(path, iter(())), {})
        if method == "PATCH" or path.endswith("/aliases/{alias}"):
            return {**self._kept, **self._changed}
        return self._kept

    def _paths(self) -> dict[str, str]:
        """By path parameter, what is asked for and not changed."""
        collection_id = self.post("/v1/collections", {"name": "kept"})["id"]
        model = self._model("kept", 3)
        self.post(f"{_MODELS}/{model}/aliases/champion", {"version": 1}, "PUT")
        batch_id = self._batch()
        return {
            "collection_id": collection_id,
            "document_id": self._document(collection_id, "kept.md"),
            "dataset_id": self._datasets[0],
            "batch_id": batch_id,
            "job_id": str(UUID(batch_id.removeprefix("batch_"))),
            "model": model,
            "version": "1",
            "alias": "champion",
            "deployment": self._deployment("kept", model),
        }

    def _good_bodies(self) -> dict[str, dict[str, Any]]:
        """By operation, members that fit what there is."""
        automl = {
            "kind": "automl",
            "input": {"dataset_id": self._datasets[0], "target": "left", "model_name": "leavers"},
        }
        asked = {"inputs": {"x": [[0.5, 2], [1, 3]]}, "explain": False}
        versions = {"versions": [{"version": 1}, {"version": 2, "weight": 3}], "canary": None, "shadow": {"version": 3}}
        question = {"question": "Where is the key?", "relevant": [{"document_id": self._kept["document_id"]}]}
        return {
            "POST /v1/datasets": {"file_id": self._table, "format": "csv"},
            "POST /v1/datasets/{dataset_id}/drift": {"current_dataset_id": self._datasets[1], "columns": ["age"]},
            "POST /v1/jobs": {**automl, "quote": None, "max_price": None},
            "POST /v1/quotes": automl,
            "POST /v1/registry/models/{model}/versions": {"file_id": self._onnx, "dimensions": {}},
            "PUT /v1/registry/models/{model}/aliases/{alias}": {"version": 2},
            "POST /v1/registry/models/{model}/predict": asked,
            "POST /v1/deployments": {"model": self._kept["model"], **versions},
            "PATCH /v1/deployments/{deployment}": versions,
            "POST /v1/deployments/{deployment}/predict": asked,
            "POST /v1/deployments/{deployment}/feedback": {"prediction_id": self._prediction},
            "POST /v1/collections/{collection_id}/evaluate": {"questions": [question]},
            "POST /v1/collections/{collection_id}/answer": {"question": "Where is the key?", "filter": None},
        }

    def _spares(self) -> Iterator[tuple[str, Iterator[dict[str, str]]]]:
        """By path, what may be deleted, each once."""
        numbers = range(2, _SPARE + 2)
        yield "/v1/datasets/{dataset_id}", iter([{"dataset_id": self._dataset()} for _ in numbers])
        model = self._model("spare", _SPARE + 1)
        for number in numbers:
            self.post(f"{_MODELS}/{model}/aliases/spare-{number}", {"version": 1}, "PUT")
        path = _MODELS + "/{model}"
        yield path, iter([{"model": self._model(f"spare-{n}", 0)} for n in numbers])
        yield path + "/versions/{version}", iter([{"model": model, "version": str(n)} for n in numbers])
        yield path + "/aliases/{alias}", iter([{"model": model, "alias": f"spare-{n}"} for n in numbers])
        deployments = [{"deployment": self._deployment(f"spare-{n}", self._kept["model"])} for n in numbers]
        yield "/v1/deployments/{deployment}", iter(deployments)
        collection_id = self.post("/v1/collections", {"name": "spare"})["id"]
        documents = [self._document(collection_id, f"{n}.md") for n in numbers]
        yield (
            "/v1/collections/{collection_id}/documents/{document_id}",
            iter([{"collection_id": collection_id, "document_id": each} for each in documents]),
        )

    def _file(self, name: str, data: bytes, purpose: str) -> str:
        return str(self.post("/v1/files", files={"file": (name, data)}, data={"purpose": purpose})["id"])

    def _dataset(self) -> str:
        return str(self.post("/v1/datasets", {"file_id": self._table, "name": "table"})["id"])

    def _batch(self) -> str:
        body = {"input_file_id": next(self._batch_files), "endpoint": "/v1/embeddings", "completion_window": "24h"}
        return str(self.post("/v1/batches", body)["id"])

    def _model(self, name: str, versions: int) -> str:
        """Its id: it may be renamed."""
        model_id = self.post(_MODELS, {"name": name})["id"]
        for _ in range(versions):
            self.post(f"{_MODELS}/{model_id}/versions", {"file_id": self._onnx})
        return str(model_id)

    def _deployment(self, name: str, model: str) -> str:
        body = {"name": name, "model": model, "versions": [{"version": 1}]}
        return str(self.post("/v1/deployments", body)["id"])

    def _document(self, collection_id: str, name: str) -> str:
        body = {"name": name, "text": f"The key of {name} is under the mat."}
        return str(self.post(f"/v1/collections/{collection_id}/documents", body)["id"])


def name_what_there_is(schema: BaseSchema, front: Front) -> None:
    """Has the cases name what a tenant has. Those that are to be refused stay as they are, and so do sequences of
    calls: they name what they have made."""
    tenant = Tenant(front)

    @schema.hook
    def map_case(_context: HookContext, case: Case[Any]) -> Any:
        meta = case.meta
        if meta is not None and meta.generation.mode.is_positive and meta.phase.name != TestPhase.STATEFUL:
            tenant.name_in(case)
        return case
