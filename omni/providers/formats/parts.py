"""Parts of the content of a chat message."""

from __future__ import annotations

import re

from omni.providers.formats.pivot import Json
from omni.providers.formats.shapes import ASKED

_DATA_URL = re.compile(r"data:([^;,]+);base64,(.*)", re.DOTALL)


def text_of(message: Json) -> str:
    """The text of a message, whichever form it has; other parts are left out. Raises Untranslatable."""
    if not isinstance(message.get("content"), list):
        return ASKED.text(message, "content")
    parts = ASKED.objects(message, "content")
    return "\n".join(ASKED.text(part, "text") for part in parts if part.get("type") == "text")


def data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 of a `data:` URL; None for any other."""
    found = _DATA_URL.fullmatch(url)
    return (found[1], found[2]) if found is not None else None
