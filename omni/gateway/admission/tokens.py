"""Tokens of a text, for when the provider does not count them: by the vocabulary o200k, else by bytes.

Models have vocabularies of their own, so this is an estimate, and what is charged by it says so. The vocabulary takes
half a second and about 130 MB: it is read on the first need, by a thread, and never where every provider counts.
"""

from __future__ import annotations

import asyncio
import importlib
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

BYTES_PER_TOKEN = 4
_PACKAGE = "bpe_openai._bindings"
_VOCABULARY = "o200k_base"
_SLICE_LETTERS = 64 * 1024
"""Counted without a pause: about two milliseconds."""

How = Literal["tokenizer", "bytes"]


class Counted(NamedTuple):
    """Tokens, and how they were counted."""

    tokens: int
    how: How


class TokenCounter:
    """Counts for one process. One vocabulary is read once, however many ask for it at the same time."""

    def __init__(self, package: str = _PACKAGE) -> None:
        self._package = package
        self._loading: asyncio.Task[Callable[[str], int] | None] | None = None

    async def count(self, text: str) -> Counted:
        """Tokens of a text of any length; other requests go on between its slices."""
        if not text:
            return Counted(0, "tokenizer")
        count_slice = await self._vocabulary()
        if count_slice is None:
            return Counted(math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN), "bytes")
        total = 0
        for start in range(0, len(text), _SLICE_LETTERS):
            if start:
                await asyncio.sleep(0)
            part = text[start : start + _SLICE_LETTERS]
            total += count_slice(part.encode("utf-8", "replace").decode("utf-8"))
        return Counted(total, "tokenizer")

    async def _vocabulary(self) -> Callable[[str], int] | None:
        """None where the package does not exist for the platform."""
        if self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(self._load))
        return await asyncio.shield(self._loading)

    def _load(self) -> Callable[[str], int] | None:
        try:
            bindings = importlib.import_module(self._package)
        except ImportError:
            return None
        found: Callable[[str], int] = bindings.tokenizer_for_encoding(_VOCABULARY).count
        return found
