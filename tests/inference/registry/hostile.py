"""Files that must never be loaded, made on the spot: name → bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from tests.inference import onnx_files

MIB = 1024 * 1024
WEIGHTS = [[1.0], [2.0]]


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return (eval, (f"open({str(self._canary)!r}, 'w').close()",))


def good() -> ModelProto:
    made = ModelProto()
    made.ParseFromString(onnx_files.linear(WEIGHTS))
    return made


def changed(change: Callable[[ModelProto], object]) -> bytes:
    """A good model, but for one thing."""
    made = good()
    change(made)
    return bytes(made.SerializeToString())


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def zipped(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def corpus(canary: Path) -> dict[str, bytes]:
    """All of them. What would run creates `canary`."""
    return {
        **dict(pickles(canary)),
        **dict(archives(canary)),
        **dict(other_formats()),
        **dict(safetensors_lies()),
        **dict(polyglots(canary)),
        **dict(broken_wire()),
        **dict(forbidden_graphs()),
        **dict(lying_tensors()),
    }


def pickles(canary: Path) -> Iterator[tuple[str, bytes]]:
    payload = Payload(canary)
    for protocol in range(6):
        yield f"pickle of protocol {protocol}", pickle.dumps(payload, protocol)
    whole = pickle.dumps(payload, 4)
    # Two scanners stop at the broken opcode; a reader has run what stands before it by then.
    yield "pickle that breaks after its payload", whole[:-1] + b"\x00\xff"
    yield "pickle behind a harmless one", pickle.dumps([1, 2, 3], 2) + whole
    yield "pickle without a protocol, by the memo", b"c__builtin__\neval\np0\n(S'1'\ntR."
    yield "pickle in zlib, as joblib writes it", zlib.compress(whole)
    yield "pickle in gzip", gzip.compress(whole)
    yield "pickle in bzip2", bz2.compress(whole)
    yield "pickle in xz", lzma.compress(whole)
    yield "PyTorch's old format", pickle.dumps(0x1950A86A20F9469CFC6C, 2) + whole
    array = io.BytesIO()
    np.save(array, np.array([{}], dtype=object), allow_pickle=True)
    yield "NumPy array of objects", array.getvalue()


def archives(canary: Path) -> Iterator[tuple[str, bytes]]:
    payload = pickle.dumps(Payload(canary), 2)
    yield "PyTorch checkpoint", zipped({"archive/data.pkl": payload, "archive/version": b"3"})
    damaged = bytearray(zipped({"archive/data.pkl": payload}))
    damaged[14:18] = b"\x00\x00\x00\x00"
    yield "PyTorch checkpoint with a wrong checksum, which scanners skip", bytes(damaged)
    flagged = bytearray(zipped({"archive/data.pkl": payload}))
    flagged[6] |= 1
    yield "PyTorch checkpoint that says it is encrypted", bytes(flagged)
    yield "PyTorch checkpoint in 7z", b"7z\xbc\xaf\x27\x1c\x00\x04" + payload
    yield "zip bomb", zipped({"weights.bin": bytes(64 * MIB)})
    yield "zip of a model that leaves its folder", zipped({"../../etc/passwd": onnx_files.linear(WEIGHTS)})
    yield "Keras archive", zipped({"config.json": b"{}", "model.weights.h5": b"\x89HDF\r\n\x1a\n"})
    yield "tar with a path that leaves its folder", tarred("../../root/.ssh/authorized_keys", b"x")
    yield "gzip bomb", gzip.compress(bytes(64 * MIB))


def other_formats() -> Iterator[tuple[str, bytes]]:
    yield "GGUF", b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60)
    yield "HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)
    yield "ELF", b"\x7fELF\x02\x01\x01" + bytes(100)
    yield "script", b"#!/bin/sh\nrm -rf /\n"
    yield "PDF", b"%PDF-1.7\n"
    yield "PMML", b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><PMML>&a;</PMML>"
    yield "TensorFlow Lite", b"\x1c\x00\x00\x00TFL3" + bytes(50)
    yield "ONNX Runtime's own format", b"\x08\x00\x00\x00ORTM" + bytes(50)
    yield "nothing", b""
    yield "zeros", bytes(1_000)


def safetensors(header: object, data: bytes = b"", size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def safetensors_lies() -> Iterator[tuple[str, bytes]]:
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    yield "safetensors", safetensors({"w": tensor}, bytes(8))
    yield "safetensors with an endless header", safetensors({"w": tensor}, bytes(8), 1 << 62)
    yield "safetensors with offsets outside", safetensors({"w": {**tensor, "data_offsets": [0, 1 << 40]}}, bytes(8))
    yield "safetensors with a name twice", safetensors(b'{"w":{},"w":{}}', bytes(8))


def polyglots(canary: Path) -> Iterator[tuple[str, bytes]]:
    model = onnx_files.linear(WEIGHTS)
    archive = zipped({"archive/data.pkl": pickle.dumps(Payload(canary), 2)})
    yield "ONNX with a zip behind it", model + archive
    hidden = good()
    tensor = hidden.graph.initializer.add()
    tensor.CopyFrom(numpy_helper.from_array(np.frombuffer(archive, np.uint8), "archive"))
    inside = bytes(hidden.SerializeToString())
    yield "ONNX that is a zip, too, in a tensor at its end", inside
    yield "ONNX with a pickle behind it", model + pickle.dumps(Payload(canary), 2)
    yield "ONNX with a pickle before it", pickle.dumps(1, 2) + model
    yield "ONNX with zeros behind it", model + bytes(16)
    yield "ONNX with a second ONNX behind it", model + model
    yield "ONNX with a program in a field of its own", model + field(999, b"\x7fELF")


def broken_wire() -> Iterator[tuple[str, bytes]]:
    model = onnx_files.linear(WEIGHTS)
    yield "cut off", model[:-3]
    yield "a length beyond the end", model[:2] + varint(7 << 3 | 2) + varint(1 << 40)
    yield "a number of eleven bytes", b"\x08" + b"\xff" * 10 + b"\x01"
    yield "a number longer than needed", b"\x08\x88\x00" + model[2:]
    yield "a group, which nobody writes any more", model + varint(7 << 3 | 3)
    deep = b""
    for _ in range(5_000):
        deep = field(1, field(5, field(6, deep)))
    yield "graphs in graphs in graphs", model[:2] + field(7, deep)
    yield "a name that is not UTF-8", model + field(2, b"\xff\xfe")
    yield "fields without end", model[:2] + field(8, b"") * 2_100_000
    yield "a second graph that is merged into the first", model + field(7, b"")


def forbidden_graphs() -> Iterator[tuple[str, bytes]]:
    def domain(made: ModelProto) -> None:
        made.graph.node[0].domain = "com.evil"
        made.opset_import.append(helper.make_opsetid("com.evil", 1))

    def contrib(made: ModelProto) -> None:
        made.graph.node[0].domain = "com.microsoft"

    def renamed(operator: str) -> Callable[[ModelProto], None]:
        def change(made: ModelProto) -> None:
            made.graph.node[0].op_type = operator

        return change

    yield "an operator of a domain of its own", changed(domain)
    yield "an operator of the runtime's", changed(contrib)
    for operator in ("PyOp", "ImageDecoder", "RegexFullMatch", "SequenceMap", "Scan"):
        yield f"operator {operator}", changed(renamed(operator))
    yield "functions", changed(lambda made: made.functions.add(name="f", domain="x"))
    yield "training information", changed(lambda made: made.training_info.add())
    yield "an operator set of the future", changed(lambda made: setattr(made.opset_import[0], "version", 999))
    yield "a format of the future", changed(lambda made: setattr(made, "ir_version", 999))
    yield "no operator set", changed(lambda made: made.ClearField("opset_import"))
    yield "no graph", changed(lambda made: made.ClearField("graph"))
    yield "endless metadata", changed(lambda made: made.metadata_props.add(key="k", value="v" * 100_000))
    yield (
        "an input with a side of its own size",
        changed(lambda made: setattr(made.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 1 << 40)),
    )
    yield (
        "an input that is a sequence",
        changed(
            lambda made: made.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(made.graph.input[0].type))
        ),
    )
    yield "a sparse tensor", changed(lambda made: made.graph.sparse_initializer.add())
    nested = onnx_files.graph([], [], [onnx_files.value("z", [1])])
    for _ in range(5):
        branch = helper.make_node("If", ["c"], ["z"], then_branch=nested, else_branch=nested)
        nested = onnx_files.graph([branch], [], [onnx_files.value("z", [1])])
    yield "branches in branches", bytes(onnx_files.model(nested).SerializeToString())


def lying_tensors() -> Iterator[tuple[str, bytes]]:
    def external(location: str) -> Callable[[ModelProto], None]:
        def change(made: ModelProto) -> None:
            tensor = made.graph.initializer[0]
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=location)

        return change

    def half_external(made: ModelProto) -> None:
        made.graph.initializer[0].external_data.add(key="location", value="weights.bin")

    def dims(*sides: int) -> Callable[[ModelProto], None]:
        return lambda made: made.graph.initializer[0].dims.__setitem__(slice(None), sides)

    def twice(made: ModelProto) -> None:
        made.graph.initializer[0].float_data.extend([1.0, 2.0])

    def hidden_external(made: ModelProto) -> None:
        tensor = numpy_helper.from_array(np.zeros(1, np.float32), "c")
        external("/etc/passwd")(holder := ModelProto(graph=helper.make_graph([], "g", [], [], [tensor])))
        attribute = made.graph.node[0].attribute.add(name="value", type=AttributeProto.TENSOR)
        attribute.t.CopyFrom(holder.graph.initializer[0])

    yield "weights in another file", changed(external("weights.bin"))
    yield "weights in a file of the server", changed(external("../../../../etc/passwd"))
    yield "weights in a file of the server, by an absolute path", changed(external("/proc/self/environ"))
    yield "weights that are here and say they are elsewhere", changed(half_external)
    yield "a constant in a file of the server", changed(hidden_external)
    yield "more elements than bytes", changed(dims(1 << 20, 1 << 10))
    yield "sides whose product is zero modulo 2^64", changed(dims(1 << 32, 1 << 32))
    yield "a negative side", changed(dims(-1, 2))
    yield "fewer elements than bytes", changed(dims(1, 1))
    yield "a tensor that is stored twice", changed(twice)
    yield "a type that ONNX does not have", changed(lambda made: setattr(made.graph.initializer[0], "data_type", 77))
    yield "a tensor in segments", changed(lambda made: setattr(made.graph.initializer[0].segment, "begin", 1))
