"""What keywords and summaries do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omni.inference.language.extraction.candidates import candidates
from omni.inference.language.extraction.schemas import (
    MAX_SENTENCES,
    Keyword,
    KeywordsRequest,
    KeywordsResponse,
    Span,
    SummarizeRequest,
    SummarizeResponse,
    SummarySentence,
)
from omni.inference.language.sentences import Sentence, sentences
from omni.inference.language.text_vectors import TextVectors, numbered
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    from omni.inference.language.extraction.centrality import Centrality

ENGINE = "extraction"
USUAL_SENTENCES = 3


class ExtractionService:
    """Keywords and extractive summaries."""

    def __init__(self, vectors: TextVectors, pool: EnginePool) -> None:
        self._vectors = vectors
        self._pool = pool
        self._centrality: LazyEngine[Centrality] = LazyEngine(
            "omni.inference.language.extraction.centrality", lambda module: module.Centrality()
        )

    async def keywords(self, call: Call, request: KeywordsRequest) -> KeywordsResponse:
        """Phrases of the text that are closest to its meaning. Raises what TextVectors.windows raises."""
        text = request.text
        found = await self._pool.run(
            call, ENGINE, lambda: candidates(text, request.max_words, request.stop_words, call.seconds_left)
        )
        windows = await self._vectors.windows(call, [("text", text), *numbered("phrases", list(found))])
        if not found:
            return KeywordsResponse(keywords=[], candidates=0, model=call.usage.model)
        chosen = await self._pool.run(
            call, ENGINE, lambda: self._centrality.get().keywords(windows, request.top_k, request.diversity)
        )
        places = list(found.values())
        return KeywordsResponse(
            keywords=[
                Keyword(
                    keyword=" ".join(text[slice(*places[index][0])].split()),
                    score=score,
                    occurrences=[Span(start=start, end=end) for start, end in places[index]],
                )
                for index, score in chosen
            ],
            candidates=len(found),
            model=call.usage.model,
        )

    async def summarize(self, call: Call, request: SummarizeRequest) -> SummarizeResponse:
        """The main sentences of the text.

        Raises InvalidInput `too_many_sentences` and what TextVectors.windows raises.
        """
        text = request.text
        parts = await self._pool.run(call, ENGINE, lambda: _sentences(text))
        if len(parts) > MAX_SENTENCES:
            raise InvalidInput(
                "too_many_sentences",
                f"The text has {len(parts)} sentences; {MAX_SENTENCES} are allowed. Send it in parts.",
                param="text",
                sentences=len(parts),
                max_sentences=MAX_SENTENCES,
            )
        named = [("text", text[part.start : part.end]) for part in parts] or [("text", "")]
        windows = await self._vectors.windows(call, named)
        count = request.sentences or USUAL_SENTENCES
        if request.ratio is not None:
            count = max(1, round(request.ratio * len(parts)))
        chosen = await self._pool.run(
            call, ENGINE, lambda: self._centrality.get().sentences(windows, count, request.method)
        )
        found = [
            SummarySentence(
                start=parts[index].start,
                end=parts[index].end,
                text=text[parts[index].start : parts[index].end],
                score=score,
                rank=rank,
            )
            for rank, (index, score) in enumerate(chosen, 1)
        ]
        found.sort(key=lambda sentence: sentence.start)
        return SummarizeResponse(
            summary=" ".join(" ".join(sentence.text.split()) for sentence in found),
            sentences=found,
            sentence_count=len(parts),
            model=call.usage.model,
        )


def _sentences(text: str) -> list[Sentence]:
    """Sentences with a word in them; headings only where there is nothing else."""
    found = [part for part in sentences(text) if any(map(str.isalnum, text[part.start : part.end]))]
    return [part for part in found if not part.is_heading] or found
