"""Members of JSON objects that others wrote: read as what they have to be, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from omni.contracts.wire import BadAnswer, Untranslatable
from omni.providers.formats.pivot import Json
from omni.providers.formats.sse import read_json


class Shapes:
    """Reads members. What is missing or null is empty; what has another type raises the error of this reader."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def object(self, row: Mapping[str, Any], name: str) -> Json:
        value = row.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._error(f"{name} must be an object.")
        return value

    def objects(self, row: Mapping[str, Any], name: str) -> list[Json]:
        value = row.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._error(f"{name} must be a list of objects.")
        return value

    def text(self, row: Mapping[str, Any], name: str) -> str:
        value = row.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._error(f"{name} must be a string.")
        return value

    def name(self, row: Mapping[str, Any], name: str) -> str:
        """Text that has to be there."""
        value = self.text(row, name)
        if not value:
            raise self._error(f"{name} is missing.")
        return value

    def texts(self, row: Mapping[str, Any], name: str) -> list[str]:
        """A list of strings, or one alone."""
        value = row.get(name)
        if value is None:
            return []
        if isinstance(value, str):
            return [value]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._error(f"{name} must be a string or a list of strings.")
        return value

    def positive(self, row: Mapping[str, Any], name: str) -> int:
        """A positive integer; 0 = there is none."""
        value = row.get(name)
        if value is None:
            return 0
        if type(value) is not int or value < 1:
            raise self._error(f"{name} must be a positive integer.")
        return value

    def arguments(self, function: Mapping[str, Any]) -> Json:
        """The arguments of a call of a function, which are JSON in a string."""
        try:
            value = orjson.loads(self.text(function, "arguments") or "{}")
        except orjson.JSONDecodeError:
            raise self._error("arguments must be JSON.") from None
        if not isinstance(value, dict):
            raise self._error("arguments must be a JSON object.")
        return value


ASKED = Shapes(Untranslatable)
"""For what a client sends: the text is public."""

SAID = Shapes(BadAnswer)
"""For what a provider answers."""


def write(body: Mapping[str, Any]) -> bytes:
    """JSON made of what a client sent. Raises Untranslatable when that is nested deeper than it can be written."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise Untranslatable("The body is nested too deeply.") from None


def read_object(body: bytes) -> Json:
    """The JSON object that a whole answer is. Raises BadAnswer."""
    try:
        row = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"an answer that is no JSON: {error}") from None
    if not isinstance(row, dict):
        raise BadAnswer("an answer that is no JSON object")
    return row


def read_row(data: bytes) -> Json:
    """The JSON object in an event of a stream. Raises BadAnswer."""
    row = read_json(data)
    if not isinstance(row, dict):
        raise BadAnswer("an event that is no JSON object")
    return row
