"""Why a file is not taken."""

from __future__ import annotations

from omni.kit.errors import Unprocessable, UnsupportedType


class Refused(Exception):
    """The file breaks a rule; the text says which, and what to do."""


def wrong_format(found: str, instead: str) -> UnsupportedType:
    """The file is of a kind that is never loaded."""
    return UnsupportedType("model_format_unsupported", f"The file is {found}. {instead}", found=found)


def refused(reason: str) -> Unprocessable:
    """It is an ONNX file, and breaks a rule."""
    return Unprocessable("model_file_refused", f"The model was not loaded: {reason}")
