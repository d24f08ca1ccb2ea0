"""JSON bodies, read as they stand."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

Body = TypeVar("Body", bound=BaseModel)


def json_as(model: type[Body], data: bytes) -> Body:
    """`data` as `model`. `"5"` and `true` are no numbers and `1` is no boolean; `5.0` is an integer, as JSON Schema
    says. Raises RequestValidationError.
    """
    try:
        try:
            return model.model_validate_json(data, strict=True)
        except ValidationError as error:
            if not any(_whole(found["input"]) for found in error.errors() if found["type"] == "int_type"):
                raise
            return model.model_validate_json(
                to_json(_with_integers(from_json(data)), inf_nan_mode="constants"), strict=True
            )
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None


def _whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


def _with_integers(value: Any) -> Any:
    """The same JSON with whole numbers written as such."""
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    if isinstance(value, dict):
        return {name: _with_integers(each) for name, each in value.items()}
    return int(value) if _whole(value) else value
