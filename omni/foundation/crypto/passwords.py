"""Passwords: argon2id (RFC 9106), in a thread, with a bound on how many run at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


@dataclass(frozen=True, slots=True)
class PasswordCost:
    """What one hash takes. The defaults are well above OWASP's minimum (19 MiB, 2 passes)."""

    memory_kib: int = 65536
    passes: int = 3
    lanes: int = 1


class Passwords:
    """Makes and checks password hashes."""

    def __init__(self, cost: PasswordCost | None = None, concurrency: int = 4) -> None:
        cost = cost or PasswordCost()
        self._hasher = PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes)
        self._decoy = self._hasher.hash("nobody has this password")
        self._slots = asyncio.Semaphore(concurrency)

    async def hash(self, password: str) -> str:
        """A salted hash with its parameters, as text."""
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether the password belongs to the hash. None (no such user) takes as long and is False."""
        async with self._slots:
            matches = await asyncio.to_thread(self._verify, password_hash or self._decoy, password)
        return matches and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
