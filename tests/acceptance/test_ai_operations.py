"""Every AI operation, called through the gateway with a key: it answers a value that was computed elsewhere, and what
it used is on the usage report under its meters."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest

from tests.acceptance.ai_operations import Operation
from tests.acceptance.ai_operations_datasets import CASES as DATASETS
from tests.acceptance.ai_operations_forecasts import CASES as FORECASTS
from tests.acceptance.ai_operations_language import CASES as LANGUAGE
from tests.acceptance.ai_operations_models import CASES as MODELS
from tests.acceptance.ai_operations_retrieval import CASES as RETRIEVAL
from tests.acceptance.ai_operations_tabular import CASES as TABULAR
from tests.acceptance.platform import Platform, until

CASES = (*LANGUAGE, *RETRIEVAL, *TABULAR, *FORECASTS, *DATASETS, *MODELS)


def usage_event(platform: Platform, request_id: str) -> dict[str, Any] | None:
    """Endpoint and quantities of a request, once they are in the database."""

    async def read() -> Any:
        connection = await asyncpg.connect(platform.run_file()["database"])
        try:
            return await connection.fetchrow(
                "select endpoint, quantities::text from usage_events where event_id = $1", UUID(request_id)
            )
        finally:
            await connection.close()

    row = asyncio.run(read())
    return None if row is None else {"endpoint": row[0], "quantities": orjson.loads(row[1])}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method} {case.path}")
def test_an_operation_answers_and_counts(platform: Platform, case: Operation) -> None:
    with platform.api() as client:
        names = {} if case.prepare is None else case.prepare(client)
        path = case.path.format(**names)
        if case.files is not None:
            answer = client.request(case.method, path, files=case.files)
        else:
            answer = client.request(case.method, path, json=case.filled(names))
    assert answer.status_code == case.status, answer.text
    case.check(answer.json() if answer.content else None)
    event = until(lambda: usage_event(platform, answer.headers["x-request-id"]), 15, "the usage event")
    assert event["endpoint"] == f"{case.method} {case.path}"
    assert {"requests", *case.meters} <= event["quantities"].keys(), event
    assert all(event["quantities"][meter] > 0 for meter in case.meters)


def test_the_public_description_lists_all_that_are_called_here(platform: Platform) -> None:
    with platform.api() as client:
        paths = client.get("/openapi.json").json()["paths"]
    described = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    assert {(case.method, case.path) for case in CASES} <= described
