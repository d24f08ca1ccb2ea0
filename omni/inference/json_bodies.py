"""JSON bodies, read as they stand."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

Body = TypeVar("Body")


def json_as(shape: TypeAdapter[Body], data: bytes) -> Body:
    """`data` in its shape. `"5"` and `true` are no numbers and `1` is no boolean; `5.0` is an integer, as JSON Schema
    says. Raises RequestValidationError.
    """
    try:
        try:
            return shape.validate_json(data, strict=True)
        except ValidationError as error:
            if not any(_whole(found["input"]) for found in error.errors() if found["type"] == "int_type"):
                raise
            return shape.validate_json(to_json(_with_integers(from_json(data)), inf_nan_mode="constants"), strict=True)
    except ValidationError as error:
        raise RequestValidationError(_problems(shape, error)) from None


def _problems(shape: TypeAdapter[Any], error: ValidationError) -> list[dict[str, Any]]:
    """Where the body is wrong: by its own members, without the tag that pydantic puts before those of one kind."""
    core: Any = shape.core_schema
    if core["type"] == "definitions":
        core = core["schema"]
    tags = core["choices"] if core["type"] == "tagged-union" else {}
    return [
        {**found, "loc": found["loc"][1:] if found["loc"] and found["loc"][0] in tags else found["loc"]}
        for found in error.errors(include_url=False, include_input=False)
    ]


def _whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


def _with_integers(value: Any) -> Any:
    """The same JSON with whole numbers written as such."""
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    if isinstance(value, dict):
        return {name: _with_integers(each) for name, each in value.items()}
    return int(value) if _whole(value) else value
