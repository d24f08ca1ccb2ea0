"""What tokens and chunks do."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING

from omni.inference.language.chunking import Span
from omni.inference.language.embedder import Embedder
from omni.inference.language.splitting.cutting import by_headings, by_sentences, by_tokens, fitting, headings
from omni.inference.language.splitting.schemas import (
    MAX_ALL_CHARS,
    Chunk,
    ChunkRequest,
    ChunkResponse,
    TokenCount,
    TokensRequest,
    TokensResponse,
)
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    from omni.inference.language.splitting.bpe import Bpe

ENGINE = "splitting"
FRAME = 2  # tokens that frame a text for the embedding model
_WAYS = {"tokens": by_tokens, "sentences": by_sentences, "headings": by_headings}


class SplittingService:
    """Tokens and chunks of texts."""

    def __init__(self, embedder: Embedder, pool: EnginePool) -> None:
        self._embedder = embedder
        self._pool = pool
        self._bpe: LazyEngine[Bpe] = LazyEngine("omni.inference.language.splitting.bpe", lambda module: module.Bpe())

    async def tokens(self, call: Call, request: TokensRequest) -> TokensResponse:
        """Counts, and ids, of each text. Raises InvalidInput `text_too_long`."""
        size = sum(map(len, request.texts))
        if size > MAX_ALL_CHARS:
            raise InvalidInput(
                "text_too_long",
                f"The texts have {size} characters; {MAX_ALL_CHARS} are allowed. Send fewer.",
                param="texts",
                max_chars=MAX_ALL_CHARS,
            )
        if request.tokenizer == self._embedder.model.name:
            listed = await self._embedder.tokenize(call, request.texts)
            results = [TokenCount(tokens=len(ids), ids=ids if request.ids else None) for ids in listed]
        else:
            results = await self._pool.run(call, ENGINE, lambda: self._bpe_counts(call, request))
        call.usage.model = request.tokenizer
        return TokensResponse(
            results=results, total=sum(result.tokens for result in results), tokenizer=request.tokenizer
        )

    async def chunk(self, call: Call, request: ChunkRequest) -> ChunkResponse:
        """The text in pieces. Raises InvalidInput `input_empty` for white space alone."""
        text = request.text
        if not text.strip():
            raise InvalidInput("input_empty", "text is empty. Send a text.", param="text")
        own = request.tokenizer == self._embedder.model.name
        spans = await self._embedder.token_spans(call, text) if own else []
        count = await self._counter(call, request)

        def work() -> list[Chunk]:
            tokens = spans if own else self._bpe.get().spans(request.tokenizer, text, call.seconds_left)
            cut = _WAYS[request.by](text, tokens, request.max_tokens, request.overlap_tokens)
            return _chunks(request, fitting(text, cut, request.max_tokens, count))

        chunks = await self._pool.run(call, ENGINE, work)
        call.usage.model = request.tokenizer
        return ChunkResponse(chunks=chunks, tokenizer=request.tokenizer)

    def _bpe_counts(self, call: Call, request: TokensRequest) -> list[TokenCount]:
        bpe = self._bpe.get()
        results = []
        for text in request.texts:
            call.seconds_left()
            if request.ids:
                ids = bpe.ids(request.tokenizer, text)
                results.append(TokenCount(tokens=len(ids), ids=ids))
            else:
                results.append(TokenCount(tokens=bpe.count(request.tokenizer, text)))
        return results

    async def _counter(self, call: Call, request: ChunkRequest) -> Callable[[str], int]:
        """Counts the tokens of a text on a pool's thread. Raises DeadlineExceeded."""
        if request.tokenizer == self._embedder.model.name:
            tokenize = await self._embedder.tokenizer(call)

            def own(text: str) -> int:
                call.seconds_left()
                return len(tokenize([text])[0]) - FRAME

            return own

        def bpe(text: str) -> int:
            call.seconds_left()
            return self._bpe.get().count(request.tokenizer, text)

        return bpe


def _chunks(request: ChunkRequest, cut: list[tuple[Span, int]]) -> list[Chunk]:
    found = headings(request.text)
    starts = [heading.start for heading in found]
    chunks = []
    for span, tokens in cut:
        place = bisect_right(starts, span.start) - 1
        heading = request.text[found[place].start : found[place].end].lstrip("#").strip() if place >= 0 else None
        chunks.append(
            Chunk(
                start=span.start,
                end=span.end,
                tokens=tokens,
                heading=heading,
                text=request.text[span.start : span.end] if request.texts else None,
            )
        )
    return chunks
