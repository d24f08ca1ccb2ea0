"""POST /v1/tabular/profile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.inference.backend import Backend, refusal, usage


async def profile(engines: Backend, rows: list[list[Any]], **more: object) -> dict[str, Any]:
    response = await engines.post("/v1/tabular/profile", {"rows": rows, **more})
    assert response.status_code == 200, response.text
    assert usage(response)["compute_ms"] >= 1
    found: dict[str, Any] = response.json()
    return found


def codes(found: dict[str, Any]) -> set[tuple[str, ...]]:
    return {(problem["code"], *problem["columns"]) for problem in found["problems"]}


async def test_numbers_as_numpy_sums_them_up(engines: Backend) -> None:
    values = [*np.random.default_rng(0).normal(5, 2, 200).tolist(), 100.0, 0.0, -7.0]
    found = await profile(engines, [[value] for value in values])
    (column,) = found["columns"]
    numbers = column["numbers"]
    assert (column["name"], column["kind"], column["missing"]) == ("column 0", "number", 0)
    assert numbers["mean"] == pytest.approx(np.mean(values))
    assert numbers["standard_deviation"] == pytest.approx(np.std(values, ddof=1))
    quartiles = np.percentile(values, [5, 25, 50, 75, 95])
    assert list(numbers["quantiles"].values()) == pytest.approx(quartiles.tolist())
    fence = 1.5 * (quartiles[3] - quartiles[1])
    outside = [v for v in values if v < quartiles[1] - fence or v > quartiles[3] + fence]
    assert numbers["outliers"] == len(outside) >= 2
    assert (numbers["minimum"], numbers["maximum"], numbers["zeros"]) == (-7, 100, 1)
    assert numbers["negative"] == sum(v < 0 for v in values)


async def test_kinds_of_columns(engines: Backend) -> None:
    rows: list[list[Any]] = [
        [1, 1.5, True, "2024-02-29", "a", 1, None],
        [2, 2, False, "2024-03-01T10:00:00+02:00", "b", "x", None],
        [None, 3, None, "20240301T120000", "a", True, None],
    ]
    found = await profile(engines, rows, columns=["i", "n", "b", "d", "t", "m", "e"])
    columns = {column["name"]: column for column in found["columns"]}
    assert [columns[name]["kind"] for name in "inbtme"] == ["integer", "number", "boolean", "text", "mixed", "empty"]
    assert columns["d"]["kind"] == "text"  # the third has no dashes
    assert columns["i"]["missing"] == 1
    assert columns["t"]["distinct"] == 2
    assert columns["t"]["text"]["most_common"] == [{"value": "a", "count": 2}, {"value": "b", "count": 1}]
    assert columns["b"]["text"]["most_common"][0] == {"value": "false", "count": 1}
    dates = await profile(engines, [row[3:4] for row in rows[:2]])
    assert dates["columns"][0]["times"] == {
        "earliest": "2024-02-29T00:00:00+00:00",
        "latest": "2024-03-01T08:00:00+00:00",
    }


async def test_every_problem_is_found(engines: Backend) -> None:
    rows: list[list[Any]] = [
        [
            f"u{i}",
            7,
            i % 3,
            i % 3,
            None,
            None if i < 70 else 1.5 * i,
            "x" if i % 2 else 1,
            str(i % 9),
            f"t{i % 60} ",
            1_000 if i < 5 else i % 10,
            "rare" if i == 0 else "usual",
        ]
        for i in range(120)
    ]
    names = ["id", "same", "a", "b", "none", "gaps", "mixed", "digits", "texts", "spikes", "class"]
    found = await profile(engines, [*rows, rows[3]], columns=names, target="class")
    assert codes(found) == {
        ("constant_column", "same"),
        ("empty_column", "none"),
        ("duplicate_columns", "a", "b"),
        ("duplicate_rows",),
        ("missing_values", "gaps"),
        ("mixed_types", "mixed"),
        ("numbers_as_text", "digits"),
        ("many_categories", "id"),
        ("spaces_around_text", "texts"),
        ("many_categories", "texts"),
        ("outliers", "spikes"),
        ("class_imbalance", "class"),
    }
    assert found["duplicate_rows"] == 1
    severities = [problem["severity"] for problem in found["problems"]]
    assert severities == sorted(severities, key=["high", "medium", "low"].index)
    without_copy = await profile(engines, rows, columns=names)
    assert ("suspected_id", "id") in codes(without_copy)
    assert ("duplicate_rows",) not in codes(without_copy)
    assert ("class_imbalance", "class") not in codes(without_copy)


async def test_a_sound_table_has_no_problems(engines: Backend) -> None:
    random = np.random.default_rng(1)
    rows = [[random.uniform(), random.choice(["a", "b"])] for _ in range(100)]
    assert (await profile(engines, rows, columns=["x", "y"], target="y"))["problems"] == []


@pytest.mark.parametrize(
    "row", [[None], [0], [""], ["\u0000"], [True], ["é" * 200], [-1e15], ["2024-99-99"], ["9999-12-31T23:59:59-10:00"]]
)
async def test_one_cell_is_served(engines: Backend, row: list[Any]) -> None:
    found = await profile(engines, [row])
    assert found["rows"] == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"rows": []}, (400, "too_few_rows")),
        ({"rows": [[]]}, (400, "invalid_request")),
        ({"rows": [[1], [1, 2]]}, (400, "rows_differ_in_length")),
        ({"rows": [[1e16]]}, (400, "value_not_usable")),
        ({"rows": [[10**400]]}, (400, "value_not_usable")),
        ({"rows": [["x" * 201]]}, (400, "invalid_request")),
        ({"rows": [[1] * 50] * 4_001}, (400, "too_many_values")),
        ({"rows": [[1]], "columns": []}, (400, "columns_invalid")),
        ({"rows": [[1]], "target": "y"}, (400, "target_unknown")),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, Any], expected: tuple[int, str]) -> None:
    assert refusal(await engines.post("/v1/tabular/profile", body)) == expected


async def test_nan_is_refused_with_its_place(engines: Backend) -> None:
    headers = {"content-type": "application/json"}
    response = await engines.send("POST", "/v1/tabular/profile", content=b'{"rows": [[1], [NaN]]}', headers=headers)
    assert (refusal(response), response.json()["param"]) == ((400, "value_not_usable"), "rows[1][0]")
