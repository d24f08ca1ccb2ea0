"""The refusals of files."""

from __future__ import annotations

from omni.kit.errors import NotFound


def file_not_found() -> NotFound:
    """Missing, or another tenant's: the two answer alike."""
    return NotFound("file_not_found", "There is no such file. List yours with GET /v1/files.", param="file_id")
