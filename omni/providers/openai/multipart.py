"""A multipart/form-data body with another model in it; all other bytes stay as they are (RFC 7578, RFC 2046)."""

from __future__ import annotations

import re

from omni.contracts.wire import Untranslatable

_BOUNDARY = re.compile(rb'boundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_MODEL = re.compile(rb'name="?model"?(?:\s|;|$)', re.IGNORECASE)


def with_model(body: bytes, content_type: bytes, model: str) -> bytes:
    """The body with the value of its `model` part replaced. Raises Untranslatable when there is no such part."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise Untranslatable("The content type has no boundary.")
    delimiter = b"\r\n--" + (found[1] or found[2])
    # A delimiter at the very start has no line break before it: lend it one.
    parts = (b"\r\n" + body).split(delimiter)
    for position, part in enumerate(parts):
        head, blank, _ = part.partition(b"\r\n\r\n")
        if blank and b"filename" not in head and _MODEL.search(head.replace(b"\r\n", b" ")):
            parts[position] = head + blank + model.encode("utf-8")
            return delimiter.join(parts)[2:]
    raise Untranslatable("The form has no model.")
