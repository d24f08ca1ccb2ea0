"""Protocol Buffers' wire format, read strictly: for files that nobody vouches for.

https://protobuf.dev/programming-guides/encoding/. What ordinary readers forgive is refused, because two readers may
forgive differently: unknown fields, fields that come twice, numbers written longer than needed, text that is not UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from omni.inference.registry.admission.refusals import Refused

Kind = Literal["int", "text", "bytes", "message", "fixed32", "fixed64"]
VARINT, I64, LEN, I32 = 0, 1, 2, 5
WIRE: Mapping[Kind, int] = {
    "int": VARINT, "text": LEN, "bytes": LEN, "message": LEN, "fixed32": I32, "fixed64": I64,
}  # fmt: skip
MAX_FIELDS = 2_000_000
MAX_DEPTH = 40
SIGN, MODULUS = 1 << 63, 1 << 64


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message."""

    name: str
    kind: Kind
    repeated: bool = False
    message: str = ""
    counted: bool = False
    """Only how many there are is of interest."""


Schema = Mapping[str, Mapping[int, Field]]
"""Message → number → field."""
Message = dict[str, Any]
"""Field → value: int, str, memoryview, a Message; a list of them when repeated; a number of them when counted.
Absent fields are absent."""


class Reader:
    """Reads one file."""

    def __init__(self, data: bytes, schema: Schema) -> None:
        self._data = data
        self._view = memoryview(data)
        self._schema = schema
        self._fields = 0

    def read(self, message: str) -> Message:
        """The whole file as that message. Raises Refused."""
        return self._message(message, 0, len(self._data), 0)

    def _message(self, kind: str, at: int, end: int, depth: int) -> Message:
        if depth > MAX_DEPTH:
            raise Refused(f"messages are nested deeper than {MAX_DEPTH}.")
        fields, found = self._schema[kind], Message()
        while at < end:
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise Refused(f"the file has more than {MAX_FIELDS} fields.")
            tag, at = self._varint(at, end)
            field = fields.get(tag >> 3)
            if field is None:
                raise Refused(f"field {tag >> 3} of {kind} at byte {at} is not part of ONNX; the file is not clean.")
            at = self._value(found, field, tag & 7, at, end, depth)
        return found

    def _value(self, found: Message, field: Field, wire: int, at: int, end: int, depth: int) -> int:
        """Adds one value; returns where it ends."""
        if wire == LEN:
            size, at = self._varint(at, end)
            stop = at + size
            if stop > end:
                raise Refused(f"{field.name} at byte {at} is longer than what is left of the file.")
            if WIRE[field.kind] != LEN:
                if not field.repeated:
                    raise Refused(f"{field.name} at byte {at} is of the wrong type.")
                self._packed(found, field, at, stop)
            else:
                self._add(found, field, self._long(field, at, stop, depth))
            return stop
        if wire != WIRE[field.kind]:
            raise Refused(f"{field.name} at byte {at} is of the wrong type.")
        if wire == VARINT:
            value, stop = self._varint(at, end)
            self._add(found, field, value - MODULUS if value >= SIGN else value)
            return stop
        stop = at + (4 if wire == I32 else 8)
        if stop > end:
            raise Refused("the file is cut off.")
        self._add(found, field, self._view[at:stop])
        return stop

    def _long(self, field: Field, at: int, stop: int, depth: int) -> object:
        if field.kind == "message":
            return self._message(field.message, at, stop, depth + 1)
        if field.kind == "text":
            try:
                text = self._data[at:stop].decode("utf-8")
            except UnicodeDecodeError:
                raise Refused(f"{field.name} at byte {at} is not UTF-8.") from None
            if "\x00" in text:
                raise Refused(f"{field.name} at byte {at} holds a NUL character.")
            return text
        return self._view[at:stop]

    def _packed(self, found: Message, field: Field, at: int, stop: int) -> None:
        if field.kind == "int":
            count = _count_varints(self._data, at, stop)
            self._fields += 0 if field.counted else count
            if field.counted:
                found[field.name] = found.get(field.name, 0) + count
                return
            if self._fields > MAX_FIELDS:
                raise Refused(f"the file has more than {MAX_FIELDS} fields.")
            while at < stop:
                value, at = self._varint(at, stop)
                self._add(found, field, value - MODULUS if value >= SIGN else value)
            return
        width = 4 if field.kind == "fixed32" else 8
        if (stop - at) % width:
            raise Refused(f"{field.name} at byte {at} is cut off.")
        if not field.counted:
            raise Refused(f"{field.name} at byte {at} is of the wrong type.")
        found[field.name] = found.get(field.name, 0) + (stop - at) // width

    def _add(self, found: Message, field: Field, value: object) -> None:
        name = field.name
        if field.counted:
            found[name] = found.get(name, 0) + 1
        elif field.repeated:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Refused(f"{name} comes twice.")
        else:
            found[name] = value

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        data, value, shift = self._data, 0, 0
        while True:
            if at >= end:
                raise Refused("the file is cut off.")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if (byte == 0 and shift) or value >= MODULUS:
                    raise Refused(f"a number before byte {at} is not written as it should be.")
                return value, at
            shift += 7
            if shift > 63:
                raise Refused(f"a number before byte {at} is too long.")


def _count_varints(data: bytes, at: int, stop: int) -> int:
    """How many numbers stand between: each has one byte without the high bit, its last."""
    import numpy as np  # noqa: PLC0415

    if stop > at and data[stop - 1] >= 0x80:
        raise Refused("a list of numbers is cut off.")
    return int(np.count_nonzero(np.frombuffer(data, np.uint8, stop - at, at) < 0x80))
