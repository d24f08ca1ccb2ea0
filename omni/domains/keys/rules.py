"""Rules for scopes, networks and the shape of keys. No I/O."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from ipaddress import ip_network

from omni.contracts.endpoints import SCOPES
from omni.contracts.snapshots import KEY_PREFIXES
from omni.kit.errors import InvalidInput
from omni.kit.ids import is_well_formed

ALL_SCOPES = "*"
MAX_NETWORKS = 50
PREFIX_CHARS = 14
SUFFIX_CHARS = 4

SECRET_PATTERN = r"\b(omni_(?:live|test)_[0-9A-Za-z]{36})\b"  # noqa: S105
"""Finds keys in text, for secret scanners."""

_SECRET = re.compile(SECRET_PATTERN)


def find_secrets(text: str) -> Iterator[str]:
    """The keys in a text: what has the shape and a checksum that fits."""
    return (found for found in _SECRET.findall(text) if is_well_formed(found, KEY_PREFIXES))


def normalise_scopes(scopes: Collection[str]) -> tuple[str, ...]:
    """Sorted and without repetition. Raises InvalidInput `invalid_scopes`."""
    unknown = set(scopes) - {ALL_SCOPES, *SCOPES}
    if unknown or not scopes:
        known = ", ".join((ALL_SCOPES, *SCOPES))
        raise InvalidInput("invalid_scopes", f"A key needs at least one scope of: {known}.", param="scopes")
    return tuple(sorted(set(scopes)))


def normalise_networks(networks: Collection[str]) -> tuple[str, ...]:
    """CIDR networks in their one form, without repetition; single addresses become /32 or /128. Raises InvalidInput
    `invalid_networks`."""
    if len(networks) > MAX_NETWORKS:
        raise InvalidInput("invalid_networks", f"At most {MAX_NETWORKS} networks.", param="networks")
    try:
        return tuple(dict.fromkeys(str(ip_network(network)) for network in networks))
    except ValueError as error:
        raise InvalidInput(
            "invalid_networks", f"Networks are CIDR blocks such as 203.0.113.0/24: {error}.", param="networks"
        ) from None


def check_expiry(expires_at: datetime | None, now: datetime) -> None:
    """Raises InvalidInput `invalid_expiry` for a moment that is over or has no zone."""
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= now):
        raise InvalidInput(
            "invalid_expiry", "expires_at must be a moment in the future, with its zone.", param="expires_at"
        )
