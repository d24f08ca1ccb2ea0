"""Extractive answers: the sentences of the best chunks that say most about the question, cited exactly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from omni.inference.language.embedder import Embedder
from omni.inference.retrieval.filtering import read_filter
from omni.inference.retrieval.schemas import AnswerRequest, AnswerResponse, Citation, Hit
from omni.inference.retrieval.search import Search, Wanted
from omni.inference.retrieval.sentences import sentences
from omni.inference.runtime.call import Call

CHUNKS = 6
SENTENCES = 48  # most that are embedded for one question
MEANING_WEIGHT, WORDS_WEIGHT = 0.75, 0.25
THRESHOLD = 0.42
NEAR_BEST = 0.85  # further sentences must reach this share of the best one's score
_WORD = re.compile(r"\w+")
_SPACES = re.compile(r"\s+")
# Words of a question that say nothing about its subject.
_COMMON = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "may",
        "me",
        "must",
        "my",
        "of",
        "on",
        "or",
        "our",
        "shall",
        "should",
        "so",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A sentence of a chunk; offsets in the document."""

    hit: Hit
    start: int
    end: int
    text: str


class Answering:
    """Answers questions from a collection."""

    def __init__(self, search: Search, embedder: Embedder) -> None:
        self._search = search
        self._embedder = embedder

    async def answer(self, call: Call, collection_id: UUID, request: AnswerRequest) -> AnswerResponse:
        """The best sentences, each with its place; found = False when none reaches THRESHOLD. Raises what
        Search.find raises.
        """
        where = None if request.filter is None else read_filter(request.filter)
        wanted = Wanted(request.question, CHUNKS, "hybrid", where)
        collection, hits = await self._search.find(call, collection_id, wanted)
        candidates = _candidates(hits)
        scored = sorted(await self._scored(call, request.question, candidates), key=lambda pair: -pair[0])
        best = scored[0][0] if scored else None
        model = self._embedder.model.name
        if best is None or best < THRESHOLD:
            return AnswerResponse(
                found=False,
                answer=None,
                citations=[],
                reason="no_relevant_passage" if collection.chunk_count else "collection_empty",
                best_score=best,
                threshold=THRESHOLD,
                embedding_model=model,
            )
        least = max(THRESHOLD, NEAR_BEST * best)
        citations = [_citation(found, score) for score, found in scored[: request.max_sentences] if score >= least]
        return AnswerResponse(
            found=True,
            answer=" ".join(_SPACES.sub(" ", citation.sentence) for citation in citations),
            citations=citations,
            best_score=best,
            threshold=THRESHOLD,
            embedding_model=model,
        )

    async def _scored(
        self, call: Call, question: str, candidates: Sequence[_Candidate]
    ) -> list[tuple[float, _Candidate]]:
        """Each sentence with 0.75 cosine to the question + 0.25 share of the question's words that it has."""
        if not candidates:
            return []
        most = self._embedder.model.max_tokens
        inputs = await self._embedder.tokenize(call, [question, *(found.text for found in candidates)])
        fitting = [(found, ids) for found, ids in zip(candidates, inputs[1:], strict=True) if len(ids) <= most]
        asked, *vectors = await self._embedder.embed(call, [inputs[0], *(ids for _, ids in fitting)])
        call.usage.input_tokens += sum(len(ids) for _, ids in fitting)
        words = _words(question)
        return [
            (MEANING_WEIGHT * max(0.0, float(asked @ vector)) + WORDS_WEIGHT * _share(words, found.text), found)
            for (found, _), vector in zip(fitting, vectors, strict=True)
        ]


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
    words = _WORD.findall(text)
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
        score=min(1.0, score),
    )


def _words(text: str) -> set[str]:
    """Words that carry meaning, reduced to a common beginning so that `terminates` meets `termination`."""
    return {word[:6] for word in _WORD.findall(text.casefold()) if word not in _COMMON}


def _share(words: set[str], text: str) -> float:
    return len(words & _words(text)) / len(words) if words else 0.0
