"""Who may call the backend, how much body it reads, and that its routes are the public ones."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from omni.contracts.endpoints import DELEGATED_ENDPOINTS, ENDPOINTS
from omni.contracts.principal import PRINCIPAL_HEADER
from tests.inference.backend import Backend, refusal

JSON = {"content-type": "application/json"}


async def test_without_a_principal_nothing_is_served(engines: Backend) -> None:
    response = await engines.send("GET", "/v1/models", headers={PRINCIPAL_HEADER: ""})
    assert refusal(response) == (401, "principal_invalid")


async def test_a_forged_principal_is_refused(engines: Backend) -> None:
    body, _, signature = engines.principal().partition(".")
    response = await engines.send("GET", "/v1/models", headers={PRINCIPAL_HEADER: f"{body}.{signature[::-1]}"})
    assert refusal(response) == (401, "principal_invalid")


async def test_a_principal_past_its_deadline_is_refused(engines: Backend) -> None:
    response = await engines.send("GET", "/v1/models", headers={PRINCIPAL_HEADER: engines.principal(-1)})
    assert refusal(response) == (401, "principal_invalid")


async def test_a_body_over_the_endpoints_limit_is_refused(engines: Backend) -> None:
    json_type = {"content-type": "application/json"}
    response = await engines.send("POST", "/v1/text/sentiment", content=b" " * (1024 * 1024 + 1), headers=json_type)
    assert refusal(response) == (413, "body_too_large")


async def test_a_body_without_a_length_is_counted_as_it_comes(engines: Backend) -> None:
    async def parts() -> object:
        for _ in range(40):
            yield b" " * 65_536

    response = await engines.send(
        "POST", "/v1/text/sentiment", content=parts(), headers={"content-type": "application/json"}
    )
    assert refusal(response) == (413, "body_too_large")


async def test_broken_json_is_refused(engines: Backend) -> None:
    response = await engines.send(
        "POST", "/v1/forecasts", content=b'{"series":', headers={"content-type": "application/json"}
    )
    assert refusal(response) == (400, "invalid_json")


async def test_a_database_that_is_down_is_said(engines: Backend) -> None:
    assert refusal(await engines.send("GET", "/v1/collections")) == (503, "database_unavailable")


def test_the_routes_are_the_public_endpoints(engines: Backend) -> None:
    documented = {
        (method.upper(), path) for path, operations in engines.app.openapi()["paths"].items() for method in operations
    }
    assert documented == {(endpoint.method, endpoint.template) for endpoint in ENDPOINTS if endpoint.backend}


def test_every_operation_says_what_it_does(engines: Backend) -> None:
    without_body = {(each.method, each.template) for each in ENDPOINTS if not each.max_body_bytes}
    for path, operations in engines.app.openapi()["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            if method == "post" and (method.upper(), path) not in without_body:
                assert "requestBody" in operation, (method, path)


def test_route_class_is_metered_everywhere(engines: Backend) -> None:
    found = {
        (method, route.path): type(route.original_route).__name__
        for route in iter_route_contexts(engines.app.routes)
        if isinstance(route.original_route, APIRoute)
        for method in route.methods or ()
    }
    expected = {(each.method, each.template) for each in (*ENDPOINTS, *DELEGATED_ENDPOINTS) if each.backend}
    assert found.keys() == expected
    unmetered = {(each.method, each.template) for each in ENDPOINTS if not each.metered}
    assert {name for name, kind in found.items() if kind != "MeteredRoute"} <= unmetered


@pytest.mark.parametrize("number", ["true", '"7"', "7.5"])
async def test_what_is_no_number_is_none(engines: Backend, number: str) -> None:
    body = b'{"text": "One. Two.", "sentences": %s}' % number.encode()
    response = await engines.send("POST", "/v1/text/summarize", content=body, headers=JSON)
    assert refusal(response) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/quotes"])
async def test_nor_is_it_in_a_body_of_several_kinds(engines: Backend, path: str) -> None:
    body = b'{"kind": "automl", "input": {"dataset_id": "01934f0c-5b7a-7c3e-9a1d-2b3c4d5e6f70", "target": "a", '
    body += b'"model_name": "b", "time_budget_seconds": "300"}}'
    response = await engines.send("POST", path, content=body, headers=JSON)
    assert refusal(response) == (400, "invalid_request")
    assert response.json()["param"] == "input.time_budget_seconds"


async def test_a_body_of_no_kind_is_refused(engines: Backend) -> None:
    response = await engines.post("/v1/jobs", {"kind": "nothing", "input": {}})
    assert refusal(response) == (400, "invalid_request")
    assert "'automl', 'predictions'" in response.json()["detail"]


@pytest.mark.parametrize("price", ['""', '"1e3"', '"-1"', "-1", "true", "1e10", '"0.1234567891"'])
async def test_a_price_that_is_none_is_refused(engines: Backend, price: str) -> None:
    body = b'{"kind": "predictions", "input": {"dataset_id": "01934f0c-5b7a-7c3e-9a1d-2b3c4d5e6f70", "model": "b"}, '
    body += b'"max_price": %s}' % price.encode()
    response = await engines.send("POST", "/v1/jobs", content=body, headers=JSON)
    assert refusal(response) == (400, "invalid_request")
    assert response.json()["param"] == "max_price"


async def test_a_whole_number_may_be_written_with_a_point(engines: Backend) -> None:
    body = b'{"text": "One is here. Two is there.", "sentences": 1.0}'
    response = await engines.send("POST", "/v1/text/summarize", content=body, headers=JSON)
    assert response.status_code == 200, response.text


async def test_a_wrong_method_names_all_that_the_path_has(engines: Backend) -> None:
    response = await engines.send("PUT", "/v1/collections")
    assert refusal(response) == (405, "method_not_allowed")
    assert response.headers["allow"] == "GET, POST"
