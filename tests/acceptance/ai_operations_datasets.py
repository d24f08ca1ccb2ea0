"""What datasets must answer, and count, when they are called through the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from tests.acceptance.ai_operations import Operation

TABLE = b"size,kind\n" + b"".join(b"%d,%s\n" % (n, b"ab"[n % 2 : n % 2 + 1]) for n in range(40))
LATER = b"size,kind\n" + b"".join(b"%d,%s\n" % (n + 100, b"ab"[n % 2 : n % 2 + 1]) for n in range(40))
DATASET = "/v1/datasets/{dataset_id}"


def dataset(client: httpx2.Client, data: bytes) -> str:
    """The id of a new dataset."""
    file = client.post("/v1/files", files={"file": ("t.csv", data)}, data={"purpose": "dataset"})
    assert file.status_code == 200, file.text
    made = client.post("/v1/datasets", json={"file_id": file.json()["id"], "name": "sizes"})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def a_dataset(client: httpx2.Client) -> Mapping[str, str]:
    return {"dataset_id": dataset(client, TABLE)}


def is_typed(answer: Any) -> None:
    """By hand."""
    assert answer["rows"] == 40
    columns = [(each["name"], each["type"], each["distinct"]) for each in answer["columns"]]
    assert columns == [("size", "number", 40), ("kind", "category", 2)]
    assert answer["profile"]["columns"][0]["numbers"]["mean"] == 19.5


def has_two_columns(answer: Any) -> None:
    assert (answer["data"][0]["columns"], answer["data"][0]["rows"]) == (2, 40)


def a_file(client: httpx2.Client) -> Mapping[str, str]:
    file = client.post("/v1/files", files={"file": ("t.csv", TABLE)}, data={"purpose": "dataset"})
    return {"file_id": str(file.json()["id"])}


def two_datasets(client: httpx2.Client) -> Mapping[str, str]:
    return {"dataset_id": dataset(client, TABLE), "later_id": dataset(client, LATER)}


def only_sizes_drifted(answer: Any) -> None:
    """No size is in both: the statistic of Kolmogorov and Smirnov is 1."""
    found = {each["name"]: (each["statistic"], each["verdict"]) for each in answer["columns"]}
    assert found == {"size": (1.0, "major"), "kind": (0.0, "stable")}


COMPUTES = frozenset({"compute_ms"})
CASES = (
    Operation("POST", "/v1/datasets", {"file_id": "{file_id}", "name": "sizes"}, is_typed, COMPUTES, 201, a_file),
    Operation(
        "POST",
        DATASET + "/drift",
        {"current_dataset_id": "{later_id}"},
        only_sizes_drifted,
        COMPUTES,
        prepare=two_datasets,
    ),
    Operation("GET", "/v1/datasets", None, has_two_columns, frozenset(), prepare=a_dataset),
    Operation("GET", DATASET, None, is_typed, frozenset(), prepare=a_dataset),
    Operation("DELETE", DATASET, None, lambda _answer: None, frozenset(), status=204, prepare=a_dataset),
)
