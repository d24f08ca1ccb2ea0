"""`/v1/models` and `/v1/models/{model}`: the catalogue's models beside the platform's own."""

from __future__ import annotations

from urllib.parse import unquote

import orjson

from omni.contracts.routes import ModelRoute
from omni.gateway.access.auth import Caller
from omni.gateway.edge.errors import error_body
from omni.gateway.edge.exchange import Exchange
from omni.gateway.routing.catalogue import Catalogue
from omni.kit.errors import NotFound

_LIST = "GET /v1/models"
_ONE = "GET /v1/models/{model}"


class Listing:
    """Adds what the backend does not know of to its answers, and takes out what a tenant's policies deny."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def merged(self, exchange: Exchange, caller: Caller, status: int, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer for the client; as they are for every other route."""
        route = exchange.route
        models = self._catalogue.table.models
        if route is None or not (models or caller.narrowed) or route.name not in (_LIST, _ONE):
            return status, body
        if route.name == _LIST and status == 200:
            listed = orjson.loads(body)
            if not isinstance(listed, dict) or not isinstance(listed.get("data"), list):
                return status, body
            if caller.narrowed:
                listed["data"] = [each for each in listed["data"] if caller.may_use(each["id"])]
            known = {each.get("id") for each in listed["data"]}
            listed["data"] += [
                _row(model) for name, model in sorted(models.items()) if name not in known and caller.may_use(name)
            ]
            return status, orjson.dumps(listed)
        if route.name == _ONE and status in (200, 404):
            name = unquote(exchange.path.rpartition(b"/")[2].decode("ascii"))
            if not caller.may_use(name):
                error = NotFound("model_not_found", "There is no such model.", param="model")
                return 404, error_body(error, exchange.request_id, "openai")[1]
            if status == 404 and name in models:
                return 200, orjson.dumps(_row(models[name]))
        return status, body


def _row(model: ModelRoute) -> dict[str, object]:
    return {"id": model.name, "object": "model", "created": model.created, "owned_by": model.owned_by}
