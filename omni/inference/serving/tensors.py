"""Tensors as they travel: a description for the header, raw little-endian bytes for the payload."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omni.inference.serving.frames import BrokenFrame

STRING = "string"
DTYPES = {
    "float16": "<f2", "float32": "<f4", "float64": "<f8", "int8": "|i1", "int16": "<i2", "int32": "<i4", "int64": "<i8",
    "uint8": "|u1", "uint16": "<u2", "uint32": "<u4", "uint64": "<u8", "bool": "|b1",
}  # fmt: skip
"""Name on the wire → numpy's."""
MAX_RANK = 8
_LENGTH = struct.Struct("<I")


def dtype_name(array: np.ndarray) -> str:
    """What the array's type is called here. Raises BrokenFrame for one that does not travel."""
    if array.dtype == object or array.dtype.kind in "US":
        return STRING
    if array.dtype.name in DTYPES:
        return array.dtype.name
    raise BrokenFrame(f"no tensor of {array.dtype}")


def describe(tensors: Mapping[str, np.ndarray]) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Descriptions in order, and the bytes of each."""
    heads, parts = [], []
    for name, array in tensors.items():
        kind = dtype_name(array)
        if kind == STRING:
            data = b"".join(_LENGTH.pack(len(text)) + text for text in (str(item).encode() for item in array.flat))
        else:
            data = np.ascontiguousarray(array, np.dtype(DTYPES[kind])).tobytes()
        heads.append({"name": name, "dtype": kind, "shape": list(array.shape), "bytes": len(data)})
        parts.append(data)
    return heads, parts


def restore(heads: Sequence[Mapping[str, Any]], payload: bytes) -> dict[str, np.ndarray]:
    """The tensors again. Raises BrokenFrame where description and bytes do not fit."""
    tensors, at = {}, 0
    try:
        for head in heads:
            size, shape = int(head["bytes"]), [int(side) for side in head["shape"]]
            if size < 0 or len(shape) > MAX_RANK or any(side < 0 for side in shape) or at + size > len(payload):
                raise BrokenFrame("a tensor's size is wrong")
            tensors[str(head["name"])] = _restore(str(head["dtype"]), shape, payload[at : at + size])
            at += size
    except (KeyError, TypeError, ValueError) as error:
        raise BrokenFrame("a tensor's description is wrong") from error
    if at != len(payload):
        raise BrokenFrame("bytes are left over")
    return tensors


def _restore(kind: str, shape: list[int], data: bytes) -> np.ndarray:
    count = math.prod(shape)
    if kind != STRING:
        dtype = np.dtype(DTYPES[kind])
        if count * dtype.itemsize != len(data):
            raise BrokenFrame("a tensor's bytes do not fit its shape")
        return np.frombuffer(data, dtype).reshape(shape)
    texts, at = [], 0
    while at < len(data):
        if at + _LENGTH.size > len(data):
            raise BrokenFrame("a text is cut off")
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + size
        if at > len(data):
            raise BrokenFrame("a text is cut off")
        texts.append(data[at - size : at].decode())
    if len(texts) != count:
        raise BrokenFrame("a tensor's texts do not fit its shape")
    return np.array(texts, dtype=object).reshape(shape)
