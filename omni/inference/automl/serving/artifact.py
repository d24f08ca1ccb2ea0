"""The file of a trained model: a zip without compression of JSON, arrays and LightGBM's text. Nothing is ever pickled.

`manifest.json` names every other file with its SHA-256. The same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from omni.inference.automl.serving.calibration import Calibration
from omni.inference.automl.serving.design import Design
from omni.inference.automl.serving.members import BadArtifact, Member, load_member
from omni.inference.automl.serving.model import Model

VERSION = 1
MANIFEST = "manifest.json"
MOST_BYTES = 512 * 1024 * 1024
MOST_FILES = 200
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write(model: Model) -> bytes:
    """The artifact's bytes; `model.manifest` is kept in it, for whoever reads about the model."""
    files: dict[str, bytes] = {
        "design.json": _json(model.design.to_json()),
        "calibration.json": _json(model.calibration.to_json()),
        "background.npy": _npy(model.background),
    }
    for place, member in enumerate(model.members):
        for name, part in member.parts().items():
            files[f"members/{place}/{name}"] = part if isinstance(part, bytes) else _npy(part)
    manifest = {
        **model.manifest, "artifact_version": VERSION, "task": model.task, "classes": list(model.classes),
        "members": [
            {"kind": member.kind, "weight": float(weight)}
            for member, weight in zip(model.members, model.weights, strict=True)
        ],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }  # fmt: skip
    return pack({MANIFEST: _json(manifest), **files})


def pack(files: Mapping[str, bytes]) -> bytes:
    """A zip without compression and times."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return made.getvalue()


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Manifest and files, their hashes checked. Raises BadArtifact."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > min(MOST_BYTES, len(data)):
                raise BadArtifact("too many files or bytes")
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise BadArtifact("compressed")
            files = {entry.filename: archive.read(entry) for entry in entries}
        manifest: dict[str, Any] = json.loads(files.pop(MANIFEST))
        named = manifest["files"]
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError, NotImplementedError) as error:
        raise BadArtifact(str(error)) from error
    if manifest.get("artifact_version") != VERSION or named.keys() != files.keys():
        raise BadArtifact("another version, or other files")
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != named[name]:
            raise BadArtifact(f"{name} was changed")
    return manifest, files


def read(data: bytes) -> Model:
    """The model in a file. Raises BadArtifact for whatever is none of ours, or was changed."""
    manifest, files = unpack(data)
    try:
        design = Design.from_json(json.loads(files["design.json"]))
        classes, described = [str(each) for each in manifest["classes"]], manifest["members"]
        outputs, widths = len(classes) or 1, (len(design.coded_features), len(design.dense_columns))
        members: list[Member] = []
        for place, each in enumerate(described):
            prefix = f"members/{place}/"
            parts = {
                name.removeprefix(prefix): _array(content) if name.endswith(".npy") else content
                for name, content in files.items()
                if name.startswith(prefix)
            }
            members.append(load_member(each["kind"], parts, outputs, widths))
        calibration = Calibration.from_json(json.loads(files["calibration.json"]), outputs)
        background = _array(files["background.npy"])
        weights = np.array([float(each["weight"]) for each in described])
    except BadArtifact:
        raise
    except Exception as error:  # whatever a broken file makes a library raise
        raise BadArtifact(str(error)) from error
    if background.ndim != 2 or background.shape[1] != widths[0] or not members:
        raise BadArtifact("the background has other columns, or there is no member")
    return Model(str(manifest["task"]), classes, design, members, weights, calibration, background, manifest)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _npy(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, np.ascontiguousarray(array), allow_pickle=False)
    return made.getvalue()


def _array(content: bytes) -> np.ndarray:
    found = np.load(io.BytesIO(content), allow_pickle=False)
    if found.dtype.kind not in "if":
        raise BadArtifact("not an array of numbers")
    return np.asarray(found)
