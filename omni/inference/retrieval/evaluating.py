"""Measures search and answers of a collection by questions whose targets are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from omni.foundation.db.sessions import Database, ReadSession
from omni.inference.language.embedder import Embedder
from omni.inference.language.models import require_fit
from omni.inference.retrieval.answering import Answering
from omni.inference.retrieval.errors import collection_not_found, target_not_found
from omni.inference.retrieval.evaluation_schemas import (
    AnswerMeasures,
    EvaluatedQuestion,
    EvaluationRequest,
    EvaluationResponse,
    ModeMeasures,
    QuestionResult,
    Target,
)
from omni.inference.retrieval.measures import mean_of, measures_at
from omni.inference.retrieval.question_schemas import AnswerRequest, AnswerResponse, Mode
from omni.inference.retrieval.repository import collections, documents, search
from omni.inference.retrieval.repository.search import Found
from omni.inference.retrieval.search import LEG_CANDIDATES, Legs
from omni.inference.runtime.call import Call

_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class _Ranked:
    """For each mode, the targets that each of the first k chunks meets."""

    question: EvaluatedQuestion
    rankings: Mapping[Mode, Sequence[frozenset[int]]]


class Evaluating:
    """Evaluates collections."""

    def __init__(self, database: Database, embedder: Embedder, answering: Answering) -> None:
        self._database = database
        self._embedder = embedder
        self._answering = answering

    async def evaluate(self, call: Call, collection_id: UUID, request: EvaluationRequest) -> EvaluationResponse:
        """The measures of each mode, side by side.

        Raises NotFound `collection_not_found`, InvalidInput `target_not_found` or `input_too_long`, and what the
        engines raise.
        """
        questions = request.questions
        inputs = await self._embedder.tokenize(call, [each.question for each in questions])
        for index, ids in enumerate(inputs):
            require_fit(self._embedder.model, len(ids), f"questions[{index}]")
        vectors = await self._embedder.embed(call, inputs)
        call.usage.input_tokens += sum(len(ids) for ids in inputs)
        call.usage.model = self._embedder.model.name
        ranked: list[_Ranked] = []
        async with self._database.snapshot(call.principal.tenant_id) as session:
            collection = await collections.find(session, collection_id)
            if collection is None:
                raise collection_not_found()
            await _check_targets(session, collection_id, questions)
            scope = await search.scope_of(session, collection, None)
            for question, vector in zip(questions, vectors, strict=True):
                call.seconds_left()
                legs = Legs(
                    await search.nearest(session, scope, vector, LEG_CANDIDATES),
                    await search.matching(session, scope, question.question, LEG_CANDIDATES),
                )
                ranked.append(_Ranked(question, await _rankings(session, legs, question.relevant, request)))
        answers = [await self._answer(call, collection_id, each) for each in questions] if request.answers else []
        return await self._response(call, collection_id, request, ranked, answers)

    async def _answer(self, call: Call, collection_id: UUID, question: EvaluatedQuestion) -> AnswerResponse:
        call.seconds_left()
        return await self._answering.answer(call, collection_id, AnswerRequest(question=question.question))

    async def _response(
        self,
        call: Call,
        collection_id: UUID,
        request: EvaluationRequest,
        ranked: Sequence[_Ranked],
        answers: Sequence[AnswerResponse],
    ) -> EvaluationResponse:
        async with self._database.snapshot(call.principal.tenant_id) as session:
            relevant = [
                await _cites_a_target(session, answer, each.relevant)
                for answer, each in zip(answers, request.questions, strict=False)
            ]
            faithful = await _faithfulness(session, collection_id, answers)
        results = [
            QuestionResult(
                question=each.question.question,
                first_relevant={mode: _first(ranking) for mode, ranking in each.rankings.items()},
                answer=answers[index].answer if answers else None,
                answer_relevant=relevant[index] if answers else None,
            )
            for index, each in enumerate(ranked)
        ]
        given = [each for each in relevant if each is not None]
        return EvaluationResponse(
            k=request.k,
            modes=[_mode_measures(mode, request.k, ranked) for mode in request.modes],
            answers=AnswerMeasures(
                answered=len(given) / len(answers),
                relevant=sum(given) / len(given) if given else None,
                faithfulness=faithful,
            )
            if answers
            else None,
            questions=results,
            embedding_model=self._embedder.model.name,
        )


async def _check_targets(session: ReadSession, collection_id: UUID, questions: Sequence[EvaluatedQuestion]) -> None:
    targets = [target for each in questions for target in each.relevant]
    document_ids = {each.document_id for each in targets if each.document_id is not None}
    chunk_ids = {each.chunk_id for each in targets if each.chunk_id is not None}
    missing = document_ids - await documents.existing(session, collection_id, document_ids)
    missing |= chunk_ids - await search.existing(session, collection_id, chunk_ids)
    for number, each in enumerate(questions):
        for index, target in enumerate(each.relevant):
            if missing & {target.document_id, target.chunk_id}:
                raise target_not_found(f"questions[{number}].relevant[{index}]")


async def _rankings(
    session: ReadSession, legs: Legs, targets: Sequence[Target], request: EvaluationRequest
) -> dict[Mode, list[frozenset[int]]]:
    orders = {mode: list(legs.scores(mode))[: request.k] for mode in request.modes}
    found = await search.load(session, list({chunk_id for order in orders.values() for chunk_id in order}))
    met = {chunk_id: _meets(chunk, targets) for chunk_id, chunk in found.items()}
    return {mode: [met[chunk_id] for chunk_id in order] for mode, order in orders.items()}


def _meets(chunk: Found, targets: Sequence[Target]) -> frozenset[int]:
    """Places of the targets that the chunk meets: everything that the target names must be right."""
    text = _SPACES.sub(" ", chunk.text)
    return frozenset(
        index
        for index, target in enumerate(targets)
        if target.document_id in (None, chunk.document_id)
        and target.chunk_id in (None, chunk.chunk_id)
        and (target.quote is None or _SPACES.sub(" ", target.quote).strip() in text)
    )


async def _cites_a_target(session: ReadSession, answer: AnswerResponse, targets: Sequence[Target]) -> bool | None:
    if not answer.found:
        return None
    found = await search.load(session, [citation.chunk_id for citation in answer.citations])
    return any(_meets(chunk, targets) for chunk in found.values())


async def _faithfulness(session: ReadSession, collection_id: UUID, answers: Sequence[AnswerResponse]) -> float | None:
    citations = [citation for answer in answers for citation in answer.citations]
    if not citations:
        return None
    exact = 0
    for citation in citations:
        cited = await documents.part(session, collection_id, citation.document_id, citation.start, citation.end)
        exact += cited == citation.sentence
    return exact / len(citations)


def _first(ranking: Sequence[frozenset[int]]) -> int | None:
    return next((place for place, meets in enumerate(ranking, 1) if meets), None)


def _mode_measures(mode: Mode, k: int, ranked: Sequence[_Ranked]) -> ModeMeasures:
    mean = mean_of([measures_at(k, each.rankings[mode], len(each.question.relevant)) for each in ranked])
    return ModeMeasures(
        mode=mode, recall=mean.recall, precision=mean.precision, mrr=mean.reciprocal_rank, ndcg=mean.ndcg
    )
