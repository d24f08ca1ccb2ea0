"""Asks the status process, over HTTP: it has its data to itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import orjson

from omni.domains.sla.contracts import IncidentRef, Observed, Stretch
from omni.kit.clock import Clock
from omni.kit.errors import Unavailable

TIMEOUT_SECONDS = 20
_KNOWN_FOR = timedelta(minutes=1)
_FAILED_FOR = timedelta(seconds=5)
_MOST_KNOWN = 64


class HttpStatusPage:
    """The record of the components whose outages are the tenants'.

    One question at a time, and an answer is good for a minute: a month is a second's work for the status process, and
    tenants may look at theirs as often as they like.
    """

    def __init__(
        self, client: httpx2.AsyncClient, url: str, token: str, components: Sequence[str], clock: Clock
    ) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"}
        self._components = list(components)
        self._clock = clock
        self._asking = asyncio.Lock()
        self._known: dict[tuple[datetime, datetime], tuple[datetime, Observed]] = {}
        self._failed: tuple[datetime, Unavailable] | None = None

    async def observed(self, start: datetime, end: datetime) -> Observed:
        """Raises Unavailable `outages_unknown` unless all that was asked for is answered."""
        async with self._asking:
            now = self._clock.now()
            if self._failed is not None and now < self._failed[0]:
                raise outages_unknown(str(self._failed[1]))
            good_until, known = self._known.get((start, end), (now, None))
            if known is not None and now < good_until:
                return known
            try:
                found = await self._ask(start, end)
            except Unavailable as error:
                self._failed = self._clock.now() + _FAILED_FOR, error
                raise
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[start, end] = self._clock.now() + _KNOWN_FOR, found
            return found

    async def _ask(self, start: datetime, end: datetime) -> Observed:
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
