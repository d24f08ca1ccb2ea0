"""Files in requests, as multipart forms or inside JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, TypeAdapter
from pydantic_core import from_json, to_json
from starlette.datastructures import FormData, UploadFile

from omni.inference.json_bodies import json_as
from omni.kit.errors import InvalidInput, UnsupportedType

FILE_FIELD = "file"
MAX_NAME_CHARS = 255
Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was sent. `content_type` is what the sender says, without parameters, lower case; "" when it says
    nothing.
    """

    name: str
    content_type: str
    data: bytes
    fields: Mapping[str, str] = field(default_factory=dict)
    """The form's other fields."""


def media_type(request: Request) -> str:
    """The request's content type without parameters, lower case."""
    return _bare(request.headers.get("content-type", ""))


async def read_upload(request: Request) -> Upload:
    """The one file of a multipart form, in the field `file`. Raises InvalidInput `file_missing`."""
    async with request.form(max_files=1, max_fields=8) as form:
        file = _file_of(form)
        return Upload(file.filename or "", _bare(file.content_type or ""), await file.read(), _fields_of(form))


def _file_of(form: FormData) -> UploadFile:
    file = form.get(FILE_FIELD)
    if not isinstance(file, UploadFile):
        raise InvalidInput("file_missing", f"Send the file in the form's field `{FILE_FIELD}`.", param=FILE_FIELD)
    return file


def _fields_of(form: FormData) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A file of a form that may be large: on disk, unless it is small."""

    name: str
    file: IO[bytes]
    size_bytes: int
    fields: Mapping[str, str]


@asynccontextmanager
async def open_upload(request: Request) -> AsyncIterator[OpenUpload]:
    """The one file of a multipart form, in the field `file`; it is gone afterwards. Raises InvalidInput
    `file_missing`."""
    async with request.form(max_files=1, max_fields=8) as form:
        file = _file_of(form)
        yield OpenUpload(file.filename or "", file.file, file.size or 0, _fields_of(form))


def file_name(name: str) -> str:
    """A file's name without folders. Raises InvalidInput `file_name_missing` or `file_name_invalid`."""
    name = name.replace("\\", "/").rpartition("/")[2].strip()
    if not name:
        raise InvalidInput("file_name_missing", "Give the file a name in the form.", param=FILE_FIELD)
    if len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise InvalidInput(
            "file_name_invalid",
            f"The file's name must have at most {MAX_NAME_CHARS} printable characters.",
            param=FILE_FIELD,
        )
    return name


async def read_json(request: Request, model: type[Body]) -> Body:
    """The JSON body as `model`. Raises RequestValidationError as FastAPI does for its own bodies."""
    return json_as(TypeAdapter(model), await request.body())


def read_fields(upload: Upload, model: type[Body]) -> Body:
    """A form's fields as `model`, each a JSON text, read as strictly as a body.

    Raises InvalidInput `invalid_json` and RequestValidationError.
    """
    given: dict[str, object] = {}
    for name in model.model_fields:
        if name in upload.fields:
            try:
                given[name] = from_json(upload.fields[name])
            except ValueError as error:
                raise InvalidInput(
                    "invalid_json", f"The form's field `{name}` is not JSON: {error}.", param=name
                ) from None
    return json_as(TypeAdapter(model), to_json(given, inf_nan_mode="constants"))


def unsupported(accepted: str) -> UnsupportedType:
    """The answer to a content type that is none of `accepted`."""
    return UnsupportedType("unsupported_media_type", f"Send {accepted}.", accepted=accepted)


def multipart_or_json(model: type[BaseModel], fields: Mapping[str, dict[str, Any]] | None = None) -> dict[str, object]:
    """OpenAPI's `requestBody` for a route that takes either; `fields` are schemas of further fields of the form."""
    file = {"type": "string", "format": "binary"}
    form = {"type": "object", "required": [FILE_FIELD], "properties": {FILE_FIELD: file, **(fields or {})}}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": form,
                    "encoding": {name: {"contentType": "application/json"} for name in fields or {}},
                },
                "application/json": {"schema": model.model_json_schema()},
            },
        }
    }


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
