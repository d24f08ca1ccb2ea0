"""Asks the status process, over HTTP: it has its data to itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2
import orjson

from omni.domains.sla.contracts import IncidentRef, Observed, Stretch
from omni.kit.errors import Unavailable

TIMEOUT_SECONDS = 20


class HttpStatusPage:
    """The record of the components whose outages are the tenants'."""

    def __init__(self, client: httpx2.AsyncClient, url: str, token: str, components: Sequence[str]) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"}
        self._components = list(components)

    async def observed(self, start: datetime, end: datetime) -> Observed:
        """Raises Unavailable `outages_unknown` unless all that was asked for is answered."""
        asked = {
            "from": start.astimezone(UTC).isoformat(),
            "until": end.astimezone(UTC).isoformat(),
            "component": self._components,
        }
        try:
            answer = await self._client.get(
                f"{self._url}/api/record", params=asked, headers=self._headers, timeout=TIMEOUT_SECONDS
            )
            if answer.status_code != 200:
                raise outages_unknown(f"HTTP {answer.status_code}: {answer.text[:300]}")
            return _observed(orjson.loads(answer.content))
        except (httpx2.HTTPError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise outages_unknown(repr(error)) from error


def outages_unknown(internal: str) -> Unavailable:
    """The answer while the status page cannot be asked."""
    return Unavailable(
        "outages_unknown",
        "The status page does not say what outages there were, and availability is not computed without. Try again.",
        retry_after_seconds=30,
        internal=internal,
    )


def _observed(told: dict[str, Any]) -> Observed:
    return Observed(
        tuple(map(_stretch, told["outages"])),
        tuple(map(_stretch, told["maintenances"])),
        tuple(
            IncidentRef(
                each["id"],
                each["name"],
                datetime.fromisoformat(each["started_at"]),
                datetime.fromisoformat(each["resolved_at"]) if each["resolved_at"] else None,
            )
            for each in told["incidents"]
        ),
        {str(name): int(micros) for name, micros in told["unwatched_micros"].items()},
    )


def _stretch(told: dict[str, str]) -> Stretch:
    return Stretch(told["component"], datetime.fromisoformat(told["start"]), datetime.fromisoformat(told["end"]))
