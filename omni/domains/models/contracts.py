"""The catalogue as others see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from omni.contracts.routes import Provider
from omni.foundation.crypto.envelope import WrappedKey


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """An encrypted key and its data key."""

    sealed: bytes
    data_key: WrappedKey
    last4: str


@dataclass(frozen=True, slots=True)
class StoredProvider:
    """A provider with the platform's key to it. `provider.sealed_key` is empty here."""

    provider: Provider
    secret: StoredSecret | None


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A tenant's own key to a provider, without the key itself."""

    provider: str
    last4: str
    created_at: datetime
