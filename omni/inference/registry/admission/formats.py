"""Telling files apart by their first and last bytes, so that a refusal says what to send instead."""

from __future__ import annotations

import struct

from omni.inference.registry.admission.refusals import wrong_format
from omni.kit.errors import UnsupportedType

EXPORT = "Export the model to ONNX (torch.onnx.export, skl2onnx, tf2onnx, optimum) and send that file."
_PICKLE = "a pickle, which can run code when it is read and is never loaded"
_HEADS = (
    (b"GGUF", "a GGUF file, for which there is no runtime here"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 or Keras file"),
    (b"PK\x03\x04", "a ZIP archive (a PyTorch, Keras or NumPy checkpoint is one)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"\x04\x22\x4d\x18", "an LZ4 file"),
    (b"x\x9c", "a zlib stream, as joblib writes them"),
    (b"x\x01", "a zlib stream, as joblib writes them"),
    (b"x\xda", "a zlib stream, as joblib writes them"),
    (b"ZF", "a file of an old joblib"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"%PDF-", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"#!", "a script"),
    (b"<?xml", "an XML document (PMML is one)"),
    (b"{", "a JSON text"),
    (b"ORTM", "a file in ONNX Runtime's own format"),
    (b"TFL3", "a TensorFlow Lite file"),
)
_TAR_MAGIC, _TAR_AT = b"ustar", 257
_FLATBUFFER_AT = 4
_ZIP_END = struct.Struct("<4s4H2LH")
_ZIP_END_WITHIN = 66_000
FIRST_BYTE = 0x08
"""Of every ONNX file: field 1, the version of its format."""


def require_onnx(data: bytes) -> None:
    """Raises UnsupportedType `model_format_unsupported` for what does not begin as an ONNX file, or is another kind of
    file as well.
    """
    found = _known(data)
    if found is not None:
        raise found
    if data[:1] != bytes((FIRST_BYTE,)):
        raise wrong_format("no ONNX file", EXPORT)
    if _ends_as_zip(data):
        raise wrong_format("a ZIP archive behind something else", "Send the ONNX file alone.")


def _known(data: bytes) -> UnsupportedType | None:
    for magic, name in _HEADS:
        if data.startswith(magic) or (len(magic) == 4 and data[_FLATBUFFER_AT : _FLATBUFFER_AT + 4] == magic):
            return wrong_format(name, EXPORT)
    if data[_TAR_AT : _TAR_AT + len(_TAR_MAGIC)] == _TAR_MAGIC:
        return wrong_format("a tar archive", EXPORT)
    if _is_pickle(data):
        return wrong_format(_PICKLE, EXPORT)
    if _is_safetensors(data):
        return wrong_format(
            "a safetensors file, which holds weights and not the model's graph",
            "No architecture is built from such weights here. " + EXPORT,
        )
    return None


def _is_pickle(data: bytes) -> bool:
    """Protocol 2 and above say so; 0 and 1 begin with an opcode that no ONNX file begins with."""
    return data[:1] == b"\x80" or (data[:1] in b"c(}]" and data[:1] != b"")


def _is_safetensors(data: bytes) -> bool:
    return len(data) > 8 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= 100_000_000


def _ends_as_zip(data: bytes) -> bool:
    """Whether a reader of ZIP archives would take it: it looks for the directory's end from behind."""
    start = max(0, len(data) - _ZIP_END_WITHIN)
    at = data.rfind(b"PK\x05\x06", start)
    while at >= 0:
        if at + _ZIP_END.size <= len(data):
            _, disk, first, here, entries, size, _, comment = _ZIP_END.unpack_from(data, at)
            whole = at + _ZIP_END.size + comment == len(data)
            if whole or (disk == first == 0 and here == entries and size <= at and entries):
                return True
        at = data.rfind(b"PK\x05\x06", start, at)
    return False
