"""What an ONNX file says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Side = int | str | None
"""A length, the name of one that the caller chooses, or None where nothing is said."""
NAMES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip
"""TensorProto.DataType that may go in and come out → its name here."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output."""

    name: str
    dtype: str
    shape: tuple[Side, ...] | None
    """None = any shape."""

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "shape": None if self.shape is None else list(self.shape)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Tensor:
        shape = row["shape"]
        return cls(row["name"], row["dtype"], None if shape is None else tuple(shape))


@dataclass(slots=True)
class Description:
    """An admitted file: what goes in and comes out, and what it is made of."""

    ir_version: int = 0
    opsets: dict[str, int] = field(default_factory=dict)
    producer: str = ""
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    operators: dict[str, int] = field(default_factory=dict)
    """Name → how often, subgraphs included."""
    parameters: int = 0
    """Elements of all stored tensors."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What the exporter wrote into it."""
