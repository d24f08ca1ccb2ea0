"""Routes of the file endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from omni.inference.caller import CallerDependency, MeteredRoute, limited
from omni.inference.files.repository import NewFile, Order
from omni.inference.files.schemas import (
    LONGEST_LIFE_SECONDS,
    SHORTEST_LIFE_SECONDS,
    UPLOAD_PURPOSES,
    DeletedFile,
    File,
    FileList,
    Purpose,
)
from omni.inference.files.service import FileService
from omni.inference.runtime.call import Call
from omni.inference.storage.repository import QUOTA_RETRY_SECONDS
from omni.inference.uploads import OpenUpload, file_name, open_upload
from omni.kit.clock import Clock
from omni.kit.errors import InvalidInput, LimitExceeded
from omni.kit.ids import uuid7

FORM_BYTES = 64 * 1024
"""What a form may hold beside its file."""
FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(UPLOAD_PURPOSES)},
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {
                            "type": "integer", "minimum": SHORTEST_LIFE_SECONDS, "maximum": LONGEST_LIFE_SECONDS,
                        },
                    },
                }
            }
        },
    }
}  # fmt: skip


def router(service: FileService, caller: CallerDependency, clock: Clock) -> APIRouter:
    """Everything below `/v1/files`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Files"], prefix="/v1/files")

    @routes.post("", summary="Upload a file", openapi_extra=FORM)
    async def upload_file(request: Request, call: Call = Depends(caller)) -> File:
        """A file of up to 2 GiB, e.g. the requests of a batch as JSON lines (up to 100 MiB). It is streamed to the
        store, and refused at once where the plan's storage has no room for it."""
        who = call.principal
        announced = request.headers.get("content-length", "0")
        size_bytes = max(0, int(announced) - FORM_BYTES) if announced.isdecimal() else 0
        room = await service.check_room(who.tenant_id, size_bytes, who.storage_bytes_limit)
        if room is not None:
            request = limited(request, room + FORM_BYTES, lambda: _no_room(room))
        async with open_upload(request) as upload:
            purpose = _purpose(upload)
            expires_at = _expires_at(upload.fields, clock.now())
            new = NewFile(uuid7(), who.project_id, file_name(upload.name), purpose, upload.size_bytes, expires_at)
            return await service.add(who.tenant_id, new, upload.file, who.storage_bytes_limit)

    @routes.get("", summary="List files")
    async def list_files(
        purpose: Annotated[Purpose | None, Query(description="Only files for this.")] = None,
        limit: Annotated[int, Query(ge=1, le=10_000, description="Most files of a page.")] = 1_000,
        after: Annotated[str | None, Query(max_length=100, description="`last_id` of the page before.")] = None,
        order: Annotated[Order, Query(description="By when they were made.")] = "desc",
        call: Call = Depends(caller),
    ) -> FileList:
        """Your files."""
        return await service.list(call.principal.tenant_id, purpose, limit, after, order)

    @routes.get("/{file_id}", summary="Look up a file")
    async def get_file(file_id: str, call: Call = Depends(caller)) -> File:
        """One file, without its content."""
        return await service.get(call.principal.tenant_id, file_id)

    @routes.delete("/{file_id}", summary="Delete a file")
    async def delete_file(file_id: str, call: Call = Depends(caller)) -> DeletedFile:
        """Deletes a file for good."""
        return await service.delete(call.principal.tenant_id, file_id)

    @routes.get("/{file_id}/content", summary="Download a file", response_class=StreamingResponse)
    async def get_content(file_id: str, call: Call = Depends(caller)) -> StreamingResponse:
        """The bytes of a file."""
        file = await service.get(call.principal.tenant_id, file_id)
        pieces = await service.stream(call.principal.tenant_id, file_id)
        headers = {
            "content-length": str(file.bytes),
            "content-disposition": f"attachment; filename*=UTF-8''{quote(file.filename)}",
            "x-content-type-options": "nosniff",
        }
        return StreamingResponse(pieces, headers=headers, media_type="application/octet-stream")

    return routes


def _no_room(room: int) -> LimitExceeded:
    return LimitExceeded(
        "storage_quota_exceeded",
        f"The file is larger than the {room} bytes that the plan has room for. Delete some or upgrade.",
        retry_after_seconds=QUOTA_RETRY_SECONDS,
    )


def _purpose(upload: OpenUpload) -> str:
    purpose = upload.fields.get("purpose", "")
    if purpose not in UPLOAD_PURPOSES:
        raise InvalidInput("invalid_purpose", f"`purpose` is one of {', '.join(UPLOAD_PURPOSES)}.", param="purpose")
    return purpose


def _expires_at(fields: Mapping[str, str], now: datetime) -> datetime | None:
    anchor, seconds = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at" or seconds is None or not seconds.isdecimal() or len(seconds) > 9:
        raise InvalidInput(
            "invalid_expiry", "Send expires_after[anchor]=created_at and expires_after[seconds].", param="expires_after"
        )
    if not SHORTEST_LIFE_SECONDS <= int(seconds) <= LONGEST_LIFE_SECONDS:
        raise InvalidInput(
            "invalid_expiry",
            f"A file may live {SHORTEST_LIFE_SECONDS} to {LONGEST_LIFE_SECONDS} seconds.",
            param="expires_after",
        )
    return now + timedelta(seconds=int(seconds))
