"""Extractive answers: the sentences of the best chunks that say most about the question, cited exactly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from omni.inference.language.embedder import Embedder
from omni.inference.language.sentences import sentences
from omni.inference.retrieval.conversation import Rewritten, Turn, rewrite, with_terms
from omni.inference.retrieval.filtering import read_filter
from omni.inference.retrieval.question_schemas import AnswerRequest, AnswerResponse, Citation, Hit
from omni.inference.retrieval.relevance import WORD, Relevance
from omni.inference.retrieval.search import Search, Wanted
from omni.inference.retrieval.writing import WrittenAnswers
from omni.inference.runtime.call import Call

CHUNKS = 6
SENTENCES = 48  # most that are embedded for one question
THRESHOLD = 0.42
NEAR_BEST = 0.85  # further sentences must reach this share of the best one's score
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A sentence of a chunk; offsets in the document."""

    hit: Hit
    start: int
    end: int
    text: str


class Answering:
    """Answers questions from a collection."""

    def __init__(self, search: Search, embedder: Embedder, written: WrittenAnswers) -> None:
        self._written = written
        self._search = search
        self._embedder = embedder
        self._relevance = Relevance(embedder)
        self._model = embedder.model.name

    async def answer(self, call: Call, collection_id: UUID, request: AnswerRequest) -> AnswerResponse:
        """The best sentences, each with its place, or what a model writes from the passages; found = False when
        nothing reaches the threshold. Raises what Search.find and WrittenAnswers.answer raise.
        """
        where = None if request.filter is None else read_filter(request.filter)
        asked = await self._rewritten(call, request)
        wanted = Wanted(asked.query, CHUNKS, "hybrid", where)
        found = await self._search.find(call, collection_id, wanted)
        if request.model is not None:
            return await self._written.answer(call, request, asked, found.hits)
        candidates = _candidates(found.hits)
        scores = await self._relevance.of(call, asked.query, [each.text for each in candidates])
        paired = [(score, each) for score, each in zip(scores, candidates, strict=True) if score is not None]
        scored = sorted(paired, key=lambda pair: -pair[0])
        best = scored[0][0] if scored else None
        if best is None or best < THRESHOLD:
            return AnswerResponse(
                found=False,
                answer=None,
                citations=[],
                reason="no_relevant_passage" if found.collection.chunk_count else "collection_empty",
                best_score=best,
                threshold=THRESHOLD,
                query=asked.query,
                carried=asked.carried,
                embedding_model=self._model,
            )
        least = max(THRESHOLD, NEAR_BEST * best)
        citations = [_citation(each, score) for score, each in scored[: request.max_sentences] if score >= least]
        return AnswerResponse(
            found=True,
            answer=" ".join(_SPACES.sub(" ", citation.sentence) for citation in citations),
            citations=citations,
            best_score=best,
            threshold=THRESHOLD,
            query=asked.query,
            carried=asked.carried,
            embedding_model=self._model,
        )

    async def _rewritten(self, call: Call, request: AnswerRequest) -> Rewritten:
        """The question with what it leaves out, as much of it as the model reads."""
        history = [Turn(said.role, said.content) for said in request.history]
        carried = rewrite(request.question, history).carried
        if not carried:
            return with_terms(request.question, [])
        shorter = [with_terms(request.question, carried[:count]) for count in range(len(carried), -1, -1)]
        inputs = await self._embedder.tokenize(call, [each.query for each in shorter])
        most = self._embedder.model.max_tokens
        return next((each for each, ids in zip(shorter, inputs, strict=True) if len(ids) <= most), shorter[-1])


def _candidates(hits: Sequence[Hit]) -> list[_Candidate]:
    """Sentences of the chunks, best chunk first, each text once; headings answer nothing."""
    found: dict[str, _Candidate] = {}
    for hit in hits:
        for sentence in sentences(hit.text):
            text = hit.text[sentence.start : sentence.end]
            key = _SPACES.sub(" ", text).casefold()
            if sentence.is_heading or key in found or _says_nothing(text):
                continue
            found[key] = _Candidate(hit, hit.start + sentence.start, hit.start + sentence.end, text)
    return list(found.values())[:SENTENCES]


def _says_nothing(text: str) -> bool:
    """Less than three words, or a clause's title: a number, then only capitalised and short words (`3. Grant of
    Rights.`).
    """
    words = WORD.findall(text)
    if len(words) < 3:
        return True
    return len(words) <= 8 and words[0].isdigit() and all(word[0].isupper() or len(word) <= 3 for word in words[1:])


def _citation(found: _Candidate, score: float) -> Citation:
    return Citation(
        sentence=found.text,
        document_id=found.hit.document_id,
        document_name=found.hit.document_name,
        chunk_id=found.hit.chunk_id,
        page=found.hit.page,
        start=found.start,
        end=found.end,
        score=score,
    )
