"""Whether a stored tensor is what it says: as many bytes as its sides and type need, all of them in the file."""

from __future__ import annotations

import math

from omni.inference.registry.admission.refusals import Refused
from omni.inference.registry.admission.wire import Message

MAX_RANK = 8
MAX_ELEMENTS = 64_000_000
STRING = 8
_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16, 17: 8, 18: 8, 19: 8,
    20: 8, 21: 4, 22: 4,
}  # fmt: skip
"""TensorProto.DataType → bits of an element in `raw_data`."""
_FIELDS = {
    "float_data": {1}, "double_data": {11}, "int64_data": {7}, "uint64_data": {12, 13},
    "int32_data": {2, 3, 4, 5, 6, 9, 10, 16, 17, 18, 19, 20, 21, 22},
}  # fmt: skip
"""Where else an element may stand, one a number."""
_EXTERNAL = 1


def check_tensor(tensor: Message) -> int:
    """How many elements it has. Raises Refused."""
    name = tensor.get("name", "")[:100]
    if tensor.get("external_data") or tensor.get("data_location", 0) == _EXTERNAL:
        raise Refused(
            f"tensor {name!r} lies in another file. Save the model as one (onnx.save with save_as_external_data=False)."
        )
    if tensor.get("data_location", 0) != 0 or "segment" in tensor:
        raise Refused(f"tensor {name!r} is not stored whole.")
    dims: list[int] = tensor.get("dims", [])
    if len(dims) > MAX_RANK or any(side < 0 for side in dims):
        raise Refused(f"tensor {name!r} has impossible dimensions.")
    elements = math.prod(dims)
    if elements > MAX_ELEMENTS:
        raise Refused(f"tensor {name!r} has {elements} elements; at most {MAX_ELEMENTS} are supported.")
    _check_size(tensor, name, elements)
    return elements


def _check_size(tensor: Message, name: str, elements: int) -> None:
    kind = tensor.get("data_type", 0)
    used = [field for field in ("raw_data", "string_data", *_FIELDS) if tensor.get(field)]
    if len(used) > 1:
        raise Refused(f"tensor {name!r} is stored twice: {' and '.join(used)}.")
    if kind == STRING:
        if used not in ([], ["string_data"]) or len(tensor.get("string_data", [])) != elements:
            raise Refused(f"tensor {name!r} has not as many texts as its dimensions say.")
        return
    bits = _BITS.get(kind)
    if bits is None:
        raise Refused(f"tensor {name!r} has a type that is not supported.")
    if not used or used == ["raw_data"]:
        stored, needed = len(tensor.get("raw_data", b"")), (elements * bits + 7) // 8
        if stored != needed:
            raise Refused(f"tensor {name!r} has {stored} bytes; its dimensions need {needed}.")
        return
    (field,) = used
    needed = (elements + 1) // 2 if bits == 4 else elements
    if kind not in _FIELDS.get(field, set()) or tensor[field] != needed:
        raise Refused(f"tensor {name!r} has not as many elements as its dimensions say.")
