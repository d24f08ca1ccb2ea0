"""Tensors in requests and answers: nested lists, checked against what the model says it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omni.inference.registry.admission.description import Side, Tensor
from omni.kit.errors import InvalidInput, Unprocessable

MAX_ELEMENTS = 1_000_000
MAX_RANK = 8
MAX_TEXT_CHARS = 10_000
FLOATS = ("float16", "float32", "float64")
Nested = Any


def read_inputs(given: Mapping[str, Nested], ports: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """Input → array, in the order of the ports. Raises InvalidInput `inputs_invalid`."""
    expected = {port.name for port in ports}
    if given.keys() != expected:
        missing, unknown = sorted(expected - given.keys()), sorted(given.keys() - expected)
        raise _invalid(
            f"The model's inputs are {', '.join(map(repr, sorted(expected)))}"
            + (f"; missing: {', '.join(map(repr, missing))}" if missing else "")
            + (f"; unknown: {', '.join(repr(name[:100]) for name in unknown[:10])}" if unknown else "")
        )
    arrays: dict[str, np.ndarray] = {}
    named: dict[str, tuple[int, str]] = {}
    left = MAX_ELEMENTS
    for port in ports:
        array = _array(given[port.name], port, left)
        left -= array.size
        _check_shape(array.shape, port, named)
        arrays[port.name] = array
    return arrays


def write_outputs(outputs: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Output → type, shape and nested lists. Raises Unprocessable `outputs_too_large`."""
    elements = sum(array.size for array in outputs.values())
    if elements > MAX_ELEMENTS:
        raise Unprocessable(
            "outputs_too_large",
            f"The outputs have {elements} elements; at most {MAX_ELEMENTS} are answered. Send fewer rows.",
        )
    return {
        name: {
            "dtype": "string" if array.dtype == object else array.dtype.name,
            "shape": list(array.shape),
            "data": _lists(array),
        }
        for name, array in outputs.items()
    }


def _lists(array: np.ndarray) -> Nested:
    if array.dtype.kind != "f" or bool(np.isfinite(array).all()):
        return array.tolist()
    items = array.astype(object)
    items[np.isnan(array)] = None
    items[np.isposinf(array)] = "Infinity"
    items[np.isneginf(array)] = "-Infinity"
    return items.tolist()


def _array(value: Nested, port: Tensor, left: int) -> np.ndarray:
    shape: list[int] = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        if len(shape) > MAX_RANK:
            raise _invalid(f"Input {port.name!r} is nested deeper than {MAX_RANK}")
        if not first:
            break
        first = first[0]
    if math.prod(shape) > left:
        raise _invalid(f"The inputs have more than {MAX_ELEMENTS} elements. Send fewer rows")
    items: list[Any] = []
    _flatten(value, shape, 0, items, port)
    return _typed(items, port).reshape(shape)


def _flatten(value: Nested, shape: list[int], depth: int, items: list[Any], port: Tensor) -> None:
    if depth == len(shape):
        if isinstance(value, list):
            raise _ragged(port)
        items.append(value)
        return
    if not isinstance(value, list) or len(value) != shape[depth]:
        raise _ragged(port)
    if depth == len(shape) - 1:
        if any(isinstance(item, list) for item in value):
            raise _ragged(port)
        items.extend(value)
        return
    for part in value:
        _flatten(part, shape, depth + 1, items, port)


def _typed(items: list[Any], port: Tensor) -> np.ndarray:
    kinds = {type(item) for item in items}
    if port.dtype in FLOATS:
        return _floats(items, kinds, port)
    if port.dtype == "bool":
        if kinds - {bool}:
            raise _invalid(f"Input {port.name!r} takes true and false only")
        return np.array(items, bool)
    if port.dtype == "string":
        if kinds - {str} or any(len(item) > MAX_TEXT_CHARS for item in items):
            raise _invalid(f"Input {port.name!r} takes texts of at most {MAX_TEXT_CHARS} characters only")
        return np.array(items, object)
    limits = np.iinfo(port.dtype)
    if kinds - {int} or any(not limits.min <= item <= limits.max for item in items):
        raise _invalid(f"Input {port.name!r} takes integers from {limits.min} to {limits.max} only ({port.dtype})")
    return np.array(items, port.dtype)


def _floats(items: list[Any], kinds: set[type], port: Tensor) -> np.ndarray:
    if kinds - {float, int, type(None)}:
        raise _invalid(f"Input {port.name!r} takes numbers only, null for NaN")
    missing = [item is None for item in items]
    try:
        wide = np.array([0.0 if item is None else item for item in items], np.float64)
    except OverflowError:
        raise _invalid(f"A number in input {port.name!r} is too large for {port.dtype}") from None
    if not bool(np.isfinite(wide).all()) or bool((np.abs(wide) > float(np.finfo(port.dtype).max)).any()):
        raise _invalid(f"A number in input {port.name!r} is not finite, or too large for {port.dtype}")
    wide[np.array(missing, bool)] = np.nan
    return wide.astype(port.dtype)


def _check_shape(shape: tuple[int, ...], port: Tensor, named: dict[str, tuple[int, str]]) -> None:
    """`named`: what lengths the names of sides have so far, and in which input."""
    if port.shape is None:
        return
    if len(shape) != len(port.shape):
        raise _wrong_shape(shape, port)
    for length, side in zip(shape, port.shape, strict=True):
        if isinstance(side, int) and length != side:
            raise _wrong_shape(shape, port)
        if isinstance(side, str):
            known, where = named.setdefault(side, (length, port.name))
            if known != length:
                raise _invalid(
                    f"{side!r} is {length} in input {port.name!r} and {known} in input {where!r}; it must be the same"
                )


def shown(shape: Sequence[Side]) -> str:
    """`[n, 3]`: a shape for people."""
    return "[" + ", ".join("any" if side is None else str(side) for side in shape) + "]"


def _wrong_shape(shape: tuple[int, ...], port: Tensor) -> InvalidInput:
    return _invalid(f"Input {port.name!r} has shape {shown(shape)}; the model takes {shown(port.shape or ())}")


def _ragged(port: Tensor) -> InvalidInput:
    return _invalid(f"Input {port.name!r} is ragged: lists at the same level must be of equal length")


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("inputs_invalid", f"{message}.", param="inputs")
