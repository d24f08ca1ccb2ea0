"""The cases of the acceptance suite hold without a platform, too."""

from __future__ import annotations

import pytest

from omni.contracts.endpoints import ENDPOINTS
from omni.contracts.usage import USAGE_HEADER
from tests.acceptance.ai_operations import Operation
from tests.acceptance.ai_operations_language import CASES
from tests.inference.backend import Backend, usage


@pytest.mark.parametrize("case", CASES, ids=[case.path for case in CASES])
async def test_a_case_holds(engines: Backend, case: Operation) -> None:
    response = await engines.send(case.method, case.path, json=case.body)
    assert response.status_code == case.status, response.text
    case.check(response.json())
    assert (usage(response).keys() if USAGE_HEADER in response.headers else set()) == case.meters


def test_every_endpoint_of_texts_has_a_case() -> None:
    older = {"/v1/text/sentiment"}
    ours = {e.template for e in ENDPOINTS if e.template.startswith(("/v1/text/", "/v1/rerank", "/v1/moderations"))}
    assert {case.path for case in CASES} == ours - older


def examples(engines: Backend) -> list[tuple[str, object]]:
    """Path and body of every example in the documentation of the endpoints of texts."""
    document = engines.app.openapi()
    found: list[tuple[str, object]] = []
    for path in sorted({case.path for case in CASES}):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        schema = document["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[1]]
        found.extend((path, example) for example in schema["examples"])
    return found


async def test_documented_examples_work(engines: Backend) -> None:
    tried = examples(engines)
    assert len(tried) >= len(CASES)
    for path, body in tried:
        response = await engines.post(path, body)
        expected = 400 if path.endswith("/restore") else 200  # no key in a document is good
        assert response.status_code == expected, (path, response.text)
