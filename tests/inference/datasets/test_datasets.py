"""Datasets: what is read, how it is typed, what is refused, and that nothing stays of what was refused."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet
import pytest

from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.storage.repository import stored_bytes
from omni.kit.ids import uuid7
from tests.inference.backend import Backend, refusal, usage

CSV = b"""age,city,member,since,note,code
31,Koper,true,2024-01-05,"a, b",9007199254740993
45,Maribor,false,2024-02-01,NA,1
,Koper,true,2024-03-01,"NA",2
52.5,Celje,,2024-03-01T12:30:00,x,3
"""


@pytest.fixture
def tenant(stored: Backend) -> Backend:
    return dataclasses.replace(stored, tenant_id=uuid7())


async def upload(tenant: Backend, data: bytes, name: str = "table.csv", purpose: str = "dataset") -> str:
    response = await tenant.send("POST", "/v1/files", files={"file": (name, data)}, data={"purpose": purpose})
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


async def create(tenant: Backend, data: bytes, name: str = "table.csv", **fields: Any) -> httpx2.Response:
    return await tenant.post("/v1/datasets", {"file_id": await upload(tenant, data, name), "name": "mine", **fields})


def parquet_file(table: pa.Table, **options: Any) -> bytes:
    made = io.BytesIO()
    pyarrow.parquet.write_table(table, made, **options)
    return made.getvalue()


async def test_a_csv_is_typed_and_profiled(tenant: Backend) -> None:
    response = await create(tenant, CSV)
    assert response.status_code == 201, response.text
    assert usage(response)["compute_ms"] > 0
    made = response.json()
    assert (made["rows"], made["format"], made["name"]) == (4, "csv", "mine")
    assert made["source_sha256"] == hashlib.sha256(CSV).hexdigest()
    columns = {each["name"]: (each["type"], each["missing"], each["distinct"]) for each in made["columns"]}
    assert columns == {
        "age": ("number", 1, 3), "city": ("category", 0, 3), "member": ("boolean", 1, 2),
        "since": ("timestamp", 0, 4), "note": ("category", 1, 3), "code": ("category", 0, 4),
    }  # fmt: skip
    problems = {(each["code"], *each["columns"]) for each in made["profile"]["problems"]}
    assert ("missing_values", "age") in problems
    assert made["profile"]["columns"][0]["numbers"]["maximum"] == 52.5
    assert (await tenant.send("GET", f"/v1/datasets/{made['id']}")).json() == made


async def test_the_same_rows_in_all_formats_have_the_same_columns(tenant: Backend) -> None:
    rows = {"x": [1.0, 2.5, None, 4.0], "flag": [True, False, None, True], "kind": ["a", "b", "a", None]}
    csv = b"x;flag;kind\n1;true;a\n2.5;false;b\n;;a\n4;true;\n"
    lines = b'{"x":1,"flag":true,"kind":"a"}\n\n{"x":2.5,"flag":false,"kind":"b"}\n{"kind":"a"}\n{"x":4,"flag":true}\n'
    found = []
    for data, name in ((csv, "t.csv"), (lines, "t.jsonl"), (parquet_file(pa.table(rows)), "t.parquet")):
        response = await create(tenant, data, name)
        assert response.status_code == 201, response.text
        found.append(response.json()["columns"])
    assert found[0] == found[1] == found[2]
    assert [each["type"] for each in found[0]] == ["number", "boolean", "category"]


async def test_datasets_count_as_storage_until_they_are_deleted(tenant: Backend, database: Database) -> None:
    async def stored() -> int:
        async with database.read(tenant.tenant_id) as session:
            return await stored_bytes(session)

    made = (await create(tenant, CSV)).json()
    assert await stored() == len(CSV) + made["stored_bytes"]
    listed = (await tenant.send("GET", "/v1/datasets")).json()
    assert [(each["id"], each["columns"], each["rows"]) for each in listed["data"]] == [(made["id"], 6, 4)]
    assert (await tenant.send("DELETE", f"/v1/datasets/{made['id']}")).status_code == 204
    assert refusal(await tenant.send("GET", f"/v1/datasets/{made['id']}")) == (404, "dataset_not_found")
    assert refusal(await tenant.send("DELETE", f"/v1/datasets/{made['id']}")) == (404, "dataset_not_found")
    assert await stored() == len(CSV)


async def test_pages_follow_each_other(tenant: Backend) -> None:
    ids = [(await create(tenant, CSV)).json()["id"] for _ in range(3)]
    first = (await tenant.send("GET", "/v1/datasets", params={"limit": 2})).json()
    rest = (await tenant.send("GET", "/v1/datasets", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [each["id"] for each in first["data"] + rest["data"]] == ids[::-1]
    assert rest["next_cursor"] is None


WIDE = b",".join(f"c{n}".encode() for n in range(2_001)) + b"\n"
HOSTILE = [
    (b"", "t.csv", "broken_dataset"),
    (b"a,b\n", "t.csv", "empty_dataset"),
    (b"a,a\n1,2\n", "t.csv", "columns_invalid"),
    (b"a,\n1,2\n", "t.csv", "columns_invalid"),
    (b"a\x00b\n1\n", "t.csv", "broken_dataset"),
    (b"a,b\n1,2\n3\n", "t.csv", "broken_dataset"),
    (b"a\n\xff\xfe\n", "t.csv", "broken_dataset"),
    (b"a\n1e400\n", "t.csv", "value_not_usable"),
    (b"a\n1e16\n", "t.csv", "value_not_usable"),
    (WIDE + b"1\n", "t.csv", "dataset_too_large"),
    (b"," * 10_000_000, "t.csv", "dataset_too_large"),
    (b"a\n" + b"1\n" * 1_000_001, "t.csv", "dataset_too_large"),
    (b"[1]\n", "t.jsonl", "broken_dataset"),
    (b'{"a":1}\n{"a":\n', "t.jsonl", "broken_dataset"),
    (b'{"a":{"b":1}}\n', "t.jsonl", "broken_dataset"),
    (b"{}\n" * 10, "t.jsonl", "empty_dataset"),
    (b"PAR1 nothing PAR1", "t.parquet", "broken_dataset"),
    (b"{}", "t.parquet", "broken_dataset"),
]


@pytest.mark.parametrize(("data", "name", "code"), HOSTILE)
async def test_hostile_files_are_refused_and_nothing_stays(
    tenant: Backend, objects: ObjectStore, data: bytes, name: str, code: str
) -> None:
    response = await create(tenant, data, name)
    assert refusal(response) == (413 if code == "dataset_too_large" else 400, code), response.text
    assert (await tenant.send("GET", "/v1/datasets")).json()["data"] == []
    assert [each for each in await objects.names(tenant.tenant_id) if each.startswith("datasets/")] == []


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (pa.table({"a": [[1, 2], [3]]}), "unsupported_column"),
        (pa.table({"a": [{"b": 1}]}), "unsupported_column"),
        (pa.table({"a": [b"x"]}), "unsupported_column"),
        (pa.table({"a": pa.array([float("inf")])}), "value_not_usable"),
        (pa.table({"a": pa.array([0] * 6_000_000), "b": pa.array([0] * 6_000_000)}), "dataset_too_large"),
        (pa.table({"a": pa.array(["x" * 4_000] * 200_000)}), "dataset_too_large"),
    ],
)
async def test_parquet_that_cannot_be_kept_is_refused(tenant: Backend, table: pa.Table, code: str) -> None:
    data = parquet_file(table, compression="zstd")
    assert len(data) < 1_000_000, "small as a file"
    response = await create(tenant, data, "t.parquet")
    assert refusal(response)[1] == code, response.text


async def test_a_changed_parquet_file_is_refused_or_read_and_never_breaks_the_backend(tenant: Backend) -> None:
    good = parquet_file(pa.table({"a": list(range(500)), "b": [str(n) for n in range(500)]}))
    for place in range(4, len(good), max(1, len(good) // 12)):
        broken = good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :]
        response = await create(tenant, broken, "t.parquet")
        assert response.status_code in (201, 400, 413), response.text


async def test_what_is_no_dataset_file_is_refused(tenant: Backend) -> None:
    other = await upload(tenant, CSV, purpose="batch")
    assert refusal(await tenant.post("/v1/datasets", {"file_id": other, "name": "x"})) == (400, "wrong_file_purpose")
    assert refusal(await create(tenant, CSV, "table.data")) == (400, "format_unknown")
    assert (await create(tenant, CSV, "table.data", format="csv")).status_code == 201
    missing = {"file_id": f"file-{uuid7().hex}", "name": "x"}
    assert refusal(await tenant.post("/v1/datasets", missing)) == (404, "file_not_found")


async def test_a_full_plan_takes_no_dataset(tenant: Backend, objects: ObjectStore) -> None:
    file_id = await upload(tenant, CSV)
    full = dataclasses.replace(tenant, storage_bytes_limit=len(CSV) + 10)
    response = await full.post("/v1/datasets", {"file_id": file_id, "name": "x"})
    assert refusal(response) == (429, "storage_quota_exceeded")
    assert [each for each in await objects.names(tenant.tenant_id) if each.startswith("datasets/")] == []


async def test_drift_between_datasets_is_that_of_their_rows(tenant: Backend) -> None:
    before = b"x,kind\n" + b"".join(b"%d,%s\n" % (n, b"ab"[n % 2 : n % 2 + 1]) for n in range(200))
    after = b"kind,x\n" + b"".join(b"%s,%d\n" % (b"ab"[n % 2 : n % 2 + 1], n + 150) for n in range(200))
    first, second = [(await create(tenant, data)).json()["id"] for data in (before, after)]
    response = await tenant.post(f"/v1/datasets/{first}/drift", {"current_dataset_id": second})
    assert response.status_code == 200, response.text
    found = {each["name"]: each for each in response.json()["columns"]}
    rows = {
        "columns": ["x"], "reference": [[n] for n in range(200)], "current": [[n + 150] for n in range(200)],
    }  # fmt: skip
    expected = (await tenant.post("/v1/tabular/drift", rows)).json()["columns"][0]
    assert (found["x"]["psi"], found["x"]["statistic"]) == (expected["psi"], expected["statistic"])
    assert (found["x"]["verdict"], found["kind"]["verdict"]) == ("major", "stable")
    only = {"current_dataset_id": second, "columns": ["nothing"]}
    assert refusal(await tenant.post(f"/v1/datasets/{first}/drift", only)) == (400, "samples_differ")
    missing = {"current_dataset_id": str(uuid7())}
    assert refusal(await tenant.post(f"/v1/datasets/{first}/drift", missing)) == (404, "dataset_not_found")


async def test_another_tenant_finds_nothing(tenant: Backend, stored: Backend) -> None:
    made = (await create(tenant, CSV)).json()["id"]
    other = dataclasses.replace(stored, tenant_id=uuid7())
    assert refusal(await other.send("GET", f"/v1/datasets/{made}")) == (404, "dataset_not_found")
    assert refusal(await other.send("DELETE", f"/v1/datasets/{made}")) == (404, "dataset_not_found")
    assert (await other.send("GET", "/v1/datasets")).json()["data"] == []
    assert (await tenant.send("GET", f"/v1/datasets/{made}")).status_code == 200
