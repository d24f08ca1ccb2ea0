"""Routes of the registry."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.files.service import FileService
from omni.inference.registry.predicting import Predicting
from omni.inference.registry.schemas import (
    ALIAS,
    Alias,
    AliasRequest,
    Card,
    ModelChange,
    ModelList,
    ModelRequest,
    PredictRequest,
    PredictResponse,
    RegisteredModel,
    Version,
    VersionChange,
    VersionFields,
    VersionList,
    VersionRequest,
)
from omni.inference.registry.service import RegistryService
from omni.inference.runtime.call import Call
from omni.inference.uploads import media_type, multipart_or_json, read_fields, read_json, read_upload, unsupported

LAST_NUMBER = 2**31 - 1
"""Of a version: its column is of 32 bits."""
MOST_BYTES = 256 * 1024 * 1024  # of a file that was uploaded before

Limit = Annotated[int, Query(ge=1, le=100, description="Most entries of a page.")]
ModelPath = Annotated[str, Path(max_length=100, description="The model's name or id.")]
VersionPath = Annotated[str, Path(max_length=50, description="The version's number, or an alias of it.")]
AliasPath = Annotated[str, Path(pattern=ALIAS, description="A lower-case name, e.g. `champion`.")]
FORM_FIELDS = VersionFields.model_json_schema()["properties"]
"""JSON, also in a form."""


def router(service: RegistryService, predicting: Predicting, files: FileService, caller: CallerDependency) -> APIRouter:
    """Everything below `/v1/registry/models`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Registry"], prefix="/v1/registry/models")
    _models(routes, service, caller)
    _versions(routes, service, files, caller)
    _aliases(routes, service, caller)
    _predictions(routes, predicting, caller)
    return routes


def _models(routes: APIRouter, service: RegistryService, caller: CallerDependency) -> None:
    @routes.post("", summary="Create a model", status_code=201)
    async def create_model(body: ModelRequest, call: Call = Depends(caller)) -> RegisteredModel:
        """A name under which versions are registered. It has none yet."""
        return await service.create(call.principal.tenant_id, body)

    @routes.get("", summary="List models")
    async def list_models(
        limit: Limit = 20,
        cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before.")] = None,
        call: Call = Depends(caller),
    ) -> ModelList:
        """Your models, uploaded and trained, newest first."""
        return await service.list(call.principal.tenant_id, limit, cursor)

    @routes.get("/{model}", summary="Look up a model")
    async def get_model(model: ModelPath, call: Call = Depends(caller)) -> RegisteredModel:
        """One model with its aliases."""
        return await service.get(call.principal.tenant_id, model)

    @routes.patch("/{model}", summary="Change a model")
    async def change_model(model: ModelPath, body: ModelChange, call: Call = Depends(caller)) -> RegisteredModel:
        """Another name, task or description."""
        return await service.change(call.principal.tenant_id, model, body)

    @routes.delete("/{model}", summary="Delete a model", status_code=204)
    async def delete_model(model: ModelPath, call: Call = Depends(caller)) -> None:
        """Deletes a model with all its versions, for good; not while a deployment names one of them."""
        await service.delete(call.principal.tenant_id, model)


def _versions(routes: APIRouter, service: RegistryService, files: FileService, caller: CallerDependency) -> None:
    @routes.post(
        "/{model}/versions",
        summary="Upload a version",
        status_code=201,
        openapi_extra=multipart_or_json(VersionRequest, FORM_FIELDS),
    )
    async def add_version(model: ModelPath, request: Request, call: Call = Depends(caller)) -> Version:
        """An ONNX file of at most 32 MiB, as a multipart form (field `file`) or by the id of a file that is there.

        The file is judged by its content before anything loads it: operators of ONNX and `ai.onnx.ml` only, no
        external data, no functions, every tensor as long as it says. Then it is run once on zeros in a confined
        process. What fails is not stored. Pickles, archives, GGUF, HDF5 and safetensors are refused.
        """
        tenant_id = call.principal.tenant_id
        await service.get(tenant_id, model)
        match media_type(request):
            case "multipart/form-data":
                upload = await read_upload(request)
                return await service.add_version(call, model, upload.data, read_fields(upload, VersionFields))
            case "application/json":
                body = await read_json(request, VersionRequest)
                return await service.add_version(
                    call, model, await files.content(tenant_id, body.file_id, MOST_BYTES), body
                )
            case _:
                raise unsupported("multipart/form-data or application/json")

    @routes.get("/{model}/versions", summary="List versions")
    async def list_versions(
        model: ModelPath,
        limit: Limit = 20,
        cursor: Annotated[
            int | None, Query(ge=1, le=LAST_NUMBER, description="`next_cursor` of the page before.")
        ] = None,
        call: Call = Depends(caller),
    ) -> VersionList:
        """The versions of a model, newest first."""
        return await service.versions(call.principal.tenant_id, model, limit, cursor)

    @routes.get("/{model}/versions/{version}", summary="Look up a version")
    async def get_version(model: ModelPath, version: VersionPath, call: Call = Depends(caller)) -> Version:
        """One version: what goes in, what comes out, how good it is said to be."""
        return await service.version(call.principal.tenant_id, model, version)

    @routes.patch("/{model}/versions/{version}", summary="Put a version in or out of service")
    async def change_version(
        model: ModelPath, version: VersionPath, body: VersionChange, call: Call = Depends(caller)
    ) -> Version:
        """A version that ended its process three times in a row is withdrawn; this is how it comes back."""
        return await service.set_state(call.principal.tenant_id, model, version, body.state)

    @routes.delete("/{model}/versions/{version}", summary="Delete a version", status_code=204)
    async def delete_version(model: ModelPath, version: VersionPath, call: Call = Depends(caller)) -> None:
        """Deletes a version with its file; not while an alias or deployment names it. Its number is not given again."""
        await service.delete_version(call.principal.tenant_id, model, version)

    @routes.get("/{model}/versions/{version}/card", summary="Read a version's model card")
    async def get_card(model: ModelPath, version: VersionPath, call: Call = Depends(caller)) -> Card:
        """What the uploader says of it, beside what we found in the file and measured."""
        return await service.card(call.principal.tenant_id, model, version)


def _aliases(routes: APIRouter, service: RegistryService, caller: CallerDependency) -> None:
    @routes.put("/{model}/aliases/{alias}", summary="Point an alias at a version")
    async def put_alias(model: ModelPath, alias: AliasPath, body: AliasRequest, call: Call = Depends(caller)) -> Alias:
        """A new alias, or another version for one that is there. `champion` is what predictions ask by default."""
        return await service.put_alias(call.principal.tenant_id, model, alias, body.version)

    @routes.delete("/{model}/aliases/{alias}", summary="Delete an alias", status_code=204)
    async def delete_alias(model: ModelPath, alias: AliasPath, call: Call = Depends(caller)) -> None:
        """The version stays."""
        await service.delete_alias(call.principal.tenant_id, model, alias)


def _predictions(routes: APIRouter, predicting: Predicting, caller: CallerDependency) -> None:
    @routes.post(
        "/{model}/predict", summary="Ask a model", responses={200: {"model": PredictResponse}}, response_model=None
    )
    async def predict(model: ModelPath, body: PredictRequest, call: Call = Depends(caller)) -> Response:
        """The answer of a version, of `champion`, or of the newest one.

        Each row counts as a prediction; CPU time as compute. Requests that come together are joined where the model
        answers rows independently of each other, which is tried out when it is uploaded.
        """
        answer: dict[str, Any] = await predicting.predict(call, model, body)
        return Response(orjson.dumps(answer), media_type="application/json")
