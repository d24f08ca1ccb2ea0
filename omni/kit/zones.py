"""Time zones as people name them."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from omni.kit.errors import InvalidInput


def known_zone(name: str) -> str:
    """The name of an IANA time zone. Raises InvalidInput `unknown_time_zone`."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            "unknown_time_zone", "Use a name of the IANA time-zone database, e.g. Europe/Ljubljana.", param="time_zone"
        ) from None
