"""Sentence vectors for whoever needs them: batches by length, spread over the pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from omni.inference.language.models import EmbeddingModel, require_fit
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings

if TYPE_CHECKING:
    import numpy as np

    from omni.inference.language.minilm import MiniLm

BATCH_TOKENS = 1_024  # padding included: keeps a batch around 50 ms and attention buffers in the cache
TokenIds = Sequence[int]


class Embedder:
    """Tokenises and embeds with one model, on the pool."""

    def __init__(self, model: EmbeddingModel, settings: InferenceSettings, pool: EnginePool, cores: int) -> None:
        self.model = model
        self._pool = pool
        threads = max(1, cores // pool.threads)
        self._engine: LazyEngine[MiniLm] = LazyEngine(
            "omni.inference.language.minilm", lambda module: module.MiniLm(model, settings.model_cache, threads)
        )

    @property
    def is_idle(self) -> bool:
        """Whether work would begin at once."""
        return self._pool.has_room

    async def tokenize(self, call: Call, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text with [CLS] and [SEP], not cut. Raises what EnginePool.run raises."""
        return await self._pool.run(call, "embedder", lambda: self._engine.get().tokenize(texts))

    async def embed(self, call: Call, inputs: Sequence[TokenIds]) -> list[np.ndarray]:
        """One vector of length 1 (float32 [dimensions]) per input, each of at most `model.max_tokens` ids."""
        batches = list(batches_by_length([len(ids) for ids in inputs], BATCH_TOKENS))
        works = [partial(self._embed_batch, [inputs[index] for index in batch]) for batch in batches]
        vectors: dict[int, np.ndarray] = {}
        for batch, rows in zip(batches, await self._pool.map(call, "embedder", works), strict=True):
            vectors.update(zip(batch, rows, strict=True))
        return [vectors[index] for index in range(len(inputs))]

    async def token_spans(self, call: Call, text: str) -> list[tuple[int, int]]:
        """Start and end character of each token of a text of any length."""
        return await self._pool.run(call, "embedder", lambda: self._engine.get().token_spans(text))

    async def tokenizer(self, call: Call) -> Callable[[Sequence[str]], list[list[int]]]:
        """What gives the token ids of texts, with [CLS] and [SEP], to work that is on a pool's thread already."""
        return await self._pool.run(call, "embedder", lambda: self._engine.get().tokenize)

    async def embed_text(self, call: Call, text: str) -> tuple[np.ndarray, int]:
        """The vector and the number of tokens of one text, in one job. Raises InvalidInput `input_too_long`."""

        def work() -> tuple[np.ndarray, int]:
            engine = self._engine.get()
            (ids,) = engine.tokenize([text])
            require_fit(self.model, len(ids))
            return engine.embed([ids])[0], len(ids)

        return await self._pool.run(call, "embedder", work)

    def _embed_batch(self, batch: list[TokenIds]) -> np.ndarray:
        return self._engine.get().embed(batch)


def batches_by_length(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices of `lengths`, longest first, in batches whose padded size (longest times count) stays within `budget`."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if batch and lengths[batch[0]] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
