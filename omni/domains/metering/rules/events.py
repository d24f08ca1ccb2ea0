"""CloudEvents 1.0 as they are reported: what is read of one, and why one is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from omni.contracts.snapshots import Mode

MOST_EVENTS = 10_000
LATEST = timedelta(days=35)
"""How old an event may be when it arrives."""
EARLIEST = timedelta(minutes=5)
"""How far in the future its time may lie: clocks differ."""
REMEMBERED = LATEST + timedelta(minutes=10)
"""How long source and id are remembered: at least until the event would be too old to be sent again."""
MOST_DATA_BYTES = 16 * 1024

_LONGEST = {"id": 200, "source": 300, "type": 200, "subject": 200}


class Rejected(Exception):
    """An event that is not taken; `reason` is public and says what to do."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(slots=True)
class Event:
    """An event that is well-formed. Not frozen, because that takes three times as long to make."""

    source: str
    id: str
    type: str
    subject: str
    occurred_at: datetime
    data: dict[str, Any]
    data_json: str
    digest: bytes
    """16 bytes of mode, source and id: what deduplication goes by."""
    counted: bool = True
    """Whether every active meter that it is for could count it, and at least one did."""


def digest_of(mode: Mode, source: str, event_id: str) -> bytes:
    """128 bits of BLAKE2b. Control characters are in none of the three, so the separator is unambiguous."""
    text = f"{mode}\n{source}\n{event_id}"
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def read_event(item: object, mode: Mode, now: datetime) -> Event:
    """The event in a JSON object. Raises Rejected."""
    if not isinstance(item, dict):
        raise Rejected("invalid_event", "An event is a JSON object with specversion, id, source and type.")
    if item.get("specversion") != "1.0":
        raise Rejected("unsupported_specversion", 'Set specversion to "1.0".')
    source, event_id, kind = _text(item, "source"), _text(item, "id"), _text(item, "type")
    subject = _text(item, "subject") if item.get("subject") is not None else ""
    occurred_at = _time(item.get("time"), now)
    data = item.get("data")
    if data is None:
        data = {}
        if "data_base64" in item:
            raise Rejected("invalid_event", "Send data as a JSON object, not as data_base64.")
    if not isinstance(data, dict):
        raise Rejected("invalid_event", "data is a JSON object.")
    encoded = orjson.dumps(data)
    if len(encoded) > MOST_DATA_BYTES:
        raise Rejected("event_too_large", f"data has at most {MOST_DATA_BYTES} bytes. Send only what is counted.")
    if b"\\u0000" in encoded:
        raise Rejected("invalid_event", "data contains the character NUL, which cannot be stored. Leave it out.")
    digest = digest_of(mode, source, event_id)
    return Event(source, event_id, kind, subject, occurred_at, data, encoded.decode(), digest)


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    longest = _LONGEST[name]
    if not isinstance(value, str) or not value or len(value) > longest or not value.isprintable():
        raise Rejected("invalid_event", f"{name} is a text of 1 to {longest} printable characters.")
    return value


def _time(value: object, now: datetime) -> datetime:
    if value is None:
        return now
    try:
        if not isinstance(value, str) or value[10:11] not in ("T", "t"):
            raise ValueError(value)
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(value)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Rejected("invalid_time", "time is a date and time with an offset, e.g. 2026-11-24T09:30:00Z.") from None
    if moment > now + EARLIEST:
        raise Rejected("in_the_future", "time is more than 5 minutes ahead. Check the clock that sets it.")
    if moment < now - LATEST:
        raise Rejected("too_late", "time is more than 35 days ago; such events are not taken any more.")
    return moment


def binary_event(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The JSON form of an event in HTTP binary mode: attributes in `ce-` headers, data in the body.

    (CloudEvents HTTP protocol binding 1.0.2, §3.1). Raises orjson.JSONDecodeError when the body is no JSON.
    """
    event: dict[str, Any] = {
        name: _unescaped(headers[f"ce-{name}"])
        for name in ("specversion", "id", "source", "type", "time", "subject")
        if f"ce-{name}" in headers
    }
    if body:
        event["data"] = orjson.loads(body)
    return event


def _unescaped(value: str) -> str:
    """Header values are percent-encoded UTF-8 (§3.1.3.2); what cannot be decoded stays as it is."""
    if "%" not in value:
        return value
    parts = value.encode("latin-1", "replace").split(b"%")
    decoded = bytearray(parts[0])
    for part in parts[1:]:
        try:
            decoded += bytes.fromhex(part[:2].decode("ascii")) + part[2:]
        except (ValueError, UnicodeDecodeError):
            return value
    return decoded.decode("utf-8", "replace")
