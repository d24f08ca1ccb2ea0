"""Answers that a model writes, with each statement held against the passages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omni.inference.language.embedder import Embedder
from omni.inference.language.sentences import sentences
from omni.inference.retrieval.conversation import Rewritten
from omni.inference.retrieval.generating import Generating
from omni.inference.retrieval.grounding import SUPPORT, Statement, Support, read_statements, supports
from omni.inference.retrieval.question_schemas import AnswerRequest, AnswerResponse, Citation, Hit, Reason
from omni.inference.retrieval.question_schemas import Statement as ShownStatement
from omni.inference.runtime.call import Call

MOST_CANDIDATES = 120


class WrittenAnswers:
    """Has a model write, and keeps what the passages support."""

    def __init__(self, embedder: Embedder, generating: Generating) -> None:
        self._embedder = embedder
        self._generating = generating

    async def answer(self, call: Call, request: AnswerRequest, asked: Rewritten, hits: Sequence[Hit]) -> AnswerResponse:
        """The statements that a sentence of the passages supports, each cited. Raises what Generating.write raises."""
        assert request.model is not None
        if not hits:
            return self._response(request, asked, "collection_empty", [], [])
        text = await self._generating.write(call, request.model, request.question, request.history, hits)
        statements = [] if text is None else read_statements(text)
        if not statements:
            return self._response(request, asked, "not_in_the_passages", [], [])
        candidates = _candidates(hits)
        found = await self._supported(call, statements, candidates, hits)
        citations: list[Citation] = []
        shown: list[ShownStatement] = []
        for statement, support in zip(statements, found, strict=True):
            if support is None:
                shown.append(ShownStatement(text=statement.text, citation=None))
                continue
            shown.append(ShownStatement(text=statement.text, citation=len(citations)))
            citations.append(_citation(candidates[support.candidate], hits, support.score))
        return self._response(request, asked, None if citations else "not_supported", shown, citations)

    async def _supported(
        self, call: Call, statements: Sequence[Statement], candidates: Sequence[_Candidate], hits: Sequence[Hit]
    ) -> list[Support | None]:
        texts = [*(each.text for each in statements), *(each.text for each in candidates)]
        most = self._embedder.model.max_tokens
        inputs = [ids[:most] for ids in await self._embedder.tokenize(call, texts)]
        vectors = np.asarray(await self._embedder.embed(call, inputs))
        call.usage.input_tokens += sum(map(len, inputs))
        split = (vectors[: len(statements)], vectors[len(statements) :])
        numbered = [(each.passage, each.text) for each in candidates]
        return supports(statements, numbered, [hit.text for hit in hits], split)

    def _response(
        self,
        request: AnswerRequest,
        asked: Rewritten,
        reason: Reason | None,
        shown: list[ShownStatement],
        citations: list[Citation],
    ) -> AnswerResponse:
        """The answer of what is cited; none where there is a reason."""
        return AnswerResponse(
            found=reason is None,
            answer=" ".join(each.text for each in shown if each.citation is not None) if reason is None else None,
            citations=citations,
            reason=reason,
            best_score=max((citation.score for citation in citations), default=None),
            threshold=SUPPORT,
            query=asked.query,
            carried=asked.carried,
            embedding_model=self._embedder.model.name,
            model=request.model,
            statements=shown,
        )


class _Candidate:
    """A sentence of a passage: the passage's number, from 1, and its place in the passage's text."""

    __slots__ = ("end", "passage", "start", "text")

    def __init__(self, passage: int, start: int, end: int, text: str) -> None:
        self.passage = passage
        self.start = start
        self.end = end
        self.text = text


def _candidates(hits: Sequence[Hit]) -> list[_Candidate]:
    found = [
        _Candidate(number, each.start, each.end, hit.text[each.start : each.end])
        for number, hit in enumerate(hits, 1)
        for each in sentences(hit.text)
        if not each.is_heading
    ]
    return found[:MOST_CANDIDATES]


def _citation(found: _Candidate, hits: Sequence[Hit], score: float) -> Citation:
    hit = hits[found.passage - 1]
    return Citation(
        sentence=found.text,
        document_id=hit.document_id,
        document_name=hit.document_name,
        chunk_id=hit.chunk_id,
        page=hit.page,
        start=hit.start + found.start,
        end=hit.start + found.end,
        score=score,
    )
